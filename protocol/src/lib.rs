//! The rules of allod: what the ledger is, what may change it, how peers agree on it, and how an outsider checks it.
//!
//! Everything here is a function of its arguments. Two peers that run it on the same bytes get the same bytes; that is
//! the whole point of the crate. The format is written out in `README.md`, from which a second implementation can be
//! built, and held by the golden vectors in `tests/vectors`.
//!
//! # Rooms
//!
//! Each room of this crate uses those before it in the list, and never one after it (`tests/tests/it/rooms.rs` checks).
//!
//! | room | is | never |
//! |---|---|---|
//! | [`ground`] | bytes, numbers, names, the state as a map of typed keys | knows a rule |
//! | [`rules`] | what can be asked, one family a file, and what each request does | sees a block, a peer or a clock |
//! | [`ledger`] | genesis, blocks, and the one function that executes them | decides what comes next |
//! | [`proof`] | proofs of single keys, and deeds that stand by themselves | trusts whoever hands one over |
//! | [`agreement`] | consensus, the mempool, and the host that decides for a peer | does I/O: it asks its machine |
//!
//! The crates around it:
//!
//! | crate | is | never |
//! |---|---|---|
//! | `storage` | the ledger on RocksDB, the consensus log and the last-signed record, artifacts on disk | holds a rule, opens a socket |
//! | `node` | the machine under the host: tokio, libp2p, HTTP, the command line | decides what a peer decides |
//! | `tests` | another machine under the same host, which fails on purpose; the rules written a second time | is used by the others |
//!
//! # Where to look
//!
//! | what happens | where it is handled |
//! |---|---|
//! | a vote arrives late, early or twice | [`agreement::replica`] |
//! | a disk is full, power fails | `agreement/host/perform.rs`: nothing is said before it is durable, and a write that fails ends the process |
//! | a peer lies while another one catches up | `agreement/host/catch_up.rs`, [`ledger::block::DecidedBlock::verify`] |
//! | a decided block is pushed to an observer | `agreement/host/follow.rs` |
//! | a transaction waits, or is refused a place | [`agreement::mempool`] |
//! | an action is added | [`rules::action`]; `README.md` lists every place |
//! | something falls due | [`rules::due`] |
//!
//! # Choices, and what was rejected
//!
//! - **Malachite's core, not its engine.** The core is a pure state machine that asks for effects, so one host runs it on
//!   a real machine and on a simulated one. The engine would bring an actor runtime, a second and older libp2p, and its
//!   own idea of when a write is durable. Writing a Tendermint of our own was never considered.
//! - **The state root is one block late.** A header holds the root after its parent. Validators vote without executing,
//!   so a block that is slow to execute delays no vote, and nobody has to undo what was not decided. The price is that a
//!   proof of the newest block waits for the next one; a network at rest makes one sealing block for that.
//! - **Executing is total.** A transaction in a decided block applies or is rejected with a reason. To drop invalid
//!   transactions before the vote instead would mean to execute before the vote.
//! - **Two planes.** Validators speak to each other on direct, authenticated streams, and pass on what somebody may lack
//!   because a link is broken: a vote crosses each connection once, and waits for nothing that strangers send. What
//!   everybody takes part in travels by gossipsub: transactions, and decided blocks, which observers are pushed. With
//!   consensus itself on gossip each vote came several times, and whoever connected could send some. Artifacts and
//!   catch-up use streams: they are large, and one peer asks another one for them.
//! - **bincode's bytes.** Fixed-width integers, no optional forms, fast to read. The crate is no longer maintained, so the
//!   format is the contract and the vectors hold it: any encoder that writes the same bytes can replace it. Protobuf
//!   and CBOR allow several encodings of one value, and a hash must name one.
//! - **One thread decides.** Everything that changes a peer's ledger passes through one loop, one event at a time. What
//!   costs time and decides nothing (signatures of gossiped transactions, artifacts, HTTP) runs elsewhere. Locks would
//!   let two orders of events exist, and the simulator could not replay them.
//! - **ZIP-215 signatures.** Single and batch verification agree on every input. Under stricter or unspecified rules two
//!   peers can disagree on a crafted key, and the network splits.
//! - **No fees.** There is no coin. Accounts enter under a sponsor with a quota, and blocks, the mempool and the agenda are
//!   bounded by weight, in turns between senders.
//!
//! # Invariants
//!
//! - One value has one encoding, and a hash or a signature is for one purpose on one network.
//! - The balances of a model add up to its total after every block: [`rules::share::is_conserved`] checks it.
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
//! - No decoder that trusts a stranger. [`ground::codec::decode_trusted`] is for what this machine wrote itself.

pub mod agreement;
pub mod ground;
pub mod ledger;
pub mod proof;
pub mod rules;
