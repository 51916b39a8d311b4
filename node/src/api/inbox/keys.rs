//! What an account's keys are asked, and what happens to them.

use super::{Asked, decoded};
use crate::{
    api::views::{InboxItem, InboxKind, Problem},
    plain,
};
use allod_protocol::{
    ground::ids::Timestamp,
    rules::{
        account::{Account, Suspension},
        approval::{Approval, ApprovalOf},
        recovery::{Clock, Guarded, Recovery, Stage},
    },
};

/// When a clock's time comes; none while it stands.
const fn time_of(clock: Clock) -> Option<Timestamp> {
    match clock {
        Clock::Runs { ready } => Some(ready),
        Clock::Stands { .. } => None,
    }
}

/// What happens to the account itself.
pub(super) fn of_account(asked: &Asked<'_>, _: &[u8], value: &[u8]) -> Result<Vec<InboxItem>, Problem> {
    let account: Account = decoded(value)?;
    let (mut items, handle) = (Vec::new(), asked.handle());
    if let Some(Suspension { reason, proposal, .. }) = &account.suspended {
        let text =
            format!("the members suspended this account: {reason:?}; it can vote on what it holds, and little more");
        let item = Asked::notice(InboxKind::Suspended, text, &format!("proposals show {proposal}"));
        items.push(InboxItem { id: Some(proposal.to_string()), ..item });
    }
    if let Some(recovery) = asked.reader.find::<Recovery>(&account.id)? {
        let text = match recovery.stage {
            Stage::Sought => {
                "your guardians give this account new keys then; if that is wrong, stop it with all of your keys, or object with fewer"
            }
            Stage::Contested => {
                "you objected to new keys; that ends the recovery then, unless your guardians say the same again"
            }
            Stage::Confirmed => {
                "your guardians said again that this account gets new keys, and then it does; only all of your keys together stop it"
            }
        };
        let item = asked.item(InboxKind::OwnKeys, text.to_owned(), "recovery cancel");
        items.push(InboxItem { until: time_of(recovery.clock), ..item });
    }
    if let Some(waits) = &account.unsettled {
        let text = "fewer than all keys of this account asked for other keys or guardians, and that is settled then; if it was not \
                    you, see to it with all of your keys";
        let item = Asked::notice(InboxKind::OwnKeys, text.to_owned(), &format!("recovery show {handle}"));
        items.push(InboxItem { until: time_of(waits.clock), ..item });
    }
    Ok(items)
}

/// A request of the account that waits for more of its keys.
pub(super) fn request(asked: &Asked<'_>, _: &[u8], value: &[u8]) -> Result<Vec<InboxItem>, Problem> {
    let ApprovalOf { approval, .. } = decoded(value)?;
    let Some(request) = asked.reader.find::<Approval>(&approval)? else { return Ok(Vec::new()) };
    let (signed, all) = (request.keys.len(), asked.account.keys.keys.len());
    let needs = if request.every_key { "every key must".to_owned() } else { "enough of them must".to_owned() };
    let what = plain::action(asked.reader, &request.action)?;
    let text = format!("{signed} of this account's {all} keys signed, and {needs}, to {what}");
    let item = asked.item(InboxKind::Sign, text, &format!("approvals sign|drop {approval}"));
    Ok(vec![InboxItem { id: Some(approval.to_string()), until: Some(request.expires), ..item }])
}

/// What happens to the keys of an account that this one guards.
pub(super) fn guarded(asked: &Asked<'_>, _: &[u8], value: &[u8]) -> Result<Vec<InboxItem>, Problem> {
    let Guarded(id) = decoded(value)?;
    let (reader, mut items) = (asked.reader, Vec::new());
    let Some(account) = reader.find::<Account>(&id)? else { return Ok(items) };
    let name = &account.handle;
    if let Some(recovery) = reader.find::<Recovery>(&id)? {
        let keys: Vec<String> = recovery.keys.keys.iter().map(|key| key.key.to_string()).collect();
        let keys = keys.join(", ");
        let text = match recovery.stage {
            Stage::Sought => format!("{name} gets other keys then ({keys}), as its guardians say"),
            Stage::Contested => format!(
                "a key of {name} objected to the keys that its guardians say; they count for nothing then, unless enough guardians \
                 say the same again ({keys})"
            ),
            Stage::Confirmed => format!("{name} gets other keys then ({keys}), over an objection"),
        };
        let item = Asked::notice(InboxKind::GuardedKeys, text, &format!("recovery show {name}"));
        items.push(InboxItem { until: time_of(recovery.clock), ..item });
    }
    if let Some(waits) = &account.unsettled {
        let text = format!(
            "fewer than all keys of {name} asked for other keys or guardians; ask its owner, and if a key was stolen, give it new ones \
             before that is settled"
        );
        let item = asked.item(InboxKind::GuardedKeys, text, &format!("recovery seek {name} --key KEY"));
        items.push(InboxItem { until: time_of(waits.clock), ..item });
    }
    Ok(items)
}
