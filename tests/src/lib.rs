//! What the other crates are tested with: the deterministic simulator, the reference model, random histories, ledgers without consensus,
//! real processes and strangers who attack them, golden vectors, decoders to fuzz.

pub mod attacks;
pub mod chain;
pub mod directory;
pub mod fuzz;
pub mod histories;
pub mod ledger;
pub mod map_state;
pub mod mutants;
pub mod processes;
pub mod reference;
pub mod sim;
pub mod small_disk;
pub mod vectors;
pub mod workload;
