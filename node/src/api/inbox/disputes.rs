//! What a dispute asks: of who is challenged, of the arbiters who sit, of whom a ruling goes against, of the owners.

use super::Asked;
use crate::api::views::{InboxItem, InboxKind, Problem};
use allod_protocol::{
    ground::ids::{DisputeId, Timestamp, Units},
    rules::{
        dispute::{Dispute, DisputeStatus, sitting},
        share::Share,
    },
};

/// Everything that a dispute which is not over asks.
pub(super) fn asks(asked: &Asked<'_>, id: DisputeId) -> Result<Vec<InboxItem>, Problem> {
    let Some(dispute) = asked.reader.find::<Dispute>(&id)? else { return Ok(Vec::new()) };
    let found = match dispute.status {
        DisputeStatus::Open => [answer(asked, &dispute)?, rule(asked, &dispute)?],
        DisputeStatus::Ruled { upholds, stands, .. } => [appeal(asked, &dispute, upholds, stands)?, None],
        DisputeStatus::Appealed { upholds, until } => [resolve(asked, &dispute, upholds, until)?, None],
        DisputeStatus::Upheld { .. }
        | DisputeStatus::Lifted { .. }
        | DisputeStatus::Lapsed { .. }
        | DisputeStatus::Withdrawn { .. }
        | DisputeStatus::Moot { .. }
        | DisputeStatus::Outbid { .. } => [None, None],
    };
    let mut items = Vec::new();
    for item in found.into_iter().flatten() {
        items.push(asked.about(dispute.model, InboxItem { id: Some(id.to_string()), ..item })?);
    }
    Ok(items)
}

fn answer(asked: &Asked<'_>, dispute: &Dispute) -> Result<Option<InboxItem>, Problem> {
    if dispute.respondent != asked.account.id || dispute.answer.is_some() {
        return Ok(None);
    }
    let (challenger, model) = (asked.who(dispute.challenger)?, asked.what(dispute.model)?);
    let text = format!(
        "{challenger} challenges you in {model}: {:?}; say what is so before anybody rules",
        dispute.claim.text
    );
    let item = asked.item(InboxKind::AnswerDispute, text, &format!("dispute answer {} --text WORDS", dispute.id));
    Ok(Some(InboxItem { until: Some(dispute.answer_until), ..item }))
}

fn rule(asked: &Asked<'_>, dispute: &Dispute) -> Result<Option<InboxItem>, Problem> {
    let me = asked.account.id;
    let is_heard = dispute.answer.is_some() || asked.now >= dispute.answer_until;
    let has_ruled = dispute.rulings.iter().any(|ruling| ruling.arbiter == me);
    if !is_heard || has_ruled || !sitting(&asked.reader.state, dispute)?.contains(&me) {
        return Ok(None);
    }
    let (challenger, respondent) = (asked.who(dispute.challenger)?, asked.who(dispute.respondent)?);
    let model = asked.what(dispute.model)?;
    let text = format!("rule on {challenger}'s challenge of {respondent} in {model}: {:?}", dispute.claim.text);
    let command = format!("dispute rule {} --uphold|--lift --reasons WORDS", dispute.id);
    Ok(Some(asked.item(InboxKind::RuleDispute, text, &command)))
}

/// Whom a ruling goes against may take it to the owners, once.
fn appeal(
    asked: &Asked<'_>,
    dispute: &Dispute,
    upholds: bool,
    stands: Timestamp,
) -> Result<Option<InboxItem>, Problem> {
    let against = if upholds { dispute.respondent } else { dispute.challenger };
    if against != asked.account.id {
        return Ok(None);
    }
    let model = asked.what(dispute.model)?;
    let what = if upholds { "upheld the challenge of you" } else { "lifted your challenge" };
    let text = format!("the arbiters of {model} {what}; you can take that to the owners before it stands");
    let item = asked.item(InboxKind::AppealRuling, text, &format!("dispute appeal {} --text WORDS", dispute.id));
    Ok(Some(InboxItem { until: Some(stands), ..item }))
}

/// The owners decide on an appeal; who holds units can ask them.
fn resolve(
    asked: &Asked<'_>,
    dispute: &Dispute,
    upholds: bool,
    until: Timestamp,
) -> Result<Option<InboxItem>, Problem> {
    let share = asked.reader.find::<Share>(&(dispute.model, asked.account.id))?;
    let holds = share.is_some_and(|share| share.units > Units::ZERO);
    if !holds || dispute.resolutions > 0 {
        return Ok(None);
    }
    let (challenger, model) = (asked.who(dispute.challenger)?, asked.what(dispute.model)?);
    let ruled = if upholds { "upheld" } else { "lifted" };
    let text = format!(
        "a ruling that {ruled} {challenger}'s challenge is before the owners of {model}; without a resolution until then it stands \
         as far as arbiters alone may rule"
    );
    let command = format!("propose resolve-dispute {} --uphold|--lift", dispute.id);
    let item = asked.item(InboxKind::ResolveDispute, text, &command);
    Ok(Some(InboxItem { until: Some(until), ..item }))
}
