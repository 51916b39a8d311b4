//! Why work on artifacts fails.

use crate::{artifacts::access_control::AccessError, exchange::fetch::FetchError};
use allod_protocol::{
    ground::{
        ids::{ArtifactId, ModelName},
        state::StateError,
    },
    rules::access::Readers,
};
use allod_storage::artifacts::ArtifactError;
use std::path::PathBuf;

/// Why an artifact could not be published, fetched or checked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StateError),
    /// Too much work of this kind is in progress.
    #[error("{limit} {what} are already in progress, the maximum of this peer; try again when one has ended")]
    Busy {
        /// The kind of work.
        what: &'static str,
        /// The maximum number at a time.
        limit: usize,
    },
    /// Neither the ledger nor the caller says whether the address is that of a file or of a collection.
    #[error("no version on the ledger has the artifact {0}; state whether it is a file or a collection (`kind`)")]
    UnknownKind(ArtifactId),
    /// A path that would mean something else to the node than to its client.
    #[error(
        "{} is not an absolute path; the node runs in a different directory than its client, so give an absolute path",
        path.display()
    )]
    NotAbsolute {
        /// The path.
        path: PathBuf,
    },
    /// The model that governs the artifact withdrew it.
    #[error(
        "the version that is {0} was withdrawn by a decision, so nobody serves it any more; `allod model show` says why"
    )]
    Withdrawn(ArtifactId),
    /// The version of the model that governs the artifact is suspended.
    #[error(
        "the version that is {0} is suspended, so nobody serves it for now; `allod model show` says why and until when"
    )]
    Suspended(ArtifactId),
    /// The ledger does not entitle this peer.
    #[error(
        "the owners of {model} give {artifact} to {} only, and this peer reads for no such account; an account that \
         is one can bind it with `allod peer bind`",
        if *readers == Readers::Holders { "holders" } else { "holders and licensees" }
    )]
    Restricted {
        /// The artifact.
        artifact: ArtifactId,
        /// The model whose owners decide.
        model: ModelName,
        /// The accounts that may read it.
        readers: Readers,
    },
    /// Damaged bytes that could not be fetched again.
    #[error("{blob} is damaged on this disk and could not be repaired: {reason}")]
    Unrepaired {
        /// The damaged blob.
        blob: ArtifactId,
        /// Why it could not be repaired.
        reason: String,
    },
    /// A selection of files in an artifact that is one file.
    #[error("{0} is one file, so there is nothing to choose from; omit the patterns")]
    NotACollection(ArtifactId),
    /// A task ended abnormally.
    #[error("the work failed because of a defect, please report it: {0}")]
    Defect(String),
}

impl From<AccessError> for ServiceError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Store(error) => error.into(),
            AccessError::Ledger(error) => error.into(),
        }
    }
}
