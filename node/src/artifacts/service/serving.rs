//! Announcing what is here, and knowing who may have it as blocks are executed.

use super::{ArtifactService, ServiceError};
use crate::{
    artifacts::access_control::{AccessControl, AccessError, Terms},
    event_loop::handle::{NodeHandle, Notice},
    exchange::fetch::{FetchError, Lending},
};
use allod_protocol::{ground::ids::ArtifactId, rules::event::Event};
use allod_storage::artifacts::ArtifactStore;
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast;

/// Number of artifacts announced at once at the start, and the pause between, so that the swarm's queue has room.
const TOLD_AT_ONCE: usize = 256;
const TELLING_PAUSE: Duration = Duration::from_millis(200);
/// How long to wait before reading a store again that could not be read.
const REFRESH_RETRY: Duration = Duration::from_secs(5);

impl ArtifactService {
    /// Announces everything in the store.
    pub(super) async fn tell_all(&self) {
        let whole = |store: &ArtifactStore| {
            Ok(store.list()?.into_iter().filter(|artifact| store.has(&artifact.address)).collect::<Vec<_>>())
        };
        let artifacts = match self.blocking(whole).await {
            Ok(artifacts) => artifacts,
            Err(error) => return tracing::error!(%error, "the artifacts in the store are not announced"),
        };
        tracing::info!(artifacts = artifacts.len(), "announcing the artifacts in the store");
        for batch in artifacts.chunks(TOLD_AT_ONCE) {
            for artifact in batch {
                self.tell(artifact.address).await;
            }
            tokio::time::sleep(TELLING_PAUSE).await;
        }
    }

    /// As blocks are executed, holds back what decisions withdraw or restrict, and announces what was waiting for the
    /// ledger.
    pub(super) async fn follow(&self, mut notices: broadcast::Receiver<Arc<Notice>>) {
        loop {
            match notices.recv().await {
                Ok(notice) => self.on_block(&notice).await,
                // The missed blocks may have contained anything.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.refresh_access().await;
                    self.tell_all().await;
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    pub(super) async fn on_block(&self, notice: &Notice) {
        let of_transactions = notice.results.iter().flat_map(|result| &result.events);
        let (mut terms_changed, mut published, mut resumed) = (false, Vec::new(), Vec::new());
        for event in notice.deadline_events.iter().chain(of_transactions) {
            match event {
                Event::VersionWithdrawn { .. }
                | Event::VersionSuspended { .. }
                | Event::DistributionSet { .. }
                | Event::ArtifactTakenOver { .. } => terms_changed = true,
                Event::SuspensionEnded { artifact, .. } => {
                    terms_changed = true;
                    resumed.push(*artifact);
                }
                Event::VersionPublished { artifact, .. } => published.push(*artifact),
                _ => {}
            }
        }
        if terms_changed {
            self.refresh_access().await;
        }
        for artifact in resumed {
            self.tell(artifact).await;
        }
        for artifact in published {
            // Even if it is partly damaged: the terms of the rest have changed.
            if self.blocking(move |store| Ok(store.artifact(&artifact).is_ok())).await.unwrap_or(false) {
                self.serve_from_now(artifact).await;
            }
            // Last: what no longer waits for an answer is served.
            self.answer_publish(artifact).await;
        }
    }

    /// Rebuilds the list of who may have what, and stops announcing what is served to nobody.
    pub(super) async fn refresh_access(&self) {
        loop {
            let service = self.clone();
            let work = move || service.access.refresh(&service.node.artifacts, &service.node.ledger);
            let error = match tokio::task::spawn_blocking(work).await {
                Ok(Ok(to_nobody)) => {
                    return to_nobody.into_iter().for_each(|address| self.node.network.stop_providing(address));
                }
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic.to_string(),
            };
            tracing::error!(error, "cannot tell who may read which artifact; nothing is served until that is known");
            tokio::time::sleep(REFRESH_RETRY).await;
        }
    }

    /// The terms on which an artifact is served.
    pub(super) async fn terms(&self, address: ArtifactId) -> Result<Terms, ServiceError> {
        let node = self.node.clone();
        let work = move || Terms::of(&node.artifacts, &node.ledger.snapshot(), &address);
        let terms = tokio::task::spawn_blocking(work).await.map_err(|error| ServiceError::Defect(error.to_string()))?;
        Ok(terms?.0)
    }

    /// Announces an artifact that is here, unless it is served to nobody.
    pub(super) async fn tell(&self, address: ArtifactId) {
        match self.terms(address).await {
            Ok(Terms::Free | Terms::Restricted { .. }) => {
                // A partly damaged artifact is not announced.
                if self.blocking(move |store| Ok(store.has(&address))).await.unwrap_or(false) {
                    self.node.network.provide(address);
                }
            }
            Ok(Terms::Withdrawn | Terms::Suspended | Terms::Unpublished) => {}
            Err(error) => tracing::error!(%address, %error, "an artifact is not announced"),
        }
    }

    /// Serves and announces an artifact that has arrived in the store.
    pub(super) async fn serve_from_now(&self, address: ArtifactId) {
        let service = self.clone();
        let work = move || service.access.look(&service.node.artifacts, &service.node.ledger, &address);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(())) => self.tell(address).await,
            Ok(Err(error)) => tracing::error!(%address, %error, "an artifact is not served"),
            Err(error) => tracing::error!(%address, %error, "an artifact is not served; please report this defect"),
        }
    }
}

/// Which of the bytes that are here a fetch may take over: see [`crate::artifacts::access_control`].
pub(super) fn lending(access: &AccessControl, node: &NodeHandle) -> Lending {
    let (begins, lends, node) = (access.clone(), access.clone(), node.clone());
    Lending {
        begins: Arc::new(move |address| {
            begins.look(&node.artifacts, &node.ledger, address).map_err(|error| match error {
                AccessError::Store(error) => error.into(),
                AccessError::Ledger(error) => FetchError::Ledger(error),
            })
        }),
        lends: Arc::new(move |asked| lends.lends(asked)),
    }
}
