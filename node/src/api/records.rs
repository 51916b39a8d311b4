//! The state's entries as JSON: the one place that says what each family holds and what its keys are made of.

use allod_protocol::{
    ground::{codec, ids::ArtifactId, state::Record},
    ledger::execute::Seen,
    rules::{
        access::{ArtifactOrigin, PeerBinding, PeerOf},
        account::{Account, HandleOf, HandleShape},
        approval::{Approval, ApprovalOf},
        attestation::Attestation,
        commitment::Commitments,
        contribution::{Contribution, ContributionOf},
        control::{AcceptedControl, Control, ControlRuled},
        delegation::{DelegatedAt, Delegation, DelegationAt},
        dispute::{ChallengedInVain, Challenger, Dispute, DisputeOf, Frozen},
        dormancy::{DormantAt, DormantTotalAt, Silence},
        due::{Deadline, InLane, Turn, TurnOf},
        emergency::{StopUse, StopsRunning, VersionStop},
        incident::{Incident, IncidentOf, IncidentUpdate},
        intake::Intake,
        licence::{LicenceChange, LicenceOf, LicenceRequest, LicenceRequestOf, Licensee},
        model::{ArtifactUse, ChildOf, Model, ModelCounters, ModelOf, Version},
        network::{MembersAt, Network, RetiredKey},
        office::{Ahead, Tenure},
        policy::Tally,
        proposal::{Ballot, Proposal, ProposalOf, ballot::Overridden},
        quota::Kept,
        recovery::{Guarded, GuardianVote, Recovery},
        round::{Round, RoundDue, RoundGroup, RoundScore, Withheld},
        sale::Purchase,
        share::{Consent, Issuance, Issue, Register, Share, ShareAt, ShareChange, TakenUp, TotalAt, VestingGrants},
        validator::ValidatorSchedule,
    },
};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value};

/// A family of records.
struct Layout {
    name: &'static str,
    fields: &'static [Field],
    value: fn(&[u8]) -> Option<Value>,
}

