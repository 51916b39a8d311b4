//! Errors, as RFC 9457 problem details. A code is stable, a detail says what to do; nothing of this process's inside is
//! shown beyond what its own error texts say.

use super::views::{Problem, ReasonView};
use crate::{
    artifacts::service::ServiceError, event_loop::handle::SubmitError, exchange::fetch::FetchError, health::Health,
    json,
};
use allod_protocol::{
    agreement::mempool::Refused,
    ground::{invalid::Invalid, state::StateError},
    rules::rejection::Rejection,
};
use allod_storage::{StorageError, artifacts::ArtifactError};
use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

impl Problem {
    /// A problem with a stable code and a detail that says what to do. The title is the status's own phrase.
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:allod:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            candidates: None,
            reasons: None,
        }
    }

    /// The problem of a peer that is not ready. `None` if it is.
    pub(crate) fn not_ready(health: &Health) -> Option<Self> {
        let details: Vec<&str> = health.reasons.iter().map(|reason| reason.detail.as_str()).collect();
        let reasons = health.reasons.iter().map(ReasonView::from).collect();
        let problem = Self::unavailable(health.reasons.first()?.code.name(), details.join("; "));
        Some(Self { reasons: Some(reasons), ..problem })
    }

    pub(crate) fn bad_request(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(crate) fn not_found(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    pub(crate) fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// A defect of this program, or a failing disk.
    pub(crate) fn internal(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail)
    }

    pub(crate) fn stopping() -> Self {
        Self::unavailable("stopping", "this peer is stopping; try again when it is up")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(code = self.code, detail = self.detail, "a request failed");
        }
        let mut response = (status, json::to_vec(&self).unwrap_or_default()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Answers what no route matches.
pub(crate) async fn no_such_route(uri: Uri) -> Problem {
    Problem::not_found(
        "no_such_route",
        format!("there is nothing at {}; /openapi.json lists what there is", uri.path()),
    )
}

/// Answers a method that a route does not have.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}; /openapi.json says what it takes", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        Self::internal("ledger_unreadable", error.to_string())
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotReached { .. } => Self::not_found("height_not_reached", error.to_string()),
            // It is on the ledger by now: the next block is under way that certifies it.
            StorageError::NoFacts { .. } => Self::unavailable("not_yet_certified", error.to_string()),
            StorageError::Pruned { .. } => Self::new(StatusCode::GONE, "height_pruned", error.to_string()),
            StorageError::Database(_) | StorageError::Damaged { .. } | StorageError::NotNext { .. } => {
                Self::internal("ledger_unreadable", error.to_string())
            }
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let status = match invalid {
            Invalid::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, invalid.code(), invalid.to_string())
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Invalid(invalid) => return invalid.clone().into(),
            Refused::Rejected(Rejection::NotAuthorised { .. } | Rejection::ForeignKey { .. }) => StatusCode::FORBIDDEN,
            Refused::Rejected(Rejection::Replayed) | Refused::Known(_) => StatusCode::CONFLICT,
            Refused::Rejected(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refused::SenderFull { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refused::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, refused.code(), refused.to_string())
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refused) => refused.into(),
            SubmitError::Busy => Self::unavailable("busy", error.to_string()),
            SubmitError::Stopping => Self::stopping(),
        }
    }
}

