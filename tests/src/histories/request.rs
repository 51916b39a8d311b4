//! What random histories ask for, by places in lists that wrap around.

use allod_protocol::rules::{attestation::Finding, contribution::ContributionKind, proposal::Choice, round::CapPer};

/// A history: two models' policies, whether their units are near the bound, and the blocks.
#[derive(Clone, Debug)]
pub struct Story {
    /// The policies of the two models that it begins with, by their number.
    pub policies: [u8; 2],
    /// Whether units are near the bound.
    pub is_huge: bool,
    /// What is asked, block by block.
    pub blocks: Vec<StoryBlock>,
}

/// A block of a history.
#[derive(Clone, Debug)]
pub struct StoryBlock {
    /// How much later than the block before it, in milliseconds.
    pub later_ms: u64,
    /// With which of their keys those who ask sign, by three bits each.
    pub hands: u64,
    pub(super) requests: Vec<Request>,
}

/// One of a list: of those that fit what is asked, if there are such, or of all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    pub(crate) fits: bool,
    pub(crate) place: u8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    /// Times what a unit of the model is scaled by.
    Few(u8),
    /// As much as there is.
    All,
    /// More than fits.
    Bound,
}

/// Units, how long none of them is free, and how long not all are.
pub(crate) type VestingTerms = Option<(u16, u16)>;

