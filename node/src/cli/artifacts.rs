//! `allod artifacts`: the bytes on the node's disk.

use super::{
    args::{HowMany, Target},
    client::Client,
    context::Context,
    fetch::resolve,
    output::{Fields, Table},
    progress::Progress,
    providers,
    units::{show_count, show_size},
    words::concern_text,
};
use crate::{
    api::views::{ArtifactView, CollectRequest, CollectedView, PinView, VerifyLine},
    artifacts::replication::Copies,
};
use allod_protocol::{
    ground::ids::ArtifactId,
    rules::artifact::{Artifact, ArtifactKind},
};
use allod_storage::artifacts::{Card, Contents, Format, ModelFile, UnreadFile};
use anyhow::Result;
use std::ops::ControlFlow;

/// The artifacts on the node's disk.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Artifacts {
    /// List them
    List {
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Show one, with the files of a collection
    Show {
        /// An artifact's address, or a version as namespace/name@label
        what: Target,
    },
    /// Keep one through every garbage collection; what this node published is pinned already
    Pin {
        /// An artifact's address, or a version as namespace/name@label
        what: Target,
    },
    /// Remove a pin
    Unpin {
        /// An artifact's address, or a version as namespace/name@label
        what: Target,
    },
    /// Remove what is neither pinned nor of a released version, and downloads that nobody resumed for a week
    #[command(alias = "collect")]
    Gc {
        /// Remove nothing; show what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Also remove interrupted fetches, without waiting a week
        #[arg(long)]
        downloads: bool,
    },
    /// Which peers have one, as far as this node can find out
    Providers(providers::Providers),
    /// How many copies exist of the releases whose owners want copies
    Copies,
    /// Hash every byte again; without an address, of all artifacts. What is damaged is no longer served
    Verify {
        /// An artifact's address, or a version as namespace/name@label
        what: Option<Target>,
        /// Fetch what is damaged again from other peers
        #[arg(long)]
        repair: bool,
    },
}

impl Artifacts {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        match self {
            Self::List { how_many } => {
                let page = client.list::<ArtifactView>("/v1/artifacts", how_many.limit()).await?;
                context.answer_list(&page, show_list)
            }
            Self::Show { what } => {
                let address = resolve(&client, &what).await?;
                let view: ArtifactView = client.get(&format!("/v1/artifacts/{address}")).await?;
                context.answer(&view, show)
            }
            Self::Pin { what } => pin(context, &client, &what, true).await,
            Self::Unpin { what } => pin(context, &client, &what, false).await,
            Self::Gc { dry_run, downloads } => {
                let request = CollectRequest { dry_run, downloads };
                let collected: CollectedView = client.ask("/v1/artifacts/collect", &request).await?;
                context.answer(&collected, |collected| show_collected(collected, dry_run))
            }
            Self::Providers(command) => command.execute(context).await,
            Self::Copies => {
                let copies: Vec<Copies> = client.get("/v1/replication").await?;
                context.answer(&copies, |copies| show_copies(copies))
            }
            Self::Verify { what, repair } => {
                let addresses = match what {
                    Some(what) => vec![resolve(&client, &what).await?],
                    None => all(&client).await?,
                };
                // A damaged one does not prevent the others from being checked.
                let mut faults = Vec::new();
                for address in addresses {
                    match verify(&client, address, repair).await {
                        Ok(artifact) => context.line(&artifact, |artifact| {
                            format!("sound  {}  {}", artifact.address, show_size(artifact.size_bytes))
                        })?,
                        Err(error) => faults.push(error),
                    }
                }
                let last = faults.pop();
                faults.iter().for_each(|error| context.note(format!("{error:#}")));
                last.map_or(Ok(()), Err)
            }
        }
    }
}

