//! `allod fetch`: a version's bytes, from the peers that have them, every byte verified.

use super::{
    Exit, Failure,
    args::Target,
    client::Client,
    context::Context,
    output::Fields,
    progress::Progress,
    units::{show_count, show_duration, show_size},
    words::concern_text,
};
use crate::api::views::{FetchLine, FetchRequest, FetchedView, Problem, VersionView};
use allod_protocol::{
    ground::ids::{ArtifactId, ModelName, VersionLabel},
    rules::{
        artifact::ArtifactKind,
        model::VersionRef,
        standing::{Concern, ConcernKind, Standing},
    },
};
use anyhow::{Context as _, Result, anyhow};
use std::{ops::ControlFlow, path::PathBuf};

/// Fetch a version of a model, or any artifact, and verify every byte.
#[derive(Debug, clap::Args)]
pub(super) struct Fetch {
    /// namespace/name@label, namespace/name for its released version, or an artifact's address
    what: Target,
    /// Write a copy to this path on the node's machine; without it the artifact stays in the node's store
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Replace files at the path that have other content
    #[arg(long, requires = "output")]
    overwrite: bool,
    /// The kind of an address that is not that of a version on the ledger
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Fetch only the files of a collection that match, as in a .gitignore: '*.safetensors', 'weights/'; may be
    /// repeated. The node does not serve artifacts that it holds in part
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Ask this peer instead of those that announced it; may be repeated
    #[arg(long = "provider", value_name = "PEER")]
    providers: Vec<String>,
    /// Accept that the version is withdrawn or suspended, which is otherwise refused; or is deprecated, disputed, or
    /// made from one that is any of these, which otherwise ends with exit code 7; may be repeated
    #[arg(long, value_name = "WHAT", value_enum)]
    despite: Vec<Despite>,
}

/// What is accepted. Concerns about an ancestor have a name of their own: accepting those does not mean accepting that
/// the version itself is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Despite {
    Withdrawn,
    Suspended,
    Deprecated,
    Disputed,
    MadeFrom,
}

impl Despite {
    /// The kind of concern about the version itself. `None` for its ancestors.
    const fn kind(self) -> Option<ConcernKind> {
        match self {
            Self::Withdrawn => Some(ConcernKind::Withdrawn),
            Self::Suspended => Some(ConcernKind::Suspended),
            Self::Deprecated => Some(ConcernKind::Deprecated),
            Self::Disputed => Some(ConcernKind::Disputed),
            Self::MadeFrom => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    File,
    Collection,
}

impl From<Kind> for ArtifactKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::File => Self::File,
            Kind::Collection => Self::Collection,
        }
    }
}

impl Fetch {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let (address, version) = meant(&client, &self.what).await?;
        let output = self.output.map(std::path::absolute).transpose().context("the output path cannot be used")?;
        let request = FetchRequest {
            output: output.map(|path| path.to_string_lossy().into_owned()),
            overwrite: self.overwrite,
            include: self.include,
            kind: self.kind.map(Into::into),
            providers: Some(self.providers).filter(|providers| !providers.is_empty()),
            version,
            despite: self.despite.iter().filter_map(|despite| despite.kind()).collect(),
        };
        let fetched = fetch(&client, address, &request).await.map_err(barred)?;
        context.answer(&fetched, show)?;
        warn(context, &fetched.standing, &self.despite)
    }
}

/// A refusal because of a concern about the version has an exit code of its own.
fn barred(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Problem>() {
        Some(problem) if ["withdrawn", "suspended"].contains(&problem.code.as_str()) => {
            let message = format!("{}; on the command line: --despite {}", problem.detail, problem.code);
            Failure::new(Exit::Barred, message).with_code(&problem.code).into()
        }
        _ => error,
    }
}

