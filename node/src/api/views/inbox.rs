//! What an account is asked.

use allod_protocol::ground::ids::{ModelName, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kinds of what an account can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InboxKind {
    /// Answer a proposal.
    Vote,
    /// Agree to a burn of units that the account holds.
    Consent,
    /// Accept units that the account would get of another one.
    AcceptUnits,
    /// Attest what a release waits for.
    Attest,
    /// Stop what passed, as the guardian of its model; nobody has to.
    StopDecision,
    /// Carry out what passed.
    Execute,
    /// Tell the amount of a sealed contribution.
    Reveal,
    /// Appeal, because a steward declined a contribution of the account's; nobody has to.
    Appeal,
    /// Countersign a contribution, as a steward.
    Countersign,
    /// Answer a challenge.
    AnswerDispute,
    /// Rule on a challenge, as an arbiter.
    RuleDispute,
    /// Take a ruling that goes against the account to the owners; nobody has to.
    AppealRuling,
    /// Ask the owners to decide on a ruling that is before them.
    ResolveDispute,
    /// See to an incident, as a steward or as who answers for it.
    Incident,
    /// Take up minted units, to keep a part.
    TakeUp,
    /// Confirm or lift an emergency stop, with the other owners.
    ConfirmStop,
    /// Speak, or leave the count.
    Speak,
    /// Renew a delegation that ends.
    Delegation,
    /// Accept an office, or decline it.
    AcceptOffice,
    /// Sign a request of the account, with another of its keys.
    Sign,
    /// Know that the account is to get other keys or guardians, and stop that if it is wrong.
    OwnKeys,
    /// See to the keys of an account, as one of its guardians.
    GuardedKeys,
    /// Know that the account is suspended.
    Suspended,
    /// Agree to a licence, or decline it.
    AcceptLicence,
    /// Know what became of a version that the account is licensed to use.
    LicensedVersion,
    /// Ask the owners to grant a licence that somebody asks for, as a steward; nobody has to.
    GrantLicence,
}

/// One thing that an account is asked, or should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxItem {
    /// What kind of thing.
    pub kind: InboxKind,
    /// What it is, in words.
    pub text: String,
    /// The name of the model that it is about, if it is about one.
    pub model_name: Option<ModelName>,
    /// The id of the proposal, contribution, dispute, incident or request; null if it is none of these.
    pub id: Option<String>,
    /// The block time until which there is time, in milliseconds since 1970; null if it has no end.
    pub until: Option<Timestamp>,
    /// The command line that answers it. Words in capitals are to be filled in, and of words with `|` between them one is
    /// to be chosen.
    pub command: String,
}
