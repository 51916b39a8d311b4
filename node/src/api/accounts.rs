//! Accounts.

use super::{
    Shared,
    extract::{Paging, Path, Query},
    reader::{Json, Reader, json},
    views::{AccountView, Page, Problem},
};
use crate::keys::did_key;
use allod_protocol::{
    ground::state::Direction,
    rules::{
        account::{Account, HandleOf},
        control::Control,
        proposal::Proposal,
    },
};
use axum::extract::State;

fn view(reader: &Reader, account: Account) -> Result<AccountView, Problem> {
    let sponsor_handle = account.sponsor.map_or(Ok(None), |sponsor| reader.handle(sponsor))?;
    let did_keys = account.keys.keys.iter().map(|key| did_key(&key.key)).collect();
    let decision = account.suspended.as_ref().map(|suspension| suspension.proposal);
    let decision = decision.map_or(Ok(None), |id| reader.find::<Proposal>(&id))?;
    let suspension_title = decision.map(|proposal| proposal.title);
    let control = reader.find::<Control>(&account.id)?.map(|control| control.epoch);
    Ok(AccountView { account, sponsor_handle, did_keys, suspension_title, control })
}

fn page(reader: &Reader, paging: &Paging) -> Result<Page<AccountView>, Problem> {
    let (ids, next) = paging.records::<HandleOf>(&reader.state, &(), Direction::Ascending)?;
    let mut items = Vec::with_capacity(ids.len());
    for HandleOf(id) in ids {
        if let Some(account) = reader.find::<Account>(&id)? {
            items.push(view(reader, account)?);
        }
    }
    Ok(Page { items, next })
}

/// All accounts, by handle.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", params(Paging), responses(
    (status = 200, description = "One page.", body = Page<AccountView>),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<AccountView>>, Problem> {
    json(&api, move |reader| page(reader, &paging)).await
}

/// The members of the network, by handle. Pages may be short, or empty, before the last.
#[utoipa::path(get, path = "/v1/network/members", tag = "node", params(Paging), responses(
    (status = 200, description = "One page.", body = Page<AccountView>),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn members(
    State(api): State<Shared>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<AccountView>>, Problem> {
    json(&api, move |reader| {
        let mut page = page(reader, &paging)?;
        page.items.retain(|view| view.account.member_since.is_some());
        Ok(page)
    })
    .await
}

/// One account.
#[utoipa::path(get, path = "/v1/accounts/{account}", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id.")),
    responses(
        (status = 200, description = "The account.", body = AccountView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn one(State(api): State<Shared>, Path(account): Path<String>) -> Result<Json<AccountView>, Problem> {
    json(&api, move |reader| view(reader, reader.account(&account)?)).await
}
