//! The ledger: blocks of transactions, one after the other, and the one function that carries them out.
//!
//! - [`genesis`]: how a network begins
//! - [`block`]: headers, blocks, commit certificates
//! - [`execute`]: THE transition; nothing else changes the ledger

pub mod block;
pub mod execute;
pub mod genesis;
