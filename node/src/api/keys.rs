//! How an account comes to its keys again, and what waits for signatures of them.

use super::{
    Shared,
    extract::{Paging, Path, Query},
    reader::{Json, Reader, json},
    views::{ApprovalView, GuardedView, GuardianView, Page, Problem, RecoveryView},
};
use crate::plain;
use allod_protocol::{
    ground::{
        ids::{AccountId, ApprovalId, PublicKey},
        state::Direction,
    },
    rules::{
        account::Account,
        approval::{Approval, ApprovalOf},
        office::{Office, TenureStatus},
        recovery::{Guarded, GuardianVote, Recovery, RecoveryPolicy},
    },
};
use axum::extract::State;

/// Who can give an account new keys, and how far that has come.
#[utoipa::path(get, path = "/v1/accounts/{account}/recovery", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id.")),
    responses(
        (status = 200, description = "Its guardians, what they say, and what is under way.", body = RecoveryView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn recovery(
    State(api): State<Shared>,
    Path(account): Path<String>,
) -> Result<Json<RecoveryView>, Problem> {
    json(&api, move |reader| {
        let account = reader.account(&account)?;
        let mut guardians = Vec::new();
        for guardian in account.recovery.iter().flat_map(|policy| &policy.guardians) {
            let said = reader.find::<GuardianVote>(&(account.id, *guardian))?;
            let keys = said.map(|GuardianVote(keys)| keys);
            let office = Office::KeyGuardian(account.id);
            let accepted = reader.answer(&office, *guardian)? == TenureStatus::Accepted;
            guardians.push(GuardianView { account: *guardian, handle: reader.handle(*guardian)?, accepted, keys });
        }
        let pending = reader.find::<Recovery>(&account.id)?;
        let accepted = guardians.iter().filter(|guardian| guardian.accepted).count();
        let needed = |policy: &RecoveryPolicy| usize::try_from(policy.needed).unwrap_or(usize::MAX);
        let in_force = account.recovery.as_ref().is_some_and(|policy| accepted >= needed(policy));
        let unsettled = account.unsettled;
        Ok(RecoveryView { policy: account.recovery, in_force, guardians, pending, unsettled })
    })
    .await
}

fn approval_view(reader: &Reader, id: ApprovalId) -> Result<ApprovalView, Problem> {
    let approval = reader.find::<Approval>(&id)?.ok_or_else(|| {
        let detail = format!("no request {id} waits on this network; it was carried out, dropped, or never put");
        Problem::not_found("unknown_approval", detail)
    })?;
    let account = reader.find::<Account>(&approval.account)?;
    let policy = account.map(|account| account.keys);
    let weight = |keys: &[PublicKey]| policy.as_ref().map_or(0, |policy| policy.weight_of(keys.iter()));
    let whole = policy.iter().flat_map(|policy| &policy.keys).map(|key| u64::from(key.weight)).sum();
    let threshold = policy.as_ref().map_or(0, |policy| u64::from(policy.threshold));
    Ok(ApprovalView {
        handle: reader.handle(approval.account)?,
        does: plain::action(reader, &approval.action)?,
        weight: weight(&approval.keys),
        weight_against: weight(&approval.against),
        threshold: if approval.every_key { whole } else { threshold },
        approval,
    })
}

/// The accounts that this one is a guardian of, with what is under way there.
#[utoipa::path(get, path = "/v1/accounts/{account}/guarded", tag = "accounts",
    params(("account" = String, Path, description = "The guardian's handle or id."), Paging),
    responses(
        (status = 200, description = "One page, by id.", body = Page<GuardedView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn guarded(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<GuardedView>>, Problem> {
    json(&api, move |reader| {
        let guardian = reader.account(&account)?;
        let (ids, next) = paging.records::<Guarded>(&reader.state, &guardian.id, Direction::Ascending)?;
        let items = ids.into_iter().map(|Guarded(id)| guarded_view(reader, id)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}

fn guarded_view(reader: &Reader, id: AccountId) -> Result<GuardedView, Problem> {
    let account = reader.find::<Account>(&id)?;
    Ok(GuardedView {
        account: id,
        handle: account.as_ref().map(|account| account.handle.clone()),
        pending: reader.find::<Recovery>(&id)?,
        unsettled: account.and_then(|account| account.unsettled),
    })
}

/// An account's requests that wait for signatures, by id.
#[utoipa::path(get, path = "/v1/accounts/{account}/approvals", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<ApprovalView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn approvals(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ApprovalView>>, Problem> {
    json(&api, move |reader| {
        let account = reader.account(&account)?;
        let (ids, next) = paging.records::<ApprovalOf>(&reader.state, &account.id, Direction::Ascending)?;
        let items = ids.into_iter().map(|waiting| approval_view(reader, waiting.approval)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })
    .await
}

/// One request that waits for signatures.
#[utoipa::path(get, path = "/v1/approvals/{id}", tag = "accounts",
    params(("id" = String, Path, description = "The request's id, or its first digits, four at least, where no other's are the same.")),
    responses(
        (status = 200, description = "The request.", body = ApprovalView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn approval(State(api): State<Shared>, Path(id): Path<String>) -> Result<Json<ApprovalView>, Problem> {
    json(&api, move |reader| {
        approval_view(reader, reader.id::<Approval>(&id, "approval", |approval| approval.action.name())?)
    })
    .await
}
