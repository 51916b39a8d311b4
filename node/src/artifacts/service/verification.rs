//! Reading and checking every byte of an artifact, and repairing what is damaged.

use super::{ArtifactService, ServiceError};
use allod_protocol::{ground::ids::ArtifactId, rules::artifact::Artifact};
use allod_storage::artifacts::Progress;
use std::{collections::BTreeSet, sync::Arc};

/// What the caller of a verification is told during the verification.
#[derive(Clone, Debug)]
pub enum Checked {
    /// How far it has come. After a repair it starts again.
    Progress(Progress),
    /// A fault was found, and is being repaired.
    Damaged(String),
}

impl ArtifactService {
    /// Reads and checks every byte of an artifact. What is damaged is no longer served; with `repair`, it is fetched
    /// again from other peers, and the artifact is checked again.
    ///
    /// # Errors
    /// The first fault; with `repair`, the first that cannot be repaired.
    pub async fn verify(
        &self,
        address: ArtifactId,
        repair: bool,
        progress: Arc<dyn Fn(Checked) + Send + Sync>,
    ) -> Result<Artifact, ServiceError> {
        let mut mended = BTreeSet::new();
        loop {
            let error = match self.verify_once(address, progress.clone()).await {
                Err(ServiceError::Store(error)) => error,
                other => return other,
            };
            let Some(blob) = error.damaged() else { return Err(error.into()) };
            let error = self.found_damaged(blob, error).await?;
            if !repair || !mended.insert(blob) {
                return Err(error.into());
            }
            progress(Checked::Damaged(error.to_string()));
            let failure = self.mend().await.failure;
            if self.node.artifacts.is_damaged(&blob) {
                let reason = failure.map_or_else(|| error.to_string(), |failure| failure.to_string());
                return Err(ServiceError::Unrepaired { blob, reason });
            }
        }
    }

    async fn verify_once(
        &self,
        address: ArtifactId,
        progress: Arc<dyn Fn(Checked) + Send + Sync>,
    ) -> Result<Artifact, ServiceError> {
        let place = self.checks.take()?;
        self.blocking(move |store| {
            let _place = place;
            let artifact = store.artifact(&address)?;
            store.verify(&address, &mut |done| progress(Checked::Progress(done)))?;
            Ok(artifact)
        })
        .await
    }
}
