//! What is asked about versions: publishing, attesting, stopping.

use super::{choose, wrap};
use crate::{
    histories::{
        History,
        request::{Pick, Request},
    },
    reference::{Suspended, VersionStatus},
};
use allod_protocol::{
    ground::ids::{AccountId, ArtifactId, ContentHash, ModelId, Name, VersionLabel},
    rules::{
        action::Action,
        artifact::{Artifact, ArtifactKind},
        attestation::{Attest, Finding},
        commitment::{CommitArtifact, commitment},
        emergency::StopVersion,
        model::{PublishVersion, VersionRef},
    },
};

impl History {
    pub(super) fn of_publisher(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Publish { model, by, label, artifact, parent, commits } => {
                let (id, model) = self.model(*model);
                let by = self.by(*by, |account| model.register.contains_key(&account));
                let (artifact, committed) = self.known_artifact(id, by, *artifact, *commits);
                let address = ArtifactId::of(&[artifact]);
                let asked = PublishVersion {
                    model: id,
                    label: VersionLabel::new(format!("v{label}")).expect("a label"),
                    artifact: Artifact { address, kind: ArtifactKind::File, size_bytes: 1, files: 1 },
                    parents: parent.and_then(|place| self.version_ref(place)).into_iter().collect(),
                    training_plan: None,
                    datasets: Vec::new(),
                    notes: String::new(),
                    committed,
                };
                Some((by, Action::PublishVersion(asked)))
            }
            Request::Stop { model, version, by, stops } => self.stop(*model, *version, *by, *stops),
            Request::Commit { model, by, artifact } => {
                let (id, model) = self.model(*model);
                let by = self.by(*by, |account| model.register.contains_key(&account));
                let (address, salt) = (ArtifactId::of(&[*artifact]), ContentHash::from_bytes([*artifact; 32]));
                let commitment = commitment(id, by, address, salt);
                Some((by, Action::CommitArtifact(CommitArtifact { model: id, commitment })))
            }
            Request::Attest { model, version, by, finding } => self.attestation(*model, *version, *by, *finding),
            _ => None,
        }
    }

    /// What an account publishes: an artifact that it has committed to, and it tells the salt, or now and then the salt of
    /// nothing; or else one that another model's publisher has committed to, as who takes an address from the wire does.
    fn known_artifact(&self, model: ModelId, by: AccountId, artifact: u8, commits: bool) -> (u8, Option<ContentHash>) {
        let salt_of = |artifact: u8| ContentHash::from_bytes([artifact; 32]);
        let is_of = |artifact: u8, (model, by): (ModelId, AccountId)| {
            let hash = commitment(model, by, ArtifactId::of(&[artifact]), salt_of(artifact));
            let made = self.world.commitments.get(&(model, by)).map_or(&[][..], Vec::as_slice);
            made.iter().any(|made| made.hash == hash)
        };
        let own = (0..24).find(|artifact| is_of(*artifact, (model, by)));
        if commits {
            let artifact = own.unwrap_or(artifact);
            return (artifact, (own.is_some() || artifact % 8 == 7).then(|| salt_of(artifact)));
        }
        let others: Vec<_> = self.world.commitments.keys().filter(|(of, _)| *of != model).copied().collect();
        let seen = (0..24).find(|artifact| others.iter().any(|other| is_of(*artifact, *other)));
        (seen.unwrap_or(artifact), None)
    }

    fn attestation(&self, model: u8, version: Pick, by: Pick, finding: Finding) -> Option<(AccountId, Action)> {
        let (_, model) = self.model(model);
        let statement = model.policy.gates.first().map(|gate| gate.statement.clone());
        let role = model.policy.roles.first().map_or(&[][..], |role| &role.accounts);
        let statement = statement.unwrap_or_else(|| Name::new("bias-audit").expect("a name"));
        let versions: Vec<_> = model.versions.values().cloned().collect();
        let version = choose(&versions, version, |version| version.status == VersionStatus::Published)?;
        let said = |account| self.world.attestations.get(&(version.artifact, statement.clone(), account));
        let by = self.by(by, |account| match finding {
            Finding::Withdrawn => said(account).is_some_and(|said| *said != Finding::Withdrawn),
            _ => role.contains(&account),
        });
        let asked = Attest {
            artifact: version.artifact,
            statement: statement.clone(),
            finding,
            evidence: None,
            note: String::new(),
        };
        Some((by, Action::Attest(asked)))
    }

    fn stop(&self, model: u8, version: Pick, by: Pick, stops: bool) -> Option<(AccountId, Action)> {
        let (id, model) = self.model(model);
        let labels: Vec<VersionLabel> = model.versions.keys().cloned().collect();
        let fits = |label: &VersionLabel| {
            let version = &model.versions[label];
            version.suspended.is_some() != stops && version.status != VersionStatus::Withdrawn
        };
        let label = choose(&labels, version, fits)?;
        let stopper = match model.versions[&label].suspended {
            Some(Suspended::Stop(number)) => Some(model.stops[number].account),
            _ => None,
        };
        let may = |account| model.policy.emergency.as_ref().is_some_and(|it| it.accounts.contains(&account));
        let by = self.by(by, |account| if stops { may(account) } else { stopper == Some(account) });
        let reason = "harms".into();
        Some((by, Action::StopVersion(StopVersion { model: id, label, stops, reason })))
    }

    /// A version of any model; a missing one now and then.
    pub(super) fn version_ref(&self, place: u8) -> Option<VersionRef> {
        let all = self.models.iter().flat_map(|id| {
            let labels = self.world.models[id].versions.keys();
            labels.map(|label| VersionRef { model: *id, label: label.clone() })
        });
        let missing = VersionRef { model: self.models[0], label: VersionLabel::new("missing").expect("a label") };
        wrap(&all.chain([missing]).collect::<Vec<_>>(), place)
    }

    pub(super) fn version(&self, model: ModelId, pick: Pick, wanted: VersionStatus) -> Option<VersionLabel> {
        let versions = &self.world.models[&model].versions;
        let labels: Vec<VersionLabel> = versions.keys().cloned().collect();
        choose(&labels, pick, |label| versions[label].status == wanted)
    }

    pub(super) fn suspended(
        &self,
        model: ModelId,
        pick: Pick,
        fits: impl Fn(Option<Suspended>) -> bool,
    ) -> Option<VersionLabel> {
        let versions = &self.world.models[&model].versions;
        let labels: Vec<VersionLabel> = versions.keys().cloned().collect();
        choose(&labels, pick, |label| fits(versions[label].suspended))
    }
}
