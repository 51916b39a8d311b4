//! The one test binary of this crate.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod fuzz;
mod rules;
mod scenarios;
mod simulator;
mod vectors;
