//! What an account is asked stands in its inbox, and goes once it is answered.

use super::{decisions::quick, *};
use crate::cli::Cli;
use allod_protocol::rules::{
    dispute::{AnswerDispute, DisputeTarget, OpenDispute},
    dormancy::Present,
    incident::{IncidentStatus, ReportIncident, UpdateIncident},
    model::SetStewards,
    office::{AcceptOffice, Office},
    proposal::{ModelAction, NetworkAction, Question, Scope},
    share::{BurnByDecision, GiveConsent, MintShares},
};
use clap::Parser as _;

impl Peer {
    /// What an account is asked, page by page; the kinds and what each is about.
    pub(super) async fn inbox(&self, account: &str, limit: usize) -> Vec<Value> {
        let (mut items, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.ok(&format!("/v1/accounts/{account}/inbox?limit={limit}{after}")).await;
            let found = page["items"].as_array().unwrap();
            assert!(found.len() <= limit, "{page}");
            items.extend(found.iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return items,
            }
        }
    }

    async fn kinds_asked(&self, account: &str) -> Vec<String> {
        let items = self.inbox(account, 500).await;
        let mut kinds: Vec<String> = items.iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        kinds
    }

    async fn open(&self, question: Question) -> allod_protocol::ground::ids::ProposalId {
        let proposal = OpenProposal { question, title: "Asked".into(), text: String::new() };
        let id = self.apply(1, "northfield", Action::OpenProposal(proposal)).await;
        let told = self.ok(&format!("/v1/transactions/{id}")).await;
        told["result"]["events"][0]["proposal_opened"]["proposal"].as_str().unwrap().parse().unwrap()
    }

    async fn give(&self, model: ModelId) {
        let given = RecordContribution {
            model,
            round: None,
            kind: ContributionKind::Data,
            amount: 5,
            sealed: None,
            evidence: None,
            note: "scans".into(),
        };
        self.apply(2, "southbank", Action::RecordContribution(given)).await;
    }
}

/// The command lines are what the parser takes, with what is to be filled in filled in.
pub(super) fn must_parse(command: &str) {
    let filled = command.split(' ').map(|word| match word {
        "WORDS" => "x".to_owned(),
        "AMOUNT" => "5".to_owned(),
        "SALT" | "KEY" => "ab".repeat(32),
        word => word.split('|').next().unwrap().to_owned(),
    });
    let parsed = Cli::try_parse_from(filled);
    assert!(parsed.is_ok(), "{command}: {}", parsed.err().unwrap());
}

