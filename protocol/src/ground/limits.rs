//! Every maximum of the ledger and its wire, in one place, with their relations asserted at compile time.
//!
//! A limit bounds what a stranger can make a peer hold, hash or write. Limits that the members may want to change
//! are in [`crate::rules::parameters::Parameters`]; what stands here is fixed by the protocol version.

use crate::ground::weight::Weight;

/// The version of the protocol that this build speaks. A ledger that decided to move to a later one at some height is
/// not for this build to execute from that height on: see [`crate::rules::network::Upgrade`].
pub const PROTOCOL_VERSION: u32 = 1;

/// Bytes of one encoded transaction.
pub const TRANSACTION_SIZE_BYTES: usize = 64 * 1024;
/// Bytes of one encoded block, header and transactions together.
pub const BLOCK_SIZE_BYTES: usize = 2 * 1024 * 1024;
/// Transactions in one block.
pub const BLOCK_TRANSACTIONS: usize = 2_048;
/// Remembered transactions that one block forgets: more than one can add.
pub const FORGOTTEN_PER_BLOCK: usize = 2 * BLOCK_TRANSACTIONS;
/// Weight of 1,024 encoded bytes of a transaction: see [`crate::rules::load`].
pub const WEIGHT_OF_KIB: u64 = 100;
/// Weight of a signature to check.
pub const WEIGHT_OF_SIGNATURE: u64 = 200;
/// Weight of a record read, for each 4 KiB of it that are begun.
pub const WEIGHT_OF_READ: u64 = 8;
/// Weight of a key written, for each 4 KiB of its value that are begun.
pub const WEIGHT_OF_WRITE: u64 = 16;
/// Weight of an entry put on the agenda, beside writing it: it is handled later.
pub const WEIGHT_OF_AGENDA_ENTRY: u64 = 64;
/// Weight of the transactions of one block.
pub const BLOCK_WEIGHT: Weight = Weight::new(800_000);
/// Weight of the transactions of one sender in one block, and so of one transaction.
pub const SENDER_WEIGHT: Weight = Weight::new(200_000);
/// Weight of what one decision does, all of its actions together.
pub const DECISION_WEIGHT: Weight = Weight::new(60_000);
/// Weight of an action that gathers signatures on the ledger.
pub const REQUESTED_WEIGHT: Weight = Weight::new(65_000);
/// Bytes of any one message or stored record that the codec agrees to read.
pub const RECORD_SIZE_BYTES: usize = 32 * 1024 * 1024;
/// Levels of containers, one inside the other, that the codec agrees to read: four times as many as the deepest of the
/// golden vectors has, an entry of the consensus log with a block in it.
pub const DECODE_DEPTH: usize = 48;
/// Bytes of one message on a gossip topic: a block inside a proposal, and its envelope.
pub const GOSSIP_SIZE_BYTES: usize = BLOCK_SIZE_BYTES + 16 * 1024;
/// Bytes of one catch-up response.
pub const SYNC_RESPONSE_SIZE_BYTES: usize = 4 * 1024 * 1024;
/// Requests for decided blocks that a peer answers to another one in a second, over time.
pub const SYNC_REQUESTS_PER_SECOND: u32 = 50;
/// Blocks in one catch-up response.
pub const SYNC_BLOCKS: usize = 128;

/// Validators in one set: a commit certificate carries a signature for each.
pub const VALIDATORS: usize = 128;
/// Voting power of one validator.
pub const VALIDATOR_POWER: u64 = 1_000_000_000;

/// Keys in one account's key policy.
pub const ACCOUNT_KEYS: usize = 16;
/// Signatures on one transaction.
pub const TRANSACTION_SIGNATURES: usize = ACCOUNT_KEYS;
/// Milliseconds of block time that a transaction's expiry may lie ahead.
pub const TRANSACTION_LIFETIME_MS: u64 = 60 * 60 * 1_000;

/// The denominator of a part that a rule speaks of, in lowest terms: the product of two parts in ten-thousandths fits.
pub const FRACTION_DENOMINATOR: u32 = 100_000_000;

