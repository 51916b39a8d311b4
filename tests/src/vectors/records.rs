//! Every record of the state, what stands inside several records, and manifests.

use super::{
    Read, Vector,
    fixed::*,
    genesis, human, record,
    variants::{
        artifact_kind, choice, class, contribution_kind, proposal_status, scope, share_flow, share_reason, verdict,
        version_status,
    },
    vector, vector_read,
};
use allod_protocol::{
    account::{Account, HandleOf},
    artifact::{Artifact, ArtifactKind, ArtifactPath, Manifest, ManifestFile},
    contribution::{Contribution, ContributionKind, ContributionOf},
    execute::{Network, Seen},
    ids::{ArtifactId, Height, Units},
    model::{ArtifactUse, Model, ModelCounters, ModelOf, Version, VersionRef, VersionStatus},
    policy::{Class, Tally, Verdict},
    proposal::{Ballot, Choice, Deadline, MembersAt, Proposal, ProposalAction, ProposalOf, ProposalStatus, Scope},
    rejection::Rejection,
    share::{Register, Share, ShareAt, ShareChange, ShareFlow, ShareReason, TotalAt},
    validator::ValidatorSchedule,
};

fn account() -> Account {
    Account {
        id: ACCOUNT,
        handle: handle("northfield"),
        keys: key_policy(),
        created: HEIGHT,
        sponsor: Some(OTHER),
        member_since: Some(HEIGHT),
        quota: 2,
        open_proposals: 1,
    }
}

fn model() -> Model {
    Model {
        id: MODEL,
        name: model_name(),
        description: "Recognises digits.".into(),
        founder: ACCOUNT,
        created: HEIGHT,
        stewards: vec![ACCOUNT, OTHER],
        policy: policy(),
        released: Some(label("v1")),
    }
}

fn version() -> Version {
    Version {
        model: MODEL,
        label: label("v2"),
        artifact: Artifact { address: artifact(), kind: ArtifactKind::File, size_bytes: 7, files: 1 },
        parents: vec![VersionRef { model: MODEL, label: label("v1") }],
        training_plan: None,
        datasets: vec![CONTENT],
        notes: "Better at sevens.".into(),
        publisher: OTHER,
        published: HEIGHT,
        status: VersionStatus::Released { proposal: PROPOSAL, height: HEIGHT },
    }
}

fn contribution() -> Contribution {
    Contribution {
        id: CONTRIBUTION,
        model: MODEL,
        giver: OTHER,
        kind: ContributionKind::Data,
        amount: 60_000,
        evidence: Some(CONTENT),
        note: "Scans of 2026".into(),
        recorded: HEIGHT,
        accepted: Some((ACCOUNT, HEIGHT.next())),
    }
}

fn proposal() -> Proposal {
    Proposal {
        id: PROPOSAL,
        scope: Scope::Model(MODEL),
        number: 4,
        proposer: ACCOUNT,
        title: "Release v2".into(),
        text: "It is better at sevens.".into(),
        actions: vec![ProposalAction::ReleaseVersion { label: label("v2") }],
        class: Class::Release,
        rule: rule(2_000, 5_000),
        snapshot: HEIGHT.previous(),
        opened: HEIGHT,
        closes: TIME,
        status: ProposalStatus::Open,
    }
}

/// One of each family, by the families' numbers.
pub(super) fn state() -> Vec<Vector> {
    let set = genesis().validator_set().expect("a set");
    let network = Network { parameters: parameters(), members: 3, proposals: 1, open_proposals: 1 };
    let used = VersionRef { model: MODEL, label: label("v2") };
    let units = Units::new(300);
    let change = ShareChange {
        number: 2,
        height: HEIGHT,
        transaction: Some(TRANSACTION),
        account: ACCOUNT,
        flow: ShareFlow::Out,
        units,
        balance: Units::new(700),
        reason: ShareReason::Transferred { counterparty: OTHER, reason: "A gift.".into() },
    };
    let ballot = Ballot { account: ACCOUNT, choice: Choice::Yes, weight: 700, height: HEIGHT };
    vec![
        record(&(), &network),
        record(&(), &ValidatorSchedule { current: set.clone(), next: set }),
        record(&ACCOUNT, &account()),
        record(&handle("northfield"), &HandleOf(ACCOUNT)),
        record(&(TIME, TRANSACTION), &Seen),
        record(&MODEL, &model()),
        record(&(handle("northfield"), name("digits")), &ModelOf(MODEL)),
        record(&(MODEL, label("v2")), &version()),
        record(&(artifact(), MODEL), &ArtifactUse(used)),
        record(&(MODEL, ACCOUNT), &Share { model: MODEL, account: ACCOUNT, units }),
        record(&(MODEL, ACCOUNT, HEIGHT), &ShareAt(units)),
        record(&(MODEL, HEIGHT), &TotalAt(UNITS)),
        record(&(MODEL, 2), &change),
        record(&CONTRIBUTION, &contribution()),
        record(&(MODEL, 4), &ContributionOf(CONTRIBUTION)),
        record(&PROPOSAL, &proposal()),
        record(&(Scope::Model(MODEL), 4), &ProposalOf(PROPOSAL)),
        Vector { name: "state.proposal_of.network".into(), ..record(&(Scope::Network, 0), &ProposalOf(PROPOSAL)) },
        record(&(TIME, PROPOSAL), &Deadline(PROPOSAL)),
        record(&(PROPOSAL, ACCOUNT), &ballot),
        record(&MODEL, &Register { model: MODEL, total_units: UNITS, holders: 2, changes: 3 }),
        record(&MODEL, &ModelCounters { contributions: 4, proposals: 5 }),
        record(&PROPOSAL, &Tally { yes: 700, no: 100, abstain: 1, electorate: 1_000, ballots: 3 }),
        record(&HEIGHT, &MembersAt(3)),
    ]
}

