//! Artifacts on this peer: what it publishes, fetches, serves, keeps copies of and repairs.
//!
//! - [`service`]: publishing and fetching, for the API and for the keeping of copies
//! - `access_control`: who may read which artifact, by the terms on the ledger
//! - [`replication`]: how many copies of a release there are, and which of them this peer volunteers to keep
//!
//! The bytes lie in `allod_storage::artifacts`; they move in [`crate::exchange`].

pub(crate) mod access_control;
pub mod replication;
pub mod service;
