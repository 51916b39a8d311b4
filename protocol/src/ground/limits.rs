//! Every maximum of the ledger and its wire, in one place, with their relations asserted at compile time.
//!
//! A limit bounds what a stranger can make a peer hold, hash or write. Limits that the members may want to change are
//! in [`crate::rules::parameters::Parameters`]; those here are fixed by the protocol version.

use crate::ground::weight::Weight;

/// The version of the protocol that this build supports. If a ledger decided to move to a later one at some height,
/// this build cannot execute it from that height on: see [`crate::rules::network::Upgrade`].
pub const PROTOCOL_VERSION: u32 = 1;

/// Maximum bytes of one encoded transaction.
pub const TRANSACTION_SIZE_BYTES: usize = 64 * 1024;
/// Maximum bytes of one encoded block, header and transactions together.
pub const BLOCK_SIZE_BYTES: usize = 2 * 1024 * 1024;
/// Maximum transactions in one block.
pub const BLOCK_TRANSACTIONS: usize = 2_048;
/// Maximum remembered transactions that one block forgets: more than one block can add.
pub const FORGOTTEN_PER_BLOCK: usize = 2 * BLOCK_TRANSACTIONS;
/// Weight of 1,024 encoded bytes of a transaction: see [`crate::rules::load`].
pub const WEIGHT_OF_KIB: u64 = 100;
/// Weight of checking a signature.
pub const WEIGHT_OF_SIGNATURE: u64 = 200;
/// Weight of reading a record, for each started 4 KiB of it.
pub const WEIGHT_OF_READ: u64 = 8;
/// Weight of writing a key, for each started 4 KiB of its value.
pub const WEIGHT_OF_WRITE: u64 = 16;
/// Weight of an entry put on the agenda, in addition to writing it: it is handled later.
pub const WEIGHT_OF_AGENDA_ENTRY: u64 = 64;
/// Maximum weight of the transactions of one block.
pub const BLOCK_WEIGHT: Weight = Weight::new(800_000);
/// Maximum weight of the transactions of one sender in one block, and so of one transaction.
pub const SENDER_WEIGHT: Weight = Weight::new(200_000);
/// Maximum weight of what one decision does, all of its actions together.
pub const DECISION_WEIGHT: Weight = Weight::new(60_000);
/// Maximum weight of an action that collects signatures on the ledger.
pub const REQUESTED_WEIGHT: Weight = Weight::new(65_000);
/// Maximum bytes of any message or stored record that the codec reads.
pub const RECORD_SIZE_BYTES: usize = 32 * 1024 * 1024;
/// Maximum nesting depth of containers that the codec reads: four times that of the deepest golden vector, an entry of
/// the consensus log that contains a block.
pub const DECODE_DEPTH: usize = 48;
/// Maximum bytes of one message on a gossip topic: a proposal with its block, and the envelope.
pub const GOSSIP_SIZE_BYTES: usize = BLOCK_SIZE_BYTES + 16 * 1024;
/// Bytes of transactions that make a peer send them off in one gossip message.
pub const TRANSACTIONS_MESSAGE_FULL_BYTES: usize = 128 * 1024;
/// Maximum bytes of one gossip message of transactions. What is not full has room for one more transaction, so no peer
/// makes a larger one; and whoever checks it is busy for some hundredths of a second at most.
pub const TRANSACTIONS_MESSAGE_SIZE_BYTES: usize = 256 * 1024;
/// Maximum bytes of one catch-up response.
pub const SYNC_RESPONSE_SIZE_BYTES: usize = 4 * 1024 * 1024;
/// Requests for decided blocks per second that a peer answers to one other peer, on average.
pub const SYNC_REQUESTS_PER_SECOND: u32 = 50;
/// Maximum blocks in one catch-up response.
pub const SYNC_BLOCKS: usize = 128;

/// Maximum validators in one set: a commit certificate carries a signature of each.
pub const VALIDATORS: usize = 128;
/// Maximum voting power of one validator.
pub const VALIDATOR_POWER: u64 = 1_000_000_000;

