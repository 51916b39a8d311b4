//! Fetching artifacts from other peers.

use super::{ArtifactService, ServiceError};
use crate::{
    artifacts::access_control::Terms,
    exchange::fetch::{FetchEvent, FetchReport, Observer, Wanted},
    network::peer_key,
};
use allod_protocol::{
    ground::{
        ids::ArtifactId,
        limits,
        state::{StateError, StateRead, read},
    },
    rules::{
        access::{self, ArtifactOrigin},
        artifact::{Artifact, ArtifactKind, total_size_bytes},
        model::{ArtifactUse, Version},
    },
};
use allod_storage::artifacts::{ArtifactError, ArtifactStore, Overwrite, Progress, Selection};
use futures::{Stream, StreamExt as _};
use libp2p::PeerId;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::mpsc;

/// What to fetch, from whom, to where.
#[derive(Clone, Debug)]
pub struct FetchJob {
    /// The artifact.
    pub address: ArtifactId,
    /// File or collection, for an artifact that is not on the ledger.
    pub kind: Option<ArtifactKind>,
    /// The peers to ask. `None` means those that are found.
    pub providers: Option<Vec<PeerId>>,
    /// Where to export a copy. `None` means nowhere.
    pub output: Option<PathBuf>,
    /// What to do with files there that have other content.
    pub overwrite: Overwrite,
    /// The wanted files of a collection. `None` means all.
    pub selection: Option<Selection>,
}

impl FetchJob {
    /// The whole artifact, from any providers, into the store only.
    pub fn whole(artifact: &Artifact) -> Self {
        Self {
            address: artifact.address,
            kind: Some(artifact.kind),
            providers: None,
            output: None,
            overwrite: Overwrite::Refuse,
            selection: None,
        }
    }
}

/// What the caller of a fetch is told during the fetch.
#[derive(Clone, Debug)]
pub enum FetchUpdate {
    /// A provider was found.
    Provider(PeerId),
    /// An event of the exchange.
    Exchange(FetchEvent),
    /// The copy is being written.
    Export(Progress),
}

