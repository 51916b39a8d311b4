//! A register in the Open Cap Table Format, version 1.2 (<https://opencaptablecoalition.com>).
//!
//! The format speaks of securities, each issued once and ended by what becomes of it; the ledger speaks of balances.
//! So every line that came to a holder is a security, and what leaves a holder leaves its oldest securities first: one
//! that leaves in part is replaced by another with the rest. A package is a file for each kind of object and a manifest
//! that names them; here they stand together in one document, each under its file's name.

use super::{Whole, date_time};
use crate::{
    api::views::{ShareChangeView, counterparty},
    cli::{output::who, units::now, words},
};
use allod_protocol::{
    ids::{AccountId, Timestamp},
    share::{ShareFlow, ShareReason},
};
use anyhow::{Result, anyhow};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

const VERSION: &str = "1.2.0";
const CLASS: &str = "shares";

/// The manifest and the files that it names.
pub(super) fn package(whole: &Whole) -> Result<Value> {
    let register = &whole.register;
    let first = whole.changes.first().map_or(register.time, |change| change.time);
    let mut book = Book::default();
    for view in &whole.changes {
        book.enter(view)?;
    }
    let file = |kind: &str, items: &[Value]| json!({"file_type": format!("OCF_{kind}_FILE"), "items": items});
    let named = |name: &str| json!([{"filepath": name}]);
    Ok(json!({
        "Manifest.ocf.json": {
            "file_type": "OCF_MANIFEST_FILE",
            "ocf_version": VERSION,
            "as_of": date(register.time),
            "generated_at": date_time(now()),
            "comments": [format!("model {}, as of block {}", register.model, register.height)],
            "issuer": {
                "object_type": "ISSUER",
                "id": register.model,
                "legal_name": register.name,
                "formation_date": date(first),
                // ISO 3166-1 leaves it to its users; a model is founded in no country.
                "country_of_formation": "ZZ",
            },
            "stakeholders_files": named("Stakeholders.ocf.json"),
            "stock_classes_files": named("StockClasses.ocf.json"),
            "transactions_files": named("Transactions.ocf.json"),
            "stock_plans_files": [],
            "stock_legend_templates_files": [],
            "vesting_terms_files": [],
            "valuations_files": [],
        },
        "Stakeholders.ocf.json": file("STAKEHOLDERS", &stakeholders(&whole.changes)),
        "StockClasses.ocf.json": file("STOCK_CLASSES", &[json!({
            "object_type": "STOCK_CLASS",
            "id": CLASS,
            "name": "Shares",
            "class_type": "COMMON",
            "default_id_prefix": "S-",
            "initial_shares_authorized": "UNLIMITED",
            "votes_per_share": 1,
            "seniority": "1",
        })]),
        "Transactions.ocf.json": file("TRANSACTIONS", &book.transactions),
    }))
}

/// Everybody who ever held shares.
fn stakeholders(changes: &[ShareChangeView]) -> Vec<Value> {
    let names: BTreeMap<AccountId, String> =
        changes.iter().map(|view| (view.change.account, who(view.handle.as_ref(), view.change.account))).collect();
    let stakeholder = |(id, name)| {
        json!({
            "object_type": "STAKEHOLDER",
            "id": id,
            "name": {"legal_name": name},
            "stakeholder_type": "INSTITUTION",
        })
    };
    names.into_iter().map(stakeholder).collect()
}

/// Units that came together and have not left.
struct Security {
    id: String,
    units: u64,
}

/// What is outstanding, and what led to it.
#[derive(Default)]
struct Book {
    held: BTreeMap<AccountId, VecDeque<Security>>,
    transactions: Vec<Value>,
    issued: u64,
}

impl Book {
    fn enter(&mut self, view: &ShareChangeView) -> Result<()> {
        let change = &view.change;
        match (change.flow, &change.reason) {
            // Entered with the line of who gave.
            (ShareFlow::In, ShareReason::Transferred { .. } | ShareReason::TransferApproved { .. }) => Ok(()),
            (ShareFlow::In, _) => {
                self.issue(view, change.account, change.units.get());
                Ok(())
            }
            (ShareFlow::Out, _) => self.leave(view),
        }
    }

    /// A security comes to be.
    fn issue(&mut self, view: &ShareChangeView, holder: AccountId, units: u64) -> String {
        self.issued = self.issued.saturating_add(1);
        let id = format!("S-{}", self.issued);
        self.transactions.push(json!({
            "object_type": "TX_STOCK_ISSUANCE",
            "id": format!("issuance-{}", self.issued),
            "date": date(view.time),
            "security_id": id,
            "custom_id": id,
            "stakeholder_id": holder,
            "stock_class_id": CLASS,
            "quantity": units.to_string(),
            "share_price": {"amount": "0", "currency": "XXX"},
            "security_law_exemptions": [],
            "stock_legend_ids": [],
            "comments": [reason(view)],
        }));
        self.held.entry(holder).or_default().push_back(Security { id: id.clone(), units });
        id
    }