fn show_copies(copies: &[Copies]) -> String {
    let mut table = Table::new(&["RELEASE", ">COPIES", ">WISHED", "HERE", ""]);
    for copies in copies {
        table.row([
            format!("{}@{}", copies.model, copies.label),
            copies.found.to_string(),
            copies.wished.to_string(),
            if copies.here { "yes".into() } else { String::new() },
            if copies.found < copies.wished { "TOO FEW".into() } else { String::new() },
        ]);
    }
    table.show(
        "no release has owners who want copies; ask them: allod propose distribution MODEL --copies NUMBER --as ACCOUNT",
    )
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
    let removed = if dry_run { "would remove" } else { "removed" };
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

async fn verify(client: &Client, address: ArtifactId, repair: bool) -> Result<Artifact> {
    let mut progress = Progress::new("verifying");
    client
        .post_lines(&format!("/v1/artifacts/{address}/verify?repair={repair}"), &(), |line| match line {
            VerifyLine::Damaged(fault) => {
                progress.note(&format!("repairing: {fault}"));
                Ok(ControlFlow::Continue(()))
            }
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

/// Each entry takes two lines, because its address must be copied whole.
fn show_list(artifacts: &[ArtifactView]) -> String {
    if artifacts.is_empty() {
        return "no artifacts here; publish or fetch one".into();
    }
    let line = |view: &ArtifactView| {
        let pinned = if view.pinned { "  pinned" } else { "" };
        let awaited = if view.awaited { "  waits for the ledger's answer" } else { "" };
        let damaged = if view.damaged { "  DAMAGED: allod artifacts verify --repair" } else { "" };
        format!("{}\n  {}  {}{pinned}{awaited}{damaged}\n", view.artifact.address, size(&view.artifact), versions(view))
    };
    artifacts.iter().map(line).collect()
}

fn show(view: &ArtifactView) -> String {
    let mut text = show_list(std::slice::from_ref(view));
    for concern in &view.standing.concerns {
        text.push_str(&format!("  WARNING: {}\n", concern_text(concern)));
    }
    for file in view.manifest.iter().flatten() {
        text.push_str(&format!("  {:>10}  {}\n", show_size(file.size_bytes), file.path));
    }
    text.push_str(&show_contents(&view.contents));
    text
}

/// What an artifact says about itself, line by line.
pub(super) fn show_contents(contents: &Contents) -> String {
    let mut text = String::new();
    for ModelFile { path, header } in &contents.model_files {
        let types = header.dtypes.iter().map(|(dtype, count)| format!("{} {}", show_count(*count), plain(dtype)));
        let format = match header.format {
            Format::Safetensors => "safetensors",
            Format::Gguf => "gguf",
        };
        text.push_str(&format!(
            "  {}: {format}, {} tensors, {} parameters ({})\n",
            path.as_ref().map_or("the file", |path| path.as_str()),
            show_count(header.tensors),
            show_count(header.parameters),
            types.collect::<Vec<_>>().join(", "),
        ));
    }
    for UnreadFile { path, reason } in &contents.unread_files {
        let path = path.as_ref().map_or("the file", |path| path.as_str());
        text.push_str(&format!("  {path}: its header cannot be shown: {}\n", plain(reason)));
    }
    if let Some(card) = &contents.card {
        text.push_str(&show_card(card));
    }
    if let Some(fault) = &contents.card_fault {
        text.push_str(&format!("  README.md has no readable card: {}\n", plain(fault)));
    }
    text
}

fn show_card(card: &Card) -> String {
    let one = |name, text: &Option<String>| (name, text.iter().cloned().collect::<Vec<_>>());
    let fields = [
        one("model", &card.model_name),
        one("licence", &card.license),
        one("", &card.license_name),
        one("", &card.license_link),
        ("language", card.language.clone()),
        ("tags", card.tags.clone()),
        ("made from", card.base_model.clone()),
        one("as", &card.base_model_relation),
        ("trained on", card.datasets.clone()),
        ("measured by", card.metrics.clone()),
        one("for", &card.pipeline_tag),
        one("run by", &card.library_name),
    ];
    let mut text = String::from("  its card says, unchecked:\n");
    for (name, values) in fields.iter().filter(|(_, values)| !values.is_empty()) {
        let values: Vec<String> = values.iter().map(|value| plain(value)).collect();
        text.push_str(&format!("    {name:<12} {}\n", values.join(", ")));
    }
    text
}

/// Text from a stranger, without characters that would control a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
