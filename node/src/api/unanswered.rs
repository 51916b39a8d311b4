//! Who could answer a proposal and has not.

use super::{
    Shared,
    extract::{Paging, Path, Query},
    proposals::named,
    reader::{Json, Reader, json},
    views::{Page, Problem, UnansweredView},
};
use allod_protocol::{
    ground::{
        ids::AccountId,
        state::{Direction, read_as_of},
    },
    rules::{
        account::{Account, HandleOf},
        delegation::DelegationAt,
        dormancy::DormantAt,
        proposal::{Ballot, Proposal, Scope, ballot},
        share::Share,
    },
};
use axum::extract::State;

/// What is known of an account that could have answered; none if it has, or could not with weight of its own.
fn view(reader: &Reader, proposal: &Proposal, id: AccountId) -> Result<Option<UnansweredView>, Problem> {
    let Some(account) = reader.find::<Account>(&id)? else { return Ok(None) };
    let weight = ballot::voice(&reader.state, proposal, &account)?.own;
    let may = weight > 0 && (account.suspended.is_none() || proposal.suspended_vote);
    if !may || reader.find::<Ballot>(&(proposal.id, id))?.is_some() {
        return Ok(None);
    }
    let (scope, at) = (proposal.scope(), proposal.snapshot);
    let delegate = match scope {
        Scope::Network => None,
        Scope::Model(model) => {
            read_as_of::<DelegationAt>(&reader.state, &(model, id), &(model, id, at))?.and_then(|at| at.0)
        }
    };
    let delegate_answered =
        delegate.map_or(Ok(false), |to| Ok::<_, Problem>(reader.find::<Ballot>(&(proposal.id, to))?.is_some()))?;
    let dormant = read_as_of::<DormantAt>(&reader.state, &(scope, id), &(scope, id, at))?;
    Ok(Some(UnansweredView {
        account: id,
        handle: Some(account.handle),
        weight,
        delegate,
        delegate_handle: delegate.map_or(Ok(None), |to| reader.handle(to))?,
        delegate_answered,
        is_dormant: dormant.is_some_and(|at| at.0),
    }))
}

/// Who could answer a proposal and has not, whoever may have answered for it: of a model by account id, of the network by
/// handle. Pages may be short before the last.
#[utoipa::path(get, path = "/v1/proposals/{id}/unanswered", tag = "proposals",
    params(("id" = String, Path, description = "The proposal's id, or its first digits, four at least, where no other's are the same."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<UnansweredView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn unanswered(
    State(api): State<Shared>,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<UnansweredView>>, Problem> {
    json(&api, move |reader| {
        let proposal = named(reader, &id)?;
        // Who holds or belongs now may not have done so then, and the other way round.
        let then = reader.node.ledger.snapshot_at(proposal.snapshot)?;
        let (accounts, next) = match proposal.scope() {
            Scope::Model(model) => {
                let (shares, next) = paging.records::<Share>(&then, &model, Direction::Ascending)?;
                (shares.into_iter().map(|share| share.account).collect::<Vec<_>>(), next)
            }
            Scope::Network => {
                let (ids, next) = paging.records::<HandleOf>(&then, &(), Direction::Ascending)?;
                (ids.into_iter().map(|HandleOf(id)| id).collect(), next)
            }
        };
        let views = accounts.into_iter().map(|id| view(reader, &proposal, id));
        Ok(Page { items: views.filter_map(Result::transpose).collect::<Result<_, _>>()?, next })
    })
    .await
}