/// Characters of a handle or of a model's name: at least.
pub const NAME_MIN_CHARS: usize = 2;
/// Characters of a handle or of a model's name: at most.
pub const NAME_MAX_CHARS: usize = 39;
/// Characters of a version's label.
pub const LABEL_MAX_CHARS: usize = 32;
/// Bytes of a title or a reason.
pub const TITLE_SIZE_BYTES: usize = 200;
/// Bytes of a longer text: a proposal's, a contribution's.
pub const TEXT_SIZE_BYTES: usize = 8 * 1024;

/// Units of one model in all: sums of balances, and a balance times 10,000 basis points, stay far inside `u128`,
/// and any sum of two totals stays inside `u64`.
pub const MODEL_UNITS: u64 = 1 << 62;
/// Milliseconds of a licence's term at most, other than for ever (a hundred years).
pub const LICENCE_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;
/// Licences that one account may ask for at a time.
pub const LICENCE_REQUESTS_PER_ACCOUNT: usize = 16;
/// Milliseconds for which an account asks for a licence at most: until then it agrees to what it asked for.
pub const LICENCE_REQUEST_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Lines of a model's founding table.
pub const FOUNDING_LINES: usize = 256;
/// Offices that one account may have accepted before it is named.
pub const OFFICES_AHEAD_PER_ACCOUNT: usize = 64;
/// Models of which one account says whether it takes their units unasked, and that of all together.
pub const INTAKES_PER_ACCOUNT: usize = 256;
/// Stewards of one model.
pub const STEWARDS: usize = 32;
/// Parents of one version.
pub const VERSION_PARENTS: usize = 16;
/// Data sets named by one version.
pub const VERSION_DATASETS: usize = 64;
/// Encoded bytes of the actions of one proposal together: each answer reads them.
pub const PROPOSAL_ACTIONS_SIZE_BYTES: usize = 16 * 1024;
/// Actions of one proposal.
pub const PROPOSAL_ACTIONS: usize = 16;
/// Proposals that one account may have open at a time.
pub const OPEN_PROPOSALS_PER_ACCOUNT: u32 = 16;
/// Rounds of one model that are not over.
pub const OPEN_ROUNDS: usize = 16;
/// Givers of a round for whom is computed what they would get.
pub const ROUND_PREVIEW_GIVERS: usize = 8_192;
/// Accounts from one to the founding account that it goes back to by its sponsor, their sponsor, and so on.
pub const SPONSOR_CHAIN: usize = 64;
/// Weight of the entries of the agenda that one block handles; the others follow in the next one.
pub const AGENDA_WEIGHT: Weight = Weight::new(400_000);
/// Lanes of the agenda that have a turn in one block; the others follow in the next one.
pub const LANES_PER_BLOCK: usize = 1_024;
/// Givers of a closing round that one turn of its model handles; the others follow in the next one.
pub const ROUND_GIVERS_PER_TURN: usize = 128;
/// Milliseconds of a voting period: at least.
pub const VOTING_PERIOD_MIN_MS: u64 = 1_000;
/// Milliseconds of a voting period: at most (a year).
pub const VOTING_PERIOD_MAX_MS: u64 = 366 * 24 * 60 * 60 * 1_000;

/// Milliseconds that a decision which passed may wait for what it lacks, unless its rule says otherwise (two weeks).
pub const EXECUTION_WINDOW_MS: u64 = 14 * 24 * 60 * 60 * 1_000;
/// Milliseconds of a year in which a policy bounds what decisions add to a register (365 days).
pub const DILUTION_YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1_000;
/// How often a rule's voting period the close may lie behind the opening, late changes of the verdict included.
pub const VOTING_PERIODS: u64 = 2;
/// Milliseconds that weight which was called on may keep silent before it leaves the count: at least, unless the policy
/// allows [`crate::rules::policy::Risk::HastyDormancy`] (30 days).
pub const DORMANCY_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Calls on silent weight that one account may have open at a time.
pub const OPEN_CALLS_PER_ACCOUNT: u32 = 32;
/// Roles that one policy names.
pub const ROLES: usize = 8;
/// Accounts in one role, or among the arbiters.
pub const ROLE_ACCOUNTS: usize = 32;
/// Gates of one policy.
pub const GATES: usize = 8;
/// Grants of one holder in one model that are not all free yet.
pub const VESTING_GRANTS: usize = 16;
/// Milliseconds of a vesting: at most (twenty years).
pub const VESTING_MS: u64 = 20 * 366 * 24 * 60 * 60 * 1_000;

