//! What an account is asked, in one list: what is put to it, what it can lose by saying nothing, and by when.
//!
//! There is no record of it on the ledger. It is read off what there is, in walks: a walk is a range of keys and what an
//! entry of it asks of an account. Most of them are an account's own entries; one is the agenda, on which everything
//! stands that has a deadline, whoever it concerns. A request looks at a bounded number of entries, so that a page may hold
//! fewer items than asked for, or none, before the last.
//!
//! To ask something new of accounts, give it a kind ([`InboxKind`]) and say in the walk that meets it what it asks.

mod agenda;
mod disputes;
mod keys;
mod licences;
mod offices;
mod proposals;

use super::{
    Shared,
    extract::{PAGE_DEFAULT, PAGE_MAX, Paging, Path, Query},
    reader::{Json, Reader, json},
    views::{InboxItem, InboxKind, Page, Problem},
};
use allod_protocol::{
    ground::{
        codec,
        ids::{AccountId, ModelId, Timestamp},
        state::{Direction, Record, StateRead as _, prefix_end},
    },
    rules::{
        account::Account, approval::ApprovalOf, due::Deadline, licence::LicenceOf, office::Tenure, proposal::Scope,
        recovery::Guarded,
    },
};
use axum::extract::State;
use data_encoding::HEXLOWER;
use std::cell::Cell;

/// Entries that one request looks at.
const LOOKED: usize = 2_000;
/// Entries that are read at a time.
const BATCH: usize = 250;

/// Who is asked, and when.
struct Asked<'a> {
    reader: &'a Reader,
    account: &'a Account,
    now: Timestamp,
    /// Entries that were looked at so far.
    looked: Cell<usize>,
}

/// What the entry of a key and a value asks.
type Asks = fn(&Asked<'_>, &[u8], &[u8]) -> Result<Vec<InboxItem>, Problem>;

/// A range of keys, and what an entry of it asks.
struct Walk {
    /// Its name in a cursor.
    name: &'static str,
    prefix: fn(AccountId) -> Vec<u8>,
    items: Asks,
}

const WALKS: [Walk; 6] = [
    Walk { name: "account", prefix: |id| Account::key_bytes(&id), items: keys::of_account },
    Walk { name: "requests", prefix: |id| ApprovalOf::key_bytes(&id), items: keys::request },
    Walk { name: "guarded", prefix: |id| Guarded::key_bytes(&id), items: keys::guarded },
    Walk { name: "offices", prefix: |id| Tenure::key_bytes(&id), items: offices::tenure },
    Walk { name: "agenda", prefix: |_| Deadline::key_bytes(&()), items: agenda::due },
    // Last, because whoever founds a model can offer a licence to anybody.
    Walk { name: "licences", prefix: |id| LicenceOf::key_bytes(&id), items: licences::licence },
];

/// Where to go on: in which walk, after which key, and after how many items of the entry behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cursor {
    walk: usize,
    after: Option<Vec<u8>>,
    given: usize,
}

impl Cursor {
    fn text(&self) -> Option<String> {
        let name = WALKS.get(self.walk)?.name;
        let after = self.after.as_deref().map(|key| HEXLOWER.encode(key)).unwrap_or_default();
        Some(format!("{name}.{after}.{}", self.given))
    }

    fn parse(text: &str, account: AccountId) -> Option<Self> {
        let mut parts = text.split('.');
        let (name, after, given) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
        let walk = WALKS.iter().position(|walk| walk.name == name)?;
        let after = Some(HEXLOWER.decode(after.as_bytes()).ok()?).filter(|key| !key.is_empty());
        let prefix = (WALKS.get(walk)?.prefix)(account);
        let is_inside = after.as_ref().is_none_or(|key| key.starts_with(&prefix));
        (is_inside && parts.next().is_none()).then_some(Self { walk, after, given })
    }
}

