//! Proposals and ballots.

use super::{
    Shared, effect,
    extract::{Order, Paging, Path, Query, TimePaging},
    reader::{Json, Reader, json},
    views::{AttestorView, BallotView, BuyerView, EffectView, GateView, Page, Problem, ProposalView},
};
use crate::plain;
use allod_protocol::{
    ground::{
        ids::{ArtifactId, ModelId, ProposalId, Timestamp, VersionLabel},
        state::Direction,
    },
    rules::{
        attestation::Attestation,
        due::{Deadline, Due},
        model::{ReleaseVersion, Version},
        office::Office,
        policy::Tally,
        proposal::{Ballot, ModelAction, Proposal, ProposalGate, ProposalOf, ProposalStatus, Scope, dry_run},
        sale::{ApproveTransfer, Purchase},
    },
};
use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

fn view(reader: &Reader, proposal: Proposal) -> Result<ProposalView, Problem> {
    let tally = reader.find::<Tally>(&proposal.id)?.unwrap_or_default();
    let now = reader.now()?;
    let left = |time: Timestamp| time.get().saturating_sub(now.get());
    Ok(ProposalView {
        model_name: match proposal.scope() {
            Scope::Model(model) => reader.name(model)?,
            Scope::Network => None,
        },
        proposer_handle: reader.handle(proposal.proposer)?,
        does: plain::actions(reader, &proposal)?,
        outlook: proposal.rule.outlook(&tally),
        settled: proposal.rule.is_settled(&tally),
        tally,
        rule_text: proposal.rule_text(),
        guardian_handle: proposal.guardian.map_or(Ok(None), |guardian| reader.handle(guardian))?,
        attested: gates(reader, &proposal)?,
        buyers: buyers(reader, &proposal)?,
        ends_in_ms: (proposal.status == ProposalStatus::Open).then(|| left(proposal.closes)),
        ready_in_ms: match proposal.status {
            ProposalStatus::Queued { ready, .. } => Some(left(ready)),
            _ => None,
        },
        reason_text: match &proposal.status {
            ProposalStatus::ExecutionFailed { reason, .. } | ProposalStatus::Expired { reason, .. } => {
                Some(plain::with_names(reader, &reason.to_string())?)
            }
            ProposalStatus::Open
            | ProposalStatus::Queued { .. }
            | ProposalStatus::Executed { .. }
            | ProposalStatus::Rejected { .. }
            | ProposalStatus::Withdrawn { .. }
            | ProposalStatus::Cancelled { .. } => None,
        },
        effect: None,
        proposal,
    })
}

/// Who would get units of the proposer.
fn buyers(reader: &Reader, proposal: &Proposal) -> Result<Vec<BuyerView>, Problem> {
    let mut buyers = Vec::new();
    for action in proposal.question.model_actions() {
        let ModelAction::ApproveTransfer(ApproveTransfer { to: account, .. }) = action else { continue };
        let accepted = reader.find::<Purchase>(&(proposal.id, *account))?.is_some();
        buyers.push(BuyerView { account: *account, handle: reader.handle(*account)?, accepted });
    }
    Ok(buyers)
}

/// What a proposal that is not over would do to a register if it were carried out now.
fn effect_of(reader: &Reader, proposal: &Proposal) -> Result<Option<EffectView>, Problem> {
    let Scope::Model(model) = proposal.scope() else { return Ok(None) };
    if proposal.status.is_final() {
        return Ok(None);
    }
    let (height, time) = (reader.state.height().next(), reader.now()?);
    let (_, changes) = dry_run::effect(&reader.state, reader.node.network_id, height, time, proposal)?;
    effect::on_register(reader, model, &changes)
}

/// Each gate of each version that the proposal would release.
pub(crate) fn gates(reader: &Reader, proposal: &Proposal) -> Result<Vec<GateView>, Problem> {
    let Scope::Model(model) = proposal.scope() else { return Ok(Vec::new()) };
    let mut gates = Vec::new();
    for action in proposal.question.model_actions() {
        let ModelAction::ReleaseVersion(ReleaseVersion { label }) = action else { continue };
        let version = reader.find::<Version>(&(model, label.clone()))?;
        let artifact = version.map(|version| version.artifact.address);
        for gate in &proposal.gates {
            gates.push(gate_view(reader, model, gate, label, artifact)?);
        }
    }
    Ok(gates)
}

fn gate_view(
    reader: &Reader,
    model: ModelId,
    gate: &ProposalGate,
    label: &VersionLabel,
    artifact: Option<ArtifactId>,
) -> Result<GateView, Problem> {
    let mut attestors = Vec::with_capacity(gate.accounts.len());
    for account in &gate.accounts {
        let key = |artifact| (artifact, gate.statement.clone(), *account);
        let said = artifact.map_or(Ok(None), |artifact| reader.find::<Attestation>(&key(artifact)))?;
        let (finding, note) = said.map_or((None, String::new()), |said| (Some(said.finding), said.note));
        let role = Office::Attester { model, role: gate.role.clone() };
        let (account, accepted) = (*account, reader.answer(&role, *account)?.counts_in_copy());
        attestors.push(AttestorView { account, handle: reader.handle(account)?, accepted, finding, note });
    }
    let found = |account| attestors.iter().find(|attestor| attestor.account == account && attestor.accepted);
    let said = |account| found(account)?.finding;
    let (verdict, passed) = gate.judge(said);
    Ok(GateView {
        label: label.clone(),
        artifact,
        statement: gate.statement.clone(),
        needed: gate.attestors,
        passed,
        outvoted_by: gate.outvoted_by,
        verdict: verdict.name().to_owned(),
        attestors,
    })
}