/// Maximum keys in one account's key policy.
pub const ACCOUNT_KEYS: usize = 16;
/// Maximum signatures on one transaction.
pub const TRANSACTION_SIGNATURES: usize = ACCOUNT_KEYS;
/// Maximum milliseconds of block time that a transaction's expiry may be ahead.
pub const TRANSACTION_LIFETIME_MS: u64 = 60 * 60 * 1_000;

/// Maximum denominator of a fraction in a rule, in lowest terms: the product of two parts in ten-thousandths fits.
pub const FRACTION_DENOMINATOR: u32 = 100_000_000;

/// Minimum characters of a handle or of a model's name.
pub const NAME_MIN_CHARS: usize = 2;
/// Maximum characters of a handle or of a model's name.
pub const NAME_MAX_CHARS: usize = 39;
/// Maximum characters of a version's label.
pub const LABEL_MAX_CHARS: usize = 32;
/// Maximum bytes of a title or a reason.
pub const TITLE_SIZE_BYTES: usize = 200;
/// Maximum bytes of a longer text: a proposal's, a contribution's.
pub const TEXT_SIZE_BYTES: usize = 8 * 1024;

/// Maximum total units of one model: sums of balances, and a balance times 10,000 basis points, stay far within `u128`,
/// and any sum of two totals stays within `u64`.
pub const MODEL_UNITS: u64 = 1 << 62;
/// Maximum milliseconds of a licence's term, unless it is for ever (a hundred years).
pub const LICENCE_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;
/// Maximum licences that one account may ask for at a time.
pub const LICENCE_REQUESTS_PER_ACCOUNT: usize = 16;
/// Maximum milliseconds for which an account asks for a licence: until then it agrees to what it asked for.
pub const LICENCE_REQUEST_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Maximum lines of a model's founding table.
pub const FOUNDING_LINES: usize = 256;
/// Maximum offices that one account may have accepted before it is named.
pub const OFFICES_AHEAD_PER_ACCOUNT: usize = 64;
/// Maximum settings of one account on units that come unasked: one per model, and one for all models.
pub const INTAKES_PER_ACCOUNT: usize = 256;
/// Maximum stewards of one model.
pub const STEWARDS: usize = 32;
/// Maximum parents of one version.
pub const VERSION_PARENTS: usize = 16;
/// Maximum data sets named by one version.
pub const VERSION_DATASETS: usize = 64;
/// Maximum encoded bytes of the actions of one proposal together: each ballot reads them.
pub const PROPOSAL_ACTIONS_SIZE_BYTES: usize = 16 * 1024;
/// Maximum actions of one proposal.
pub const PROPOSAL_ACTIONS: usize = 16;
/// Maximum proposals that one account may have open at a time.
pub const OPEN_PROPOSALS_PER_ACCOUNT: u32 = 16;
/// Maximum rounds of one model that are not over.
pub const OPEN_ROUNDS: usize = 16;
/// Maximum givers of a round for whom the expected units are computed.
pub const ROUND_PREVIEW_GIVERS: usize = 8_192;
/// Maximum accounts from one to the founding account that it goes back to, by its sponsor, their sponsor, and so on.
pub const SPONSOR_CHAIN: usize = 64;
/// Maximum weight of the agenda entries that one block handles; the others follow in the next one.
pub const AGENDA_WEIGHT: Weight = Weight::new(400_000);
/// Maximum lanes of the agenda that have a turn in one block; the others follow in the next one.
pub const LANES_PER_BLOCK: usize = 1_024;
/// Maximum givers of a closing round that one turn of its model handles; the others follow in the next one.
pub const ROUND_GIVERS_PER_TURN: usize = 128;
/// Minimum milliseconds of a voting period.
pub const VOTING_PERIOD_MIN_MS: u64 = 1_000;
/// Maximum milliseconds of a voting period (a year).
pub const VOTING_PERIOD_MAX_MS: u64 = 366 * 24 * 60 * 60 * 1_000;

