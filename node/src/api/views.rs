//! What the API answers and takes, as types: the server writes them, the client in this binary reads the very same.
//!
//! A record of the ledger keeps its JSON form (see `protocol`), to which a view adds what a reader would otherwise ask
//! for next: handles beside ids, a model's name, a tally's outlook. Ids are lowercase hexadecimal, artifacts are CIDs,
//! heights, units and milliseconds are numbers, beyond 2^53 strings of their digits ([`crate::json`]). New fields may
//! appear at any time; a client ignores what it does not know.
//!
//! OpenAPI describes these types from the types themselves: those of the ledger describe themselves where they stand.
//!
//! A file is a family of answers.

mod accounts;
mod artifacts;
mod attestations;
mod blocks;
mod contributions;
mod disputes;
mod dry_run;
mod fetches;
mod imports;
mod inbox;
mod keys;
mod licences;
mod lineage;
mod models;
mod node;
mod offices;
mod problem;
mod proofs;
mod proposals;
mod rounds;
mod shares;
mod transactions;

pub use accounts::*;
pub use artifacts::*;
pub use attestations::*;
pub use blocks::*;
pub use contributions::*;
pub use disputes::*;
pub use dry_run::*;
pub use fetches::*;
pub use imports::*;
pub use inbox::*;
pub use keys::*;
pub use licences::*;
pub use lineage::*;
pub use models::*;
pub use node::*;
pub use offices::*;
pub use problem::*;
pub use proofs::*;
pub use proposals::*;
pub use rounds::*;
pub use shares::*;
pub use transactions::*;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Give it as `after` to get the next page; null on the last.
    pub next: Option<String>,
}
