//! What a decision does to a register: every line before and after, and who can stop decisions no longer.

use super::{
    reader::Reader,
    views::{EffectView, LineEffect, LostBlock, Problem},
};
use allod_protocol::{
    ground::{
        apportion::apportion,
        codec,
        ids::{AccountId, BasisPoints, ModelId, Units},
        state::{ChangeSet, Direction, Record as _, page},
    },
    rules::{
        model::Model,
        policy::{Class, ModelPolicy},
        share::{Register, Share, Weights},
    },
};
use std::collections::BTreeMap;

/// Holders beyond whom a register is not shown whole.
pub(crate) const HOLDERS: u64 = 10_000;
/// Lines of a register that are read at a time.
const LINES: usize = 500;

type Lines = BTreeMap<AccountId, u64>;

/// What changes do to a model's register and to who can stop decisions; none if they change neither, or there are too
/// many holders.
pub(crate) fn on_register(reader: &Reader, model: ModelId, changes: &ChangeSet) -> Result<Option<EffectView>, Problem> {
    let shares = Share::key_bytes(&model);
    let touches = |key: &Vec<u8>| key.starts_with(&shares) || *key == Model::key_bytes(&model);
    if !changes.keys().any(touches) {
        return Ok(None);
    }
    let holders = reader.find::<Register>(&model)?.map_or(0, |register| register.holders);
    let Some(record) = reader.find::<Model>(&model)?.filter(|_| holders <= HOLDERS) else { return Ok(None) };
    let before = lines(reader, model)?;
    let after = changed(model, &before, changes);
    let policy = policy_after(model, changes).unwrap_or_else(|| record.policy.clone());
    if before == after && policy == record.policy {
        return Ok(None);
    }
    let mut accounts: Vec<AccountId> = before.keys().chain(after.keys()).copied().collect();
    accounts.sort();
    accounts.dedup();
    let units = |lines: &Lines| -> Vec<u64> {
        accounts.iter().map(|account| lines.get(account).copied().unwrap_or(0)).collect()
    };
    let (had, has) = (units(&before), units(&after));
    let (parts_before, parts_after) = (parts(&had), parts(&has));
    let mut view = EffectView { lines: Vec::with_capacity(accounts.len()), lose_block: Vec::new() };
    for (index, account) in accounts.iter().enumerate() {
        let at = |list: &[u64]| list.get(index).copied().unwrap_or(0);
        let part = |list: &[BasisPoints]| list.get(index).copied().unwrap_or(BasisPoints::ZERO);
        view.lines.push(LineEffect {
            account: *account,
            handle: reader.handle(*account)?,
            before: Units::new(at(&had)),
            after: Units::new(at(&has)),
            basis_points_before: part(&parts_before),
            basis_points_after: part(&parts_after),
        });
        let classes = blocks(&record.policy, &had, at(&had));
        let kept = blocks(&policy, &has, at(&has));
        let lost: Vec<String> =
            classes.into_iter().filter(|class| !kept.contains(class)).map(|class| class.name().to_owned()).collect();
        if !lost.is_empty() {
            view.lose_block.push(LostBlock { account: *account, handle: reader.handle(*account)?, classes: lost });
        }
    }
    view.lines.sort_by_key(|line| (std::cmp::Reverse(line.before.max(line.after)), line.account));
    Ok(Some(view))
}

/// The parts of a register's lines, in basis points that add up to the whole, to the largest remainders.
pub(crate) fn parts(units: &[u64]) -> Vec<BasisPoints> {
    let part = |points: u64| u16::try_from(points).ok().and_then(|points| BasisPoints::new(points).ok());
    let whole = u64::from(BasisPoints::WHOLE.get());
    apportion(whole, units).into_iter().map(|points| part(points).unwrap_or(BasisPoints::WHOLE)).collect()
}

/// The classes of decision that a holder can stop alone.
fn blocks(policy: &ModelPolicy, all: &[u64], held: u64) -> Vec<Class> {
    let stops = |class: &Class| {
        let rule = policy.rule(*class);
        let weigh = |units: u64| Weights::of(Units::new(units)).by(rule.electorate);
        let electorate = all.iter().map(|units| weigh(*units)).fold(0, u64::saturating_add);
        let weight = weigh(held);
        weight > 0 && weight >= rule.blocking_weight(electorate)
    };
    Class::OF_MODELS.into_iter().filter(stops).collect()
}

fn lines(reader: &Reader, model: ModelId) -> Result<Lines, Problem> {
    let (mut all, mut after) = (Lines::new(), None::<Vec<u8>>);
    loop {
        let (shares, next) = page::<Share>(&reader.state, &model, after.as_deref(), Direction::Ascending, LINES)?;
        all.extend(shares.into_iter().map(|share| (share.account, share.units.get())));
        after = next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

fn changed(model: ModelId, before: &Lines, changes: &ChangeSet) -> Lines {
    let mut lines = before.clone();
    let prefix = Share::key_bytes(&model);
    for (key, value) in changes.iter().filter(|(key, _)| key.starts_with(&prefix)) {
        match value.as_ref().and_then(|bytes| codec::decode_trusted::<Share>(bytes).ok()) {
            Some(share) => drop(lines.insert(share.account, share.units.get())),
            None => lines.retain(|account, _| Share::key_bytes(&(model, *account)) != *key),
        }
    }
    lines
}

fn policy_after(model: ModelId, changes: &ChangeSet) -> Option<ModelPolicy> {
    let bytes = changes.get(&Model::key_bytes(&model))?.as_ref()?;
    codec::decode_trusted::<Model>(bytes).ok().map(|model| model.policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use allod_protocol::rules::policy::templates::Template;

    #[test]
    fn parts_add_up_to_the_whole() {
        let sum = |units: &[u64]| parts(units).iter().map(|part| u32::from(part.get())).sum::<u32>();
        assert_eq!(parts(&[1, 1, 1]).iter().map(|part| part.get()).collect::<Vec<_>>(), [3_334, 3_333, 3_333]);
        assert_eq!(sum(&[1, 1, 1]), 10_000);
        assert_eq!(sum(&[u64::MAX / 4, 7, 3]), 10_000);
        assert_eq!(sum(&[0, 0]), 0);
    }

    #[test]
    fn a_partner_that_is_diluted_stops_nothing_any_more() {
        let policy = Template::EqualPartners.policy(&[]);
        let stops = |all: &[u64], held| blocks(&policy, all, held).contains(&Class::Ownership);
        assert!(!stops(&[1, 1, 1], 1), "the other two are two thirds");
        assert!(stops(&[2, 2, 1], 2), "what is left is three fifths");
        assert!(!stops(&[2, 2, 1, 2], 2), "after a mint it is five sevenths");
    }
}
