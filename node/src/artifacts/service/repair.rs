//! Finding and repairing bit rot: scrubbing everything that is stored in the background, and fetching again what
//! scrubbing or any reader found damaged.
//!
//! A blob that fails the check is marked by its reader, whatever the read was for ([`ArtifactStore::on_damage`]). From
//! then on it is not served, the artifacts that name it are not announced, and repair starts at once. Repair salvages
//! what is sound ([`ArtifactStore::salvage`]), fetches the rest from other peers like any fetch, and announces the
//! artifacts again, also when somebody else brought the bytes. What nobody has stays marked, and is requested again
//! every [`RETRY`].
//!
//! The pass is slow on purpose: it reads at most as many bytes per second as the operator allows, and a new pass starts
//! only when the last one is as old as the operator says.

use super::{ArtifactService, FetchJob, ServiceError};
use crate::event_loop::machine::clock;
use allod_protocol::ground::ids::ArtifactId;
use allod_storage::artifacts::{ArtifactError, ArtifactStore, DamageNews, Place, Salvaged, Step};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long to wait before repair is tried again.
const RETRY: Duration = Duration::from_secs(3_600);
/// How long to wait if only too many fetches were in progress.
const BUSY_RETRY: Duration = Duration::from_secs(5);
/// How often the place of a pass is saved.
const KEEP_PLACE: Duration = Duration::from_secs(10);

/// The settings of the background pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbing {
    /// The time from the start of one pass to the start of the next. `None` means never.
    pub interval: Option<Duration>,
    /// Maximum bytes read per second. `None` means no limit.
    pub bytes_per_second: Option<u64>,
}

/// The result of a repair.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    /// Number of blobs that are whole again.
    pub(crate) repaired: u64,
    /// The last reason why others are not.
    pub(crate) failure: Option<ServiceError>,
}

