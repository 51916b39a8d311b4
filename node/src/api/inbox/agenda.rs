//! What has a deadline: an entry of the agenda may ask something of anybody.

use super::{Asked, decoded, disputes, proposals};
use crate::api::views::{InboxItem, InboxKind, Problem};
use allod_protocol::{
    ground::{
        ids::{ModelId, Timestamp, Units},
        state::{Direction, Overlay, page},
    },
    rules::{
        contribution::{Contribution, ContributionOf},
        delegation::Delegation,
        dispute::{DisputeTarget, Frozen},
        dormancy::Silence,
        due::{Deadline, Due},
        emergency::VersionStop,
        model::Model,
        proposal::{Proposal, Scope},
        round::{Round, RoundStatus},
        share::{Issue, Share, TakenUp},
    },
};

/// Contributions of a model that are looked through for those of one round, the newest first.
const CONTRIBUTIONS: usize = 1_000;

/// What an entry of the agenda asks.
pub(super) fn due(asked: &Asked<'_>, key: &[u8], value: &[u8]) -> Result<Vec<InboxItem>, Problem> {
    let until = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).map(Timestamp::new);
    let me = asked.account.id;
    let Deadline(due) = decoded(value)?;
    let mut items = match due {
        Due::Proposal(_, id) => match asked.reader.find::<Proposal>(&id)? {
            Some(proposal) => proposals::asks(asked, &proposal)?,
            None => Vec::new(),
        },
        Due::Round { model, number } => match asked.reader.find::<Round>(&(model, number))? {
            Some(round) => giver(asked, &round)?,
            None => Vec::new(),
        },
        Due::Dispute(_, id) => disputes::asks(asked, id)?,
        Due::Silence { scope, account } if account == me => call(asked, scope)?.into_iter().collect(),
        Due::Issue { model, number } => issue(asked, model, number)?.into_iter().collect(),
        Due::Stop { model, number } => stop(asked, model, number)?.into_iter().collect(),
        Due::Delegation { model, from } if from == me => delegation(asked, model)?.into_iter().collect(),
        // Told with the account itself, the accounts that it guards, its requests, and the models of its stewards; or asks
        // nobody.
        Due::Silence { .. }
        | Due::Delegation { .. }
        | Due::Recovery(_)
        | Due::Settling(_)
        | Due::Approval(..)
        | Due::Ballots(_)
        | Due::Binding(_)
        | Due::LicenceRequest { .. } => Vec::new(),
    };
    for item in &mut items {
        item.until = item.until.or(until);
    }
    Ok(items)
}

/// What a giver has to do for a round that is open: to tell sealed amounts once it no longer records, and to answer
/// those who declined what it gave.
fn giver(asked: &Asked<'_>, round: &Round) -> Result<Vec<InboxItem>, Problem> {
    if round.status != RoundStatus::Open || asked.now >= round.closes {
        return Ok(Vec::new());
    }
    let (model, number) = (asked.what(round.model)?, round.number);
    let tells = asked.now >= round.records_until;
    let mut items = Vec::new();
    for contribution in in_round(asked, round)?.into_iter().filter(|one| one.giver == asked.account.id) {
        let id = contribution.id;
        let item = if contribution.is_sealed() && tells {
            let text = format!(
                "tell the amount of your sealed contribution to round {number} of {model}; who leaves one untold gets nothing \
                 from the round"
            );
            asked.item(InboxKind::Reveal, text, &format!("contribute reveal {id}"))
        } else if let (None, [.., declined]) = (contribution.accepted, contribution.declined.as_slice()) {
            if asked.reader.find::<Frozen>(&DisputeTarget::Appeal(id))?.is_some() {
                continue;
            }
            let by = asked.who(declined.steward)?;
            let text = format!(
                "{by} declined your contribution to round {number} of {model}: {:?}; you can appeal",
                declined.reason
            );
            asked.item(InboxKind::Appeal, text, &format!("contribute appeal {id} --text WORDS"))
        } else {
            continue;
        };
        items.push(asked.about(round.model, InboxItem { id: Some(id.to_string()), ..item })?);
    }
    Ok(items)
}