/// Enums that stand inside records, one vector a variant.
pub(super) fn parts() -> Vec<Vector> {
    let height = HEIGHT;
    let reason = Rejection::UnknownVersion { model: MODEL, label: label("v2") };
    let statuses = [
        ProposalStatus::Open,
        ProposalStatus::Executed { height },
        ProposalStatus::ExecutionFailed { height, reason },
        ProposalStatus::Rejected { height, verdict: Verdict::NoQuorum },
        ProposalStatus::Withdrawn { height },
    ];
    let reasons = [
        ShareReason::Founding,
        ShareReason::Minted { proposal: PROPOSAL, reason: "Scans of 2026".into() },
        ShareReason::Transferred { counterparty: OTHER, reason: "A gift.".into() },
    ];
    let kinds = [
        ContributionKind::Data,
        ContributionKind::Compute,
        ContributionKind::Code,
        ContributionKind::Evaluation,
        ContributionKind::Funding,
    ];
    let versions = [VersionStatus::Published, VersionStatus::Released { proposal: PROPOSAL, height }];
    let mut vectors = Vec::new();
    let mut add = |kind: &str, variant: &str, vector: Vector| {
        vectors.push(Vector { name: format!("{kind}.{variant}"), ..vector });
    };
    statuses.iter().for_each(|one| add("proposal_status", proposal_status(one), vector("", one)));
    reasons.iter().for_each(|one| add("share_reason", share_reason(one), vector("", one)));
    kinds.iter().for_each(|one| add("contribution_kind", contribution_kind(one), vector("", one)));
    versions.iter().for_each(|one| add("version_status", version_status(one), vector("", one)));
    let flows = [ShareFlow::In, ShareFlow::Out];
    flows.iter().for_each(|one| add("share_flow", share_flow(one), vector("", one)));
    let scopes = [Scope::Model(MODEL), Scope::Network];
    scopes.iter().for_each(|one| add("scope", scope(one), vector("", one)));
    let choices = [Choice::Yes, Choice::No, Choice::Abstain];
    choices.iter().for_each(|one| add("choice", choice(one), vector("", one)));
    let classes = [Class::Release, Class::Ownership, Class::Rules, Class::Validators];
    classes.iter().for_each(|one| add("class", class(one), vector("", one)));
    let verdicts = [Verdict::Passed, Verdict::NoQuorum, Verdict::NotEnoughYes];
    verdicts.iter().for_each(|one| add("verdict", verdict(one), vector("", one)));
    let artifacts = [ArtifactKind::File, ArtifactKind::Collection];
    artifacts.iter().for_each(|one| add("artifact_kind", artifact_kind(one), vector("", one)));
    vectors
}

fn read_manifest(bytes: &[u8]) -> Result<Read, String> {
    let manifest = Manifest::decode(bytes).map_err(|error| error.to_string())?;
    Ok(Read { json: human(&manifest), bytes: manifest.encode() })
}

/// A file's address and a collection's.
pub(super) fn artifacts() -> Vec<Vector> {
    // SHA-256 of the bytes `weights` and of nothing, as `sha256sum` gives them.
    let file = |path: &str, bytes: &[u8], sha256: &str| ManifestFile {
        path: ArtifactPath::new(path).expect("a path"),
        size_bytes: u64::try_from(bytes.len()).expect("a size"),
        address: ArtifactId::of(bytes),
        sha256: sha256.parse().expect("a hash"),
    };
    let manifest = Manifest::try_from(vec![
        file(".gitattributes", b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        file("model/weights.bin", b"weights", WEIGHTS_SHA256),
    ])
    .expect("a manifest");
    let address = ArtifactId::of(b"weights");
    vec![
        vector("artifact_id", &address).with("cid", address).with("multihash_hex", super::hex(&address.multihash())),
        vector_read("manifest", &manifest, read_manifest).with("address", manifest.address()),
        vector("height.largest", &Height::new(u64::MAX)),
    ]
}

const WEIGHTS_SHA256: &str = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c";
