//! What a handler takes from a request, with problems instead of plain-text refusals.

use super::views::Problem;
use allod_protocol::ground::state::{Direction, KeyField, Record, StateRead, page};
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{fmt::Display, str::FromStr};
use utoipa::{IntoParams, ToSchema};

/// Entries of a page unless the request says otherwise.
pub(crate) const PAGE_DEFAULT: usize = 100;
/// Entries of a page at most.
pub(crate) const PAGE_MAX: usize = 500;

/// The query, decoded.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| {
                Problem::bad_request("bad_query", format!("the query cannot be read: {}", error.body_text()))
            })
    }
}

/// The parts of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state).await.map(|axum::extract::Path(path)| Self(path)).map_err(
            |error| Problem::bad_request("bad_path", format!("the path cannot be read: {}", error.body_text())),
        )
    }
}

/// The body, whole, of bounded size.
pub(crate) struct Body(pub(crate) axum::body::Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        axum::body::Bytes::from_request(request, state).await.map(Self).map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("the body has more than the {} bytes allowed; send less", super::BODY_SIZE_BYTES),
            ),
            _ => Problem::bad_request("bad_body", format!("the body cannot be read: {}", error.body_text())),
        })
    }
}

/// The body, decoded from JSON whatever its content type says.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Body(bytes) = Body::from_request(request, state).await?;
        from_json(&bytes).map(Self)
    }
}

/// Decodes JSON, or says where it goes wrong.
pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request("bad_json", format!("the body is not the JSON expected: {error}")))
}

/// Decodes a part of a path, or says what it should be.
pub(crate) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::bad_request("bad_id", error.to_string()))
}

/// Which page of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// Entries on the page: 1 to 500, 100 unless given.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<usize>,
    /// `next` of the page before.
    pub(crate) after: Option<String>,
}

/// In which order a list is given.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
}

impl From<Order> for Direction {
    fn from(order: Order) -> Self {
        match order {
            Order::Newest => Self::Descending,
            Order::Oldest => Self::Ascending,
        }
    }
}

/// Which page of a list that has an order in time.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimePaging {
    /// Entries on the page: 1 to 500, 100 unless given.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<usize>,
    /// `next` of the page before, asked for in the same order.
    pub(crate) after: Option<String>,
    /// `newest` first, unless `oldest` is asked for.
    #[serde(default)]
    #[param(inline)]
    pub(crate) order: Order,
}

impl TimePaging {
    pub(crate) fn paging(&self) -> Paging {
        Paging { limit: self.limit, after: self.after.clone() }
    }
}

impl Paging {
    /// How many entries.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(PAGE_DEFAULT) {
            limit @ 1..=PAGE_MAX => Ok(limit),
            limit => Err(Problem::bad_request("bad_limit", format!("limit is {limit}; ask for 1 to {PAGE_MAX}"))),
        }
    }

    /// One page of the records whose keys begin with `prefix`, and the cursor of the next: the last key read, in
    /// hexadecimal, so that a page stays where it is whatever is added meanwhile.
    pub(crate) fn records<R: Record>(
        &self,
        state: &impl StateRead,
        prefix: &impl KeyField,
        direction: Direction,
    ) -> Result<(Vec<R>, Option<String>), Problem> {
        let bad_cursor = || {
            let detail = "`after` is not a cursor of this list; take it from `next` of the page before";
            Problem::bad_request("bad_cursor", detail)
        };
        let after = match &self.after {
            None => None,
            Some(text) => {
                let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| bad_cursor())?;
                Some(bytes).filter(|key| key.starts_with(&R::key_bytes(prefix))).ok_or_else(bad_cursor).map(Some)?
            }
        };
        let (records, next) = page(state, prefix, after.as_deref(), direction, self.limit()?)?;
        Ok((records, next.map(|key| data_encoding::HEXLOWER.encode(&key))))
    }
}
