//! A register in the Open Cap Table Format, version 1.2 (<https://opencaptablecoalition.com>).
//!
//! The format knows securities, each issued once and ended by what happens to it; the ledger knows balances. So every
//! line that came to a holder is a security. What leaves a holder leaves its oldest securities first: of each, what is
//! free, and what is not free only if a decision takes it. A security that leaves in part is replaced by another with
//! the rest. Units under vesting have dates and amounts: the ledger frees them by the millisecond, and this file states
//! what is free after each thirty days. A package is a file for each kind of object, and a manifest that names them;
//! here they are together in one document, each under its file's name.
//!
//! The ledger knows accounts, not who owns them: which of them are persons is given when the package is written.

mod schedule;

use super::{Whole, date_time};
use crate::{
    api::views::{ShareChangeView, counterparty},
    cli::{output::who, words},
    plain::units::now,
};
use allod_protocol::{
    ground::ids::{AccountId, Timestamp},
    rules::share::{ShareFlow, ShareReason},
};
use anyhow::{Result, anyhow};
use md5::{Digest as _, Md5};
use schedule::Schedule;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const VERSION: &str = "1.2.0";
const CLASS: &str = "shares";

/// The manifest and the files that it names.
pub(super) fn package(whole: &Whole, individuals: &BTreeSet<AccountId>) -> Result<Value> {
    let register = &whole.register;
    let first = whole.changes.first().map_or(register.time, |change| change.time);
    let mut book = Book::default();
    for view in &whole.changes {
        book.enter(view)?;
    }
    let file = |kind: &str, items: &[Value]| json!({"file_type": format!("OCF_{kind}_FILE"), "items": items});
    let stakeholders = file("STAKEHOLDERS", &stakeholders(&whole.changes, individuals));
    let classes = file("STOCK_CLASSES", &[share_class()]);
    let transactions = file("TRANSACTIONS", &book.transactions);
    let named = |name: &str, file: &Value| json!([{"filepath": name, "md5": md5(file)}]);
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
                // ISO 3166-1 leaves this code to its users; a model is not founded in any country.
                "country_of_formation": "ZZ",
            },
            "stakeholders_files": named("Stakeholders.ocf.json", &stakeholders),
            "stock_classes_files": named("StockClasses.ocf.json", &classes),
            "transactions_files": named("Transactions.ocf.json", &transactions),
            "stock_plans_files": [],
            "stock_legend_templates_files": [],
            "vesting_terms_files": [],
            "valuations_files": [],
        },
        "Stakeholders.ocf.json": stakeholders,
        "StockClasses.ocf.json": classes,
        "Transactions.ocf.json": transactions,
    }))
}

/// The only class of shares that a model has.
fn share_class() -> Value {
    json!({
        "object_type": "STOCK_CLASS",
        "id": CLASS,
        "name": "Shares",
        "class_type": "COMMON",
        "default_id_prefix": "S-",
        "initial_shares_authorized": "UNLIMITED",
        "votes_per_share": "1",
        "seniority": "1",
    })
}

/// The MD5 of a file as `jq` writes it: indented by two spaces, with a line break at the end.
fn md5(file: &Value) -> String {
    let text = format!("{}\n", crate::json::to_string_pretty(file).unwrap_or_default());
    data_encoding::HEXLOWER.encode(&Md5::digest(text))
}

/// Everybody who ever held shares, and how each first got them.
fn stakeholders(changes: &[ShareChangeView], individuals: &BTreeSet<AccountId>) -> Vec<Value> {
    let mut known: BTreeMap<AccountId, (String, &str)> = BTreeMap::new();
    for view in changes {
        let relationship = match view.change.reason {
            ShareReason::Founding => "FOUNDER",
            ShareReason::TransferApproved { .. } => "INVESTOR",
            ShareReason::Minted { .. }
            | ShareReason::Transferred { .. }
            | ShareReason::Burned { .. }
            | ShareReason::BurnedByDecision { .. }
            | ShareReason::Round { .. }
            | ShareReason::BurnedByDispute { .. }
            | ShareReason::TakenUp { .. }
            | ShareReason::Lineage { .. } => "OTHER",
        };
        let name = || (who(view.handle.as_ref(), view.change.account), relationship);
        known.entry(view.change.account).or_insert_with(name);
    }
    let stakeholder = |(id, (name, relationship)): (AccountId, (String, &str))| {
        json!({
            "object_type": "STAKEHOLDER",
            "id": id,
            "name": {"legal_name": name},
            "stakeholder_type": if individuals.contains(&id) { "INDIVIDUAL" } else { "INSTITUTION" },
            "current_relationship": relationship,
        })
    };
    known.into_iter().map(stakeholder).collect()
}

