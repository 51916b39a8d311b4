//! The one test binary of this crate.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

/// As in `allod`, and for the speed of simulated runs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

mod access;
mod accounts;
mod artifacts;
mod blocks;
mod common;
mod consent;
mod control;
mod cost;
mod decisions;
mod deeds;
mod disputes;
mod dormancy;
mod formats;
mod fuzz;
mod incidents;
mod licences;
mod minorities;
mod mutants;
mod network;
mod observe;
mod offices;
mod page;
mod recovery;
mod rooms;
mod rounds;
mod rules;
mod safety;
mod scenarios;
mod simulator;
mod stories;
mod vectors;