/// Milliseconds that a decision which passed may wait for what it lacks, unless its rule says otherwise (two weeks).
pub const EXECUTION_WINDOW_MS: u64 = 14 * 24 * 60 * 60 * 1_000;
/// Milliseconds of the year for which a policy limits what decisions add to a register (365 days).
pub const DILUTION_YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1_000;
/// Maximum time from the opening to the close, in voting periods, including extensions for late changes of the verdict.
pub const VOTING_PERIODS: u64 = 2;
/// Minimum milliseconds that weight which was called on may stay silent before it no longer counts, unless the policy
/// allows [`crate::rules::policy::Risk::HastyDormancy`] (30 days).
pub const DORMANCY_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Maximum calls on silent weight that one account may have open at a time.
pub const OPEN_CALLS_PER_ACCOUNT: u32 = 32;
/// Maximum roles that one policy names.
pub const ROLES: usize = 8;
/// Maximum accounts in one role, or among the arbiters.
pub const ROLE_ACCOUNTS: usize = 32;
/// Maximum gates of one policy.
pub const GATES: usize = 8;
/// Maximum grants of one holder in one model that are not all free yet.
pub const VESTING_GRANTS: usize = 16;
/// Maximum milliseconds of a vesting (twenty years).
pub const VESTING_MS: u64 = 20 * 366 * 24 * 60 * 60 * 1_000;

/// Maximum weight of one unit of a kind of contribution.
pub const KIND_WEIGHT: u32 = 10_000;
/// Maximum amount of one contribution.
pub const CONTRIBUTION_AMOUNT: u64 = 1 << 40;
/// Maximum disputes that one account may have open at a time.
pub const OPEN_DISPUTES_PER_ACCOUNT: u32 = 4;
/// Maximum disputes about one thing that are open at a time.
pub const DISPUTES_PER_TARGET: usize = 16;
/// How often one account may challenge one thing without success.
pub const CHALLENGES_IN_VAIN: u32 = 2;
/// Milliseconds after the time to answer until a dispute that nobody ruled on lapses (60 days).
pub const DISPUTE_MS: u64 = 60 * 24 * 60 * 60 * 1_000;
/// Minimum milliseconds that an emergency stop lasts (an hour).
pub const EMERGENCY_STOP_MIN_MS: u64 = 60 * 60 * 1_000;
/// Maximum milliseconds that an emergency stop lasts (30 days).
pub const EMERGENCY_STOP_MAX_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Milliseconds after the term of its last stop during which an account cannot stop the same version again (90 days).
pub const EMERGENCY_REST_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Maximum emergency stops of one version by one account, ever.
pub const EMERGENCY_STOPS: u32 = 3;
/// Maximum emergency stops of one model by one account in force at a time: one proposal lifts them all.
pub const EMERGENCY_STOPS_AT_ONCE: u32 = 16;
/// Milliseconds within which resolutions of a dispute may be opened after an appeal (14 days).
pub const APPEAL_MS: u64 = 14 * 24 * 60 * 60 * 1_000;
/// Minimum milliseconds that a respondent has to answer, that a ruling waits, or that a first loss bars.
pub const DISPUTE_PERIOD_MIN_MS: u64 = 1_000;
/// Maximum milliseconds that a respondent has to answer, that a ruling waits, or that a first loss bars (90 days).
pub const DISPUTE_PERIOD_MAX_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Maximum milliseconds that a loss bars from challenging (four years).
pub const BAR_MS: u64 = 4 * 366 * 24 * 60 * 60 * 1_000;
/// Maximum bytes of an arbiter's reasons.
pub const REASONS_SIZE_BYTES: usize = 2 * 1024;
/// Maximum accounts that are named to answer for one incident.
pub const INCIDENT_NAMED: usize = 8;
/// Maximum statements of one account about one incident, not counting the report.
pub const INCIDENT_STATEMENTS: u32 = 16;
/// Milliseconds that the answer of an account named is waited for before an incident is closed with its name (14 days).
pub const INCIDENT_ANSWER_MS: u64 = 14 * 24 * 60 * 60 * 1_000;
/// Maximum copies of an artifact that a model's owners may ask for.
pub const COPIES: u32 = 64;
/// Maximum standing attestations of one account.
pub const ATTESTATIONS_PER_ACCOUNT: u32 = 4_096;
/// Maximum unsettled incidents of one model reported by one account.
pub const OPEN_INCIDENTS_PER_REPORTER: u32 = 4;
/// Maximum updates of one incident, except those that settle it.
pub const INCIDENT_UPDATES: u64 = 256;
/// Milliseconds of block time for which what was said about a proposal is kept after its end: ballots, consents (90
/// days).
pub const BALLOTS_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Maximum records about a proposal that one agenda entry removes; the others follow.
pub const BALLOTS_PER_TURN: usize = 32;
/// Milliseconds of block time for which a peer's consent can be used (30 days).
pub const CONSENT_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Maximum peers that are bound to one account.
pub const PEERS_PER_ACCOUNT: usize = 64;
/// Maximum guardians of one account.
pub const GUARDIANS: usize = 16;
/// Maximum transactions of one suspended account in one block.
pub const SUSPENDED_TRANSACTIONS_PER_BLOCK: u32 = 1;
/// Maximum transactions of one suspended account that a mempool holds.
pub const MEMPOOL_TRANSACTIONS_PER_SUSPENDED: usize = 4;
/// Maximum requests of one account that wait for signatures at a time.
pub const OPEN_APPROVALS_PER_ACCOUNT: u32 = 16;
/// Maximum milliseconds that a request waits for signatures (30 days).
pub const APPROVAL_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Maximum models to whose holders a founding table grants shares.
pub const PARENT_GRANTS: usize = 16;
/// Maximum holders of all those models together: they get their shares in the same transaction.
pub const PARENT_GRANT_HOLDERS: usize = 512;

