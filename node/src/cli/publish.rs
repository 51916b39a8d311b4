//! `allod publish`: a file or a directory becomes a version of a model.

use super::{
    args::{VersionName, content_hash, version_refs},
    client::Client,
    context::Context,
    output::Fields,
    progress::Progress,
    signing::{Receipt, Signing},
    units::{show_count, show_size},
};
use crate::api::views::{ImportLine, ImportModeView, ImportRequest, PublishedView};
use allod_protocol::{
    access::Readers,
    event::Event,
    ids::{ArtifactId, ModelName, VersionLabel},
    model::PublishVersion,
    transaction::Action,
};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::{ops::ControlFlow, path::PathBuf};

/// Record a file or a directory as a version of a model, and serve it.
#[derive(Debug, clap::Args)]
pub(super) struct Publish {
    /// The file or directory, on the node's machine
    path: PathBuf,
    /// The model: namespace/name
    #[arg(long)]
    model: ModelName,
    /// The version's label, new to the model
    #[arg(long, value_name = "LABEL")]
    version: VersionLabel,
    /// A version that it was made from: namespace/name@label; may be repeated
    #[arg(long = "parent", value_name = "VERSION")]
    parents: Vec<VersionName>,
    /// The training plan: a hash, or a file that is hashed
    #[arg(long, value_name = "FILE|HASH")]
    training_plan: Option<String>,
    /// A data set: a hash, or a file that is hashed; may be repeated
    #[arg(long = "dataset", value_name = "FILE|HASH")]
    datasets: Vec<String>,
    /// What changed
    #[arg(long, default_value = "", hide_default_value = true)]
    notes: String,
    /// Whether the node copies the bytes, gives the files a second name in its store (hard-link: same file system; what
    /// is then written into a file damages the stored one), or remembers where they lie and trusts that they stay
    #[arg(long, value_enum, default_value_t = Mode::Copy)]
    mode: Mode,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    Copy,
    HardLink,
    Reference,
}

impl From<Mode> for ImportModeView {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Copy => Self::Copy,
            Mode::HardLink => Self::HardLink,
            Mode::Reference => Self::Reference,
        }
    }
}

#[derive(Debug, Serialize)]
struct VersionPublished {
    version: String,
    artifact: ArtifactId,
}

impl Publish {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let sender = self.signing.sender(context).await?;
        let client = &sender.client;
        // Everything that can be refused is looked at before the bytes are, which may take minutes.
        let model = client.model(&self.model).await?.model;
        let parents = version_refs(client, &self.parents).await?;
        let training_plan = self.training_plan.as_deref().map(content_hash).transpose()?;
        let datasets = self.datasets.iter().map(|text| content_hash(text)).collect::<Result<Vec<_>>>()?;
        let path = self.path.canonicalize().with_context(|| format!("cannot find {}", self.path.display()))?;
        let path = path.to_string_lossy().into_owned();
        let unlisted = (model.distribution.readers != Readers::Public).then_some(model.id);

        let imported = import(client, ImportRequest { path, mode: self.mode.into(), unlisted }).await?;
        note(context, &imported);
        let action = PublishVersion {
            model: model.id,
            label: self.version,
            artifact: imported.artifact.clone(),
            parents,
            training_plan,
            datasets,
            notes: self.notes,
        };
        let receipt = sender.submit(Action::PublishVersion(action)).await?.with(|events| {
            events.iter().find_map(|event| match event {
                Event::VersionPublished { label, artifact, .. } => {
                    Some(VersionPublished { version: format!("{}@{label}", model.name), artifact: *artifact })
                }
                _ => None,
            })
        })?;
        context.answer(&receipt, |receipt: &Receipt<VersionPublished>| {
            let mut fields = Fields::default();
            fields.add("version", &receipt.made.version).add("artifact", receipt.made.artifact);
            let (size, files) = (imported.artifact.size_bytes, imported.artifact.files);
            fields.add("size", format!("{} in {} files", show_size(size), show_count(files.into())));
            receipt.add_place(&mut fields);
            fields.add("next", format!("allod propose release {} --as ACCOUNT", receipt.made.version));
            fields.show()
        })
    }
}

async fn import(client: &Client, request: ImportRequest) -> Result<PublishedView> {
    let mut progress = Progress::new("importing");
    client
        .post_lines("/v1/artifacts", &request, |line| match line {
            ImportLine::Progress(done) => {
                progress.show(&done);
                Ok(ControlFlow::Continue(()))
            }
            ImportLine::Artifact(artifact) => Ok(ControlFlow::Break(artifact)),
            ImportLine::Error(problem) => Err(problem.into()),
        })
        .await
}

fn note(context: &Context, imported: &PublishedView) {
    for path in &imported.excluded {
        context.note(format!("left out: {path}"));
    }
}
