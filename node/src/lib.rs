//! The allod peer, as a library for its one binary and its tests.
//!
//! - [`run`]: what a process starts, in order; [`config`], [`keys`], [`tokens`], [`tls`] and [`services`] are what
//!   it starts with
//! - [`event_loop`]: the pump under the host, and the machine that it runs on
//! - [`network`]: the swarm. [`exchange`]: artifacts between peers. [`artifacts`]: artifacts on this peer
//! - [`api`]: HTTP; it only serves. [`metrics`]: what operators count. [`health`]: whether this peer can do its work
//! - [`cli`]: the command line, a client of the API like any other
//! - `plain`: what records say, in words. `repeats`: errors that repeat, counted

pub mod api;
pub mod artifacts;
pub mod cli;
pub mod config;
pub mod event_loop;
pub mod exchange;
pub mod health;
mod json;
pub mod keys;
pub mod metrics;
pub mod network;
mod plain;
mod repeats;
pub mod run;
pub mod services;
pub mod tls;
pub mod tokens;
