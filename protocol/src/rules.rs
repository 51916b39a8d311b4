//! The rules: what can be asked of the ledger, and what each request does. One family a file, types first and `apply` below
//! them.
//!
//! A rule reads and writes through [`Overlay`](crate::ground::state::Overlay) and knows where the ledger stands from a
//! [`Context`](context::Context). It never sees a block, a peer or a clock.
//!
//! What is asked, and what is said of it afterwards:
//! - [`action`]: the closed list of actions, and where each is carried out
//! - [`transaction`]: the signed envelope
//! - [`load`]: what a transaction costs every peer
//! - [`rejection`], [`event`]: why it was refused, or what it did
//! - [`context`], [`parameters`]: what rules may know besides the state
//!
//! The families:
//! - [`account`]: who can hold and sign
//! - [`office`]: what accounts do for others, once they agreed to it
//! - [`model`]: models, versions, their lineage
//! - [`artifact`]: addresses, manifests
//! - [`access`]: who may read artifacts, and how many copies are wished for
//! - [`commitment`]: who knew an artifact first, and so governs it
//! - [`share`]: the register, and the one function that changes it
//! - [`intake`]: which units an account takes
//! - [`licence`]: what owners let accounts use, and on which terms
//! - [`sale`]: transfers that the owners approve
//! - [`recovery`]: new keys from guardians
//! - [`control`]: whether those who speak for an account are those who did
//! - [`approval`]: requests that several keys sign, one after the other
//! - [`contribution`]: what was given, signed by both sides
//! - [`round`]: what a period of contributions mints
//! - [`policy`]: rules of decision, and how a tally is judged
//! - [`delegation`]: who answers for whom
//! - [`dormancy`]: weight that has fallen silent
//! - [`attestation`]: what a release may wait for
//! - [`proposal`]: questions, ballots, what the ledger does about them
//! - [`emergency`]: who suspends a version at once, and how that ends
//! - [`standing`]: what a reader of a version should be told about it
//! - [`dispute`]: what is frozen, and how that ends
//! - [`incident`]: what went wrong, and who answers for it
//! - [`quota`]: how much an account keeps on the ledger
//! - [`due`]: what falls due by itself
//! - [`network`]: the network's own record, its members, its upgrades
//! - [`validator`]: the set, its quorum, its proposer

pub mod access;
pub mod account;
pub mod action;
pub mod approval;
pub mod artifact;
pub mod attestation;
pub mod commitment;
pub mod context;
pub mod contribution;
pub mod control;
pub mod delegation;
pub mod dispute;
pub mod dormancy;
pub mod due;
pub mod emergency;
pub mod event;
pub mod incident;
pub mod intake;
pub mod licence;
pub mod load;
pub mod model;
#[cfg(test)]
mod names;
pub mod network;
pub mod office;
pub mod parameters;
pub mod policy;
pub mod proposal;
pub mod quota;
pub mod recovery;
pub mod rejection;
pub mod round;
pub mod sale;
pub mod share;
pub mod standing;
pub mod transaction;
pub mod validator;
