//! Licences as the API tells them: to who has one, to who is offered one, and to those who are asked for one.

use super::{decisions::quick, inbox::must_parse, *};
use allod_protocol::rules::{
    licence::{AnswerLicence, AskLicence, GrantLicence, LicenceTerms, WantedLicence},
    model::{Licence, WithdrawVersion},
    proposal::ModelAction,
    transaction::TransactionBody,
};

const LICENSEE: &str = "/v1/models/northfield/digits/licensees/southbank";

fn wanted(text: &str) -> WantedLicence {
    let terms = LicenceTerms { terms: Some(Licence::Spdx("MIT".into())), for_ms: Some(3_600_000) };
    WantedLicence { terms, text: text.into(), lifetime_ms: 60_000 }
}

fn ask(model: ModelId, text: &str) -> Action {
    Action::AskLicence(AskLicence { model, wanted: Some(wanted(text)) })
}

impl Peer {
    async fn asked_for(&self, account: &str, kind: &str) -> Vec<Value> {
        let items = self.inbox(account, 500).await;
        items.into_iter().filter(|item| item["kind"] == kind).collect()
    }

    /// Has a new account, which owns nothing, ask for a licence.
    async fn stranger_asks(&self, seed: u8, model: ModelId) {
        let handle = format!("stranger-{seed}");
        let keys = KeyPolicy::single(key(seed).public_key());
        let create = CreateAccount { handle: Handle::new(&handle).unwrap(), keys, quota: 0 };
        self.apply(1, "northfield", Action::CreateAccount(create)).await;
        let id = self.ok(&format!("/v1/accounts/{handle}")).await["id"].as_str().unwrap().parse().unwrap();
        let body = TransactionBody {
            network: self.node.network_id,
            sender: id,
            nonce: 1,
            expires: clock().plus_ms(60_000),
            action: ask(model, "for nothing"),
            signers: Vec::new(),
        };
        let (status, body) = self.post("/v1/transactions?wait=true", &body.sign(&[key(seed)])).await;
        assert_eq!((status, &body["result"]["outcome"]), (200, &json!("applied")), "{body}");
    }
}

#[tokio::test]
async fn a_licence_is_shown_as_it_stands_and_asked_about_where_it_concerns_somebody() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    assert_eq!(peer.get(LICENSEE).await.1["code"], "no_licence");
    let south = peer.account("southbank");
    let licensed = ModelAction::GrantLicence(GrantLicence { account: south, terms: wanted("").terms });
    peer.decide(model, "License", licensed).await;

    let offered = peer.ok(LICENSEE).await;
    assert_eq!((&offered["in_force"], &offered["offer_stands"]), (&json!(false), &json!(true)));
    assert_eq!((&offered["licence"], &offered["offer"]["terms"]), (&Value::Null, &json!({"spdx": "MIT"})));
    assert_eq!(peer.ok("/v1/accounts/southbank/licences").await["items"], json!([offered]));
    assert_eq!(peer.ok("/v1/models/northfield/digits/licensees").await["items"], json!([offered]));
    let asked = peer.asked_for("southbank", "accept_licence").await;
    let (item, decision) = (&asked[0], offered["offer"]["proposal"].as_str().unwrap());
    let command = format!("allod licence accept|decline northfield/digits --decision {decision} --as southbank");
    assert_eq!((asked.len(), &item["id"], &item["command"]), (1, &json!(decision), &json!(command)));
    must_parse(&command);
    assert_eq!(item["until"], offered["offer"]["expires"]);
    assert!(item["text"].as_str().unwrap().ends_with("until you accept it you have no licence to it"), "{item}");

    let answer = |accept| Action::AnswerLicence(AnswerLicence { model, proposal: decision.parse().unwrap(), accept });
    peer.apply(2, "southbank", answer(true)).await;
    let held = peer.ok(LICENSEE).await;
    assert_eq!((&held["in_force"], &held["offer"]), (&json!(true), &Value::Null));
    assert_eq!(held["licence"], json!({"grant": offered["offer"], "ended": null}));
    assert!(peer.asked_for("southbank", "accept_licence").await.is_empty());
    peer.apply(2, "southbank", answer(false)).await;
    let given_up = peer.ok(LICENSEE).await;
    assert_eq!((&given_up["in_force"], &given_up["licence"]["ended"]), (&json!(false), &json!("given_up")));

    let history = peer.ok(&format!("{LICENSEE}/history?order=oldest")).await;
    let steps = history["items"].as_array().unwrap();
    assert_eq!((&steps[0]["step"]["granted"]["accepted"], steps.len()), (&json!(false), 3));
    assert_eq!((&steps[1]["step"], &steps[2]["step"]), (&json!("accepted"), &json!("given_up")));
}