impl Asked<'_> {
    fn handle(&self) -> &str {
        self.account.handle.as_str()
    }

    fn look(&self, entries: usize) {
        self.looked.set(self.looked.get().saturating_add(entries));
    }

    /// What people call an account.
    fn who(&self, id: AccountId) -> Result<String, Problem> {
        Ok(self.reader.handle(id)?.map_or_else(|| id.to_string(), |handle| handle.to_string()))
    }

    /// What people call a model.
    fn what(&self, id: ModelId) -> Result<String, Problem> {
        Ok(self.reader.name(id)?.map_or_else(|| id.to_string(), |name| name.to_string()))
    }

    /// Whose question it is.
    fn scope(&self, scope: Scope) -> Result<String, Problem> {
        match scope {
            Scope::Network => Ok("the members".into()),
            Scope::Model(model) => Ok(format!("the owners of {}", self.what(model)?)),
        }
    }

    /// An item, answered by a command of this account's.
    fn item(&self, kind: InboxKind, text: String, command: &str) -> InboxItem {
        let command = format!("allod {command} --as {}", self.handle());
        InboxItem { kind, text, model_name: None, id: None, until: None, command }
    }

    /// An item that a command shows more of, which nobody signs.
    fn notice(kind: InboxKind, text: String, command: &str) -> InboxItem {
        InboxItem { kind, text, model_name: None, id: None, until: None, command: format!("allod {command}") }
    }

    fn about(&self, model: ModelId, item: InboxItem) -> Result<InboxItem, Problem> {
        Ok(InboxItem { model_name: self.reader.name(model)?, ..item })
    }

    /// One page from a cursor on.
    fn page(&self, mut at: Cursor, limit: usize) -> Result<Page<InboxItem>, Problem> {
        let mut items = Vec::new();
        while let Some(walk) = WALKS.get(at.walk) {
            let prefix = (walk.prefix)(self.account.id);
            let from = at.after.clone().map_or(prefix.clone(), |mut key| {
                key.push(0);
                key
            });
            let entries = self.reader.state.range(&from, &prefix_end(&prefix), Direction::Ascending, BATCH)?;
            let is_last = entries.len() < BATCH;
            for (key, value) in entries {
                self.look(1);
                for item in (walk.items)(self, &key, &value)?.into_iter().skip(at.given) {
                    if items.len() >= limit {
                        return Ok(Page { items, next: at.text() });
                    }
                    items.push(item);
                    at.given = at.given.saturating_add(1);
                }
                (at.after, at.given) = (Some(key), 0);
                if self.looked.get() >= LOOKED {
                    return Ok(Page { items, next: at.text() });
                }
            }
            if is_last {
                at = Cursor { walk: at.walk.saturating_add(1), ..Cursor::default() };
            }
        }
        Ok(Page { items, next: None })
    }
}

fn decoded<R: Record>(value: &[u8]) -> Result<R, Problem> {
    codec::decode_trusted(value).map_err(|error| Problem::internal("ledger_unreadable", error.to_string()))
}

/// What an account is asked: to vote, to reveal, to countersign, to answer, to accept, and what it should know before it
/// loses something by silence. Pages may be short, or empty, before the last.
#[utoipa::path(get, path = "/v1/accounts/{account}/inbox", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<InboxItem>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn inbox(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<InboxItem>>, Problem> {
    json(&api, move |reader| {
        let account = reader.account(&account)?;
        let limit = paging.limit()?;
        let bad = || {
            let detail = "`after` is not a cursor of this account's inbox; take it from `next` of the page before";
            Problem::bad_request("bad_cursor", detail)
        };
        let at = match &paging.after {
            None => Cursor::default(),
            Some(text) => Cursor::parse(text, account.id).ok_or_else(bad)?,
        };
        Asked { reader, account: &account, now: reader.now()?, looked: Cell::new(0) }.page(at, limit)
    })
    .await
}

const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX && BATCH <= LOOKED);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_for_one_account_and_one_walk() {
        let (bay, coast) = (AccountId::from_bytes([1; 32]), AccountId::from_bytes([2; 32]));
        for (walk, one) in WALKS.iter().enumerate() {
            let key = [(one.prefix)(bay), vec![7; 3]].concat();
            let at = Cursor { walk, after: Some(key), given: 4 };
            let text = at.text().unwrap();
            assert_eq!(Cursor::parse(&text, bay), Some(at), "{text}");
            let is_shared = one.name == "agenda";
            assert_eq!(Cursor::parse(&text, coast).is_some(), is_shared, "{text}");
        }
        let start = Cursor { walk: 3, ..Cursor::default() };
        assert_eq!(Cursor::parse(&start.text().unwrap(), bay), Some(start));
        for wrong in ["", "agenda", "agenda.", "agenda.zz.0", "agenda.ff.0", "nothing..0", "agenda..x", "agenda..0.0"] {
            assert_eq!(Cursor::parse(wrong, bay), None, "{wrong}");
        }
    }
}