impl ArtifactService {
    /// Fetches an artifact, announces that it is here too, and exports a copy if requested. Dropping the future stops
    /// the fetch; what has arrived is kept.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn fetch(
        &self,
        job: FetchJob,
        tell: Arc<dyn Fn(FetchUpdate) + Send + Sync>,
    ) -> Result<(Artifact, FetchReport), ServiceError> {
        let _place = self.fetches.take()?;
        if let Some(output) = &job.output {
            require_absolute(output)?;
        }
        let address = job.address;
        // Held until the copy is written: no garbage is collected meanwhile.
        let _hold = self.blocking(|store| Ok(store.hold())).await?;
        let report = if self.blocking(move |store| Ok(store.has(&address))).await? {
            let present_bytes = self.blocking(move |store| store.artifact(&address)).await?.size_bytes;
            FetchReport { present_bytes, ..FetchReport::default() }
        } else {
            self.fetch_missing(&job, &tell).await?
        };
        let selection = job.selection;
        let artifact = match selection.clone() {
            None => {
                self.serve_from_now(address).await;
                self.blocking(move |store| store.artifact(&address)).await?
            }
            Some(selection) => self.blocking(move |store| selected(store, &address, &selection)).await?,
        };
        if let Some(output) = job.output {
            let mut progress = move |progress| tell(FetchUpdate::Export(progress));
            let overwrite = job.overwrite;
            let export = move |store: &ArtifactStore| match selection {
                None => store.export(&address, &output, overwrite, &mut progress),
                Some(selection) => store.export_some(&address, &selection, &output, overwrite, &mut progress),
            };
            self.blocking(export).await?;
        }
        Ok((artifact, report))
    }

    pub(super) async fn fetch_missing(
        &self,
        job: &FetchJob,
        tell: &Arc<dyn Fn(FetchUpdate) + Send + Sync>,
    ) -> Result<FetchReport, ServiceError> {
        let wanted = self.wanted(job).await?;
        // It must be known on whose behalf the bytes are here before others are asked for more.
        let mut access_is_known = self.access_is_known.clone();
        access_is_known
            .wait_for(|access_is_known| *access_is_known)
            .await
            .map_err(|_| ServiceError::Defect("serving has ended".into()))?;
        let observer: Observer = {
            let tell = tell.clone();
            Arc::new(move |event| tell(FetchUpdate::Exchange(event)))
        };
        let own = self.node.network.local_peer_id();
        let tell = tell.clone();
        let providers = self
            .providers(job)
            .filter(move |peer| std::future::ready(*peer != own))
            .inspect(move |peer| tell(FetchUpdate::Provider(*peer)));
        let result = self.fetcher.fetch_some(wanted, job.selection.clone(), providers, observer).await;
        let report = match &result {
            Ok(report) => report,
            Err(failure) => &failure.report,
        };
        self.node.metrics.on_fetched(report.fetched_bytes, result.is_ok());
        for (peer, given) in &report.providers {
            if let Some(reason) = given.dropped.as_ref().filter(|reason| reason.is_misbehaviour()) {
                self.node.network.block_peer(*peer, &reason.to_string());
            }
        }
        result.map_err(|failure| failure.error.into())
    }

    fn providers(&self, job: &FetchJob) -> futures::stream::BoxStream<'static, PeerId> {
        match &job.providers {
            Some(peers) => futures::stream::iter(peers.clone()).boxed(),
            None => found(self.node.network.find_providers(job.address)).boxed(),
        }
    }

    /// What the ledger says about the artifact; otherwise what the job says, if no version has it.
    async fn wanted(&self, job: &FetchJob) -> Result<Wanted, ServiceError> {
        let (address, given) = (job.address, job.kind);
        let node = self.node.clone();
        let known = tokio::task::spawn_blocking(move || {
            let state = node.ledger.snapshot();
            let may_read = match peer_key::of_peer(&node.network.local_peer_id()) {
                Some(key) => access::may_read(&state, address, &key, node.ledger.tip().time)?,
                None => false,
            };
            Ok::<_, StateError>((known_artifact(&state, &address)?, may_read))
        });
        let (known, may_read) = known.await.map_err(|error| ServiceError::Defect(error.to_string()))??;
        match self.terms(address).await? {
            Terms::Withdrawn => return Err(ServiceError::Withdrawn(address)),
            Terms::Suspended => return Err(ServiceError::Suspended(address)),
            Terms::Restricted { model, readers } if !may_read => {
                return Err(ServiceError::Restricted { artifact: address, model, readers });
            }
            Terms::Free | Terms::Restricted { .. } | Terms::Unpublished => {}
        }
        let (kind, limit_bytes) = match (known, given) {
            (Some(known), _) => (known.kind, known.size_bytes),
            (None, Some(kind)) => (kind, limits::ARTIFACT_SIZE_BYTES),
            (None, None) => return Err(ServiceError::UnknownKind(address)),
        };
        if kind == ArtifactKind::File && job.selection.is_some() {
            return Err(ServiceError::NotACollection(address));
        }
        Ok(Wanted { address, kind, limit_bytes })
    }
}

/// The artifact as the first version that has it records it: what later versions say about its size does not count.
///
/// # Errors
/// When the ledger cannot be read.
pub fn known_artifact(state: &impl StateRead, address: &ArtifactId) -> Result<Option<Artifact>, StateError> {
    let Some(origin) = read::<ArtifactOrigin>(state, address)? else { return Ok(None) };
    let Some(ArtifactUse(version)) = read::<ArtifactUse>(state, &(*address, origin.model))? else { return Ok(None) };
    Ok(read::<Version>(state, &(version.model, version.label))?.map(|version| version.artifact))
}

/// The selected part of a collection: the collection's address, and the size and number of the selected files.
fn selected(store: &ArtifactStore, address: &ArtifactId, selection: &Selection) -> Result<Artifact, ArtifactError> {
    let files = store.selected(address, selection)?;
    let size_bytes = total_size_bytes(&files);
    let count = u32::try_from(files.len()).unwrap_or(u32::MAX);
    Ok(Artifact { address: *address, kind: ArtifactKind::Collection, size_bytes, files: count })
}

pub(super) fn require_absolute(path: &Path) -> Result<(), ServiceError> {
    if path.is_absolute() { Ok(()) } else { Err(ServiceError::NotAbsolute { path: path.to_owned() }) }
}

/// The providers, as they are found.
pub(crate) fn found(mut providers: mpsc::Receiver<PeerId>) -> impl Stream<Item = PeerId> + Send {
    futures::stream::poll_fn(move |cx| providers.poll_recv(cx))
}
