//! `allod publish`: makes a file or a directory a version of a model.

use super::{
    args::{VersionName, content_hash, version_refs},
    client::Client,
    context::Context,
    output::Fields,
    progress::Progress,
    signing::{Receipt, Sender, Signing, is_rejected},
    units::{show_count, show_size, show_time},
};
use crate::api::views::{
    ArtifactView, CommitmentView, ImportLine, ImportModeView, ImportRequest, LetGoView, Page, PublishedView,
};
use allod_protocol::{
    ground::{
        codec,
        crypto::Domain,
        ids::{ArtifactId, ContentHash, ModelName, VersionLabel},
    },
    rules::{
        action::Action,
        commitment::{CommitArtifact, commitment},
        event::Event,
        model::{Model, PublishVersion},
    },
};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::{ops::ControlFlow, path::PathBuf, time::Duration};

/// How often, and for how long, to check whether what was published is served.
const SERVED_LOOKS: usize = 100;
const SERVED_PAUSE: Duration = Duration::from_millis(50);

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
    /// The release notes: what changed
    #[arg(long, default_value = "", hide_default_value = true)]
    notes: String,
    /// Whether the node copies the bytes, gives the files a second name in its store (hard-link: same file system;
    /// writing into a file later damages the stored one), or remembers where they are and relies on their staying there
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
        // Everything that can be refused is checked before the bytes are read, which may take minutes.
        let model = client.model(&self.model).await?.model;
        let parents = version_refs(client, &self.parents).await?;
        let training_plan = self.training_plan.as_deref().map(content_hash).transpose()?;
        let datasets = self.datasets.iter().map(|text| content_hash(text)).collect::<Result<Vec<_>>>()?;
        let path = self.path.canonicalize().with_context(|| format!("cannot find {}", self.path.display()))?;
        let path = path.to_string_lossy().into_owned();
        let (mode, answer_ms) = (self.mode.into(), Some(sender.answer_ms()));
        let request = ImportRequest { path, mode, version_of: Some(model.id), answer_ms };
        let imported = import(client, request).await?;
        note(context, &imported);
        let committed = commit(&sender, &model, imported.artifact.address).await;
        let committed = match committed {
            Err(error) if is_rejected(&error) => {
                let_go(context, client, imported.artifact.address).await;
                return Err(error);
            }
            committed => Some(committed?),
        };
        let action = PublishVersion {
            model: model.id,
            label: self.version,
            artifact: imported.artifact.clone(),
            parents,
            training_plan,
            datasets,
            notes: self.notes,
            committed,
        };
        let submitted = sender.submit(Action::PublishVersion(action)).await;
        if let Err(error) = &submitted
            && is_rejected(error)
        {
            let_go(context, client, imported.artifact.address).await;
        }
        let submitted = submitted?;
        wait_until_served(client, imported.artifact.address).await?;
        let receipt = submitted.with(|events| {
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

/// Commits to an artifact that nobody knows yet, and waits until the commitment is in a block. Anyone who learns the
/// address from the publication is then too late to claim it. If others must sign, everybody can read the request for
/// the publication while it waits. So the commitment is requested first, and the same command requests the publication
/// once the commitment is made. The salt is derived from the key, so that it is the same then.
async fn commit(sender: &Sender, model: &Model, artifact: ArtifactId) -> Result<ContentHash> {
    let of = codec::encode(&(sender.network, model.id, sender.account.id, artifact));
    let salt = sender.secret(Domain::CommitmentSalt, &of)?;
    let commitment = commitment(model.id, sender.account.id, artifact, salt);
    let client = &sender.client;
    let path = format!("/v1/models/{}/commitments/{}", model.name, sender.account.id);
    let made: Page<CommitmentView> = client.get(&path).await?;
    let needed_until = client.status().await?.block_time.plus_ms(sender.answer_ms());
    match made.items.into_iter().find(|made| made.hash == commitment) {
        Some(made) if made.until > needed_until => {}
        Some(made) if sender.request_ms() > 0 => bail!(
            "the commitment to {artifact} counts until {}, and the request for its publication would wait longer; give a \
             shorter --request-approval",
            show_time(made.until)
        ),
        _ => {
            let action = Action::CommitArtifact(CommitArtifact { model: model.id, commitment });
            let afterwards = "then this command again: it asks for the publication, which nobody reads before";
            sender.submit_before(action, afterwards).await?;
        }
    }
    Ok(salt)
}

/// Waits until the node has announced what it imported, which happens soon after the version's block.
async fn wait_until_served(client: &Client, address: ArtifactId) -> Result<()> {
    for _ in 0..SERVED_LOOKS {
        if !client.get::<ArtifactView>(&format!("/v1/artifacts/{address}")).await?.awaited {
            break;
        }
        tokio::time::sleep(SERVED_PAUSE).await;
    }
    Ok(())
}

/// Makes the node remove what it imported in vain. If it does not answer, the node does that by itself after a while.
async fn let_go(context: &Context, client: &Client, address: ArtifactId) {
    let path = format!("/v1/artifacts/{address}/publication");
    if let Err(error) = client.set::<LetGoView>(&path, false).await {
        context.note(format!("what was imported stays for an hour: {error:#}"));
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
