//! What is decided, tried out, attested, delegated and derived, as the API tells it.

use super::*;
use allod_protocol::{
    ground::ids::ArtifactId,
    rules::{
        artifact::{Artifact, ArtifactKind},
        attestation::{Attest, Finding},
        delegation::Delegate,
        model::{ReleaseVersion, VersionRef},
        office::{AcceptOffice, Office},
        policy::{Class, Gate, Role, TransferRule},
        proposal::{ExecuteProposal, ModelAction, Question},
        sale::{AcceptTransfer, ApproveTransfer},
        share::{MintShares, Vesting},
    },
};

/// Ballots may stop as soon as nothing can change the outcome, so that a test need not wait.
pub(super) fn quick() -> ModelPolicy {
    let rule = Rule { early_close_ms: Some(0), ..Rule::new(Portion::WHOLE, rule().threshold, 60_000) };
    ModelPolicy::uniform(&rule)
}

impl Peer {
    pub(super) async fn publish(&self, model: ModelId, label: &str, parents: Vec<VersionRef>) -> VersionRef {
        let label = VersionLabel::new(label).unwrap();
        let address = ArtifactId::of(format!("{model}{label}").as_bytes());
        let publish = PublishVersion {
            model,
            label: label.clone(),
            artifact: Artifact { address, kind: ArtifactKind::File, size_bytes: 7, files: 1 },
            parents,
            training_plan: None,
            datasets: Vec::new(),
            notes: String::new(),
            committed: None,
        };
        self.apply(1, "northfield", Action::PublishVersion(publish)).await;
        VersionRef { model, label }
    }

    fn question(model: ModelId, title: &str, action: ModelAction) -> OpenProposal {
        OpenProposal { question: Question::of_model(model, vec![action]), title: title.into(), text: String::new() }
    }

    /// Has northfield ask and both holders say yes; gives the proposal's path.
    pub(super) async fn decide(&self, model: ModelId, title: &str, action: ModelAction) -> String {
        self.apply(1, "northfield", Action::OpenProposal(Self::question(model, title, action))).await;
        let listed = self.ok("/v1/models/northfield/digits/proposals").await;
        let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
        for (seed, handle) in [(1, "northfield"), (2, "southbank")] {
            let ballot = CastBallot { proposal: id.parse().unwrap(), parts: answer(Choice::Yes) };
            self.apply(seed, handle, Action::CastBallot(ballot)).await;
        }
        format!("/v1/proposals/{id}")
    }

    async fn try_out(&self, sender: &str, proposal: &OpenProposal) -> (u16, Value) {
        let body = json!({"sender": sender, "proposal": proposal});
        let response = self.client.post(format!("{}/v1/proposals/dry-run", self.base)).json(&body).send().await;
        let response = response.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    fn mint(&self, units: u64, vesting: Option<Vesting>) -> ModelAction {
        let (to, units) = (self.account("southbank"), Units::new(units));
        ModelAction::MintShares(MintShares { to, units, reason: "evaluation".into(), vesting })
    }
}

#[tokio::test]
async fn a_dry_run_shows_what_would_change_and_who_could_block_it() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let question = Peer::question(model, "Mint", peer.mint(50, None));
    let (status, view) = peer.try_out("northfield", &question).await;
    assert_eq!((status, &view["class"], &view["electorate"]), (200, &json!("ownership"), &json!(100)), "{view}");
    assert_eq!(view["outcome"]["done"][0]["shares_changed"]["balance"], 90);
    let change = |family: &str| {
        let found = view["changes"].as_array().unwrap().iter().find(|change| change["family"] == family).cloned();
        found.unwrap_or_else(|| panic!("no {family} changes in {view}"))
    };
    let share = change("share");
    assert_eq!(share["key"], json!({"model": model, "account": peer.account("southbank")}));
    assert_eq!((&share["before"]["units"], &share["after"]["units"]), (&json!(40), &json!(90)));
    assert_eq!(change("register")["after"]["total_units"], 150);
    assert_eq!(change("share_change")["before"], Value::Null);
    // Half must be yes, and more than what is against it: 50 of 100 that say no are enough.
    let blocking = &view["blocking"];
    assert_eq!((&blocking["weight"], &blocking["smallest_group_size"]), (&json!(50), &json!(1)));
    assert_eq!((&blocking["alone"][0]["handle"], &blocking["alone"][1]), (&json!("northfield"), &Value::Null));
    assert!(view["rule_text"].as_str().unwrap().contains("100 % of all weight"), "{view}");
    assert_eq!(peer.ok("/v1/models/northfield/digits/proposals").await["items"], json!([]), "nothing is kept");
}

