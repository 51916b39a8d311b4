//! Importing files, for a version or on their own, and removing what is left over.
//!
//! What is imported for a version waits for the ledger's answer. It is pinned from the block that has the version on.
//! If the ledger refuses, or does not answer in time, what the publish brought is removed, and what was here before
//! stays as it was. An import ends when its caller disconnects. Leftovers on disk from failed imports and abandoned
//! fetches are removed automatically.

use super::{ArtifactService, ServiceError, fetching::require_absolute};
use crate::{artifacts::access_control, event_loop::machine::clock};
use allod_protocol::ground::{
    ids::{ArtifactId, ModelId},
    limits,
};
use allod_storage::artifacts::{ArtifactError, ImportMode, Imported, Progress, Publication};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often the store is tidied without a reason.
const TIDY_INTERVAL: Duration = Duration::from_secs(600);
/// How long to wait while somebody is adding to it.
const TIDY_RETRY: Duration = Duration::from_secs(1);

/// The version for which something is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForVersion {
    /// The model.
    pub model: ModelId,
    /// How long the ledger may take to answer, in milliseconds of block time from the end of the import; at most
    /// [`ForVersion::ANSWER_MS`].
    pub answer_ms: u64,
}

impl ForVersion {
    /// The longest time that a request for approval and then its last signature may take.
    pub const ANSWER_MS: u64 = limits::APPROVAL_MS + limits::TRANSACTION_LIFETIME_MS;
}

/// Ends the import when its caller is gone.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl ArtifactService {
    /// Imports a file or a directory into the store, announces it, serves it from now on, and pins it. If it is for a
    /// version, all of that happens only from the block that has the version on. Dropping the future ends the import.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn publish(
        &self,
        path: PathBuf,
        mode: ImportMode,
        version: Option<ForVersion>,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Imported, ServiceError> {
        let place = self.imports.take()?;
        require_absolute(&path)?;
        let work = self.clone();
        let given_up = GivenUp(Arc::default());
        let seen = given_up.0.clone();
        // Not dropped with the caller: whatever it has brought by then is removed where it ends.
        let importing = tokio::spawn(async move {
            let _place = place;
            let ledger = work.node.ledger.clone();
            let imported = work.blocking(move |store| {
                let _hold = store.hold();
                let answer_ms = version.map_or(0, |version| version.answer_ms);
                let until = || clock().max(ledger.tip().time).plus_ms(answer_ms);
                let publication = version.map(|version| Publication { model: version.model, until: &until });
                let imported = store.import_for(&path, mode, publication, &seen, &mut progress)?;
                if version.is_none() {
                    store.pin(&imported.artifact.address)?;
                }
                Ok(imported)
            });
            match imported.await {
                Ok(imported) => {
                    work.serve_from_now(imported.artifact.address).await;
                    Ok(imported)
                }
                Err(error) => {
                    work.untidy.notify_one();
                    Err(error)
                }
            }
        });
        let imported = importing.await.map_err(|error| ServiceError::Defect(error.to_string()))?;
        drop(given_up);
        imported
    }

    /// Accepts that the ledger refused: removes what a publish brought. Returns whether anything is removed; a version
    /// that is on the ledger stays.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn let_go(&self, address: ArtifactId) -> Result<bool, ServiceError> {
        self.answer_publish(address).await;
        let goes = self.blocking(move |store| store.let_go(&address)).await?;
        self.look(address).await?;
        if goes {
            self.node.network.stop_providing(address);
            self.untidy.notify_one();
        }
        Ok(goes)
    }

    /// Keeps what waits for its version, if the ledger now has it.
    pub(super) async fn answer_publish(&self, address: ArtifactId) {
        let node = self.node.clone();
        let work = move || {
            let Some(awaited) = node.artifacts.awaited(&address)? else { return Ok(()) };
            if access_control::is_version(&node.ledger.snapshot(), &address, &awaited.model)? {
                node.artifacts.settle(&address)?;
            }
            Ok::<_, ServiceError>(())
        };
        if let Err(error) =
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(ServiceError::Defect(panic.to_string())))
        {
            tracing::error!(%address, %error, "what was published cannot be pinned");
        }
    }

    async fn look(&self, address: ArtifactId) -> Result<(), ServiceError> {
        let service = self.clone();
        let work = move || service.access.look(&service.node.artifacts, &service.node.ledger, &address);
        let looked = tokio::task::spawn_blocking(work).await;
        Ok(looked.map_err(|error| ServiceError::Defect(error.to_string()))??)
    }

    /// Releases what no longer waits for a publish, and removes what nothing names. Never ends.
    pub(super) async fn keep_tidy(&self) {
        loop {
            if let Err(error) = self.end_publishes().await {
                tracing::error!(%error, "cannot tell which publishes have failed");
            }
            match self.blocking(|store| store.tidy()).await {
                Ok(collected) if collected.blobs > 0 || collected.downloads > 0 => {
                    let (files, freed_bytes) =
                        (collected.blobs.saturating_add(collected.downloads), collected.freed_bytes);
                    tracing::info!(files, freed_bytes, "removed what failed publishes and abandoned fetches left");
                }
                Ok(_) => {}
                Err(ServiceError::Store(ArtifactError::Held)) => {
                    tokio::time::sleep(TIDY_RETRY).await;
                    continue;
                }
                Err(error) => tracing::warn!(%error, "cannot tell which files nobody needs; trying again later"),
            }
            // Whenever requested, or after a while.
            let _ = tokio::time::timeout(TIDY_INTERVAL, self.untidy.notified()).await;
        }
    }

    async fn end_publishes(&self) -> Result<(), ServiceError> {
        let now = self.node.ledger.tip().time;
        for (address, awaited) in self.blocking(|store| store.all_awaited()).await? {
            self.answer_publish(address).await;
            if awaited.until < now && self.let_go(address).await? {
                tracing::warn!(%address, "the ledger has no version of what was published; it is removed");
            }
        }
        Ok(())
    }
}
