//! Attestations: signed statements about an artifact, such as a safety review or a bias audit, that a release may wait
//! for. An account's last statement counts, and it may withdraw it.
//!
//! A gate is passed if enough of its accounts attested that the artifact passed, and none of them that it failed. A
//! `failed` of one of them blocks the release until that account withdraws it, or until those who say `passed` are as
//! many as the gate's own rule requires to outvote it. Without such a rule nobody can outvote it: an account that
//! blocks for no good reason is removed from the role by a decision of class rules, for everybody to see, and the
//! release is proposed again.

use crate::{
    ground::{
        ids::{AccountId, ArtifactId, ContentHash, Height, ModelId, Name, VersionLabel},
        invalid::{Invalid, check_text},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        context::Context,
        event::Event,
        model::Version,
        office::{self, Office},
        proposal::ProposalGate,
        quota::{self, Keeps},
        rejection::Rejection,
        standing,
    },
};
use serde::{Deserialize, Serialize};

/// The finding of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Finding {
    /// The artifact passed the test.
    Passed,
    /// It failed.
    Failed,
    /// The account withdraws what it said before.
    Withdrawn,
}

impl Finding {
    /// The finding's name, as in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The statement of one account about one artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attestation {
    /// The artifact.
    pub artifact: ArtifactId,
    /// The subject of the statement, such as `bias-audit`.
    pub statement: Name,
    /// The account that says it.
    pub account: AccountId,
    /// The finding.
    pub finding: Finding,
    /// The hash of the report.
    pub evidence: Option<ContentHash>,
    /// A note in its own words.
    pub note: String,
    /// The height of the statement.
    pub height: Height,
}

impl Record for Attestation {
    type Key = (ArtifactId, Name, AccountId);
    const FAMILY: Family = Family::Attestation;
}

/// Say whether an artifact passed a test, or withdraw what was said, which is then gone. The last statement counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attest {
    /// The artifact.
    pub artifact: ArtifactId,
    /// The subject of the statement.
    pub statement: Name,
    /// The finding.
    pub finding: Finding,
    /// The hash of the report.
    pub evidence: Option<ContentHash>,
    /// A note in the sender's words.
    pub note: String,
}

impl Attest {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("note", &self.note, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        account: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let key = (self.artifact, self.statement.clone(), account);
        let said = state.read::<Attestation>(&key);
        let (artifact, statement, finding) = (self.artifact, self.statement.clone(), self.finding);
        let event = Event::Attested { artifact, statement, account, finding };
        if finding == Finding::Withdrawn {
            let (artifact, statement) = (self.artifact, self.statement.clone());
            said.ok_or(Rejection::NothingAttested { account, artifact, statement })?;
            state.remove::<Attestation>(&key);
            quota::give_back(state, account, Keeps::Attestations);
            return Ok(vec![event]);
        }
        if said.is_none() {
            quota::take(state, account, Keeps::Attestations)?;
        }
        let attestation = Attestation {
            artifact: self.artifact,
            statement: self.statement.clone(),
            account,
            finding: self.finding,
            evidence: self.evidence,
            note: self.note.clone(),
            height: context.height,
        };
        state.write(&key, &attestation);
        Ok(vec![event])
    }
}

/// The verdict of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum GateVerdict {
    /// It lets the release pass.
    Met,
    /// This account, the first in the gate's order, attested that the artifact failed, and is not outvoted.
    Failed(AccountId),
    /// Too few accounts attested that the artifact passed.
    Lacking,
}

impl GateVerdict {
    /// The verdict's name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl ProposalGate {
    /// Judges the last statements of the gate's accounts: `found` returns that of each. Also returns how many said
    /// `passed`.
    pub fn judge(&self, found: impl Fn(AccountId) -> Option<Finding>) -> (GateVerdict, u32) {
        let said = |finding: Finding| {
            let accounts = self.accounts.iter().filter(|account| found(**account) == Some(finding));
            (accounts.clone().next().copied(), u32::try_from(accounts.count()).unwrap_or(u32::MAX))
        };
        let ((_, passed), (first, failed)) = (said(Finding::Passed), said(Finding::Failed));
        let is_outvoted = self.outvoted_by.is_some_and(|needed| passed >= needed && passed > failed);
        let verdict = match first {
            Some(account) if !is_outvoted => GateVerdict::Failed(account),
            _ if passed >= self.attestors => GateVerdict::Met,
            _ => GateVerdict::Lacking,
        };
        (verdict, passed)
    }
}