/// What was recorded to a round, the newest first.
fn in_round(asked: &Asked<'_>, round: &Round) -> Result<Vec<Contribution>, Problem> {
    let state = &asked.reader.state;
    let (ids, _) = page::<ContributionOf>(state, &round.model, None, Direction::Descending, CONTRIBUTIONS)?;
    let mut found = Vec::new();
    for ContributionOf(id) in ids {
        asked.look(1);
        let Some(contribution) = asked.reader.find::<Contribution>(&id)? else { continue };
        if contribution.recorded < round.opened {
            break;
        }
        if contribution.round == Some(round.number) {
            found.push(contribution);
        }
    }
    Ok(found)
}

/// A call on the account to speak.
fn call(asked: &Asked<'_>, scope: Scope) -> Result<Option<InboxItem>, Problem> {
    let Some(silence) = asked.reader.find::<Silence>(&(scope, asked.account.id))? else { return Ok(None) };
    let by = asked.who(silence.by)?;
    let (place, command) = match scope {
        Scope::Network => ("the network".to_owned(), "silence answer --network".to_owned()),
        Scope::Model(model) => {
            let name = asked.what(model)?;
            (name.clone(), format!("silence answer --model {name}"))
        }
    };
    let text = format!(
        "{by} called on you in {place}: say something until then, or you no longer count for its quorums until you speak"
    );
    let item = asked.item(InboxKind::Speak, text, &command);
    match scope {
        Scope::Network => Ok(Some(item)),
        Scope::Model(model) => asked.about(model, item).map(Some),
    }
}

/// Minted units of which the account may take up its part.
fn issue(asked: &Asked<'_>, model: ModelId, number: u64) -> Result<Option<InboxItem>, Problem> {
    let (reader, me) = (asked.reader, asked.account.id);
    let Some(issue) = reader.find::<Issue>(&(model, number))? else { return Ok(None) };
    if reader.find::<Model>(&model)?.is_none_or(|model| model.retired.is_some()) {
        return Ok(None);
    }
    let overlay = Overlay::new(&reader.state);
    let entitled = issue.entitlement(&overlay, me);
    overlay.finish()?;
    let taken = reader.find::<TakenUp>(&(model, number, me))?.map_or(Units::ZERO, |taken| taken.0);
    let left = entitled.get().saturating_sub(taken.get());
    if left == 0 {
        return Ok(None);
    }
    let (name, to) = (asked.what(model)?, asked.who(issue.to)?);
    let text = format!(
        "{} units of {name} were minted, and you may take up {left} of them to keep your part; what nobody takes goes to {to}",
        issue.units
    );
    let command = format!("shares take-up {name} {number} --units {left}");
    asked.about(model, asked.item(InboxKind::TakeUp, text, &command)).map(Some)
}

/// An emergency stop that the owners, of whom the account is one, confirm or lift.
fn stop(asked: &Asked<'_>, model: ModelId, number: u64) -> Result<Option<InboxItem>, Problem> {
    let reader = asked.reader;
    let stop = reader.find::<VersionStop>(&(model, number))?.filter(|stop| stop.ended.is_none());
    let share = reader.find::<Share>(&(model, asked.account.id))?.filter(|share| share.units > Units::ZERO);
    let (Some(stop), Some(_)) = (stop, share) else { return Ok(None) };
    let (name, by) = (asked.what(model)?, asked.who(stop.account)?);
    let text = format!(
        "{by} suspended {name}@{}: {:?}; it lapses unless the owners confirm it, and they can lift it before",
        stop.label, stop.reason
    );
    let command = format!("propose suspend-version|lift-suspension {name}@{} --reason WORDS", stop.label);
    asked.about(model, asked.item(InboxKind::ConfirmStop, text, &command)).map(Some)
}

/// A delegation of the account's that ends.
fn delegation(asked: &Asked<'_>, model: ModelId) -> Result<Option<InboxItem>, Problem> {
    let Some(delegation) = asked.reader.find::<Delegation>(&(model, asked.account.id))? else { return Ok(None) };
    let (name, to) = (asked.what(model)?, asked.who(delegation.to)?);
    let text = format!("{to} answers for you in {name} until then; after that you answer yourself, or renew it");
    let command = format!("delegate {name} --to {to} --for 90d");
    asked.about(model, asked.item(InboxKind::Delegation, text, &command)).map(Some)
}
