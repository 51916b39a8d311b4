//! The ledger's state as a map of typed keys to encoded values: how rules read it and how a block changes it.
//!
//! A record type defines its family and its key ([`Record`]). The bytes of a key are the family's byte and the key's
//! fields, fixed-width and big-endian, so that keys with a common prefix are adjacent and in order. Rules work on an
//! [`Overlay`]: reads fall through to the state below, and writes stay in the overlay until the transaction applies.
//!
//! Rules do not handle a state that cannot be read: the overlay remembers the failure and answers "absent", and
//! [`crate::ledger::execute`] discards the whole block's result and reports the failure.

use crate::ground::{
    codec,
    ids::{
        AccountId, ApprovalId, ContributionId, DisputeId, Handle, Height, IncidentId, ModelId, Name, ProposalId,
        Timestamp, TransactionId, VersionLabel,
    },
    weight::Work,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

/// Why the state could not be read, in the storage's words. It ends the process; it is never a rejection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state cannot be read: {0}")]
pub struct StateError(pub String);

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The direction in which a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key.
    Ascending,
    /// From the largest key.
    Descending,
}

/// The state after some block. Implemented by the RocksDB snapshot, the memory store and the overlay.
pub trait StateRead {
    /// The value of a key.
    ///
    /// # Errors
    /// When the storage fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// At most `limit` entries with `from <= key < to`, in the given direction.
    ///
    /// # Errors
    /// When the storage fails.
    fn range(&self, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Result<Vec<Entry>, StateError>;
}

impl<S: StateRead + ?Sized> StateRead for &S {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        (**self).get(key)
    }
    fn range(&self, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Result<Vec<Entry>, StateError> {
        (**self).range(from, to, direction, limit)
    }
}

/// Defines the families and the list of them, so that none is missing from it.
macro_rules! families {
    ($(#[$about:meta])* pub enum Family { $($(#[$doc:meta])* $name:ident = $number:literal,)* }) => {
        $(#[$about])*
        pub enum Family { $($(#[$doc])* $name = $number,)* }

        impl Family {
            /// Every family, by number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The family's name.
            pub fn name(self) -> &'static str {
                self.into()
            }

            /// The family with a key's first byte, if there is one.
            pub const fn of(byte: u8) -> Option<Self> {
                match byte {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

families! {
/// The families of records. The number is the first byte of every key and part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Family {
    /// The network's parameters and counters.
    Network = 1,
    /// The validator schedule.
    Validators = 2,
    /// Accounts by id.
    Account = 3,
    /// Account ids by handle.
    Handle = 4,
    /// Transaction ids remembered until they expire, by expiry.
    Seen = 5,
    /// Models by id.
    Model = 6,
    /// Model ids by namespace and name.
    ModelName = 7,
    /// Versions by model and label.
    Version = 8,
    /// The versions as which an artifact is released.
    ArtifactUse = 9,
    /// Balances by model and account.
    Share = 10,
    /// Balances as of each height at which they changed.
    ShareAt = 11,
    /// A model's total as of each height at which it changed.
    TotalAt = 12,
    /// The changes of a model's register, numbered.
    ShareChange = 13,
    /// Contributions by id.
    Contribution = 14,
    /// Contribution ids of a model, numbered.
    ContributionOf = 15,
    /// Proposals by id.
    Proposal = 16,
    /// Proposal ids of a model or of the network, numbered.
    ProposalOf = 17,
    /// Proposals by the block time at which they are due.
    Deadline = 18,
    /// Ballots by proposal and account.
    Ballot = 19,
    /// The sums of a model's register.
    Register = 20,
    /// How many things of a model have been numbered so far.
    ModelCounters = 21,
    /// The running sums of a proposal's ballots.
    Tally = 22,
    /// The network's members as of each height at which their number changed.
    MembersAt = 23,
    /// Delegations by model and by who delegated.
    Delegation = 24,
    /// Delegations as of each height at which they changed.
    DelegationAt = 25,
    /// What others delegated to an account, as of each height at which it changed.
    DelegatedAt = 26,
    /// What a delegate cannot answer a proposal with, because others answered themselves.
    Overridden = 27,
    /// Attestations by artifact, statement and account.
    Attestation = 28,
    /// Grants of shares that are not all free yet, by model and account.
    VestingGrants = 29,
    /// Versions made from a version, by parent.
    ChildOf = 30,
    /// Rounds by model and number.
    Round = 31,
    /// What a giver's contributions count in a round.
    RoundScore = 32,
    /// What is due to the givers of a closing round, by remainder.
    RoundDue = 33,
    /// Disputes by id.
    Dispute = 34,
    /// Dispute ids of a model, numbered.
    DisputeOf = 35,
    /// The disputes by which a thing is frozen.
    Frozen = 36,
    /// Incidents by id.
    Incident = 37,
    /// Incident ids of a model, numbered.
    IncidentOf = 38,
    /// The history of an incident, numbered.
    IncidentUpdate = 39,
    /// What guardians say, by account and guardian.
    GuardianVote = 40,
    /// Keys that an account is to get, by account.
    Recovery = 41,
    /// Requests that wait for signatures, by id.
    Approval = 42,
    /// Ids of an account's requests that wait.
    ApprovalOf = 43,
    /// Handles by what they look like.
    HandleShape = 44,
    /// Licences by model and account.
    Licensee = 45,
    /// The account that a peer reads for, by the peer's key.
    PeerBinding = 46,
    /// The peers of an account.
    PeerOf = 47,
    /// The model that governs an artifact, by artifact.
    ArtifactOrigin = 48,
    /// Accounts that were called on and have not spoken, by scope and account.
    Silence = 49,
    /// Whether an account was dormant, as of each height at which that changed.
    DormantAt = 50,
    /// The weight of the dormant of a scope, as of each height at which it changed.
    DormantTotalAt = 51,
    /// How accounts answered to offices they were named for, by account.
    Tenure = 52,
    /// Offices accepted before a naming, by account.
    Ahead = 53,
    /// Consensus keys that were removed from the validator set, by key.
    RetiredKey = 54,
    /// What accounts say about units that come unasked, by account.
    Intake = 55,
    /// Accounts that accepted the units that a proposal would give them, by proposal.
    Purchase = 56,
    /// What decisions added to a register, by model.
    Issuance = 57,
    /// Minted units that holders may still take up, by model and number.
    Issue = 58,
    /// What holders took up of an issue.
    TakenUp = 59,
    /// Holders that consent to a decision that takes their units, by proposal and account.
    Consent = 60,
    /// Emergency stops by model and number.
    VersionStop = 61,
    /// How often an account stopped a version, by model, version and account.
    StopUse = 62,
    /// How many stops of an account are in force in a model.
    StopsRunning = 63,
    /// The accounts of which an account is a guardian, by guardian and account.
    Guarded = 64,
    /// Givers that left a sealed amount unrevealed, by model and account.
    Withheld = 65,
    /// Givers of a closing round that share a cap, by the account that names them.
    RoundGroup = 66,
    /// The records of accounts as challengers in a model's disputes.
    Challenger = 67,
    /// How often an account challenged a thing without success, by the thing and the account.
    ChallengedInVain = 68,
    /// The control of accounts that replaced keys, by account.
    Control = 69,
    /// The keys of a holder that a model's owners accept, by model and account.
    AcceptedControl = 70,
    /// The height since which a model's owners decide about changes of control.
    ControlRuled = 71,
    /// Artifacts that an account has committed to, by model and account.
    Commitments = 72,
    /// The entries of the agenda, by lane.
    InLane = 73,
    /// Lanes of the agenda, by the block time of their turn.
    Turn = 74,
    /// The block time of a lane's turn, by lane.
    TurnOf = 75,
    /// How many records of a kind an account keeps.
    Kept = 76,
    /// The history of licences, by model, account and number.
    LicenceChange = 77,
    /// The models to which an account has, or had, a licence.
    LicenceOf = 78,
    /// What accounts ask of models' owners, by account and model.
    LicenceRequest = 79,
    /// The accounts that ask for a licence, by model.
    LicenceRequestOf = 80,
}
}

impl Family {
    /// Whether a proof may cover a key, given its first byte. The remembered transaction ids follow from the blocks
    /// alone and are left out of the authenticated map. Anything not in the map, including unknown families, would
    /// always seem absent.
    pub const fn is_authenticated(byte: u8) -> bool {
        match Self::of(byte) {
            None | Some(Self::Seen) => false,
            Some(_) => true,
        }
    }
}

/// A field of a key. Its bytes sort like its values, and no value's bytes are a prefix of another's.
pub trait KeyField {
    /// Appends the field's bytes.
    fn write(&self, key: &mut Vec<u8>);
}

macro_rules! fixed_key_fields {
    ($($id:ty),*) => { $(
        impl KeyField for $id {
            fn write(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(self.as_bytes());
            }
        }
    )* };
}
fixed_key_fields!(
    AccountId,
    ModelId,
    ContributionId,
    ProposalId,
    TransactionId,
    DisputeId,
    IncidentId,
    ApprovalId,
    crate::ground::ids::ArtifactId,
    crate::ground::ids::PublicKey
);

macro_rules! number_key_fields {
    ($($number:ty),*) => { $(
        impl KeyField for $number {
            fn write(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(&self.get().to_be_bytes());
            }
        }
    )* };
}
number_key_fields!(Height, Timestamp);

impl KeyField for u64 {
    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.to_be_bytes());
    }
}

macro_rules! text_key_fields {
    ($($text:ty),*) => { $(
        impl KeyField for $text {
            fn write(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(self.as_str().as_bytes());
                key.push(0); // no name contains a zero byte
            }
        }
    )* };
}
text_key_fields!(Handle, Name, VersionLabel, crate::ground::ids::Shape);

impl KeyField for () {
    fn write(&self, _: &mut Vec<u8>) {}
}
impl<A: KeyField, B: KeyField> KeyField for (A, B) {
    fn write(&self, key: &mut Vec<u8>) {
        self.0.write(key);
        self.1.write(key);
    }
}
impl<A: KeyField, B: KeyField, C: KeyField> KeyField for (A, B, C) {
    fn write(&self, key: &mut Vec<u8>) {
        self.0.write(key);
        self.1.write(key);
        self.2.write(key);
    }
}

/// A type that is kept in the state.
pub trait Record: Serialize + DeserializeOwned {
    /// The key of a record.
    type Key: KeyField;
    /// The family of the record.
    const FAMILY: Family;

    /// The bytes of a key, or of the leading fields of one.
    fn key_bytes(fields: &impl KeyField) -> Vec<u8> {
        let mut key = vec![Self::FAMILY as u8];
        fields.write(&mut key);
        key
    }
}

/// The first key after all keys that start with `prefix`. Empty if there is none.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    end
}

/// Reads one record.
///
/// # Errors
/// When the storage fails or holds something that is not this record.
pub fn read<R: Record>(state: &impl StateRead, key: &R::Key) -> Result<Option<R>, StateError> {
    state.get(&R::key_bytes(key))?.map(|bytes| decode_record(&bytes)).transpose()
}

/// One page of records whose keys begin with the fields of `prefix`, in key order, after the key `after` if given. The
/// second value is the cursor of the next page: the last key read, if there may be more.
///
/// # Errors
/// When the storage fails or holds what is not this record.
pub fn page<R: Record>(
    state: &impl StateRead,
    prefix: &impl KeyField,
    after: Option<&[u8]>,
    direction: Direction,
    limit: usize,
) -> Result<(Vec<R>, Option<Vec<u8>>), StateError> {
    let start = R::key_bytes(prefix);
    let (mut from, mut to) = (start.clone(), prefix_end(&start));
    if let Some(after) = after.filter(|after| after.starts_with(&start)) {
        match direction {
            Direction::Ascending => {
                from = after.to_vec();
                from.push(0);
            }
            Direction::Descending => to = after.to_vec(),
        }
    }
    let entries = state.range(&from, &to, direction, limit)?;
    let cursor = if entries.len() < limit { None } else { entries.last().map(|(key, _)| key.clone()) };
    let records = entries.iter().map(|(_, bytes)| decode_record(bytes)).collect::<Result<_, _>>()?;
    Ok((records, cursor))
}

/// The record with the largest last field that is at most that of `key`, among those that share `prefix`: the value "as
/// of" a height.
///
/// # Errors
/// When the storage fails or holds something that is not this record.
pub fn read_as_of<R: Record>(
    state: &impl StateRead,
    prefix: &impl KeyField,
    key: &R::Key,
) -> Result<Option<R>, StateError> {
    let from = R::key_bytes(prefix);
    let mut to = R::key_bytes(key);
    to.push(0);
    let found = state.range(&from, &to, Direction::Descending, 1)?;
    found.first().map(|(_, bytes)| decode_record(bytes)).transpose()
}

fn decode_record<R: Record>(bytes: &[u8]) -> Result<R, StateError> {
    codec::decode_trusted(bytes).map_err(|error| StateError(format!("a record of {:?}: {error}", R::FAMILY)))
}

/// The changes of a block: the new value of each key, or its removal. Ordered, so that every peer writes alike.
pub type ChangeSet = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Bytes of a record that count as one read or one write: a larger record counts once for each started multiple.
pub const PAGE_SIZE_BYTES: u64 = 4 * 1024;

fn pages(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX).div_ceil(PAGE_SIZE_BYTES).max(1)
}

/// The state with pending changes on top that nobody else sees yet. It counts the work done on it.
pub struct Overlay<'a> {
    base: &'a dyn StateRead,
    block: ChangeSet,
    transaction: ChangeSet,
    failure: RefCell<Option<StateError>>,
    work: Cell<Work>,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { base: _, block, transaction, failure, work } = self;
        f.debug_struct("Overlay")
            .field("block", block)
            .field("transaction", transaction)
            .field("failure", failure)
            .field("work", work)
            .finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// An overlay without changes.
    pub fn new(base: &'a dyn StateRead) -> Self {
        Self {
            base,
            block: ChangeSet::new(),
            transaction: ChangeSet::new(),
            failure: RefCell::new(None),
            work: Cell::default(),
        }
    }

    /// Reads one record, including pending changes.
    pub fn read<R: Record>(&self, key: &R::Key) -> Option<R> {
        self.noted(read(self, key)).flatten()
    }

    /// Reads the value as of a key, see [`read_as_of`].
    pub fn read_as_of<R: Record>(&self, prefix: &impl KeyField, key: &R::Key) -> Option<R> {
        self.noted(read_as_of(self, prefix, key)).flatten()
    }

    /// At most `limit` entries of a range, including pending changes.
    pub fn entries(&self, from: &[u8], to: &[u8], limit: usize) -> Vec<Entry> {
        self.noted(self.range(from, to, Direction::Ascending, limit)).unwrap_or_default()
    }

    /// Writes one record.
    pub fn write<R: Record>(&mut self, key: &R::Key, record: &R) {
        self.put(R::key_bytes(key), Some(codec::encode(record)));
    }

    /// Removes one record.
    pub fn remove<R: Record>(&mut self, key: &R::Key) {
        self.remove_bytes(R::key_bytes(key));
    }

    /// Removes an entry by the bytes of its key.
    pub fn remove_bytes(&mut self, key: Vec<u8>) {
        self.put(key, None);
    }

    /// A key that is written again before it is kept counts once.
    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let written = value.as_ref().map_or(1, |value| pages(value));
        if self.transaction.insert(key, value).is_none() {
            self.count(|work| work.writes = work.writes.saturating_add(written));
        }
    }

    /// The work done since the last call.
    pub fn take_work(&self) -> Work {
        self.work.take()
    }

    /// Counts an entry that was put on the agenda.
    pub(crate) fn note_agenda_entry(&self) {
        self.count(|work| work.agenda = work.agenda.saturating_add(1));
    }

    fn count(&self, change: impl FnOnce(&mut Work)) {
        let mut work = self.work.get();
        change(&mut work);
        self.work.set(work);
    }

    fn note_reads(&self, reads: u64) {
        self.count(|work| work.reads = work.reads.saturating_add(reads));
    }

    /// Keeps what was written since the last [`Overlay::keep`] or [`Overlay::drop_pending`].
    pub fn keep(&mut self) {
        // Not `append`, which costs as much as everything that the block has changed so far.
        self.block.extend(std::mem::take(&mut self.transaction));
    }

    /// Drops what was written since the last [`Overlay::keep`] or [`Overlay::drop_pending`].
    pub fn drop_pending(&mut self) {
        self.transaction.clear();
    }

    /// Sets the pending changes aside and returns them, so that a part of a transaction can be tried on its own: pass
    /// them to [`Overlay::resume`] afterwards.
    pub fn suspend(&mut self) -> ChangeSet {
        self.transaction.clone()
    }

    /// Restores the pending changes that [`Overlay::suspend`] returned.
    pub fn resume(&mut self, pending: ChangeSet) {
        self.transaction = pending;
    }

    /// Everything that was kept, including writes that leave a key unchanged.
    ///
    /// # Errors
    /// When any read failed on the way: then nothing of it may be used.
    pub fn finish(self) -> Result<ChangeSet, StateError> {
        match self.failure.into_inner() {
            Some(failure) => Err(failure),
            None => Ok(self.block),
        }
    }

    pub(crate) fn noted<T>(&self, result: Result<T, StateError>) -> Option<T> {
        result.map_err(|error| self.failure.borrow_mut().get_or_insert(error).clone()).ok()
    }
}

impl StateRead for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let value = match self.transaction.get(key).or_else(|| self.block.get(key)) {
            Some(pending) => pending.clone(),
            None => self.base.get(key)?,
        };
        self.note_reads(value.as_ref().map_or(1, |value| pages(value)));
        Ok(value)
    }

    fn range(&self, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Result<Vec<Entry>, StateError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let bounds = from.to_vec()..to.to_vec();
        let mut pending: BTreeMap<&Vec<u8>, &Option<Vec<u8>>> = self.block.range(bounds.clone()).collect();
        pending.extend(self.transaction.range(bounds));
        // Each pending key hides at most one entry of the base, so this many are enough.
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> =
            self.base.range(from, to, direction, limit.saturating_add(pending.len()))?.into_iter().collect();
        for (key, value) in pending {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        let found: Vec<Entry> = match direction {
            Direction::Ascending => merged.into_iter().take(limit).collect(),
            Direction::Descending => merged.into_iter().rev().take(limit).collect(),
        };
        self.note_reads(found.iter().fold(1, |sum, (_, value)| sum.saturating_add(pages(value))));
        Ok(found)
    }
}
