//! The storage crate from outside: what it keeps, what it refuses, and that disk and memory are the same ledger.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

mod blocks;
mod chain;
mod log;
mod measure;
mod opening;
mod proofs;
mod reference;
mod snapshots;
