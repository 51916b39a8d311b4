//! Finding and mending bit rot: the background pass over everything that is stored, and the fetching again of what it, or
//! anybody who reads, found.
//!
//! A blob that does not stand the check is marked by whoever reads it, for whatever reason
//! ([`ArtifactStore::on_damage`]): it is not served from then on, the artifacts that name it are not told of, and mending
//! begins at once. It salvages what is sound ([`ArtifactStore::salvage`]), fetches the rest from other peers as any fetch
//! does, and tells of the artifacts again, as it does when somebody else brought the bytes. What nobody has stays marked,
//! and is asked for again every [`RETRY`].
//!
//! The pass is slow on purpose: it reads no more than the operator allows in a second, and begins anew only when the last
//! one is as old as the operator says.

use super::{ArtifactService, FetchJob, ServiceError};
use crate::machine::clock;
use allod_protocol::ground::ids::ArtifactId;
use allod_storage::artifacts::{ArtifactError, ArtifactStore, DamageNews, Place, Salvaged, Step};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long what could not be mended waits until it is tried again.
const RETRY: Duration = Duration::from_secs(3_600);
/// How long, if it was only that too much is fetched already.
const BUSY_RETRY: Duration = Duration::from_secs(5);
/// How often the place of a pass is written down.
const KEEP_PLACE: Duration = Duration::from_secs(10);

/// How the background pass goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbing {
    /// How long after the beginning of a pass the next one begins; never, if none is set.
    pub interval: Option<Duration>,
    /// Bytes read in a second at most; as many as can be, if none is set.
    pub bytes_per_second: Option<u64>,
}

/// What mending came to.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    /// Blobs that are whole again.
    pub(crate) repaired: u64,
    /// Why others are not, the last reason.
    pub(crate) failure: Option<ServiceError>,
}

impl ArtifactService {
    /// Goes over everything that is stored, again and again. Never ends.
    pub(super) async fn scrub(&self) {
        let Scrubbing { interval: Some(interval), .. } = self.node.scrubbing else {
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
                    tracing::error!(%error, "cannot go over the stored artifacts; trying again in an hour");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// One pass, from where it is to its end.
    async fn scrub_once(&self, place: Place) -> Result<Place, ServiceError> {
        let mut scrub = self.blocking(move |store| store.scrub(place)).await?;
        let mut kept = Instant::now();
        tracing::debug!(?place, "going over the stored artifacts");
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
                Some((blob, error)) => tracing::warn!(%blob, %error, "cannot check a stored file; going on without it"),
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

    /// How long so many bytes may take.
    fn pause(&self, checked_bytes: u64) -> Duration {
        let rate = self.node.scrubbing.bytes_per_second.map(|rate| rate.max(1));
        rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(checked_bytes as f64 / rate as f64))
    }

    /// Takes note that a blob is damaged: it is not served, and its artifacts are not told of, until it is mended. Gives
    /// the reason back.
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

    /// Counts and tells what the store finds damaged, and has it mended.
    pub(super) fn follow_damage(&self) {
        let (metrics, damage) = (self.node.metrics.clone(), self.damage.clone());
        // Weak, as the store holds it.
        let store = Arc::downgrade(&self.node.artifacts);
        self.node.artifacts.on_damage(move |news| {
            match news {
                DamageNews::Found(blob, reason) => {
                    tracing::error!(%blob, %reason, "stored bytes are damaged; they are not served until they are mended");
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

    /// Mends what is found damaged, whoever found it, and tells of what is whole again, whoever brought it. Never ends.
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
            // So that what is marked is told of to nobody while it is mended.
            match self.withdraw_damaged().await {
                Ok(damaged) => withheld.extend(damaged),
                Err(error) => tracing::error!(%error, "cannot tell which artifacts are damaged"),
            }
        }
    }

    /// Tells nobody any more of the artifacts that are not whole; gives them.
    async fn withdraw_damaged(&self) -> Result<BTreeSet<ArtifactId>, ServiceError> {
        let artifacts = self.blocking(ArtifactStore::damaged_artifacts).await?;
        let damaged: BTreeSet<ArtifactId> = artifacts.into_iter().map(|artifact| artifact.address).collect();
        damaged.iter().for_each(|address| self.node.network.stop_providing(*address));
        Ok(damaged)
    }

    /// Mends what is marked as damaged, as far as it can be; one caller at a time.
    pub(super) async fn mend(&self) -> Mended {
        let _turn = self.mending.lock().await;
        let mut mended = Mended::default();
        if let Err(error) = Box::pin(self.mend_all(&mut mended)).await {
            mended.failure = Some(error);
        }
        if let Some(error) = &mended.failure {
            tracing::error!(%error, "damaged bytes could not be mended; trying again in an hour");
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
                Ok(Salvaged::Whole) => tracing::info!(%blob, "damaged bytes were mended without a fetch"),
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