#[tokio::test]
async fn what_is_asked_stands_there_until_it_is_answered() {
    let peer = Peer::start().await;
    assert_eq!(peer.inbox("southbank", 5).await, Vec::<Value>::new());
    let model = peer.found_model_with(quick()).await;
    let (north, south) = (peer.account("northfield"), peer.account("southbank"));
    let stewards = vec![north, south];
    peer.decide(model, "Stewards", ModelAction::SetStewards(SetStewards { stewards })).await;
    assert_eq!(peer.kinds_asked("southbank").await, ["accept_office"]);

    let burn = ModelAction::BurnShares(BurnByDecision { from: south, units: Units::new(5), cause: "left".into() });
    let burn = peer.open(Question::of_model(model, vec![burn])).await;
    let statement = peer.open(Question::of_network(vec![NetworkAction::Statement])).await;
    let target = DisputeTarget::Line { model, account: south };
    let challenge =
        OpenDispute { target, units: Units::new(5), text: "never delivered".into(), evidence: None, bond: Units::ZERO };
    peer.apply(1, "northfield", Action::OpenDispute(challenge)).await;
    peer.give(model).await;

    let asked = peer.inbox("southbank", 500).await;
    let kinds = peer.kinds_asked("southbank").await;
    assert_eq!(kinds, ["accept_office", "answer_dispute", "consent", "vote", "vote"]);
    for limit in [1, 2, 3] {
        assert_eq!(peer.inbox("southbank", limit).await, asked, "every page together is the whole");
    }
    assert_eq!(peer.kinds_asked("northfield").await, ["countersign", "vote", "vote"]);
    for item in asked.iter().chain(&peer.inbox("northfield", 500).await) {
        must_parse(item["command"].as_str().unwrap());
        assert!(item["command"].as_str().unwrap().contains(" --as "), "{item}");
        let text = item["text"].as_str().unwrap();
        assert!(!text.contains(&north.to_string()) && !text.contains(&south.to_string()), "names, no ids: {text}");
    }
    let voting = asked.iter().find(|item| item["id"] == burn.to_string() && item["kind"] == "vote").unwrap();
    assert_eq!(
        voting["text"],
        "northfield asks the owners of northfield/digits to burn 5 units of northfield/digits that southbank holds, if it \
         agrees: \"left\", titled \"Asked\""
    );
    assert!(voting["until"].as_u64().unwrap() > 0 && voting["model_name"] == "northfield/digits");

    for proposal in [burn, statement] {
        let ballot = CastBallot { proposal, parts: answer(Choice::No) };
        peer.apply(2, "southbank", Action::CastBallot(ballot)).await;
    }
    peer.apply(2, "southbank", Action::GiveConsent(GiveConsent { proposal: burn, agrees: true })).await;
    let listed = peer.ok("/v1/models/northfield/digits/disputes").await;
    let dispute = listed["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let answered = AnswerDispute { dispute, text: "it was".into(), evidence: None };
    peer.apply(2, "southbank", Action::AnswerDispute(answered)).await;
    let office = Office::Steward(model);
    peer.apply(2, "southbank", Action::AcceptOffice(AcceptOffice { office, proof: None })).await;
    assert_eq!(peer.kinds_asked("southbank").await, Vec::<String>::new(), "a steward does not countersign its own");

    let silent = peer.ok(&format!("/v1/proposals/{burn}/unanswered")).await;
    let silent = silent["items"].as_array().unwrap();
    assert_eq!(silent.len(), 1, "{silent:?}");
    assert_eq!((&silent[0]["handle"], &silent[0]["weight"]), (&json!("northfield"), &json!(60)));
    let silent = peer.ok(&format!("/v1/proposals/{statement}/unanswered")).await;
    assert_eq!(silent["items"][0]["handle"], "northfield", "of the network its members are asked");
}

#[tokio::test]
async fn stewards_are_asked_to_countersign_what_is_challenged_and_who_answers_for_an_incident_to_speak() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    peer.give(model).await;
    let listed = peer.ok("/v1/models/northfield/digits/contributions").await;
    let target = DisputeTarget::Contribution(listed["items"][0]["id"].as_str().unwrap().parse().unwrap());
    let challenge =
        OpenDispute { target, units: Units::ZERO, text: "half of it".into(), evidence: None, bond: Units::ZERO };
    peer.apply(1, "northfield", Action::OpenDispute(challenge)).await;
    assert_eq!(peer.kinds_asked("northfield").await, ["countersign"]);

    let label = peer.publish(model, "1.0", Vec::new()).await.label;
    let report = ReportIncident { model, label, text: "reads sevens as ones".into(), evidence: None };
    peer.apply(2, "southbank", Action::ReportIncident(report)).await;
    let listed = peer.ok("/v1/models/northfield/digits/incidents").await;
    let incident = listed["items"][0]["id"].as_str().unwrap();
    let update = UpdateIncident {
        incident: incident.parse().unwrap(),
        responsible: Some(peer.account("northfield")),
        status: IncidentStatus::Investigating,
        text: "ours".into(),
    };
    peer.apply(1, "northfield", Action::UpdateIncident(update)).await;
    let asked = peer.inbox("northfield", 500).await;
    let item = asked.iter().find(|item| item["kind"] == "incident").unwrap();
    assert_eq!(item["command"], format!("allod incident answer {incident} --text WORDS --as northfield"));
    must_parse(item["command"].as_str().unwrap());
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let peer = Peer::start().await;
    for after in ["x", "agenda.00.0", "offices.0103.0"] {
        let (status, problem) = peer.get(&format!("/v1/accounts/southbank/inbox?after={after}")).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_cursor")), "{after}");
    }
    assert_eq!(peer.get("/v1/accounts/southbank/inbox?limit=0").await.1["code"], "bad_limit");
}