/// The first gate that the artifact of a version has not passed.
pub(crate) fn lacking(
    state: &Overlay<'_>,
    model: ModelId,
    label: &VersionLabel,
    gates: &[ProposalGate],
) -> Option<Rejection> {
    // If the version does not exist, the action itself refuses.
    let artifact = state.read::<Version>(&(model, label.clone()))?.artifact.address;
    gates.iter().find_map(|gate| {
        let said = |account| state.read::<Attestation>(&(artifact, gate.statement.clone(), account));
        // Statements of accounts that did not accept the role count for nothing, for or against.
        let role = Office::Attester { model, role: gate.role.clone() };
        let found = |account| said(account).filter(|_| office::counts_in_copy(state, &role, account));
        let statement = gate.statement.clone();
        match gate.judge(|account| found(account).map(|attestation| attestation.finding)) {
            (GateVerdict::Met, _) => None,
            (GateVerdict::Failed(account), passed) => {
                let note = said(account).map_or_else(String::new, |attestation| standing::shortened(&attestation.note));
                let outvoted_by = gate.outvoted_by;
                Some(Rejection::FailedAttestation { artifact, statement, account, note, passed, outvoted_by })
            }
            (GateVerdict::Lacking, have) => {
                Some(Rejection::NotAttested { artifact, statement, have, needed: gate.attestors })
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn account(byte: u8) -> AccountId {
        AccountId::from_bytes([byte; 32])
    }

    fn verdict(outvoted_by: Option<u32>, said: &[(u8, Finding)]) -> (GateVerdict, u32) {
        let accounts = (1..=5).map(account).collect();
        let statement = Name::new("safety-review").expect("a name");
        let role = Name::new("reviewer").expect("a name");
        let gate = ProposalGate { statement, role, accounts, attestors: 2, outvoted_by };
        let said: BTreeMap<AccountId, Finding> = said.iter().map(|(byte, it)| (account(*byte), *it)).collect();
        gate.judge(|account| said.get(&account).copied())
    }

    #[test]
    fn a_failed_attestation_blocks_until_it_is_withdrawn_or_outvoted() {
        use Finding::{Failed, Passed, Withdrawn};
        let two = [(1, Passed), (2, Passed)];
        assert_eq!(verdict(None, &two[..1]), (GateVerdict::Lacking, 1));
        assert_eq!(verdict(None, &two), (GateVerdict::Met, 2));
        let against = |more: &[(u8, Finding)]| [&two, more].concat();
        assert_eq!(verdict(None, &against(&[(5, Failed)])), (GateVerdict::Failed(account(5)), 2));
        assert_eq!(verdict(None, &against(&[(5, Withdrawn)])), (GateVerdict::Met, 2));
        assert_eq!(verdict(None, &against(&[(9, Failed)])), (GateVerdict::Met, 2), "nobody of the role");
        let all = against(&[(3, Passed), (4, Passed), (5, Failed)]);
        assert_eq!(verdict(None, &all), (GateVerdict::Failed(account(5)), 4), "nobody outvotes without a rule");
        assert_eq!(verdict(Some(3), &against(&[(5, Failed)])), (GateVerdict::Failed(account(5)), 2));
        assert_eq!(verdict(Some(3), &against(&[(3, Passed), (5, Failed)])), (GateVerdict::Met, 3));
        let even = against(&[(3, Failed), (4, Failed)]);
        assert_eq!(verdict(Some(2), &even), (GateVerdict::Failed(account(3)), 2), "as many against as for");
    }
}
