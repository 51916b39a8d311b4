//! The allod peer, as a library for its one binary and its tests.

pub mod api;
pub mod artifact_service;
mod catch_up;
pub mod cli;
pub mod config;
mod event_loop;
pub mod exchange;
mod gate;
pub mod handle;
mod json;
pub mod keys;
pub mod metrics;
pub mod network;
mod pace;
pub mod peer_key;
mod perform;
mod plain;
pub mod quorum;
pub mod replication;
mod retire;
pub mod run;
mod timers;
mod verifier;