#[tokio::test]
async fn members_and_times_are_listed() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let members = peer.ok("/v1/network/members").await;
    let handles: Vec<&Value> = members["items"].as_array().unwrap().iter().map(|one| &one["handle"]).collect();
    assert_eq!(handles, ["northfield", "southbank"]);
    peer.give(model).await;
    let holdings = peer.ok("/v1/accounts/southbank/holdings").await;
    let (one, next) = (&holdings["items"][0], &holdings["next"]);
    assert_eq!(
        (&one["model_name"], &one["units"], &one["basis_points"]),
        (&json!("northfield/digits"), &json!(40), &json!(4_000))
    );
    assert_eq!(*next, Value::Null);
    let times = peer.ok("/v1/times?heights=2,0,1,1,999").await;
    let heights: Vec<u64> = times.as_array().unwrap().iter().map(|one| one["height"].as_u64().unwrap()).collect();
    assert_eq!((heights, &times[0]["time"]), (vec![0, 1, 2], &json!(1_000)));
    assert_eq!(peer.get("/v1/times?heights=x").await.1["code"], "bad_id");
}

#[tokio::test]
async fn a_refusal_speaks_of_accounts_and_models_by_their_names() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let foreign = peer.sign(1, "southbank", Action::Present(Present { scope: Scope::Network }));
    let (status, body) = peer.post("/v1/transactions?wait=true", &foreign).await;
    let (text, id) = (body["detail"].as_str().unwrap(), peer.account("southbank").to_string());
    assert!(status == 403 && text.contains("southbank") && !text.contains(&id), "{text}");
    let action = ModelAction::MintShares(MintShares {
        to: peer.account("southbank"),
        units: Units::new(allod_protocol::ground::limits::MODEL_UNITS),
        reason: "more".into(),
        vesting: None,
    });
    let proposal =
        OpenProposal { question: Question::of_model(model, vec![action]), title: "t".into(), text: String::new() };
    let request = json!({"sender": "northfield", "proposal": proposal});
    let answer = peer.client.post(format!("{}/v1/proposals/dry-run", peer.base)).json(&request).send().await.unwrap();
    let tried: Value = answer.json().await.unwrap();
    let refused = tried["outcome"]["refused"]["detail"].as_str().unwrap();
    assert!(refused.contains("northfield/digits") && !refused.contains(&model.to_string()), "{refused}");
    assert_eq!(
        tried["does"][0],
        format!(
            "mint {} units of northfield/digits for southbank: \"more\"",
            allod_protocol::ground::limits::MODEL_UNITS
        )
    );
}

#[tokio::test]
async fn what_a_double_would_lose_is_a_string() {
    let peer = Peer::start().await;
    let policy = ModelPolicy { allow: vec![Risk::MinorityDecides], ..ModelPolicy::uniform(&rule()) };
    let units = Units::new((1 << 53) + 1);
    let line = FoundingLine { account: peer.account("northfield"), units, vesting: None };
    let action = CreateModel {
        name: Name::new("vast").unwrap(),
        description: String::new(),
        founding: vec![line],
        stewards: vec![peer.account("northfield")],
        policy,
        licence: None,
        distribution: Distribution::default(),
        grants: Vec::new(),
    };
    peer.apply(1, "northfield", Action::CreateModel(action)).await;
    let shares = peer.ok("/v1/models/northfield/vast/shares").await;
    assert_eq!(shares["total_units"], json!("9007199254740993"));
    assert!(shares["height"].is_u64(), "what is small stays a number: {shares}");
    let read: crate::api::views::SharesView = serde_json::from_value(shares).unwrap();
    assert_eq!(read.total_units, units, "and is read back to the unit");

    let mut transaction = peer.sign(1, "northfield", Action::Present(Present { scope: Scope::Network }));
    transaction.body.nonce = u64::MAX;
    let transaction = transaction.body.sign(&[key(1)]);
    let text = crate::json::to_string(&transaction).unwrap();
    assert!(text.contains("\"nonce\":\"18446744073709551615\""), "{text}");
    assert_eq!(serde_json::from_str::<Transaction>(&text).unwrap(), transaction);
}
