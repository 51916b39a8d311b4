//! The ledger, the consensus log and the artifacts on disk. Synchronous; it knows nothing of the network, tasks or
//! rules.
//!
//! Read in this order: `columns` (what is stored, and under which keys), `ledger` and `commit` (one synced batch per
//! block), `read` (the state at any height, blocks, proofs, deeds), `tree` (the authenticated map), `check` (what
//! opening verifies); then [`wal`] and [`sign_guard`], which consensus needs, and [`artifacts`]. [`memory`] is the same
//! ledger in a few maps: the reference that tests compare the disk with, and the store that the simulator runs on.
//!
//! # The interface
//!
//! ```text
//! Ledger: Clone + Send + Sync
//!   open(dir: &Path, genesis: &Genesis) -> Result<Ledger, OpenError>
//!   tip() -> Tip
//!   snapshot() -> Snapshot                                        Snapshot: StateRead + Clone + Send + Sync + 'static
//!   snapshot_at(height: Height) -> Result<Snapshot, StorageError>
//!   commit(&DecidedBlock, &Executed) -> Result<Tip, StorageError>
//!   block(Height) -> Result<Option<DecidedBlock>, StorageError>
//!   blocks(from: Height, limit_blocks: usize, limit_bytes: usize) -> Result<Vec<DecidedBlock>, StorageError>
//!   certified_header(Height) -> Result<Option<CertifiedHeader>, StorageError>      header(Height), certificate(Height)
//!   height_of(&BlockHash) -> Result<Option<Height>, StorageError>
//!   transaction(&TransactionId) -> Result<Option<DecidedTransaction>, StorageError>
//!   transaction_ids(first, last: &TransactionId, limit: usize) -> Result<Vec<TransactionId>, StorageError>
//!   block_events(Height) -> Result<Option<BlockEvents>, StorageError>
//!   prove(key: &[u8]) -> Result<Option<Proven>, StorageError>     prove_at(Height, key: &[u8]) -> Result<StateProof, _>
//!   deed(&Subject, tied_to: &BTreeSet<Height>) -> Result<Option<Deed>, StorageError>
//!   root_proof(CertifiedHeader, tied_to: &BTreeSet<Height>) -> Result<RootProof, StorageError>
//!   validator_changes_before(Height) -> Result<Vec<ValidatorChange>, StorageError>
//!   stats() -> Stats
//!
//! ConsensusLog: Send
//!   open(dir: &Path) -> Result<ConsensusLog, LogError>
//!   append(height: Height, entry: &[u8]) -> Result<(), LogError>   in memory until the next sync
//!   sync() -> Result<(), LogError>                                 one write and one fdatasync, if there is anything
//!   entries(height: Height) -> Result<Vec<Vec<u8>>, LogError>
//!   reset(height: Height) -> Result<(), LogError>                  forgets every other height
//!
//! SignGuard: Send
//!   open(dir: &Path) -> Result<SignGuard, LogError>
//!   load() -> Option<Vec<u8>>
//!   store(&[u8]) -> Result<(), LogError>                           durable when it returns
//!
//! MemoryLedger: new(&Genesis), tip, snapshot, snapshot_at, commit, block, block_events, prove_at
//! ```
//!
//! # What it never does
//!
//! It never judges a transaction, a certificate or a vote. It never repairs silently: a contradiction on disk is an
//! error that names the place and the remedy. Nothing here retries a failed write: the process ends, and the next start
//! sees what is on disk.

pub mod artifacts;
mod check;
mod columns;
mod commit;
mod error;
mod ledger;
pub mod memory;
mod read;
pub mod sign_guard;
mod tree;
pub mod wal;

pub use columns::SCHEMA_VERSION;
pub use error::{OpenError, StorageError};
pub use ledger::{Ledger, Stats};
pub use memory::MemoryLedger;
pub use read::{BlockEvents, DecidedTransaction, Proven, Snapshot};
pub use sign_guard::SignGuard;
pub use tree::PROVABLE_HEIGHTS;
pub use wal::{ConsensusLog, LogError};