/// What one unit of a kind of contribution counts at most.
pub const KIND_WEIGHT: u32 = 10_000;
/// The amount of one contribution at most.
pub const CONTRIBUTION_AMOUNT: u64 = 1 << 40;
/// Disputes that one account may have open at a time.
pub const OPEN_DISPUTES_PER_ACCOUNT: u32 = 4;
/// Disputes of one thing that are open at a time.
pub const DISPUTES_PER_TARGET: usize = 16;
/// How often one account may challenge one thing in vain.
pub const CHALLENGES_IN_VAIN: u32 = 2;
/// Milliseconds after the time to answer, after which a dispute that nobody ruled on lapses (60 days).
pub const DISPUTE_MS: u64 = 60 * 24 * 60 * 60 * 1_000;
/// Milliseconds that an emergency stop lasts: at least (an hour).
pub const EMERGENCY_STOP_MIN_MS: u64 = 60 * 60 * 1_000;
/// Milliseconds that an emergency stop lasts: at most (30 days).
pub const EMERGENCY_STOP_MAX_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Milliseconds after the term of its last stop before which an account does not stop the same version again (90 days).
pub const EMERGENCY_REST_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Emergency stops of one version by one account, ever.
pub const EMERGENCY_STOPS: u32 = 3;
/// Emergency stops of one model by one account that run at a time: one proposal lifts them all.
pub const EMERGENCY_STOPS_AT_ONCE: u32 = 16;
/// Milliseconds in which resolutions of a dispute may be opened after an appeal (14 days).
pub const APPEAL_MS: u64 = 14 * 24 * 60 * 60 * 1_000;
/// Milliseconds that a respondent has to answer, that a ruling waits, or that a first loss bars: at least.
pub const DISPUTE_PERIOD_MIN_MS: u64 = 1_000;
/// Milliseconds that a respondent has to answer, that a ruling waits, or that a first loss bars: at most (90 days).
pub const DISPUTE_PERIOD_MAX_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Milliseconds that a loss bars from challenging: at most (four years).
pub const BAR_MS: u64 = 4 * 366 * 24 * 60 * 60 * 1_000;
/// Bytes of an arbiter's reasons.
pub const REASONS_SIZE_BYTES: usize = 2 * 1024;
/// Accounts that are named as those who answer for one incident.
pub const INCIDENT_NAMED: usize = 8;
/// Statements of one account about one incident, the report not counted.
pub const INCIDENT_STATEMENTS: u32 = 16;
/// Milliseconds that the word of who was named is waited for before an incident is closed on it (14 days).
pub const INCIDENT_ANSWER_MS: u64 = 14 * 24 * 60 * 60 * 1_000;
/// Copies of an artifact that a model's owners may wish for.
pub const COPIES: u32 = 64;
/// Attestations of one account that stand.
pub const ATTESTATIONS_PER_ACCOUNT: u32 = 4_096;
/// Incidents of one model, reported by one account, that are not settled.
pub const OPEN_INCIDENTS_PER_REPORTER: u32 = 4;
/// Updates of one incident, but for those that settle it.
pub const INCIDENT_UPDATES: u64 = 256;
/// Milliseconds of block time that what was said of a proposal is kept after its end: ballots, consents (90 days).
pub const BALLOTS_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Records of what was said of a proposal that one entry of the agenda removes; the others follow.
pub const BALLOTS_PER_TURN: usize = 32;
/// Milliseconds of block time that a peer's consent can be used for (30 days).
pub const CONSENT_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Peers that are bound to one account.
pub const PEERS_PER_ACCOUNT: usize = 64;
/// Guardians of one account.
pub const GUARDIANS: usize = 16;
/// Transactions of one suspended account in one block.
pub const SUSPENDED_TRANSACTIONS_PER_BLOCK: u32 = 1;
/// Transactions of one suspended account that a mempool holds.
pub const MEMPOOL_TRANSACTIONS_PER_SUSPENDED: usize = 4;
/// Requests of one account that wait for signatures at a time.
pub const OPEN_APPROVALS_PER_ACCOUNT: u32 = 16;
/// Milliseconds that a request waits for signatures at most (30 days).
pub const APPROVAL_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Models that a founding table grants shares to the holders of.
pub const PARENT_GRANTS: usize = 16;
/// Holders of all those models together: they get their shares in the same transaction.
pub const PARENT_GRANT_HOLDERS: usize = 512;