    /// Units leave a holder: to another, or for good.
    fn leave(&mut self, view: &ShareChangeView) -> Result<()> {
        let holder = view.change.account;
        let mut left = view.change.units.get();
        while left > 0 {
            let oldest = self.held.get_mut(&holder).and_then(VecDeque::pop_front);
            let Security { id, units } =
                oldest.ok_or_else(|| anyhow!("change {} takes more than {holder} held", view.change.number))?;
            let taken = units.min(left);
            left = left.saturating_sub(taken);
            let to = counterparty(&view.change.reason);
            let place = self.transactions.len();
            let resulting = to.map(|to| self.issue(view, to, taken));
            let rest = units.saturating_sub(taken);
            let balance = (rest > 0).then(|| self.issue_rest(view, holder, rest));
            self.transactions.insert(place, ended(view, (&id, taken), resulting, balance));
        }
        Ok(())
    }

    /// What is left of a security stays the oldest of its holder's.
    fn issue_rest(&mut self, view: &ShareChangeView, holder: AccountId, units: u64) -> String {
        let id = self.issue(view, holder, units);
        if let Some(held) = self.held.get_mut(&holder) {
            held.rotate_right(1);
        }
        id
    }
}

/// How a security ended: transferred if another came of it, cancelled if not.
fn ended(
    view: &ShareChangeView,
    (security, units): (&str, u64),
    resulting: Option<String>,
    balance: Option<String>,
) -> Value {
    let kind = if resulting.is_some() { "transfer" } else { "cancellation" };
    let mut fields = vec![
        ("object_type", json!(format!("TX_STOCK_{}", kind.to_uppercase()))),
        ("id", json!(format!("{kind}-of-{security}"))),
        ("date", json!(date(view.time))),
        ("security_id", json!(security)),
        ("quantity", json!(units.to_string())),
        ("comments", json!([reason(view)])),
    ];
    fields.push(match resulting {
        Some(id) => ("resulting_security_ids", json!([id])),
        None => ("reason_text", json!(reason(view))),
    });
    fields.extend(balance.map(|id| ("balance_security_id", json!(id))));
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

fn reason(view: &ShareChangeView) -> String {
    let change = &view.change;
    let other = counterparty(&change.reason).map(|id| who(view.counterparty_handle.as_ref(), id));
    words::share_reason(&change.reason, change.flow, other.as_deref())
}

fn date(time: Timestamp) -> String {
    date_time(time).split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::api::views::SharesView;
    use allod_protocol::{
        ids::{Height, ModelId, Units},
        share::ShareChange,
    };

    const BAY: AccountId = AccountId::from_bytes([1; 32]);
    const COAST: AccountId = AccountId::from_bytes([2; 32]);

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
            time: Timestamp::new(1_795_428_000_000),
            handle: None,
            counterparty_handle: None,
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
            time: Timestamp::new(1_795_428_000_000),
            total_units: Units::ZERO,
            items: Vec::new(),
            next: None,
        };
        Whole { register, changes }
    }

    /// What the transactions leave outstanding, by stakeholder.
    fn outstanding(package: &Value) -> BTreeMap<String, u64> {
        let (mut live, mut sums) = (BTreeMap::new(), BTreeMap::new());
        for transaction in package["Transactions.ocf.json"]["items"].as_array().unwrap() {
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
        let given = |counterparty| ShareReason::Transferred { counterparty, reason: "sold".into() };
        let minted = ShareReason::Minted {
            proposal: allod_protocol::ids::ProposalId::from_bytes([4; 32]),
            reason: "work".into(),
        };
        let package = package(&whole(vec![
            change(BAY, ShareFlow::In, 60, ShareReason::Founding),
            change(BAY, ShareFlow::In, 40, minted),
            change(BAY, ShareFlow::Out, 70, given(COAST)),
            change(COAST, ShareFlow::In, 70, given(BAY)),
            change(COAST, ShareFlow::Out, 5, ShareReason::Burned { reason: "spoiled".into() }),
        ]))
        .unwrap();
        let expected = [(BAY.to_string(), 30), (COAST.to_string(), 65)];
        assert_eq!(outstanding(&package), BTreeMap::from(expected));
        assert_eq!(package["Manifest.ocf.json"]["as_of"], "2026-11-23");
        assert_eq!(package["Stakeholders.ocf.json"]["items"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_history_that_does_not_add_up_is_refused() {
        let burned = ShareReason::Burned { reason: String::new() };
        assert!(package(&whole(vec![change(BAY, ShareFlow::Out, 1, burned)])).is_err());
    }
}