fn existing(reader: &Reader, id: ProposalId) -> Result<Proposal, Problem> {
    reader
        .find::<Proposal>(&id)?
        .ok_or_else(|| Problem::not_found("unknown_proposal", format!("there is no proposal {id} on this network")))
}

/// The proposal of an id, or of the start of one.
pub(crate) fn named(reader: &Reader, text: &str) -> Result<Proposal, Problem> {
    existing(reader, reader.id::<Proposal>(text, "proposal", |proposal| &proposal.title)?)
}

/// One page of a scope's proposals.
pub(crate) fn of_scope(reader: &Reader, scope: Scope, query: &TimePaging) -> Result<Page<ProposalView>, Problem> {
    let (ids, next) = query.paging().records::<ProposalOf>(&reader.state, &scope, query.order.into())?;
    let mut items = Vec::with_capacity(ids.len());
    for ProposalOf(id) in ids {
        items.push(view(reader, existing(reader, id)?)?);
    }
    Ok(Page { items, next })
}

/// Whose proposals.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScopeChoice {
    /// Those put to the members of the network.
    #[default]
    Network,
    /// Those that are open or queued, the network's and all models', the first to fall due first.
    Open,
}

/// Which proposals.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProposalsQuery {
    /// `network` (the members' own, which is meant unless given), or `open` (all that can be voted on, or wait to be executed).
    #[serde(default)]
    #[param(inline)]
    scope: ScopeChoice,
    /// Entries on the page: 1 to 500, 100 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next` of the page before, asked for in the same way.
    after: Option<String>,
    /// `newest` first, unless `oldest` is asked for; open ones come in the order in which they fall due.
    #[serde(default)]
    #[param(inline)]
    order: Order,
}

/// The network's proposals, or all that are open.
#[utoipa::path(get, path = "/v1/proposals", tag = "proposals", params(ProposalsQuery), responses(
    (status = 200, description = "One page.", body = Page<ProposalView>),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Query(query): Query<ProposalsQuery>,
) -> Result<Json<Page<ProposalView>>, Problem> {
    json(&api, move |reader| {
        let paging = TimePaging { limit: query.limit, after: query.after, order: query.order };
        match query.scope {
            ScopeChoice::Network => of_scope(reader, Scope::Network, &paging),
            ScopeChoice::Open => open(reader, paging.paging()),
        }
    })
    .await
}

/// The proposals on the agenda, which other things stand on too: a page may hold fewer than asked for, but none is empty
/// before the last.
fn open(reader: &Reader, mut paging: Paging) -> Result<Page<ProposalView>, Problem> {
    loop {
        let (due, next) = paging.records::<Deadline>(&reader.state, &(), Direction::Ascending)?;
        let proposals = due.into_iter().filter_map(|Deadline(due)| match due {
            Due::Proposal(_, id) => Some(id),
            _ => None,
        });
        let view = |id| view(reader, existing(reader, id)?);
        let items: Vec<ProposalView> = proposals.map(view).collect::<Result<_, _>>()?;
        if !items.is_empty() || next.is_none() {
            return Ok(Page { items, next });
        }
        paging.after = next;
    }
}

/// One proposal, with its tally as it stands and what it still needs.
#[utoipa::path(get, path = "/v1/proposals/{id}", tag = "proposals",
    params(("id" = String, Path, description = "The proposal's id, or its first digits, four at least, where no other's are the same.")),
    responses(
        (status = 200, description = "The proposal.", body = ProposalView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn one(State(api): State<Shared>, Path(id): Path<String>) -> Result<Json<ProposalView>, Problem> {
    json(&api, move |reader| {
        let proposal = named(reader, &id)?;
        let effect = effect_of(reader, &proposal)?;
        Ok(ProposalView { effect, ..view(reader, proposal)? })
    })
    .await
}

/// A proposal's ballots, by account.
#[utoipa::path(get, path = "/v1/proposals/{id}/ballots", tag = "proposals",
    params(("id" = String, Path, description = "The proposal's id, or its first digits, four at least, where no other's are the same."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<BallotView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn ballots(
    State(api): State<Shared>,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<BallotView>>, Problem> {
    json(&api, move |reader| {
        let proposal = named(reader, &id)?;
        let (ballots, next) = paging.records::<Ballot>(&reader.state, &proposal.id, Direction::Ascending)?;
        let mut items = Vec::with_capacity(ballots.len());
        for ballot in ballots {
            items.push(BallotView { handle: reader.handle(ballot.account)?, ballot });
        }
        Ok(Page { items, next })
    })
    .await
}