/// Units that came together and have not left.
struct Security {
    id: String,
    units: u64,
    schedule: Schedule,
}

/// What is outstanding, and what led to it.
#[derive(Default)]
struct Book {
    /// The oldest first.
    held: BTreeMap<AccountId, Vec<Security>>,
    transactions: Vec<Value>,
    issued: u64,
}

impl Book {
    fn enter(&mut self, view: &ShareChangeView) -> Result<()> {
        let change = &view.change;
        match (change.flow, &change.reason) {
            // Entered with the line of the giver.
            (ShareFlow::In, ShareReason::Transferred { .. } | ShareReason::TransferApproved { .. }) => Ok(()),
            (ShareFlow::In, _) => {
                let schedule = Schedule::new(change.units, view.time, view.vesting.as_ref());
                let security = self.issue(view, change.account, change.units.get(), schedule);
                self.held.entry(change.account).or_default().push(security);
                Ok(())
            }
            (ShareFlow::Out, _) => self.leave(view),
        }
    }

    /// Issues a security.
    fn issue(&mut self, view: &ShareChangeView, holder: AccountId, units: u64, schedule: Schedule) -> Security {
        self.issued = self.issued.saturating_add(1);
        let id = format!("S-{}", self.issued);
        let mut issuance = json!({
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
        });
        let vestings = schedule.steps().map(|(time, amount)| json!({"date": date(time), "amount": amount.to_string()}));
        let vestings: Vec<Value> = vestings.collect();
        if let Some(fields) = issuance.as_object_mut().filter(|_| !vestings.is_empty()) {
            fields.insert("vestings".into(), vestings.into());
        }
        self.transactions.push(issuance);
        Security { id, units, schedule }
    }

    /// Units leave a holder: to another, or for good.
    fn leave(&mut self, view: &ShareChangeView) -> Result<()> {
        let holder = view.change.account;
        let mut held = self.held.remove(&holder).unwrap_or_default();
        let takes = takes(&held, view.change.units.get(), view.time)
            .ok_or_else(|| anyhow!("change {} takes more than {holder} held", view.change.number))?;
        let mut kept = Vec::with_capacity(held.len());
        for (security, taken) in held.drain(..).zip(takes) {
            if taken == 0 {
                kept.push(security);
                continue;
            }
            let place = self.transactions.len();
            let resulting = counterparty(&view.change.reason).map(|to| {
                let given = self.issue(view, to, taken, Schedule::default());
                let id = given.id.clone();
                self.held.entry(to).or_default().push(given);
                id
            });
            let rest = security.units.saturating_sub(taken);
            let balance = (rest > 0).then(|| self.issue(view, holder, rest, security.schedule.less(taken)));
            let ending = ended(view, &security.id, taken, resulting, balance.as_ref().map(|rest| rest.id.clone()));
            self.transactions.insert(place, ending);
            kept.extend(balance);
        }
        self.held.entry(holder).or_default().splice(0..0, kept);
        Ok(())
    }
}

/// How much leaves each security: of the oldest first, what is free; then what is not. `None` if there is less.
fn takes(held: &[Security], units: u64, time: Timestamp) -> Option<Vec<u64>> {
    let mut left = units;
    let mut takes: Vec<u64> = held
        .iter()
        .map(|security| {
            let free = security.units.saturating_sub(security.schedule.locked(time));
            let taken = free.min(left);
            left = left.saturating_sub(taken);
            taken
        })
        .collect();
    for (security, taken) in held.iter().zip(&mut takes) {
        let more = security.units.saturating_sub(*taken).min(left);
        *taken = taken.saturating_add(more);
        left = left.saturating_sub(more);
    }
    (left == 0).then_some(takes)
}

/// How a security ended: transferred if another came of it, otherwise cancelled.
fn ended(
    view: &ShareChangeView,
    security: &str,
    units: u64,
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
mod tests;
