//! `allod artifacts`: the bytes on the node's disk.

use super::{
    args::Target,
    client::Client,
    context::Context,
    fetch::resolve,
    output::Fields,
    progress::Progress,
    units::{show_count, show_size},
};
use crate::api::views::{ArtifactView, CollectRequest, CollectedView, PinView, VerifyLine};
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
    /// Keep one whatever is collected; what this node published is pinned already
    Pin {
        /// An artifact's address, or a version as namespace/name@label
        what: Target,
    },
    /// Take a pin back
    Unpin {
        /// An artifact's address, or a version as namespace/name@label
        what: Target,
    },
    /// Remove what is neither pinned nor of a released version, and downloads that nobody took up for a week
    #[command(alias = "collect")]
    Gc {
        /// Remove nothing; say what would go
        #[arg(long)]
        dry_run: bool,
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
            Self::Pin { what } => pin(context, &client, &what, true).await,
            Self::Unpin { what } => pin(context, &client, &what, false).await,
            Self::Gc { dry_run } => {
                let collected: CollectedView = client.ask("/v1/artifacts/collect", &CollectRequest { dry_run }).await?;
                context.answer(&collected, |collected| show_collected(collected, dry_run))
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

async fn pin(context: &Context, client: &Client, what: &Target, pin: bool) -> Result<()> {
    let address = resolve(client, what).await?;
    let view: PinView = client.set(&format!("/v1/artifacts/{address}/pin"), pin).await?;
    context.answer(&view, |view| {
        let is = if view.pinned { "pinned" } else { "not pinned" };
        format!("{address} {} {is}", if view.changed { "is now" } else { "was already" })
    })
}

fn show_collected(collected: &CollectedView, dry_run: bool) -> String {
    let mut fields = Fields::default();
    let removed = if dry_run { "would go" } else { "removed" };
    let count = |count: u64, what: &str| format!("{} {what}", show_count(count));
    let artifacts = collected.artifacts.iter().map(|address| format!("\n{address}")).collect::<String>();
    fields.add(removed, format!("{}{artifacts}", count(collected.artifacts.len() as u64, "artifacts")));
    fields.add("", count(collected.blobs, "files of no artifact that stays"));
    fields.add("", count(collected.downloads, "abandoned downloads"));
    fields.add(if dry_run { "would free" } else { "freed" }, show_size(collected.freed_bytes));
    let quota = collected.quota_bytes.map(|quota| format!(" of {}", show_size(quota)));
    fields.add("store", format!("{}{}", show_size(collected.used_bytes), quota.unwrap_or_default()));
    fields.show()
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
    let line = |view: &ArtifactView| {
        let pinned = if view.pinned { "  pinned" } else { "" };
        format!("{}\n  {}  {}{pinned}\n", view.artifact.address, size(&view.artifact), versions(view))
    };
    artifacts.iter().map(line).collect()
}

fn show(view: &ArtifactView) -> String {
    let mut text = show_list(std::slice::from_ref(view));
    for file in view.manifest.iter().flatten() {
        text.push_str(&format!("  {:>10}  {}\n", show_size(file.size_bytes), file.path));
    }
    for file in &view.model_files {
        let types = file.dtypes.iter().map(|(dtype, count)| format!("{} {dtype}", show_count(*count)));
        text.push_str(&format!(
            "  {}: {}, {} tensors, {} parameters ({})\n",
            file.path.as_deref().unwrap_or("the file"),
            file.format,
            show_count(file.tensors),
            show_count(file.parameters),
            types.collect::<Vec<_>>().join(", "),
        ));
    }
    text
}
