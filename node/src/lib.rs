//! The allod peer, as a library for its one binary and its tests.

pub mod api;
pub mod artifact_service;
mod catch_up;
pub mod cli;
pub mod config;
mod event_loop;
pub mod exchange;
pub mod handle;
pub mod keys;
pub mod metrics;
pub mod network;
mod pace;
mod perform;
pub mod run;
mod timers;
mod verifier;
mod withheld;