/// Maximum bytes of one deed.
pub const DEED_SIZE_BYTES: usize = RECORD_SIZE_BYTES;
/// Maximum proofs in one deed: the largest subject has seven.
pub const DEED_PROOFS: usize = 16;
/// Maximum headers that link one deed to checkpoints: about 330 bytes each.
pub const DEED_LINKS: usize = 4_096;

/// Maximum commitments of one account for one model with which it has not published yet.
pub const COMMITMENTS: usize = 16;
/// Milliseconds for which a commitment counts: a day longer than a request waits for signatures.
pub const COMMITMENT_MS: u64 = APPROVAL_MS + 24 * 60 * 60 * 1_000;

/// Maximum files of one collection.
pub const COLLECTION_FILES: usize = 100_000;
/// Maximum bytes of one collection's manifest.
pub const MANIFEST_SIZE_BYTES: usize = RECORD_SIZE_BYTES;
/// Maximum bytes of one path in a collection.
pub const PATH_SIZE_BYTES: usize = 1_024;
/// Maximum bytes of one artifact, a file or all files of a collection together: far more than any model, and far below
/// where sums of sizes overflow.
pub const ARTIFACT_SIZE_BYTES: u64 = 1 << 50;
/// Maximum bytes of one encoded request or response head of the artifact protocol.
pub const ARTIFACT_FRAME_SIZE_BYTES: usize = 256;
/// Maximum bytes of an artifact that one request may ask for; the proof adds less than 2 %.
pub const ARTIFACT_RANGE_SIZE_BYTES: u64 = 2 * 1024 * 1024;

/// Maximum transactions that a mempool holds.
pub const MEMPOOL_TRANSACTIONS: usize = 50_000;
/// Maximum bytes of encoded transactions that a mempool holds.
pub const MEMPOOL_SIZE_BYTES: usize = 32 * 1024 * 1024;
/// Maximum weight of the transactions that a mempool holds: a hundred blocks.
pub const MEMPOOL_WEIGHT: Weight = Weight::new(100 * BLOCK_WEIGHT.get());
/// One sender may fill at most one of this many parts of a mempool, of its transactions, bytes and weight alike.
pub const MEMPOOL_SENDERS: usize = 16;

const _: () = {
    assert!(TRANSACTION_SIZE_BYTES * 4 <= BLOCK_SIZE_BYTES, "a block holds at least a few of the largest transactions");
    assert!(GOSSIP_SIZE_BYTES <= RECORD_SIZE_BYTES);
    assert!(TRANSACTIONS_MESSAGE_FULL_BYTES + TRANSACTION_SIZE_BYTES < TRANSACTIONS_MESSAGE_SIZE_BYTES);
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
