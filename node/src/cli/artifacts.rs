//! `allod artifacts`: the bytes on the node's disk.

use super::{
    args::Target,
    client::Client,
    context::Context,
    fetch::resolve,
    progress::Progress,
    units::{show_count, show_size},
};
use crate::api::views::{ArtifactView, VerifyLine};
use allod_protocol::{
    artifact::{Artifact, ArtifactKind},
    ids::ArtifactId,
};
use anyhow::Result;
use std::ops::ControlFlow;

/// The artifacts on the node's disk.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Artifacts {
    /// List them
    List {
        /// How many at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one, with the files of a collection
    Show {
        /// An artifact's address, or a version as namespace/name@label
        what: Target,
    },
    /// Hash every byte again; without an address, of all
    Verify {
        /// An artifact's address, or a version as namespace/name@label
        what: Option<Target>,
    },
}

impl Artifacts {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        match self {
            Self::List { limit } => {
                let page = client.list::<ArtifactView>("/v1/artifacts", limit).await?;
                context.answer(&page.items, |artifacts| show_list(artifacts))
            }
            Self::Show { what } => {
                let address = resolve(&client, &what).await?;
                let view: ArtifactView = client.get(&format!("/v1/artifacts/{address}")).await?;
                context.answer(&view, show)
            }
            Self::Verify { what } => {
                let addresses = match what {
                    Some(what) => vec![resolve(&client, &what).await?],
                    None => all(&client).await?,
                };
                for address in addresses {
                    let artifact = verify(&client, address).await?;
                    context.line(&artifact, |artifact| {
                        format!("sound  {}  {}", artifact.address, show_size(artifact.size_bytes))
                    })?;
                }
                Ok(())
            }
        }
    }
}

async fn all(client: &Client) -> Result<Vec<ArtifactId>> {
    let page = client.list::<ArtifactView>("/v1/artifacts", usize::MAX).await?;
    Ok(page.items.into_iter().map(|view| view.artifact.address).collect())
}

async fn verify(client: &Client, address: ArtifactId) -> Result<Artifact> {
    let mut progress = Progress::new("verifying");
    client
        .post_lines(&format!("/v1/artifacts/{address}/verify"), &(), |line| match line {
            VerifyLine::Progress(done) => {
                progress.show(&done);
                Ok(ControlFlow::Continue(()))
            }
            VerifyLine::Verified(artifact) => Ok(ControlFlow::Break(artifact)),
            VerifyLine::Error(problem) => Err(problem.into()),
        })
        .await
}

fn size(artifact: &Artifact) -> String {
    match artifact.kind {
        ArtifactKind::File => show_size(artifact.size_bytes),
        ArtifactKind::Collection => {
            format!("{} in {} files", show_size(artifact.size_bytes), show_count(artifact.files.into()))
        }
    }
}

fn versions(view: &ArtifactView) -> String {
    let names = view.versions.iter().map(|version| format!("{}@{}", version.model, version.label));
    let names = names.collect::<Vec<_>>().join(", ");
    if names.is_empty() { "of no model".into() } else { names }
}

/// Each on two lines, since its address has to be copied whole.
fn show_list(artifacts: &[ArtifactView]) -> String {
    if artifacts.is_empty() {
        return "no artifacts here; publish or fetch one".into();
    }
    let line =
        |view: &ArtifactView| format!("{}\n  {}  {}\n", view.artifact.address, size(&view.artifact), versions(view));
    artifacts.iter().map(line).collect()
}

fn show(view: &ArtifactView) -> String {
    let mut text = show_list(std::slice::from_ref(view));
    for file in view.manifest.iter().flatten() {
        text.push_str(&format!("  {:>10}  {}\n", show_size(file.size_bytes), file.path));
    }
    text
}
