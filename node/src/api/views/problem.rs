//! Errors.

use super::ReasonView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error: RFC 9457 problem details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:allod:problem:CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// A stable code for programs.
    pub code: String,
    /// With code `ambiguous_id`: what a short id could stand for. At most eight are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Candidate>>)]
    pub candidates: Option<Box<[Candidate]>>,
    /// From `/readyz`: every reason for which this peer is not ready. `code` is that of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<ReasonView>>)]
    pub reasons: Option<Box<[ReasonView]>>,
}

/// One of the things whose ids begin alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    /// Its whole id.
    pub id: String,
    /// What it is, in its author's words; may be empty.
    pub about: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}
