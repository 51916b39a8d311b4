//! The rules of allod: what the ledger is, what may change it, how peers agree on it, and how an outsider checks it.
//!
//! Everything here is a function of its arguments. Two peers that run it on the same bytes get the same bytes; that is
//! the whole point of the crate. The format is written out in `README.md`, from which a second implementation can be
//! built, and held by the golden vectors in `tests/vectors`.
//!
//! # Reading order
//!
//! The ground:
//! - [`limits`]: every maximum, with their relations asserted
//! - [`codec`]: the only canonical bytes
//! - [`crypto`]: hashes and signatures, each for one purpose
//! - [`ids`]: newtypes and their text forms
//! - [`fraction`]: exact parts of a whole
//!
//! What is asked, and what is kept:
//! - [`transaction`]: the envelope, the closed list of actions, the checks that need no state
//! - [`state`]: typed keys, how rules read, how a block changes what they read
//! - [`weight`]: what a transaction costs every peer
//! - [`rejection`], [`event`]: what is said of a transaction afterwards
//!
//! The rules, one family each, types first and `apply` below them:
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
//! - [`apportion`](apportion::apportion): dividing units in proportion, to the unit
//! - [`policy`]: rules of decision, and how a tally is judged
//! - [`delegation`]: who answers for whom
//! - [`dormancy`]: weight that has fallen silent
//! - [`attestation`]: what a release may wait for
//! - [`proposal`]: questions, ballots, what the ledger does about them
//! - [`emergency`]: who suspends a version at once, and how that ends
//! - [`standing`]: what whoever meets a version should hear of it
//! - [`dispute`]: what is frozen, and how that ends
//! - [`incident`]: what went wrong, and who answers for it
//! - [`quota`]: how much an account keeps on the ledger
//! - [`due`]: what falls due by itself
//! - [`network`]: the network's own record, its members, its upgrades
//! - [`validator`]: the set, its quorum, its proposer
//!
//! The ledger:
//! - [`genesis`]: how a network begins
//! - [`block`]: headers, blocks, commit certificates
//! - [`execute`]: THE transition; nothing else changes the ledger
//! - [`proof`]: proofs of single keys, and deeds that stand by themselves
//!
//! Agreement:
//! - [`bft`]: the ledger's types as Malachite's core sees them
//! - [`replica`]: one peer's part, as `step(Input) -> Vec<Output>`; its page says what a host owes it
//! - [`mempool`]: what waits for a block, in turns between senders
//! - [`host`]: all that a peer decides about the three above, over the machine that it runs on
//!
//! # Invariants
//!
//! - One value has one encoding, and a hash or a signature is for one purpose on one network.
//! - The balances of a model add up to its total after every block: [`share::is_conserved`] checks it.
//! - A transaction applies whole or leaves nothing but its remembered id. It is executed once.
//! - A proposal counts weights as of the height before it was opened, by the rule of that moment, and is executed once.
//! - A header names the set that decides it and the one after, so a deed needs no more than the headers between sets.
//! - A replica signs at most one message for a height, round and kind, and never one of an earlier height or round.
//!
//! # Invariants by absence
//!
//! - No I/O, no clock, no threads, no randomness of its own, no async: time is an argument, and so are keys.
//! - No floating point, no hash maps, no order that depends on a seed or a machine.
//! - No unchecked arithmetic, no indexing, no panic on any input. The exceptions carry their reason.
//! - No rule outside this crate: storage keeps bytes, the node moves them.
//! - No decoder that trusts a stranger. [`codec::decode_trusted`] is for what this machine wrote itself.

pub mod access;
pub mod account;
pub mod apportion;
pub mod approval;
pub mod artifact;
pub mod attestation;
pub mod bft;
pub mod block;
pub mod codec;
pub mod commitment;
pub mod contribution;
pub mod control;
pub mod crypto;
pub mod delegation;
pub mod dispute;
pub mod dormancy;
pub mod due;
pub mod emergency;
pub mod event;
pub mod execute;
pub mod fraction;
pub mod genesis;
pub mod host;
pub mod ids;
pub mod incident;
pub mod intake;
pub mod licence;
pub mod limits;
pub mod mempool;
pub mod model;
pub mod network;
pub mod office;
pub mod policy;
pub mod proof;
pub mod proposal;
pub mod quota;
pub mod recovery;
pub mod rejection;
pub mod replica;
pub mod round;
pub mod sale;
pub mod share;
pub mod standing;
pub mod state;
pub mod transaction;
pub mod validator;
pub mod weight;