#[tokio::test]
async fn a_licensee_hears_what_becomes_of_versions_while_it_has_the_licence() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let withdraw = |label: &str| {
        ModelAction::WithdrawVersion(WithdrawVersion {
            label: VersionLabel::new(label).unwrap(),
            reason: "it leaks".into(),
        })
    };
    for label in ["old", "used", "sound"] {
        peer.publish(model, label, Vec::new()).await;
    }
    peer.decide(model, "Before", withdraw("old")).await;
    peer.apply(2, "southbank", ask(model, "")).await;
    let granted =
        ModelAction::GrantLicence(GrantLicence { account: peer.account("southbank"), terms: wanted("").terms });
    peer.decide(model, "As asked", granted).await;
    assert!(peer.asked_for("southbank", "licensed_version").await.is_empty());
    peer.decide(model, "After", withdraw("used")).await;
    let told = peer.asked_for("southbank", "licensed_version").await;
    let text = "northfield/digits@used, to which you have a licence, was withdrawn, and is not to be used any more: \
                \"it leaks\"";
    assert_eq!((told.len(), &told[0]["text"]), (1, &json!(text)));
    must_parse(told[0]["command"].as_str().unwrap());
    assert!(peer.asked_for("northfield", "licensed_version").await.is_empty());
}

#[tokio::test]
async fn stewards_see_who_asks_for_a_licence_and_strangers_do_not_fill_their_inbox() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    peer.apply(2, "southbank", ask(model, &"x".repeat(1_000))).await;
    let listed = peer.ok("/v1/models/northfield/digits/licence-requests").await["items"].clone();
    assert_eq!(peer.ok("/v1/accounts/southbank/licence-requests").await["items"], listed);
    let asked = peer.asked_for("northfield", "grant_licence").await;
    let text = asked[0]["text"].as_str().unwrap();
    let told = "southbank asks the owners of northfield/digits for a licence on the terms of MIT, for 1 h from the grant: \"xxx";
    assert!(text.starts_with(told) && text.len() < 400, "{text}");
    assert_eq!(
        asked[0]["command"],
        "allod propose grant-licence northfield/digits southbank --as-asked --as northfield"
    );
    assert!(peer.asked_for("southbank", "grant_licence").await.is_empty(), "a holder is no steward");

    for seed in 30..41 {
        peer.stranger_asks(seed, model).await;
    }
    let asked = peer.asked_for("northfield", "grant_licence").await;
    assert_eq!(asked.len(), 11, "ten, and a line that there are more");
    asked.iter().for_each(|item| must_parse(item["command"].as_str().unwrap()));
    assert_eq!(asked[10]["command"], "allod licence requests northfield/digits");
    let listed = peer.ok("/v1/models/northfield/digits/licence-requests").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 12);
    let granted =
        ModelAction::GrantLicence(GrantLicence { account: peer.account("southbank"), terms: wanted("").terms });
    peer.decide(model, "As asked", granted).await;
    assert_eq!(peer.ok(LICENSEE).await["in_force"], true);
    assert_eq!(peer.ok("/v1/accounts/southbank/licence-requests").await["items"], json!([]));
}
