//! Rounds, disputes, incidents, recovery and approvals, as the API tells them.

use super::{decisions::quick, *};
use allod_protocol::rules::{
    account::WeightedKey,
    approval::{RequestApproval, SignApproval},
    contribution::AcceptContribution,
    dispute::{AnswerDispute, DisputeTarget, OpenDispute, WithdrawDispute},
    incident::{AnswerIncident, IncidentStatus, ReportIncident, UpdateIncident},
    office::{AcceptOffice, Office},
    proposal::ModelAction,
    recovery::{RecoverAccount, RecoveryPolicy, SetRecovery},
    round::{KindWeight, OpenRound, RoundPlan},
};

#[tokio::test]
async fn a_round_shows_its_plan_and_what_each_giver_counts() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let plan = RoundPlan {
        plan: ContentHash::from_bytes([1; 32]),
        budget: Units::new(1_000),
        weights: vec![KindWeight { kind: ContributionKind::Data, weight: 3 }],
        cap: None,
        min_contributors: 1,
        recording_ms: 60_000,
        review_ms: 60_000,
        sealed: false,
    };
    peer.decide(model, "The first round", ModelAction::OpenRound(OpenRound { plan })).await;
    let given = RecordContribution {
        model,
        round: Some(0),
        kind: ContributionKind::Data,
        amount: 5,
        sealed: None,
        evidence: None,
        note: String::new(),
    };
    peer.apply(2, "southbank", Action::RecordContribution(given)).await;
    let listed = peer.ok("/v1/models/northfield/digits/contributions").await;
    let contribution = listed["items"][0]["id"].as_str().unwrap().parse().unwrap();
    peer.apply(1, "northfield", Action::AcceptContribution(AcceptContribution { contribution })).await;

    let rounds = peer.ok("/v1/models/northfield/digits/rounds").await;
    assert_eq!(rounds["items"][0]["decision_title"], "The first round");
    let one = peer.ok("/v1/models/northfield/digits/rounds/0").await;
    assert_eq!(
        (&one["plan"]["budget"], &one["status"], &one["contributors"]),
        (&json!(1_000), &json!("open"), &json!(1))
    );
    let scores = json!([{
        "account": peer.account("southbank"), "handle": "southbank", "score": 15, "seals": 0, "units": 1_000,
        "cap_shared_with": null, "disputed": 0,
    }]);
    assert_eq!(one["scores"], scores, "what it would get if the round closed now");
    assert_eq!(peer.get("/v1/models/northfield/digits/rounds/7").await.1["code"], "unknown_round");
    assert_eq!(peer.get("/v1/models/northfield/digits/rounds/x").await.1["code"], "bad_id");
}

#[tokio::test]
async fn a_dispute_names_its_parties_and_how_it_stands() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let target = DisputeTarget::Line { model, account: peer.account("southbank") };
    let (units, text) = (Units::new(5), "never delivered".to_owned());
    peer.apply(
        1,
        "northfield",
        Action::OpenDispute(OpenDispute { target, units, text, evidence: None, bond: Units::ZERO }),
    )
    .await;
    let listed = peer.ok("/v1/models/northfield/digits/disputes").await;
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let dispute = id.parse().unwrap();
    let answer = AnswerDispute { dispute, text: "it was".into(), evidence: None };
    peer.apply(2, "southbank", Action::AnswerDispute(answer)).await;
    let open = peer.ok(&format!("/v1/disputes/{id}")).await;
    let parties = (&open["challenger_handle"], &open["respondent_handle"], &open["model_name"]);
    assert_eq!(parties, (&json!("northfield"), &json!("southbank"), &json!("northfield/digits")));
    assert_eq!((&open["status"], &open["answer"]["text"]), (&json!("open"), &json!("it was")));
    assert_eq!((&open["sitting"], &open["bond"]), (&json!([]), &json!(1)), "it is for the owners");
    assert_eq!(open["loss_bars_ms"], json!(30u64 * 24 * 60 * 60 * 1_000));

    peer.apply(1, "northfield", Action::WithdrawDispute(WithdrawDispute { dispute })).await;
    assert!(peer.ok(&format!("/v1/disputes/{id}")).await["status"]["withdrawn"].is_object());
    let zeros = "0".repeat(64);
    assert_eq!(peer.get(&format!("/v1/disputes/{zeros}")).await.1["code"], "unknown_dispute");
}

