//! The allod peer, as a library for its one binary and its tests.

pub mod api;
pub mod cli;
pub mod config;
pub mod exchange;
pub mod handle;
pub mod keys;
pub mod metrics;
pub mod network;
