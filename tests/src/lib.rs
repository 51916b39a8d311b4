//! What the other crates are tested with: the deterministic simulator.

pub mod sim;

pub mod ledger;
pub mod map_state;
pub mod reference;
pub mod processes;
pub mod chain;
pub mod fuzz;
pub mod vectors;
pub mod workload;
