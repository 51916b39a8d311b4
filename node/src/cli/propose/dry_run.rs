//! `allod propose ... --dry-run`: what a decision would change, for people.

use crate::{
    api::views::{BlockingView, DryRunOutcome, DryRunRequest, DryRunView, RecordChange, WeightView},
    cli::{
        client::Client,
        context::Context,
        events::Names,
        output::{Fields, cut, short, who},
        signing::as_rejection,
        words::{sentences, show_effect, show_gate},
    },
    plain::units::{show_count, show_duration, show_time},
};
use allod_protocol::{
    ground::ids::{AccountId, ModelId, PublicKey, Timestamp},
    rules::{
        model::Model,
        policy::explain,
        proposal::OpenProposal,
        validator::{Validator, ValidatorSchedule},
    },
};
use anyhow::Result;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Families that only record the past of others, or index them.
const BOOKKEEPING: &[&str] = &[
    "share_at",
    "total_at",
    "share_change",
    "members_at",
    "delegated_at",
    "delegation_at",
    "deadline",
    "model_counters",
];

/// Asks the node what a proposal would do, and shows it.
pub(super) async fn try_out(context: &Context, client: Client, sender: &str, proposal: OpenProposal) -> Result<()> {
    let request = DryRunRequest { sender: sender.to_owned(), proposal };
    let view: DryRunView = client.ask("/v1/proposals/dry-run", &request).await.map_err(as_rejection)?;
    let mut names = Names::new(client);
    let mut changes = Vec::new();
    for change in &view.changes {
        let heading = heading(change, &mut names).await;
        changes.push(names.text(&show_change(change, &heading)).await);
    }
    context.answer(&view, |view| show(view, &changes))
}

/// The name of a record, with names instead of ids.
async fn heading(change: &RecordChange, names: &mut Names) -> String {
    let mut heading = change.family.replace('_', " ");
    for (field, value) in change.key.as_object().into_iter().flatten() {
        let (model, account) = (leaf(value).parse::<ModelId>(), leaf(value).parse::<AccountId>());
        let name = match (field.as_str(), model, account) {
            ("model" | "child_model", Ok(id), _) => names.model(id).await,
            ("account" | "from" | "to" | "guardian", _, Ok(id)) => names.account(id).await,
            _ => cut(&leaf(value), 16),
        };
        heading.push_str(&format!(" {name}"));
    }
    heading
}

fn show(view: &DryRunView, changes: &[String]) -> String {
    let mut fields = Fields::default();
    for does in &view.does {
        fields.add("asks", format!("to {does}"));
    }
    match &view.outcome {
        DryRunOutcome::Done(_) => fields.add("if it passes", "it is done"),
        DryRunOutcome::Refused(refusal) => {
            fields.add("if it passes", format!("it fails ({}): {}", refusal.code, refusal.detail))
        }
    };
    fields.add("class", &view.class).add("rule", sentences(&view.rule_text));
    fields.add("closes", show_time(view.closes)).add("weight", show_count(view.electorate));
    for gate in &view.attested {
        fields.add("waits for", show_gate(gate));
    }
    fields.add("can block it", show_blocking(&view.blocking));
    let mut text = fields.show();
    if let Some(effect) = &view.effect {
        text.push_str(&format!("\nregister\n{}", show_effect(effect)));
    }
    let mut kept = 0usize;
    for (change, shown) in view.changes.iter().zip(changes) {
        match change.family.as_str() {
            "share" | "register" => {}
            family if BOOKKEEPING.contains(&family) => kept = kept.saturating_add(1),
            _ => text.push_str(shown),
        }
    }
    if kept > 0 {
        text.push_str(&format!("\nand {kept} bookkeeping records\n"));
    }
    text
}

