//! What a proposal asks of an account: its answer, its consent, its word as a buyer, as an attester, as a guardian.

use super::Asked;
use crate::{
    api::{
        proposals::gates,
        views::{InboxItem, InboxKind, Problem},
    },
    plain,
};
use allod_protocol::{
    ground::{ids::AccountId, state::read_as_of},
    rules::{
        delegation::DelegationAt,
        office::{Office, is_held},
        proposal::{Ballot, ModelAction, Proposal, ProposalStatus, Scope, ballot},
        sale::{ApproveTransfer, Purchase},
        share::{BurnByDecision, Consent},
    },
};

/// Everything that a proposal which is not over asks.
pub(super) fn asks(asked: &Asked<'_>, proposal: &Proposal) -> Result<Vec<InboxItem>, Problem> {
    if proposal.status.is_final() {
        return Ok(Vec::new());
    }
    let does = plain::actions(asked.reader, proposal)?.join("; ");
    let mut items = Vec::new();
    items.extend(vote(asked, proposal, &does)?);
    items.extend(consent(asked, proposal)?);
    items.extend(units(asked, proposal)?);
    items.extend(attest(asked, proposal)?);
    items.extend(stand_in_the_way(asked, proposal, &does)?);
    items.extend(execute(asked, proposal, &does));
    let id = Some(proposal.id.to_string());
    for item in &mut items {
        item.id.clone_from(&id);
        item.model_name = match proposal.scope() {
            Scope::Model(model) => asked.reader.name(model)?,
            Scope::Network => None,
        };
    }
    Ok(items)
}

fn vote(asked: &Asked<'_>, proposal: &Proposal, does: &str) -> Result<Option<InboxItem>, Problem> {
    let (reader, me) = (asked.reader, asked.account);
    let is_open = proposal.status == ProposalStatus::Open && asked.now < proposal.closes;
    let may = is_open && (me.suspended.is_none() || proposal.suspended_vote);
    if !may
        || reader.find::<Ballot>(&(proposal.id, me.id))?.is_some()
        || !ballot::voice(&reader.state, proposal, me)?.is_heard()
    {
        return Ok(None);
    }
    let (by, whom) = (asked.who(proposal.proposer)?, asked.scope(proposal.scope())?);
    let delegate = delegate(asked, proposal)?;
    let delegate = delegate.map_or(String::new(), |name| format!("; {name} answers for you unless you do"));
    let text = format!("{by} asks {whom} to {does}, titled {:?}{delegate}", proposal.title);
    let veto = if proposal.rule.veto.is_some() { "|veto" } else { "" };
    Ok(Some(asked.item(InboxKind::Vote, text, &format!("vote {} yes|no|abstain{veto}", proposal.id))))
}

fn delegate(asked: &Asked<'_>, proposal: &Proposal) -> Result<Option<String>, Problem> {
    let Scope::Model(model) = proposal.scope() else { return Ok(None) };
    let (me, state) = (asked.account.id, &asked.reader.state);
    let at = read_as_of::<DelegationAt>(state, &(model, me), &(model, me, proposal.snapshot))?;
    at.and_then(|DelegationAt(delegate)| delegate).map(|delegate| asked.who(delegate)).transpose()
}

fn consent(asked: &Asked<'_>, proposal: &Proposal) -> Result<Option<InboxItem>, Problem> {
    let me = asked.account.id;
    let taken: u64 = proposal.question.model_actions().iter().fold(0, |sum, action| match action {
        ModelAction::BurnShares(BurnByDecision { from, units, .. }) if *from == me => sum.saturating_add(units.get()),
        _ => sum,
    });
    if taken == 0 || asked.reader.find::<Consent>(&(proposal.id, me))?.is_some() {
        return Ok(None);
    }
    let by = asked.who(proposal.proposer)?;
    let text = format!(
        "{by} asks that {taken} units of yours are burned, titled {:?}; without your consent they are not",
        proposal.title
    );
    Ok(Some(asked.item(InboxKind::Consent, text, &format!("shares consent {}", proposal.id))))
}

fn units(asked: &Asked<'_>, proposal: &Proposal) -> Result<Option<InboxItem>, Problem> {
    let me = asked.account.id;
    let offered = proposal.question.model_actions().iter().find_map(|action| match action {
        ModelAction::ApproveTransfer(ApproveTransfer { to, units, price, .. }) if *to == me => Some((*units, price)),
        _ => None,
    });
    let Some((units, price)) = offered else { return Ok(None) };
    if asked.reader.find::<Purchase>(&(proposal.id, me))?.is_some() {
        return Ok(None);
    }
    let by = asked.who(proposal.proposer)?;
    let price = if price.is_empty() { String::new() } else { format!(" for {price:?}") };
    let text = format!("{by} would give you {units} units{price}; they do not move unless you accept them");
    Ok(Some(asked.item(InboxKind::AcceptUnits, text, &format!("shares accept {}", proposal.id))))
}

fn attest(asked: &Asked<'_>, proposal: &Proposal) -> Result<Vec<InboxItem>, Problem> {
    let Scope::Model(model) = proposal.scope() else { return Ok(Vec::new()) };
    let name = asked.what(model)?;
    let mine = |account: AccountId| account == asked.account.id;
    let mut items = Vec::new();
    for gate in gates(asked.reader, proposal)? {
        let silent = |one: &crate::api::views::AttestorView| mine(one.account) && one.accepted && one.finding.is_none();
        if !gate.attestors.iter().any(silent) {
            continue;
        }
        let text = format!("the release of {name}@{} waits for your word on {}", gate.label, gate.statement);
        let command = format!("attest {name}@{} --statement {} --passed|--failed", gate.label, gate.statement);
        items.push(asked.item(InboxKind::Attest, text, &command));
    }
    Ok(items)
}

/// What passed waits, so that its guardian can stop it.
fn stand_in_the_way(asked: &Asked<'_>, proposal: &Proposal, does: &str) -> Result<Option<InboxItem>, Problem> {
    let (Scope::Model(model), ProposalStatus::Queued { ready, .. }) = (proposal.scope(), &proposal.status) else {
        return Ok(None);
    };
    let me = asked.account.id;
    if proposal.guardian != Some(me) || !is_held(&asked.reader.state, &Office::Guardian(model), me)? {
        return Ok(None);
    }
    let text = format!(
        "the owners of {} decided to {does}; as their guardian you may stop that until then",
        asked.what(model)?
    );
    let item = asked.item(InboxKind::StopDecision, text, &format!("proposals cancel {} --reason WORDS", proposal.id));
    Ok(Some(InboxItem { until: Some(*ready), ..item }))
}

fn execute(asked: &Asked<'_>, proposal: &Proposal, does: &str) -> Option<InboxItem> {
    let ProposalStatus::Queued { ready, expires, .. } = proposal.status else { return None };
    if proposal.proposer != asked.account.id || asked.now < ready {
        return None;
    }
    let text = format!(
        "your proposal to {does} passed, and expires unless it is executed once nothing it waits for is missing"
    );
    let item = asked.item(InboxKind::Execute, text, &format!("proposals execute {}", proposal.id));
    Some(InboxItem { until: Some(expires), ..item })
}
