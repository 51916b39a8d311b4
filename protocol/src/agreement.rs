//! Agreement: how peers that trust none of the others come to decide the same blocks.
//!
//! - [`bft`]: the ledger's types as Malachite's core sees them
//! - [`replica`]: one peer's part, as `step(Input) -> Vec<Output>`; its page says what a host owes it
//! - [`mempool`]: what waits for a block, in turns between senders
//! - [`host`]: everything a peer decides about the three above, over the machine that it runs on

pub mod bft;
pub mod host;
pub mod mempool;
pub mod replica;