fn show_blocking(blocking: &BlockingView) -> String {
    let list = |holders: &[WeightView]| {
        let name = |holder: &WeightView| {
            format!("{} ({})", who(holder.handle.as_ref(), holder.account), show_count(holder.weight))
        };
        holders.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let mut lines = vec![format!("a weight of {} that says no", show_count(blocking.weight))];
    if !blocking.alone.is_empty() {
        lines.push(format!("alone: {}", list(&blocking.alone)));
    }
    match blocking.smallest_group_size {
        None => lines.push("who they are is not worked out: there are more than 10,000 holders".into()),
        Some(1) if blocking.smallest_group.is_empty() => lines.push("any member".into()),
        Some(size) if blocking.smallest_group.is_empty() => lines.push(format!("any {} members", show_count(size))),
        Some(1) => {}
        Some(size) => {
            lines.push(format!("{} together at the fewest: {}", show_count(size), list(&blocking.smallest_group)));
        }
    }
    lines.join("\n")
}

fn show_change(change: &RecordChange, heading: &str) -> String {
    let lines = match change.family.as_str() {
        "model" => model_lines(change),
        "validators" => validator_lines(change),
        _ => leaves(change.before.as_ref(), change.after.as_ref()),
    };
    lines.into_iter().fold(format!("\n{heading}\n"), |text, line| format!("{text}  {line}\n"))
}

/// A model: its rules in words, the rest by field.
fn model_lines(change: &RecordChange) -> Vec<String> {
    let model = |record: &Option<Value>| record.clone().and_then(|record| serde_json::from_value::<Model>(record).ok());
    let (Some(before), Some(after)) = (model(&change.before), model(&change.after)) else {
        return leaves(change.before.as_ref(), change.after.as_ref());
    };
    let known: BTreeMap<String, String> = explain::policy(&before.policy).into_iter().collect();
    let (words, mut lines) = (explain::policy(&after.policy), Vec::new());
    for (heading, words) in words.iter().filter(|(heading, words)| known.get(heading) != Some(words)) {
        let old = known.get(heading).map_or("nothing", String::as_str);
        lines.push(format!("{heading}\n    before  {old}\n    after   {words}"));
    }
    let gone = known.keys().filter(|heading| !words.iter().any(|(kept, _)| kept == *heading));
    lines.extend(gone.map(|heading| format!("{heading}: no longer")));
    let rest = |record: &Option<Value>| {
        let mut record = record.clone()?;
        record.as_object_mut()?.remove("policy");
        Some(record)
    };
    lines.extend(leaves(rest(&change.before).as_ref(), rest(&change.after).as_ref()));
    lines
}

/// The set that decides from two blocks later on: who joins, leaves, or has a different weight.
fn validator_lines(change: &RecordChange) -> Vec<String> {
    let set = |record: &Option<Value>| -> BTreeMap<PublicKey, Validator> {
        let schedule = record.clone().and_then(|record| serde_json::from_value::<ValidatorSchedule>(record).ok());
        let next = schedule.map(|schedule| schedule.next);
        next.iter().flat_map(|set| set.iter()).map(|validator| (validator.key, validator.clone())).collect()
    };
    let (before, after) = (set(&change.before), set(&change.after));
    let power = |validator: Option<&Validator>| validator.map_or_else(|| "none".into(), |one| one.power.to_string());
    let mut keys: Vec<&PublicKey> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let changed = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    changed
        .map(|key| format!("{}: power {} -> {}", short(key), power(before.get(key)), power(after.get(key))))
        .collect()
}

/// Every field that differs, as `name: before -> after`.
fn leaves(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let mut lines = Vec::new();
    collect("", before, after, &mut lines);
    lines
}

fn collect(name: &str, before: Option<&Value>, after: Option<&Value>, lines: &mut Vec<String>) {
    if before == after {
        return;
    }
    // A record that is new, or removed, is shown by its fields too.
    let fields = |value: Option<&Value>| match value {
        None => Some(Map::new()),
        Some(value) => value.as_object().cloned(),
    };
    match (fields(before), fields(after)) {
        (Some(old), Some(new)) => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort();
            names.dedup();
            for field in names {
                let path = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                collect(&path, old.get(field), new.get(field), lines);
            }
        }
        _ => {
            let show = |value: Option<&Value>| value.map_or_else(|| "nothing".into(), |value| said(name, value));
            let change = format!("{} -> {}", show(before), show(after));
            lines.push(if name.is_empty() { change } else { format!("{name}: {change}") });
        }
    }
}

/// Fields that hold block times.
const TIMES: &[&str] = &[
    "called_at",
    "closes",
    "expires",
    "issued",
    "lapses",
    "latest_close",
    "opened_at",
    "ready",
    "records_until",
    "sleeps_at",
    "turned_at",
    "until",
];

/// A field's value: a time as a date, a duration with its units.
fn said(path: &str, value: &Value) -> String {
    let field = path.rsplit('.').next().unwrap_or(path);
    match value.as_u64() {
        Some(time) if TIMES.contains(&field) => show_time(Timestamp::new(time)),
        Some(length) if field.ends_with("_ms") => show_duration(length),
        _ => leaf(value),
    }
}

fn leaf(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_shown_by_its_name() {
        let before = json!({"quota": 5, "keys": {"threshold": 1}, "handle": "bay"});
        let after = json!({"quota": 9, "keys": {"threshold": 2}, "handle": "bay", "suspended": 7});
        let lines = leaves(Some(&before), Some(&after));
        assert_eq!(lines, ["keys.threshold: 1 -> 2", "quota: 5 -> 9", "suspended: nothing -> 7"]);
        assert_eq!(leaves(None, Some(&json!(3))), ["nothing -> 3"]);
        let times = json!({"until": 1_795_428_000_000u64, "delay_ms": 61_000});
        assert_eq!(
            leaves(None, Some(&times)),
            ["delay_ms: nothing -> 1 min 1 s", "until: nothing -> 2026-11-23 10:00:00Z"]
        );
    }

    #[test]
    fn a_new_record_is_shown_by_its_fields_and_validators_by_their_power() {
        assert_eq!(
            leaves(None, Some(&json!({"number": 0, "plan": {"budget": 9}}))),
            ["number: nothing -> 0", "plan.budget: nothing -> 9"]
        );
        let schedule = |power: u64| {
            let key = allod_protocol::ground::crypto::SigningKey::from_seed(&[1; 32]).public_key();
            let one =
                Validator::new(key, allod_protocol::ground::ids::Power::new(power), AccountId::from_bytes([1; 32]));
            let set = allod_protocol::rules::validator::ValidatorSet::try_from(vec![one]).ok();
            set.map(|set| json!(ValidatorSchedule { current: set.clone(), next: set }))
        };
        let (family, key) = ("validators".into(), json!({}));
        let change = RecordChange { family, key, before: schedule(1), after: schedule(3) };
        let lines = validator_lines(&change);
        assert!(lines.len() == 1 && lines.iter().all(|line| line.ends_with("power 1 -> 3")), "{lines:?}");
    }

    #[test]
    fn what_can_block_is_said_in_words() {
        let holder = |weight| WeightView { account: AccountId::from_bytes([1; 32]), handle: None, weight };
        let blocking = |alone, smallest_group, smallest_group_size| {
            show_blocking(&BlockingView { weight: 30, alone, smallest_group, smallest_group_size })
        };
        assert!(blocking(vec![holder(40)], vec![holder(40)], Some(1)).contains("alone: 0101"));
        assert!(blocking(vec![], vec![holder(20), holder(15)], Some(2)).contains("2 together at the fewest"));
        assert!(blocking(vec![], vec![], Some(2)).contains("any 2 members"));
        assert!(blocking(vec![], vec![], None).contains("not worked out"));
    }
}