#[tokio::test]
async fn an_incident_keeps_its_history() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let label = peer.publish(model, "1.0", Vec::new()).await.label;
    let report = ReportIncident { model, label, text: "reads sevens as ones".into(), evidence: None };
    peer.apply(2, "southbank", Action::ReportIncident(report)).await;
    let listed = peer.ok("/v1/models/northfield/digits/incidents").await;
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let update = UpdateIncident {
        incident: id.parse().unwrap(),
        responsible: Some(peer.account("southbank")),
        status: IncidentStatus::Investigating,
        text: "looking".into(),
    };
    peer.apply(1, "northfield", Action::UpdateIncident(update)).await;
    let incident = peer.ok(&format!("/v1/incidents/{id}")).await;
    assert_eq!((&incident["status"], &incident["responsible_handle"]), (&json!("investigating"), &json!("southbank")));
    assert_eq!(
        (&incident["responsible_answer"], &incident["named_handles"]),
        (&json!("offered"), &json!(["southbank"]))
    );
    let answer = AnswerIncident { incident: id.parse().unwrap(), text: "not ours".into(), evidence: None };
    peer.apply(2, "southbank", Action::AnswerIncident(answer)).await;
    let incident = peer.ok(&format!("/v1/incidents/{id}")).await;
    let said = &incident["history"][1];
    assert_eq!(
        (&said["step"], &said["handle"], &said["text"]),
        (&json!("said"), &json!("southbank"), &json!("not ours"))
    );
    let step = &incident["history"][0];
    assert_eq!((&step["handle"], &step["text"]), (&json!("northfield"), &json!("looking")));
    let zeros = "0".repeat(64);
    assert_eq!(peer.get(&format!("/v1/incidents/{zeros}")).await.1["code"], "unknown_incident");
}

#[tokio::test]
async fn guardians_and_what_they_say_can_be_read() {
    let peer = Peer::start().await;
    let recovery = "/v1/accounts/northfield/recovery";
    let nobody = json!({"policy": null, "in_force": false, "guardians": [], "pending": null, "unsettled": null});
    assert_eq!(peer.ok(recovery).await, nobody);
    let policy = RecoveryPolicy { guardians: vec![peer.account("southbank")], needed: 1, delay_ms: 60_000 };
    peer.apply(1, "northfield", Action::SetRecovery(SetRecovery { policy: Some(policy) })).await;
    let offered = peer.ok(recovery).await;
    assert_eq!((&offered["in_force"], &offered["guardians"][0]["accepted"]), (&json!(false), &json!(false)));
    let office = Office::KeyGuardian(peer.account("northfield"));
    peer.apply(2, "southbank", Action::AcceptOffice(AcceptOffice { office, proof: None })).await;
    assert_eq!(peer.ok(recovery).await["in_force"], true);
    let keys = KeyPolicy::single(key(5).public_key());
    let seek = RecoverAccount { account: peer.account("northfield"), keys: keys.clone() };
    peer.apply(2, "southbank", Action::RecoverAccount(seek)).await;
    let view = peer.ok(recovery).await;
    assert_eq!((&view["policy"]["needed"], &view["guardians"][0]["handle"]), (&json!(1), &json!("southbank")));
    assert_eq!(view["pending"]["keys"], json!(keys));
    assert_eq!(view["guardians"][0]["keys"], json!(keys));
    peer.apply(1, "northfield", Action::SetRecovery(SetRecovery { policy: None })).await;
    let guarded = peer.ok("/v1/accounts/southbank/guarded").await;
    let one = &guarded["items"][0];
    assert_eq!((&one["handle"], &one["pending"]["stage"]), (&json!("northfield"), &json!("sought")));
    assert_eq!(
        one["unsettled"]["change"],
        json!({"policy": null}),
        "what one key asked waits, in sight of the guardians"
    );
    assert_eq!(one["unsettled"]["clock"], json!({"stands": {"left_ms": 60_000}}));
}

#[tokio::test]
async fn a_request_shows_who_has_signed_until_it_is_carried_out() {
    let peer = Peer::start().await;
    let weighted = |seed| WeightedKey { key: key(seed).public_key(), weight: 1 };
    let keys = KeyPolicy { threshold: 2, keys: vec![weighted(5), weighted(6)] };
    let handle = Handle::new("joint").unwrap();
    peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
    let id = peer.ok("/v1/accounts/joint").await["id"].as_str().unwrap().parse().unwrap();
    let sign = |seed, action| {
        let mut body = peer.sign(1, "northfield", action).body;
        body.sender = id;
        body.sign(&[key(seed)])
    };
    let action = Box::new(Action::SetRecovery(SetRecovery { policy: None }));
    let request = sign(5, Action::RequestApproval(RequestApproval { action, lifetime_ms: 60_000, every_key: false }));
    let (status, body) = peer.post("/v1/transactions?wait=true", &request).await;
    assert_eq!((status, &body["result"]["outcome"]), (200, &json!("applied")), "{body}");
    let listed = peer.ok("/v1/accounts/joint/approvals").await;
    let one = &listed["items"][0];
    assert_eq!((&one["weight"], &one["threshold"], &one["handle"]), (&json!(1), &json!(2), &json!("joint")));
    assert_eq!(one["does"], "do without guardians");
    let path = format!("/v1/approvals/{}", one["id"].as_str().unwrap());
    assert!(peer.ok(&path).await["action"]["set_recovery"].is_object());

    let approval = one["id"].as_str().unwrap().parse().unwrap();
    let signed = sign(6, Action::SignApproval(SignApproval { approval, approve: true }));
    let (_, body) = peer.post("/v1/transactions?wait=true", &signed).await;
    assert_eq!(body["result"]["outcome"], "applied", "{body}");
    assert_eq!(peer.get(&path).await.1["code"], "unknown_approval");
    assert_eq!(peer.ok("/v1/accounts/joint/approvals").await["items"], json!([]));
}