/// Bytes of one deed.
pub const DEED_SIZE_BYTES: usize = RECORD_SIZE_BYTES;
/// Proofs in one deed: the largest subject has seven.
pub const DEED_PROOFS: usize = 16;
/// Headers that tie one deed to checkpoints: about 330 bytes each.
pub const DEED_LINKS: usize = 4_096;

/// Commitments of one account for one model that it has not published by yet.
pub const COMMITMENTS: usize = 16;
/// Milliseconds that a commitment counts: a day longer than a request waits for signatures.
pub const COMMITMENT_MS: u64 = APPROVAL_MS + 24 * 60 * 60 * 1_000;

/// Files of one collection.
pub const COLLECTION_FILES: usize = 100_000;
/// Bytes of one collection's manifest.
pub const MANIFEST_SIZE_BYTES: usize = RECORD_SIZE_BYTES;
/// Bytes of one path in a collection.
pub const PATH_SIZE_BYTES: usize = 1_024;
/// Bytes of one artifact, a file or all files of a collection together: far above any model, far below where sums of
/// sizes overflow.
pub const ARTIFACT_SIZE_BYTES: u64 = 1 << 50;
/// Bytes of one encoded request or response head of the artifact protocol.
pub const ARTIFACT_FRAME_SIZE_BYTES: usize = 256;
/// Bytes of an artifact that one request may ask for; what is sent adds less than 2 % of proof.
pub const ARTIFACT_RANGE_SIZE_BYTES: u64 = 2 * 1024 * 1024;

/// Transactions that a mempool holds.
pub const MEMPOOL_TRANSACTIONS: usize = 50_000;
/// Bytes of encoded transactions that a mempool holds.
pub const MEMPOOL_SIZE_BYTES: usize = 32 * 1024 * 1024;
/// Weight of the transactions that a mempool holds: a hundred blocks.
pub const MEMPOOL_WEIGHT: Weight = Weight::new(100 * BLOCK_WEIGHT.get());
/// The part of a mempool that one sender may fill, of its transactions, bytes and weight alike: one of so many.
pub const MEMPOOL_SENDERS: usize = 16;

const _: () = {
    assert!(TRANSACTION_SIZE_BYTES * 4 <= BLOCK_SIZE_BYTES, "a block holds at least a few of the largest transactions");
    assert!(GOSSIP_SIZE_BYTES <= RECORD_SIZE_BYTES);
    assert!(
        BLOCK_SIZE_BYTES + VALIDATORS * 256 <= SYNC_RESPONSE_SIZE_BYTES,
        "any one block with its certificate fits a response"
    );
    assert!(SYNC_RESPONSE_SIZE_BYTES <= RECORD_SIZE_BYTES);
    assert!((VALIDATORS as u64) * VALIDATOR_POWER < u64::MAX / 3, "thirds of the whole power do not overflow");
    assert!(DEED_LINKS * 512 * 4 <= DEED_SIZE_BYTES, "links leave room for changes of the validator set");
    assert!(MODEL_UNITS < u64::MAX / 2);
    assert!(EMERGENCY_STOPS_AT_ONCE as usize <= PROPOSAL_ACTIONS, "one proposal lifts all stops of an account");
    assert!(CONTRIBUTION_AMOUNT < u64::MAX / KIND_WEIGHT as u64, "what one contribution counts does not overflow");
    assert!(BLOCK_WEIGHT.get() >= 4 * SENDER_WEIGHT.get(), "a block has room for several senders");
    assert!(DECISION_WEIGHT.get() < REQUESTED_WEIGHT.get(), "several keys can ask for a decision to be carried out");
    assert!(DECISION_WEIGHT.get() <= AGENDA_WEIGHT.get(), "a block that begins with it handles any decision");
    assert!(2 * REQUESTED_WEIGHT.get() < SENDER_WEIGHT.get());
    assert!(MEMPOOL_SIZE_BYTES / MEMPOOL_SENDERS >= 4 * TRANSACTION_SIZE_BYTES);
};
