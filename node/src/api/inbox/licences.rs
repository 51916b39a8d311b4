//! What a licensee is asked, and what it should hear of the versions that it is licensed for.

use super::{Asked, decoded};
use crate::{
    api::views::{InboxItem, InboxKind, Problem},
    plain,
};
use allod_protocol::{
    ground::{
        ids::{AccountId, Height, ModelId},
        state::{Direction, page},
    },
    rules::{
        licence::{LicenceGrant, LicenceOf, LicenceRequest, LicenceRequestOf, Licensee},
        model::{Version, VersionStatus},
        standing::{self, Concern, ConcernKind},
    },
};

/// Versions of a model that are looked through for what is the matter with them.
const VERSIONS: usize = 200;
/// Requests of a model that are shown one by one; of more there is one line, so that nobody fills a steward's inbox.
const REQUESTS: usize = 10;
/// Characters of what a request is for, in an inbox; the list of requests shows all of it.
const WORDS: usize = 200;

/// A licence that is offered, and what became of the versions of a model that the account is licensed to use.
pub(super) fn licence(asked: &Asked<'_>, _: &[u8], value: &[u8]) -> Result<Vec<InboxItem>, Problem> {
    let LicenceOf(model) = decoded(value)?;
    let Some(licensee) = asked.reader.find::<Licensee>(&(model, asked.account.id))? else { return Ok(Vec::new()) };
    let mut items = Vec::new();
    if let Some(offer) = licensee.offered(asked.now) {
        items.push(offered(asked, model, offer, licensee.in_force(asked.now).is_some())?);
    }
    if let Some(grant) = licensee.in_force(asked.now) {
        items.extend(versions(asked, model, grant.since)?);
    }
    Ok(items)
}

/// The command names the decision: who answers it late agrees to no other grant than it read of.
fn offered(asked: &Asked<'_>, model: ModelId, offer: &LicenceGrant, has_one: bool) -> Result<InboxItem, Problem> {
    let name = asked.what(model)?;
    let terms = plain::licence_on(offer.terms.as_ref());
    let until = plain::licence_until(offer.expires);
    let meanwhile = if has_one { "the licence that you have stays as it is" } else { "you have no licence to it" };
    let text = format!("the owners of {name} offer you a licence{terms}, {until}; until you accept it {meanwhile}");
    let id = offer.proposal.to_string();
    let command = format!("licence accept|decline {name} --decision {id}");
    let item = asked.item(InboxKind::AcceptLicence, text, &command);
    asked.about(model, InboxItem { until: offer.expires, id: Some(id), ..item })
}

/// What owners said of a version for good before they granted the licence is no news.
fn is_old(version: &Version, kind: ConcernKind, granted: Height) -> bool {
    match (kind, &version.status) {
        (ConcernKind::Withdrawn, VersionStatus::Withdrawn { height, .. })
        | (ConcernKind::Deprecated, VersionStatus::Deprecated { height, .. }) => *height < granted,
        _ => false,
    }
}

fn versions(asked: &Asked<'_>, model: ModelId, granted: Height) -> Result<Vec<InboxItem>, Problem> {
    let name = asked.what(model)?;
    let (versions, more) = page::<Version>(&asked.reader.state, &model, None, Direction::Ascending, VERSIONS)?;
    let mut items = Vec::new();
    for version in versions {
        asked.look(1);
        let found = standing::of(&asked.reader.state, &version, 0)?;
        let is_news = |concern: &&Concern| concern.distance == 0 && !is_old(&version, concern.kind, granted);
        let Some(concern) = found.concerns.iter().find(is_news) else { continue };
        let label = &version.label;
        let what = match concern.kind {
            ConcernKind::Withdrawn => "was withdrawn, and is not to be used any more",
            ConcernKind::Suspended => "is suspended, and is not to be used until that ends",
            ConcernKind::Deprecated => "is deprecated",
            ConcernKind::Disputed => "is disputed",
        };
        let text = format!("{name}@{label}, to which you have a licence, {what}: {:?}", concern.reason);
        let item = Asked::notice(InboxKind::LicensedVersion, text, &format!("model show {name}@{label}"));
        items.push(asked.about(model, InboxItem { until: concern.until, ..item })?);
    }
    if more.is_some() {
        let text =
            format!("{name}, to which you have a licence, has more than {VERSIONS} versions; look at yours there");
        let item = Asked::notice(InboxKind::LicensedVersion, text, &format!("model show {name}"));
        items.push(asked.about(model, item)?);
    }
    Ok(items)
}

/// Who asks for a licence to a model of which the account is a steward.
pub(super) fn asked_for(asked: &Asked<'_>, model: ModelId) -> Result<Vec<InboxItem>, Problem> {
    let (accounts, more) = page::<LicenceRequestOf>(&asked.reader.state, &model, None, Direction::Ascending, REQUESTS)?;
    let mut items = Vec::new();
    for LicenceRequestOf(account) in accounts {
        asked.look(1);
        items.extend(one(asked, model, account)?);
    }
    if more.is_some() {
        let name = asked.what(model)?;
        let text = format!("more than {REQUESTS} accounts ask for a licence to {name}");
        let item = Asked::notice(InboxKind::GrantLicence, text, &format!("licence requests {name}"));
        items.push(asked.about(model, item)?);
    }
    Ok(items)
}

fn one(asked: &Asked<'_>, model: ModelId, account: AccountId) -> Result<Option<InboxItem>, Problem> {
    let Some(request) = asked.reader.find::<LicenceRequest>(&(account, model))? else { return Ok(None) };
    let (name, by) = (asked.what(model)?, asked.who(account)?);
    let terms = plain::licence_terms(&request.terms);
    let mut words: String = request.text.chars().take(WORDS).collect();
    if words.len() < request.text.len() {
        words.push('…');
    }
    let what_for = if words.is_empty() { String::new() } else { format!(": {words:?}") };
    let text = format!("{by} asks the owners of {name} for a licence{terms}{what_for}");
    let command = format!("propose grant-licence {name} {by} --as-asked");
    let item = asked.item(InboxKind::GrantLicence, text, &command);
    asked.about(model, InboxItem { until: Some(request.expires), ..item }).map(Some)
}