/// Reports the concerns about what was fetched, and fails if they were not accepted.
fn warn(context: &Context, standing: &Standing, despite: &[Despite]) -> Result<()> {
    for concern in &standing.concerns {
        context.note(format!("warning: {}", concern_text(concern)));
    }
    if standing.partial {
        context.note("warning: it has more ancestors than were checked");
    }
    let named = |concern: &Concern| match concern.distance {
        0 => despite.iter().any(|despite| despite.kind() == Some(concern.kind)),
        _ => despite.contains(&Despite::MadeFrom),
    };
    let unnamed = standing.concerns.iter().find(|concern| !named(concern));
    unnamed.map_or(Ok(()), |concern| {
        let name = if concern.distance == 0 { concern.kind.name() } else { "made-from" };
        let message = format!("it was fetched; accept this with --despite {name}");
        Err(Failure::new(Exit::Warned, message).into())
    })
}

/// The address that the target stands for.
pub(super) async fn resolve(client: &Client, what: &Target) -> Result<ArtifactId> {
    Ok(meant(client, what).await?.0)
}

/// The address that the target stands for, and the version, if it is one.
async fn meant(client: &Client, what: &Target) -> Result<(ArtifactId, Option<VersionRef>)> {
    let (model, label) = match what {
        Target::Address(address) => return Ok((*address, None)),
        Target::Version(version) => (&version.model, version.label.clone()),
        Target::Released(name) => (name, released(client, name).await?),
    };
    let version: VersionView = client.get(&format!("/v1/models/{model}/versions/{label}")).await?;
    let version = version.version;
    Ok((version.artifact.address, Some(VersionRef { model: version.model, label: version.label })))
}

async fn released(client: &Client, name: &ModelName) -> Result<VersionLabel> {
    client.model(name).await?.model.released.ok_or_else(|| {
        anyhow!(
            "{name} has released no version yet; name a published one as {name}@LABEL (see: allod model show {name})"
        )
    })
}

async fn fetch(client: &Client, address: ArtifactId, request: &FetchRequest) -> Result<FetchedView> {
    let mut progress = Progress::new("fetching");
    let mut export: Option<Progress> = None;
    client
        .post_lines(&format!("/v1/artifacts/{address}/fetch"), request, |line| match line {
            FetchLine::Progress(done) => {
                progress.show(&done);
                Ok(ControlFlow::Continue(()))
            }
            FetchLine::Providers(peers) => {
                for peer in peers {
                    progress.note(&format!("from {peer}"));
                }
                Ok(ControlFlow::Continue(()))
            }
            FetchLine::Dropped(dropped) => {
                progress.note(&format!("gave up on {}: {}", dropped.peer_id, dropped.reason));
                Ok(ControlFlow::Continue(()))
            }
            FetchLine::Export(done) => {
                export.get_or_insert_with(|| Progress::new("writing")).show(&done);
                Ok(ControlFlow::Continue(()))
            }
            FetchLine::Result(fetched) => Ok(ControlFlow::Break(fetched)),
            FetchLine::Error(problem) => Err(problem.into()),
        })
        .await
}

fn show(fetched: &FetchedView) -> String {
    let artifact = &fetched.artifact;
    let mut fields = Fields::default();
    fields.add("artifact", artifact.address);
    fields.add("size", format!("{} in {} files", show_size(artifact.size_bytes), show_count(artifact.files.into())));
    let received = match fetched.received_bytes {
        0 => "nothing: all of it was already here".to_owned(),
        bytes => {
            let rate = bytes as f64 / fetched.elapsed_seconds.max(0.001);
            let time = show_duration((fetched.elapsed_seconds * 1_000.0) as u64);
            format!("{} in {time} ({}/s)", show_size(bytes), show_size(rate as u64))
        }
    };
    fields.add("received", received);
    for provider in &fetched.providers {
        fields.add("from", format!("{} {}", provider.peer_id, show_size(provider.received_bytes)));
    }
    fields.add("verified", "every byte hashes to the address");
    fields.add("written to", fetched.output.as_deref().unwrap_or("the node's store"));
    fields.show()
}
