//! The allod peer, as a library for its one binary and its tests.

pub mod api;
pub mod artifact_service;
pub mod cli;
pub mod config;
mod event_loop;
pub mod exchange;
mod gate;
pub mod handle;
mod json;
pub mod keys;
mod machine;
pub mod metrics;
pub mod network;
pub mod peer_key;
mod plain;
pub mod quorum;
pub mod replication;
mod retire;
pub mod run;
pub mod services;
mod verifier;
