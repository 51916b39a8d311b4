//! Attestations: signed statements about an artifact, such as a safety review or a bias audit, that a release may wait
//! for. What counts is what an account said last.

use crate::{
    event::Event,
    execute::Context,
    ids::{AccountId, ArtifactId, ContentHash, Height, ModelId, Name, VersionLabel},
    limits,
    model::Version,
    proposal::ProposalGate,
    rejection::Rejection,
    state::{Family, Overlay, Record, StateRead},
    transaction::{Invalid, check_text},
};
use serde::{Deserialize, Serialize};

/// What one account says of one artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The artifact.
    pub artifact: ArtifactId,
    /// What it is about, such as `bias-audit`.
    pub statement: Name,
    /// Who says it.
    pub account: AccountId,
    /// Whether the artifact stood the test.
    pub passed: bool,
    /// The hash of the report.
    pub evidence: Option<ContentHash>,
    /// In its words.
    pub note: String,
    /// When.
    pub height: Height,
}

impl Record for Attestation {
    type Key = (ArtifactId, Name, AccountId);
    const FAMILY: Family = Family::Attestation;
}

/// Say whether an artifact stood a test; the last word counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attest {
    /// The artifact.
    pub artifact: ArtifactId,
    /// What it is about.
    pub statement: Name,
    /// Whether the artifact stood the test.
    pub passed: bool,
    /// The hash of the report.
    pub evidence: Option<ContentHash>,
    /// In the sender's words.
    pub note: String,
}

impl Attest {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_text("note", &self.note, limits::TEXT_SIZE_BYTES)
    }

    pub(crate) fn apply<S: StateRead + ?Sized>(
        &self,
        state: &mut Overlay<'_, S>,
        context: &Context,
        account: AccountId,
    ) -> Vec<Event> {
        let attestation = Attestation {
            artifact: self.artifact,
            statement: self.statement.clone(),
            account,
            passed: self.passed,
            evidence: self.evidence,
            note: self.note.clone(),
            height: context.height,
        };
        state.write(&(self.artifact, self.statement.clone(), account), &attestation);
        vec![Event::Attested {
            artifact: self.artifact,
            statement: self.statement.clone(),
            account,
            passed: self.passed,
        }]
    }
}

/// The first gate that the artifact of a version has not passed.
pub(crate) fn lacking<S: StateRead + ?Sized>(
    state: &Overlay<'_, S>,
    (model, label): (ModelId, &VersionLabel),
    gates: &[ProposalGate],
) -> Option<Rejection> {
    // A version that is not there is for the action itself to refuse.
    let artifact = state.read::<Version>(&(model, label.clone()))?.artifact.address;
    gates.iter().find_map(|gate| {
        let attested = |account: &&AccountId| {
            let attestation = state.read::<Attestation>(&(artifact, gate.statement.clone(), **account));
            attestation.is_some_and(|attestation| attestation.passed)
        };
        let have = u32::try_from(gate.accounts.iter().filter(attested).count()).unwrap_or(u32::MAX);
        let needed = gate.attestors;
        (have < needed).then(|| Rejection::NotAttested { artifact, statement: gate.statement.clone(), have, needed })
    })
}