#[tokio::test]
async fn a_dry_run_names_what_is_in_the_way() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let label = VersionLabel::new("9.9").unwrap();
    let release = Peer::question(model, "Release", ModelAction::ReleaseVersion(ReleaseVersion { label }));
    let (status, view) = peer.try_out("southbank", &release).await;
    assert_eq!((status, &view["outcome"]["refused"]["code"]), (200, &json!("unknown_version")), "{view}");
    assert_eq!(view["changes"], json!([]));

    let keys = KeyPolicy::single(key(5).public_key());
    let handle = Handle::new("outsider").unwrap();
    peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
    let code = async |sender: &str, question: &OpenProposal| {
        let (status, view) = peer.try_out(sender, question).await;
        (status, view["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(code("outsider", &release).await, (422, "not_of_model".into()));
    assert_eq!(code("nobody", &release).await, (404, "unknown_account".into()));
    assert_eq!(code("southbank", &Peer::question(model, "Mint", peer.mint(0, None))).await, (400, "bad_form".into()));
}

#[tokio::test]
async fn time_left_is_counted_from_one_clock_also_where_blocks_are_ahead_of_it() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    commit_at(&peer.node, Vec::new(), 0, clock().plus_ms(30_000));
    let question = Peer::question(model, "Mint", peer.mint(50, None));
    peer.apply(1, "northfield", Action::OpenProposal(question)).await;
    let open = &peer.ok("/v1/proposals?scope=open").await["items"][0];
    assert!((1..60_000).contains(&open["ends_in_ms"].as_u64().unwrap()), "{open}");
}

#[tokio::test]
async fn a_release_waits_for_its_gates_and_says_so() {
    let peer = Peer::start().await;
    let name = |text: &str| Name::new(text).unwrap();
    let role = Role { name: name("reviewer"), accounts: vec![peer.account("southbank")] };
    let gate = Gate { statement: name("bias-audit"), role: name("reviewer"), attestors: 1, outvoted_by: None };
    let guardian = Some(peer.account("southbank"));
    let policy = ModelPolicy { roles: vec![role], gates: vec![gate], guardian, ..quick() };
    let model = peer.found_model_with(policy).await;
    let version = peer.publish(model, "1.0", Vec::new()).await;
    let action = ModelAction::ReleaseVersion(ReleaseVersion { label: version.label });
    let path = peer.decide(model, "Release 1.0", action).await;
    let waiting = peer.ok(&path).await;
    assert!(waiting["status"]["queued"]["expires"].is_u64(), "{waiting}");
    assert!(waiting["ready_in_ms"].as_u64().unwrap() < 60_000, "{waiting}");
    assert_eq!(waiting["ends_in_ms"], Value::Null);
    assert_eq!((&waiting["settled"], &waiting["guardian_handle"]), (&json!(true), &json!("southbank")));
    let gate = &waiting["attested"][0];
    assert_eq!((&gate["statement"], &gate["needed"], &gate["passed"]), (&json!("bias-audit"), &json!(1), &json!(0)));
    assert_eq!(peer.ok("/v1/proposals?scope=open").await["items"].as_array().map(Vec::len), Some(1));

    let artifact: ArtifactId = gate["artifact"].as_str().unwrap().parse().unwrap();
    let attest = Attest {
        artifact,
        statement: name("bias-audit"),
        finding: Finding::Passed,
        evidence: None,
        note: "no difference between groups".into(),
    };
    peer.apply(2, "southbank", Action::Attest(attest)).await;
    let gate = peer.ok(&path).await["attested"][0].clone();
    assert_eq!((&gate["attestors"][0]["accepted"], &gate["verdict"]), (&json!(false), &json!("lacking")));
    let offices = peer.ok("/v1/models/northfield/digits/offices").await;
    let answers: Vec<(&Value, &Value)> =
        offices["offices"].as_array().unwrap().iter().map(|one| (&one["role"], &one["answer"])).collect();
    let [accepted, offered] = [json!("accepted"), json!("offered")];
    let roles = [json!("steward"), json!("guardian"), json!("reviewer")];
    assert_eq!(answers, [(&roles[0], &accepted), (&roles[1], &offered), (&roles[2], &offered)]);
    let texts = offices["vacancies"].to_string();
    assert!(texts.contains("nothing can be released until enough accept"), "{texts}");
    let office = Office::Attester { model, role: name("reviewer") };
    peer.apply(2, "southbank", Action::AcceptOffice(AcceptOffice { office, proof: None })).await;
    let ahead = Office::Arbiter(model);
    peer.apply(2, "southbank", Action::AcceptOffice(AcceptOffice { office: ahead, proof: None })).await;
    let own = peer.ok("/v1/accounts/southbank/offices").await;
    let of: Vec<(&Value, &Value)> =
        own["items"].as_array().unwrap().iter().map(|one| (&one["of"], &one["answer"])).collect();
    let digits = json!("northfield/digits");
    assert!(of.contains(&(&digits, &accepted)) && of.contains(&(&digits, &offered)), "{own}");
    let ahead = peer.ok("/v1/accounts/southbank/offices-ahead").await;
    assert_eq!(
        (&ahead["items"][0]["role"], &ahead["items"][0]["answer"]),
        (&json!("arbiter"), &json!("accepted_ahead"))
    );
    let said = peer.ok(&format!("/v1/artifacts/{artifact}/attestations")).await;
    assert_eq!((&said["items"][0]["handle"], &said["items"][0]["finding"]), (&json!("southbank"), &json!("passed")));
    assert_eq!(peer.ok(&path).await["attested"][0]["attestors"][0]["finding"], "passed");
    let proposal = waiting["id"].as_str().unwrap().parse().unwrap();
    peer.apply(2, "southbank", Action::ExecuteProposal(ExecuteProposal { proposal })).await;
    assert!(peer.ok(&path).await["status"]["executed"]["height"].is_u64());
    assert_eq!(peer.ok("/v1/models/northfield/digits").await["released"], "1.0");
}

#[tokio::test]
async fn shares_say_what_is_under_vesting_and_which_decision_moved_them() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let vesting = Some(Vesting { cliff_ms: 3_600_000, duration_ms: 7_200_000 });
    let path = peer.decide(model, "Fifty for the evaluation", peer.mint(50, vesting)).await;
    let executed = peer.ok(&path).await;
    assert!(executed["status"]["executed"].is_object(), "{executed}");

    let shares = "/v1/models/northfield/digits/shares";
    let register = peer.ok(shares).await;
    let line = |handle: &str| {
        let lines = register["items"].as_array().unwrap();
        let line = lines.iter().find(|line| line["handle"] == handle).unwrap();
        (line["units"].as_u64().unwrap(), line["free_units"].as_u64().unwrap())
    };
    assert_eq!((line("northfield"), line("southbank")), ((60, 60), (90, 40)));
    let newest = peer.ok(&format!("{shares}/history?limit=1")).await["items"][0].clone();
    assert_eq!(newest["decision"], executed["id"]);
    assert_eq!(newest["decision_title"], "Fifty for the evaluation");
    assert!(newest["time"].as_u64().unwrap() <= register["time"].as_u64().unwrap());
    let founding = peer.ok(&format!("{shares}/history?limit=1&order=oldest")).await["items"][0].clone();
    assert_eq!((&founding["decision"], &founding["decision_title"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn delegations_are_listed_with_what_stands_behind_them() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let delegations = "/v1/models/northfield/digits/delegations";
    assert_eq!(peer.ok(delegations).await["items"], json!([]));
    let to = Some(peer.account("northfield"));
    peer.apply(2, "southbank", Action::Delegate(Delegate { model, to, expires: None })).await;
    let listed = peer.ok(delegations).await;
    let one = &listed["items"][0];
    let handles = (&one["from_handle"], &one["to_handle"]);
    assert_eq!((handles, &one["units"]), ((&json!("southbank"), &json!("northfield")), &json!(40)));
}

#[tokio::test]
async fn a_lineage_is_followed_both_ways() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let base = peer.publish(model, "base", Vec::new()).await;
    let left = peer.publish(model, "left", vec![base.clone()]).await;
    let right = peer.publish(model, "right", vec![base.clone()]).await;
    peer.publish(model, "merged", vec![left, right]).await;
    let found = async |query: &str| {
        let view = peer.ok(&format!("/v1/models/northfield/digits/versions/{query}")).await;
        let version = |one: &Value| (one["label"].as_str().unwrap().to_owned(), one["distance"].as_i64().unwrap());
        let versions: BTreeMap<_, _> = view["versions"].as_array().unwrap().iter().map(version).collect();
        (versions, view["edges"].as_array().unwrap().len(), view["truncated"].as_bool().unwrap())
    };
    let expect = |list: &[(&str, i64)]| list.iter().map(|(label, at)| ((*label).to_owned(), *at)).collect();
    let up = expect(&[("merged", 0), ("left", -1), ("right", -1), ("base", -2)]);
    assert_eq!(found("merged/lineage").await, (up, 4, false));
    assert_eq!(found("left/lineage?way=down").await, (expect(&[("left", 0), ("merged", 1)]), 1, false));
    let near = expect(&[("merged", 0), ("left", -1), ("right", -1)]);
    assert_eq!(found("merged/lineage?way=up&depth=1").await, (near, 2, true));
    let (status, problem) = peer.get("/v1/models/northfield/digits/versions/base/lineage?depth=33").await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_depth")));
}

#[tokio::test]
async fn the_network_tells_its_rules_and_accounts_their_keys() {
    let peer = Peer::start().await;
    let network = peer.ok("/v1/network").await;
    assert_eq!((&network["members"], &network["outgrown"]), (&json!(2), &json!(false)));
    assert_eq!(network["parameters"]["policy"][Class::Upgrade.name()]["quorum"], "more than 50 %");
    let account = peer.ok("/v1/accounts/northfield").await;
    assert_eq!(account["did_keys"][0], crate::keys::did_key(&key(1).public_key()));
}

#[tokio::test]
async fn an_approved_transfer_names_both_sides_and_the_decision() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(ModelPolicy { transfers: TransferRule::Approval, ..quick() }).await;
    let (to, units) = (peer.account("southbank"), Units::new(5));
    let action =
        ModelAction::ApproveTransfer(ApproveTransfer { to, units, price: "900 EUR".into(), reason: "sold".into() });
    let path = peer.decide(model, "Let northfield sell", action).await;
    let waiting = peer.ok(&path).await;
    assert!(waiting["status"]["queued"].is_object(), "{waiting}");
    assert_eq!(
        (&waiting["buyers"][0]["handle"], &waiting["buyers"][0]["accepted"]),
        (&json!("southbank"), &json!(false))
    );
    let proposal = waiting["id"].as_str().unwrap().parse().unwrap();
    peer.apply(2, "southbank", Action::AcceptTransfer(AcceptTransfer { proposal, accept: true })).await;
    assert_eq!(peer.ok(&path).await["buyers"][0]["accepted"], true);
    peer.apply(2, "southbank", Action::ExecuteProposal(ExecuteProposal { proposal })).await;
    let history = peer.ok("/v1/models/northfield/digits/shares/history?limit=2").await;
    let newest = &history["items"][0];
    assert_eq!((&newest["handle"], &newest["counterparty_handle"]), (&json!("southbank"), &json!("northfield")));
    assert_eq!(newest["decision_title"], "Let northfield sell");
}