/// A field of a key.
enum Field {
    /// 32 bytes, shown in hexadecimal.
    Id(&'static str),
    /// 32 bytes, shown as a CID.
    Artifact(&'static str),
    /// Eight bytes, the highest first.
    Number(&'static str),
    /// Bytes up to a zero.
    Text(&'static str),
    /// The network, or a model.
    Scope,
    /// What the record itself repeats.
    Rest,
}

fn json<R: Record>(bytes: &[u8]) -> Option<Value> {
    let record: R = codec::decode_trusted(bytes).ok()?;
    serde_json::to_value(record).ok()
}

macro_rules! families {
    ($($record:ident [$($field:expr),*];)*) => {
        fn layout(family: u8) -> Option<Layout> {
            $(if family == $record::FAMILY as u8 {
                return Some(Layout { name: $record::FAMILY.name(), fields: &[$($field),*], value: json::<$record> });
            })*
            None
        }
    };
}

families! {
    Network [];
    ValidatorSchedule [];
    Account [Field::Id("account")];
    HandleOf [Field::Text("handle")];
    Seen [Field::Number("expires"), Field::Id("transaction")];
    Model [Field::Id("model")];
    ModelOf [Field::Text("namespace"), Field::Text("name")];
    Version [Field::Id("model"), Field::Text("label")];
    ArtifactUse [Field::Artifact("artifact"), Field::Id("model")];
    Share [Field::Id("model"), Field::Id("account")];
    ShareAt [Field::Id("model"), Field::Id("account"), Field::Number("height")];
    TotalAt [Field::Id("model"), Field::Number("height")];
    ShareChange [Field::Id("model"), Field::Number("number")];
    Contribution [Field::Id("contribution")];
    ContributionOf [Field::Id("model"), Field::Number("number")];
    Proposal [Field::Id("proposal")];
    ProposalOf [Field::Scope, Field::Number("number")];
    Deadline [Field::Number("time"), Field::Rest];
    Ballot [Field::Id("proposal"), Field::Id("account")];
    Register [Field::Id("model")];
    ModelCounters [Field::Id("model")];
    Tally [Field::Id("proposal")];
    MembersAt [Field::Number("height")];
    Delegation [Field::Id("model"), Field::Id("from")];
    DelegationAt [Field::Id("model"), Field::Id("from"), Field::Number("height")];
    DelegatedAt [Field::Id("model"), Field::Id("to"), Field::Number("height")];
    Overridden [Field::Id("proposal"), Field::Id("account")];
    Attestation [Field::Artifact("artifact"), Field::Text("statement"), Field::Id("account")];
    VestingGrants [Field::Id("model"), Field::Id("account")];
    Round [Field::Id("model"), Field::Number("number")];
    RoundScore [Field::Id("model"), Field::Number("round"), Field::Id("account")];
    RoundDue [Field::Id("model"), Field::Number("round"), Field::Rest];
    Dispute [Field::Id("dispute")];
    DisputeOf [Field::Id("model"), Field::Number("number")];
    Frozen [Field::Rest];
    Challenger [Field::Id("model"), Field::Id("account")];
    ChallengedInVain [Field::Rest];
    Incident [Field::Id("incident")];
    IncidentOf [Field::Id("model"), Field::Number("number")];
    IncidentUpdate [Field::Id("incident"), Field::Number("number")];
    GuardianVote [Field::Id("account"), Field::Id("guardian")];
    Recovery [Field::Id("account")];
    Approval [Field::Id("approval")];
    ApprovalOf [Field::Id("account"), Field::Id("approval")];
    HandleShape [Field::Text("shape")];
    Licensee [Field::Id("model"), Field::Id("account")];
    LicenceChange [Field::Id("model"), Field::Id("account"), Field::Number("number")];
    LicenceOf [Field::Id("account"), Field::Id("model")];
    LicenceRequest [Field::Id("account"), Field::Id("model")];
    LicenceRequestOf [Field::Id("model"), Field::Id("account")];
    PeerBinding [Field::Id("peer")];
    PeerOf [Field::Id("account"), Field::Id("peer")];
    Tenure [Field::Id("account"), Field::Rest];
    Ahead [Field::Id("account"), Field::Rest];
    Intake [Field::Id("account"), Field::Rest];
    Purchase [Field::Id("proposal"), Field::Id("buyer")];
    Commitments [Field::Id("model"), Field::Id("account")];
    Withheld [Field::Id("model"), Field::Id("account")];
    RoundGroup [Field::Id("model"), Field::Number("round"), Field::Id("group")];
    ArtifactOrigin [Field::Artifact("artifact")];
    Silence [Field::Scope, Field::Id("account")];
    DormantAt [Field::Scope, Field::Id("account"), Field::Number("height")];
    DormantTotalAt [Field::Scope, Field::Number("height")];
    RetiredKey [Field::Id("key")];
    Issuance [Field::Id("model")];
    Issue [Field::Id("model"), Field::Number("number")];
    TakenUp [Field::Id("model"), Field::Number("number"), Field::Id("account")];
    Consent [Field::Id("proposal"), Field::Id("account")];
    VersionStop [Field::Id("model"), Field::Number("number")];
    StopUse [Field::Id("model"), Field::Text("label"), Field::Id("account")];
    StopsRunning [Field::Id("model"), Field::Id("account")];
    Control [Field::Id("account")];
    AcceptedControl [Field::Id("model"), Field::Id("account")];
    ControlRuled [Field::Id("model")];
    Guarded [Field::Id("guardian"), Field::Id("account")];
    InLane [Field::Rest];
    Turn [Field::Number("time"), Field::Rest];
    TurnOf [Field::Rest];
    Kept [Field::Id("account"), Field::Rest];
    ChildOf [Field::Id("model"), Field::Text("label"), Field::Id("child_model"), Field::Text("child_label")];
}

/// An entry's family by name and its key by fields. What this build does not know is shown in hexadecimal.
pub(crate) fn key(bytes: &[u8]) -> (String, Value) {
    let unknown = || ("unknown".to_owned(), Value::String(HEXLOWER.encode(bytes)));
    let Some((family, mut rest)) = bytes.split_first() else { return unknown() };
    let Some(layout) = layout(*family) else { return unknown() };
    let mut fields = Map::new();
    for field in layout.fields {
        let Some((name, value, left)) = field.split(rest) else { return unknown() };
        fields.insert(name.to_owned(), value);
        rest = left;
    }
    (layout.name.to_owned(), Value::Object(fields))
}

/// What stands under a key.
pub(crate) fn value(key: &[u8], bytes: &[u8]) -> Value {
    let known = key.first().and_then(|family| layout(*family)).and_then(|layout| (layout.value)(bytes));
    known.unwrap_or_else(|| Value::String(HEXLOWER.encode(bytes)))
}

impl Field {
    /// The field's name and value, and what follows it.
    fn split<'a>(&self, bytes: &'a [u8]) -> Option<(&'static str, Value, &'a [u8])> {
        match self {
            Self::Id(name) => {
                let (id, rest) = bytes.split_at_checked(32)?;
                Some((name, HEXLOWER.encode(id).into(), rest))
            }
            Self::Artifact(name) => {
                let (id, rest) = bytes.split_first_chunk::<32>()?;
                Some((name, ArtifactId::from_bytes(*id).to_string().into(), rest))
            }
            Self::Number(name) => {
                let (number, rest) = bytes.split_first_chunk::<8>()?;
                Some((name, u64::from_be_bytes(*number).into(), rest))
            }
            Self::Text(name) => {
                let end = bytes.iter().position(|byte| *byte == 0)?;
                let (text, rest) = bytes.split_at_checked(end)?;
                Some((name, String::from_utf8_lossy(text).into(), rest.get(1..)?))
            }
            Self::Scope => match bytes.split_first()? {
                (0, rest) => Some(("scope", "network".into(), rest)),
                (_, rest) => Self::Id("scope").split(rest),
            },
            Self::Rest => Some(("entry", HEXLOWER.encode(bytes).into(), &[])),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use allod_protocol::ground::{
        ids::{AccountId, Height, ModelId, Units, VersionLabel},
        state::Family,
    };
    use serde_json::json;

    const MODEL: ModelId = ModelId::from_bytes([1; 32]);
    const ACCOUNT: AccountId = AccountId::from_bytes([2; 32]);

    #[test]
    fn keys_are_told_by_their_fields() {
        let share = Share::key_bytes(&(MODEL, ACCOUNT));
        assert_eq!(key(&share), ("share".into(), json!({"model": MODEL, "account": ACCOUNT})));
        let at = ShareAt::key_bytes(&(MODEL, ACCOUNT, Height::new(300)));
        assert_eq!(key(&at).1, json!({"model": MODEL, "account": ACCOUNT, "height": 300}));
        let label = |text: &str| VersionLabel::new(text).unwrap();
        let child = ChildOf::key_bytes(&((MODEL, label("v1")), (MODEL, label("v2"))));
        let fields = json!({"model": MODEL, "label": "v1", "child_model": MODEL, "child_label": "v2"});
        assert_eq!(key(&child), ("child_of".into(), fields));
        assert_eq!(key(&[250, 1]), ("unknown".into(), json!("fa01")));
        assert_eq!(key(&share[..40]), ("unknown".into(), json!(HEXLOWER.encode(&share[..40]))));
    }

    #[test]
    fn values_are_records_or_their_bytes() {
        let share = Share { model: MODEL, account: ACCOUNT, units: Units::new(7), since: Height::new(1) };
        let under = Share::key_bytes(&(MODEL, ACCOUNT));
        assert_eq!(value(&under, &codec::encode(&share)), serde_json::to_value(&share).unwrap());
        assert_eq!(value(&under, &[1]), json!("01"));
    }

    #[test]
    fn every_family_is_known() {
        let known: Vec<u8> = (1..=u8::MAX).filter(|family| layout(*family).is_some()).collect();
        assert_eq!(known, Family::ALL.iter().map(|family| *family as u8).collect::<Vec<u8>>());
    }
}
