//! Random histories of a ledger: what is asked, and whether what comes of it is what the rules say.
//!
//! A history asks by requests that name nobody and nothing, but places in lists (`request`; `draw`: requests at random).
//! Each is made into actions that fit the world as it then stands, or deliberately do not (`resolve`, by family). Whoever
//! executes them, tests without consensus or the peers of the simulator, tells the history what was decided and what came
//! of it ([`History::follow`]): the reference model is given the same, transaction by transaction. Then everything is
//! compared (`compare`); what must hold of any ledger is checked beside it, without the reference (`invariants`). How
//! often what happened is counted ([`coverage`]): a history in which nothing passes proves little.
//!
//! Nothing here executes anything, and nothing is left to chance: the same draws give the same history. What does not hold
//! is an assertion that fails.

#![allow(clippy::expect_used, reason = "a history that cannot go on should stop the test")]

mod compare;
pub mod coverage;
mod draw;
mod history;
mod invariants;
pub mod keys;
pub mod policies;
mod request;
mod resolve;

pub use coverage::Coverage;
pub(crate) use draw::Requests;
pub use draw::story;
pub use history::{Done, History};
pub use request::{Story, StoryBlock};