impl From<ArtifactError> for Problem {
    fn from(error: ArtifactError) -> Self {
        let (status, code) = match &error {
            ArtifactError::NotFound(_) => (StatusCode::NOT_FOUND, "artifact_not_stored"),
            ArtifactError::NotACollection(_) => (StatusCode::BAD_REQUEST, "not_a_collection"),
            ArtifactError::InUse(_) | ArtifactError::UnderWay(_) => (StatusCode::CONFLICT, "artifact_in_use"),
            ArtifactError::GivenUp => (StatusCode::CONFLICT, "given_up"),
            ArtifactError::Held => (StatusCode::CONFLICT, "store_in_use"),
            ArtifactError::DiskFull(_) => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
            ArtifactError::Reserve { .. } => (StatusCode::INSUFFICIENT_STORAGE, "disk_reserve"),
            ArtifactError::Quota { .. } => (StatusCode::INSUFFICIENT_STORAGE, "artifact_quota"),
            ArtifactError::Pattern(_) => (StatusCode::BAD_REQUEST, "bad_pattern"),
            ArtifactError::NothingSelected(_) => (StatusCode::NOT_FOUND, "nothing_selected"),
            ArtifactError::Damaged { .. } | ArtifactError::Marked(_) | ArtifactError::Record { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "artifact_damaged")
            }
            ArtifactError::ReferenceChanged { .. } => (StatusCode::CONFLICT, "reference_changed"),
            ArtifactError::ManifestWrong { .. } => (StatusCode::CONFLICT, "manifest_wrong"),
            ArtifactError::Link { .. } => (StatusCode::CONFLICT, "cannot_link"),
            ArtifactError::SourceChanged(_) => (StatusCode::CONFLICT, "source_changed"),
            ArtifactError::TargetExists(_) => (StatusCode::CONFLICT, "target_exists"),
            ArtifactError::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => (StatusCode::NOT_FOUND, "no_such_path"),
                std::io::ErrorKind::PermissionDenied => (StatusCode::FORBIDDEN, "path_not_permitted"),
                _ => (StatusCode::INTERNAL_SERVER_ERROR, "file_system"),
            },
            ArtifactError::Collection { .. }
            | ArtifactError::TooManyFiles(_)
            | ArtifactError::Symlink(_)
            | ArtifactError::Special(_)
            | ArtifactError::NotUtf8(_)
            | ArtifactError::TooLarge(_) => (StatusCode::UNPROCESSABLE_ENTITY, "not_an_artifact"),
            ArtifactError::Own(_) => (StatusCode::FORBIDDEN, "own_files"),
            ArtifactError::OutsideRoots { .. } => (StatusCode::FORBIDDEN, "outside_roots"),
            ArtifactError::Target { .. } => (StatusCode::BAD_REQUEST, "bad_target"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "artifact_store"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        let (status, code) = match error {
            FetchError::Store(error) => return (*error).into(),
            FetchError::NobodyHas { .. } => (StatusCode::NOT_FOUND, "no_provider"),
            FetchError::Stalled { .. } => (StatusCode::GATEWAY_TIMEOUT, "fetch_stalled"),
            FetchError::TooLarge { .. } => (StatusCode::BAD_GATEWAY, "artifact_too_large"),
            FetchError::ManifestWrong { .. } => (StatusCode::BAD_GATEWAY, "manifest_wrong"),
            FetchError::NotLent(_) => (StatusCode::CONFLICT, "artifact_in_use"),
            FetchError::Ledger(error) => return error.into(),
            FetchError::Defect(_) => (StatusCode::INTERNAL_SERVER_ERROR, "defect"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Store(error) => error.into(),
            ServiceError::Fetch(error) => error.into(),
            ServiceError::Ledger(error) => error.into(),
            ServiceError::Busy { .. } => Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", error.to_string()),
            ServiceError::Withdrawn(_) => Self::new(StatusCode::GONE, "withdrawn", error.to_string()),
            ServiceError::Suspended(_) => Self::new(StatusCode::LOCKED, "suspended", error.to_string()),
            ServiceError::Restricted { .. } => Self::new(StatusCode::FORBIDDEN, "restricted", error.to_string()),
            ServiceError::Unrepaired { .. } => Self::new(StatusCode::BAD_GATEWAY, "not_repaired", error.to_string()),
            ServiceError::NotACollection(_) => Self::bad_request("not_a_collection", error.to_string()),
            ServiceError::UnknownKind(_) => Self::bad_request("unknown_kind", error.to_string()),
            ServiceError::NotAbsolute { .. } => Self::bad_request("path_not_absolute", error.to_string()),
            ServiceError::Defect(_) => Self::internal("defect", error.to_string()),
        }
    }
}
