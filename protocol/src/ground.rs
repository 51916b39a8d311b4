//! The ground that everything stands on. It knows bytes, numbers and names, and no rule.
//!
//! - [`limits`]: every maximum, with their relations asserted
//! - [`codec`]: the only canonical bytes
//! - [`crypto`]: hashes and signatures, each for one purpose
//! - [`ids`]: newtypes and their text forms
//! - [`fraction`], [`apportion`](apportion::apportion): exact parts of a whole, and dividing units to the unit
//! - [`invalid`]: checks of form that need no state
//! - [`weight`]: the unit in which work is measured
//! - `openapi`, a feature: how the JSON forms are described
//! - [`state`]: typed keys, how rules read, how a block changes what they read

pub mod apportion;
pub mod codec;
pub mod crypto;
pub mod fraction;
pub mod ids;
pub mod invalid;
pub mod limits;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod state;
pub mod weight;