#[derive(Clone, Debug)]
pub(crate) enum Request {
    Admit {
        by: Pick,
        handle: u8,
        quota: u8,
    },
    /// Replaces its keys, by their number.
    Rotate {
        by: Pick,
        keys: u8,
    },
    /// Names guardians, or none.
    Guard {
        by: Pick,
        guardians: Option<(u8, u8)>,
        needed: u8,
        delay_ms: u16,
    },
    /// A guardian says which keys an account should get, by their number.
    Recover {
        account: Pick,
        by: Pick,
        keys: u8,
    },
    /// All of an account's guardians say the same.
    Agree {
        account: Pick,
        keys: u8,
    },
    /// Objects to its recovery, or stops it.
    Object {
        by: Pick,
    },
    Found {
        by: Pick,
        name: u8,
        policy: u8,
        parent: Option<u8>,
        units: u8,
        vesting: VestingTerms,
    },
    Transfer {
        model: u8,
        by: Pick,
        to: u8,
        amount: Amount,
    },
    Burn {
        model: u8,
        by: Pick,
        amount: Amount,
    },
    /// Says whether it takes units unasked; of every model if none is named.
    Intake {
        model: Option<u8>,
        by: Pick,
        takes: Option<bool>,
    },
    /// Accepts what a sale would give it.
    Buy {
        proposal: Pick,
        by: Pick,
        accept: bool,
    },
    Delegate {
        model: u8,
        by: Pick,
        to: Option<u8>,
        lasts_ms: Option<u16>,
    },
    Publish {
        model: u8,
        by: Pick,
        label: u8,
        artifact: u8,
        parent: Option<u8>,
        commits: bool,
    },
    Commit {
        model: u8,
        by: Pick,
        artifact: u8,
    },
    Attest {
        model: u8,
        version: Pick,
        by: Pick,
        finding: Finding,
    },
    Stop {
        model: u8,
        version: Pick,
        by: Pick,
        stops: bool,
    },
    Report {
        model: u8,
        version: Pick,
        by: Pick,
    },
    /// Carries an incident on: who is to answer for it, and how far it has come.
    Carry {
        incident: Pick,
        by: Pick,
        responsible: Option<u8>,
        status: u8,
    },
    /// Speaks to an incident.
    Speak {
        incident: Pick,
        by: Pick,
    },
    Propose {
        model: u8,
        by: Pick,
        steps: Vec<Step>,
    },
    ProposeToMembers {
        by: Pick,
        step: MemberStep,
    },
    Answer {
        proposal: Pick,
        by: Pick,
        parts: Vec<(Choice, u16)>,
    },
    /// Everybody who has a weight answers, each by some bits.
    Rally {
        proposal: Pick,
        answers: u32,
        against: bool,
    },
    Withdraw {
        proposal: Pick,
        by: Pick,
    },
    Call {
        model: Option<u8>,
        by: Pick,
        on: Pick,
    },
    Present {
        by: Pick,
    },
    TakeUp {
        issue: Pick,
        by: Pick,
        amount: Amount,
    },
    Consent {
        proposal: Pick,
        agrees: bool,
    },
    /// On which terms, and how long it asks; none takes back what was asked.
    AskLicence {
        model: u8,
        by: Pick,
        terms: Option<(u8, u16)>,
    },
    AnswerLicence {
        model: u8,
        by: Pick,
        accept: bool,
    },
    Leave {
        by: Pick,
    },
    Execute {
        proposal: Pick,
        by: u8,
    },
    Cancel {
        proposal: Pick,
        by: Pick,
    },
    /// What a queued release lacks is given to it, and it is executed.
    Clear {
        proposal: Pick,
    },
    /// Everybody who is offered an office accepts it, each by a bit.
    AcceptOffers {
        answers: u32,
    },
    AcceptOffice {
        model: u8,
        by: Pick,
        kind: u8,
    },
    ResignOffice {
        model: u8,
        by: Pick,
        kind: u8,
    },
    Record {
        model: u8,
        by: u8,
        round: Pick,
        kind: ContributionKind,
        amount: u8,
    },
    /// Several accounts give to a round, each by a bit.
    Gather {
        model: Pick,
        givers: u16,
    },
    /// What waits in rounds is told and countersigned, all but some.
    Review {
        skip: u8,
    },
    Reveal {
        contribution: Pick,
        by: Pick,
        truly: bool,
    },
    Accept {
        contribution: Pick,
        by: Pick,
    },
    Decline {
        contribution: Pick,
        by: Pick,
    },
    Appeal {
        contribution: Pick,
        by: Pick,
    },
    Challenge {
        model: u8,
        by: Pick,
        target: Target,
        amount: Amount,
    },
    Plead {
        dispute: Pick,
        by: Pick,
    },
    Rule {
        dispute: Pick,
        by: Pick,
        upholds: bool,
    },
    /// The challenger takes it back.
    TakeBack {
        dispute: Pick,
        by: Pick,
    },
    /// Whom a ruling goes against takes it to the owners.
    AppealRuling {
        dispute: Pick,
        by: Pick,
    },
    /// The respondent answers, and all arbiters rule alike; where too few can, the owners are asked.
    Settle {
        dispute: Pick,
        upholds: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Line(u8),
    Version(Pick),
    Contribution(Pick),
}

/// What a model's owners are asked.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Release(Pick),
    Deprecate(Pick),
    Withdraw(Pick),
    Suspend(Pick),
    Lift(Pick),
    Lineage {
        version: Pick,
        parent: u8,
    },
    Licence(u8),
    Distribution(u8),
    Grant {
        to: Pick,
        terms: u8,
    },
    Revoke(Pick),
    Mint {
        to: u8,
        amount: Amount,
        vesting: VestingTerms,
    },
    Burn {
        from: Pick,
        amount: Amount,
    },
    Expropriate {
        from: Pick,
        amount: Amount,
    },
    Approve {
        to: u8,
        amount: Amount,
    },
    /// Accepts the keys under which a holder's control began, or others.
    Control {
        account: Pick,
        others: Option<u8>,
    },
    Stewards {
        first: u8,
        count: u8,
    },
    Policy(u8),
    Retire,
    Round {
        budget: Amount,
        weights: u8,
        cap: Option<(u16, CapPer)>,
        min: u8,
        recording_ms: u16,
        review_ms: u16,
        sealed: bool,
    },
    Resolve {
        dispute: Pick,
        upholds: bool,
    },
    Statement,
}

/// What the members of the network are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MemberStep {
    Admit(Pick),
    Quota { account: u8, quota: u8 },
    Suspend(u8),
    Reinstate(Pick),
    Remove(Pick),
    Statement,
}