impl ArtifactService {
    /// Scrubs everything that is stored, again and again. Never ends.
    pub(super) async fn scrub(&self) {
        let Scrubbing { interval: Some(interval), .. } = self.scrubbing else {
            return std::future::pending().await;
        };
        let mut place = self.blocking(|store| Ok(store.scrub_place())).await.ok().flatten().unwrap_or_default();
        loop {
            let now_s = clock().get() / 1_000;
            let waited = Duration::from_secs(now_s.saturating_sub(place.began_s));
            if place.ended && waited < interval {
                tokio::time::sleep(interval.saturating_sub(waited).min(RETRY)).await;
                continue;
            }
            if place.ended || place.began_s == 0 {
                place = Place { began_s: now_s.max(1), ..Place::default() };
            }
            match self.scrub_once(place).await {
                Ok(reached) => place = reached,
                Err(error) => {
                    tracing::error!(%error, "cannot scrub the stored artifacts; trying again in an hour");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// One pass, from its place to the end.
    async fn scrub_once(&self, place: Place) -> Result<Place, ServiceError> {
        let mut scrub = self.blocking(move |store| store.scrub(place)).await?;
        let mut kept = Instant::now();
        tracing::debug!(?place, "scrubbing the stored artifacts");
        while !scrub.place().ended {
            let started = Instant::now();
            let step: Step;
            (scrub, step) = self
                .blocking(move |store| {
                    let step = scrub.step(store);
                    Ok((scrub, step))
                })
                .await?;
            self.node.metrics.on_scrubbed(step.checked_bytes);
            match step.fault {
                Some((blob, error)) if error.is_damage() => drop(self.found_damaged(blob, error).await?),
                Some((blob, error)) => tracing::warn!(%blob, %error, "cannot check a stored file; skipping it"),
                None => {}
            }
            let place = *scrub.place();
            if place.ended || kept.elapsed() >= KEEP_PLACE {
                kept = Instant::now();
                self.blocking(move |store| store.keep_scrub_place(&place)).await?;
            }
            tokio::time::sleep(self.pause(step.checked_bytes).saturating_sub(started.elapsed())).await;
        }
        Ok(*scrub.place())
    }

    /// How long `checked_bytes` may take.
    fn pause(&self, checked_bytes: u64) -> Duration {
        let rate = self.scrubbing.bytes_per_second.map(|rate| rate.max(1));
        rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(checked_bytes as f64 / rate as f64))
    }

    /// Records that a blob is damaged: it is not served, and its artifacts are not announced, until it is repaired.
    /// Returns the reason.
    pub(super) async fn found_damaged(
        &self,
        blob: ArtifactId,
        reason: ArtifactError,
    ) -> Result<ArtifactError, ServiceError> {
        let marking = move |store: &ArtifactStore| store.mark_damaged(&blob, &reason).map(|_| reason);
        let reason = self.blocking(marking).await?;
        self.withdraw_damaged().await?;
        Ok(reason)
    }

    /// Counts and logs what the store finds damaged, and has it repaired.
    pub(super) fn follow_damage(&self) {
        let (metrics, damage) = (self.node.metrics.clone(), self.damage.clone());
        // Weak, because the store holds it.
        let store = Arc::downgrade(&self.node.artifacts);
        self.node.artifacts.on_damage(move |news| {
            match news {
                DamageNews::Found(blob, reason) => {
                    tracing::error!(%blob, %reason, "stored bytes are damaged; they are not served until they are repaired");
                    metrics.on_damaged();
                }
                DamageNews::Ended(blob) => tracing::info!(%blob, "a damaged file is whole again, or gone"),
            }
            if let Some(store) = store.upgrade() {
                metrics.set_damaged(store.damaged_blobs().len());
            }
            damage.notify_one();
        });
        self.node.metrics.set_damaged(self.node.artifacts.damaged_blobs().len());
    }

    /// Repairs damaged artifacts, no matter who found the damage, and announces artifacts that are whole again, no
    /// matter who brought the bytes. Never ends.
    pub(super) async fn keep_sound(&self) {
        let mut withheld = BTreeSet::new();
        loop {
            let failure = self.mend().await.failure;
            let wait = match failure {
                Some(ServiceError::Busy { .. }) => BUSY_RETRY,
                _ => RETRY,
            };
            match self.withdraw_damaged().await {
                Ok(damaged) => {
                    for address in std::mem::replace(&mut withheld, damaged).difference(&withheld) {
                        self.serve_from_now(*address).await;
                    }
                }
                Err(error) => tracing::error!(%error, "cannot tell which artifacts are damaged"),
            }
            let _ = tokio::time::timeout(wait, self.damage.notified()).await;
            // So that damaged artifacts are not announced while they are repaired.
            match self.withdraw_damaged().await {
                Ok(damaged) => withheld.extend(damaged),
                Err(error) => tracing::error!(%error, "cannot tell which artifacts are damaged"),
            }
        }
    }

    /// Stops announcing the artifacts that are not whole, and returns them.
    async fn withdraw_damaged(&self) -> Result<BTreeSet<ArtifactId>, ServiceError> {
        let artifacts = self.blocking(ArtifactStore::damaged_artifacts).await?;
        let damaged: BTreeSet<ArtifactId> = artifacts.into_iter().map(|artifact| artifact.address).collect();
        damaged.iter().for_each(|address| self.node.network.stop_providing(*address));
        Ok(damaged)
    }

    /// Repairs what is marked as damaged, as far as possible; one caller at a time.
    pub(super) async fn mend(&self) -> Mended {
        let _turn = self.mending.lock().await;
        let mut mended = Mended::default();
        if let Err(error) = Box::pin(self.mend_all(&mut mended)).await {
            mended.failure = Some(error);
        }
        if let Some(error) = &mended.failure {
            tracing::error!(%error, "damaged bytes could not be repaired; trying again in an hour");
        }
        mended
    }

    async fn mend_all(&self, mended: &mut Mended) -> Result<(), ServiceError> {
        let blobs = self.blocking(|store| Ok(store.damaged_blobs())).await?;
        if blobs.is_empty() {
            return Ok(());
        }
        self.withdraw_damaged().await?;
        let damaged = self.blocking(|store| store.damaged_artifacts()).await?;
        for blob in &blobs {
            let blob = *blob;
            match self.blocking(move |store| store.salvage(&blob)).await {
                Ok(Salvaged::Whole) => tracing::info!(%blob, "damaged bytes were repaired without a fetch"),
                Ok(Salvaged::Part | Salvaged::Nothing) => {}
                Err(error) => mended.failure = Some(error),
            }
        }
        for artifact in damaged {
            let address = artifact.address;
            if !self.is_whole(address).await? {
                let job = FetchJob::whole(&artifact);
                let fetched = match self.fetches.take() {
                    Ok(_place) => self.fetch_missing(&job, &(Arc::new(|_| {}) as _)).await,
                    Err(busy) => Err(busy),
                };
                if let Err(error) = fetched {
                    mended.failure = Some(error);
                    continue;
                }
            }
            tracing::info!(artifact = %address, "a damaged artifact is whole again");
            self.serve_from_now(address).await;
        }
        let left = self.blocking(|store| Ok(store.damaged_blobs())).await?;
        mended.repaired = blobs.iter().filter(|blob| !left.contains(blob)).count() as u64;
        self.node.metrics.on_repaired(mended.repaired);
        Ok(())
    }

    async fn is_whole(&self, address: ArtifactId) -> Result<bool, ServiceError> {
        self.blocking(move |store: &ArtifactStore| Ok(store.has(&address))).await
    }
}
