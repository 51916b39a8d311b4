//! What is written adds up, and is what the format's own schemas say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]

mod schema;

use super::*;
use crate::api::views::SharesView;
use allod_protocol::{
    ground::ids::{Height, ModelId, ProposalId, Units},
    rules::share::{ShareChange, Vesting},
};
use schema::Schemas;

const BAY: AccountId = AccountId::from_bytes([1; 32]);
const COAST: AccountId = AccountId::from_bytes([2; 32]);
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const START_MS: u64 = 1_795_428_000_000;

fn change(account: AccountId, flow: ShareFlow, units: u64, reason: ShareReason) -> ShareChangeView {
    let change = ShareChange {
        number: 0,
        height: Height::new(1),
        transaction: None,
        account,
        flow,
        units: Units::new(units),
        balance: Units::ZERO,
        reason,
    };
    ShareChangeView {
        change,
        time: Timestamp::new(START_MS),
        handle: None,
        counterparty_handle: None,
        vesting: None,
        decision: None,
        decision_does: Vec::new(),
        decision_title: None,
    }
}

fn whole(changes: Vec<ShareChangeView>) -> Whole {
    let register = SharesView {
        model: ModelId::from_bytes([3; 32]),
        name: "bay/digits".parse().unwrap(),
        height: Height::new(1),
        time: Timestamp::new(START_MS),
        total_units: Units::ZERO,
        items: Vec::new(),
        next: None,
    };
    Whole { register, changes }
}

fn given(counterparty: AccountId) -> ShareReason {
    ShareReason::Transferred { counterparty, reason: "sold".into() }
}

/// A mint that vests, a transfer of what is free meanwhile, a burn of what is not.
fn story() -> Vec<ShareChangeView> {
    let proposal = ProposalId::from_bytes([4; 32]);
    let vesting = Some(Vesting { cliff_ms: 40 * DAY_MS, duration_ms: 100 * DAY_MS });
    let minted = ShareReason::Minted { proposal, reason: "work".into() };
    let later =
        |view: ShareChangeView, days: u64| ShareChangeView { time: Timestamp::new(START_MS + days * DAY_MS), ..view };
    let burned = ShareReason::BurnedByDecision { proposal, cause: "left".into() };
    vec![
        ShareChangeView { vesting, ..change(BAY, ShareFlow::In, 1_000, minted) },
        change(BAY, ShareFlow::In, 60, ShareReason::Founding),
        later(change(BAY, ShareFlow::Out, 50, given(COAST)), 10),
        later(change(COAST, ShareFlow::In, 50, given(BAY)), 10),
        later(change(BAY, ShareFlow::Out, 300, given(COAST)), 40),
        later(change(COAST, ShareFlow::In, 300, given(BAY)), 40),
        later(change(BAY, ShareFlow::Out, 200, burned), 40),
    ]
}

fn items<'a>(package: &'a Value, file: &str) -> &'a Vec<Value> {
    package[file]["items"].as_array().unwrap()
}

/// What the transactions leave outstanding, by stakeholder.
fn outstanding(package: &Value) -> BTreeMap<String, u64> {
    let (mut live, mut sums) = (BTreeMap::new(), BTreeMap::new());
    for transaction in items(package, "Transactions.ocf.json") {
        let security = transaction["security_id"].as_str().unwrap().to_owned();
        if transaction["object_type"] == "TX_STOCK_ISSUANCE" {
            let quantity: u64 = transaction["quantity"].as_str().unwrap().parse().unwrap();
            live.insert(security, (transaction["stakeholder_id"].as_str().unwrap().to_owned(), quantity));
        } else {
            assert!(live.remove(&security).is_some(), "{security} ends once, after it was issued");
        }
    }
    for (holder, units) in live.into_values() {
        *sums.entry(holder).or_default() += units;
    }
    sums
}

#[test]
fn what_is_outstanding_is_what_the_register_says() {
    let minted = ShareReason::Minted { proposal: ProposalId::from_bytes([4; 32]), reason: "work".into() };
    let changes = vec![
        change(BAY, ShareFlow::In, 60, ShareReason::Founding),
        change(BAY, ShareFlow::In, 40, minted),
        change(BAY, ShareFlow::Out, 70, given(COAST)),
        change(COAST, ShareFlow::In, 70, given(BAY)),
        change(COAST, ShareFlow::Out, 5, ShareReason::Burned { reason: "spoiled".into() }),
    ];
    let package = package(&whole(changes), &BTreeSet::from([COAST])).unwrap();
    assert_eq!(outstanding(&package), BTreeMap::from([(BAY.to_string(), 30), (COAST.to_string(), 65)]));
    assert_eq!(package["Manifest.ocf.json"]["as_of"], "2026-11-23");
    let kinds: Vec<(&Value, &Value)> = items(&package, "Stakeholders.ocf.json")
        .iter()
        .map(|one| (&one["stakeholder_type"], &one["current_relationship"]))
        .collect();
    assert_eq!(kinds, [(&json!("INSTITUTION"), &json!("FOUNDER")), (&json!("INDIVIDUAL"), &json!("OTHER"))]);
}

#[test]
fn units_under_vesting_stay_until_they_are_free_and_their_dates_add_up() {
    let package = package(&whole(story()), &BTreeSet::new()).unwrap();
    assert_eq!(outstanding(&package), BTreeMap::from([(BAY.to_string(), 510), (COAST.to_string(), 350)]));
    for issuance in items(&package, "Transactions.ocf.json").iter().filter(|one| one.get("vestings").is_some()) {
        let amounts = issuance["vestings"].as_array().unwrap().iter().map(|step| step["amount"].as_str().unwrap());
        let sum: u64 = amounts.map(|amount| amount.parse::<u64>().unwrap()).sum();
        assert_eq!(sum.to_string(), issuance["quantity"].as_str().unwrap());
    }
    let first = &items(&package, "Transactions.ocf.json")[0]["vestings"];
    assert_eq!(first[0], json!({"date": "2027-01-02", "amount": "400"}), "nothing before the cliff");
    let sold = &items(&package, "Transactions.ocf.json")[2];
    assert_eq!(sold["security_id"], "S-2", "the founding units leave first: the older ones are not free yet");
}

#[test]
fn a_history_that_does_not_add_up_is_refused() {
    let burned = ShareReason::Burned { reason: String::new() };
    assert!(package(&whole(vec![change(BAY, ShareFlow::Out, 1, burned)]), &BTreeSet::new()).is_err());
}

#[test]
fn every_file_is_what_the_published_schemas_say() {
    let schemas = Schemas::read();
    let package = package(&whole(story()), &BTreeSet::from([COAST])).unwrap();
    for (file, schema) in [
        ("Manifest.ocf.json", "files/OCFManifestFile.schema.json"),
        ("Stakeholders.ocf.json", "files/StakeholdersFile.schema.json"),
        ("StockClasses.ocf.json", "files/StockClassesFile.schema.json"),
        ("Transactions.ocf.json", "files/TransactionsFile.schema.json"),
    ] {
        assert_eq!(schemas.faults(schema, &package[file]), Vec::<String>::new(), "{file}");
    }
    let mut wrong = package["StockClasses.ocf.json"].clone();
    wrong["items"][0]["votes_per_share"] = json!(1);
    assert!(!schemas.faults("files/StockClassesFile.schema.json", &wrong).is_empty(), "what is wrong is found");
    let mut wrong = package["Transactions.ocf.json"].clone();
    wrong["items"][0]["vestings"][0]["note"] = json!("no such field");
    assert!(!schemas.faults("files/TransactionsFile.schema.json", &wrong).is_empty(), "what is wrong is found");
}
