//! Reading the ledger for one request: one snapshot, on a thread where waiting for the disk is allowed.

use super::{Shared, views::Problem};
use crate::{
    event_loop::{handle::NodeHandle, machine::clock},
    json as written,
    plain::Names,
};
use allod_protocol::{
    ground::{
        ids::{AccountId, Handle, Height, ModelId, ModelName, Timestamp},
        state::{Record, read},
    },
    rules::{
        account::{Account, HandleOf},
        model::{Model, ModelOf},
    },
};
use allod_storage::Snapshot;
use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
};

/// The node, and the state as it stood when the request came.
pub(crate) struct Reader {
    pub(crate) node: NodeHandle,
    pub(crate) state: Snapshot,
    handles: RefCell<HashMap<AccountId, Option<Handle>>>,
    names: RefCell<HashMap<ModelId, Option<ModelName>>>,
    times: RefCell<HashMap<Height, Timestamp>>,
    now: OnceCell<Timestamp>,
}

/// Does `work` with a reader away from the runtime's threads.
pub(crate) async fn with_reader<T: Send + 'static>(
    api: &Shared,
    work: impl FnOnce(&Reader) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let node = api.node.clone();
    let read = tokio::task::spawn_blocking(move || {
        let state = node.ledger.snapshot();
        let (handles, names, times) = (RefCell::default(), RefCell::default(), RefCell::default());
        work(&Reader { node, state, handles, names, times, now: OnceCell::new() })
    });
    read.await.map_err(|error| Problem::internal("defect", format!("reading the ledger failed: {error}")))?
}

/// An answer in JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match written::to_vec(&self.0) {
            Ok(bytes) => {
                ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response()
            }
            Err(error) => Problem::internal("defect", format!("the answer cannot be written: {error}")).into_response(),
        }
    }
}

/// [`with_reader`], answered as JSON.
pub(crate) async fn json<T: Send + 'static>(
    api: &Shared,
    work: impl FnOnce(&Reader) -> Result<T, Problem> + Send + 'static,
) -> Result<Json<T>, Problem> {
    with_reader(api, work).await.map(Json)
}

impl Reader {
    /// A record, if there is one.
    pub(crate) fn find<R: Record>(&self, key: &R::Key) -> Result<Option<R>, Problem> {
        Ok(read(&self.state, key)?)
    }

    /// The account of an id or a handle.
    pub(crate) fn account(&self, text: &str) -> Result<Account, Problem> {
        let unknown = || {
            Problem::not_found(
                "unknown_account",
                format!("there is no account {text} on this network; check the spelling"),
            )
        };
        // No handle is as long as an id.
        let id = if text.len() == AccountId::LEN * 2 {
            text.parse::<AccountId>().ok()
        } else {
            let handle: Handle = super::extract::parse(text)?;
            self.find::<HandleOf>(&handle)?.map(|HandleOf(id)| id)
        };
        id.map_or(Ok(None), |id| self.find::<Account>(&id))?.ok_or_else(unknown)
    }

    /// The model of a namespace and a name.
    pub(crate) fn model(&self, (namespace, name): &(String, String)) -> Result<Model, Problem> {
        let key = (super::extract::parse(namespace)?, super::extract::parse(name)?);
        let ModelOf(id) = self.find::<ModelOf>(&key)?.ok_or_else(|| {
            let detail = format!("there is no model {namespace}/{name} on this network; check the spelling");
            Problem::not_found("unknown_model", detail)
        })?;
        self.model_by_id(id)
    }

    /// The model of an id.
    pub(crate) fn model_by_id(&self, id: ModelId) -> Result<Model, Problem> {
        self.find::<Model>(&id)?.ok_or_else(|| {
            Problem::not_found("unknown_model", format!("there is no model with id {id} on this network"))
        })
    }

    /// The time of a block, or of genesis.
    pub(crate) fn time_of(&self, height: Height) -> Result<Timestamp, Problem> {
        if let Some(known) = self.times.borrow().get(&height) {
            return Ok(*known);
        }
        let time = match height {
            Height::ZERO => self.node.genesis.time,
            height => {
                let missing = || Problem::internal("ledger_unreadable", format!("there is no block {height}"));
                self.node.ledger.header(height)?.ok_or_else(missing)?.time
            }
        };
        self.times.borrow_mut().insert(height, time);
        Ok(time)
    }

    /// The moment of this answer, one and the same for all of it: the time that a block on top of this state would have
    /// by this machine's clock. The clock alone may be behind the ledger, whose blocks come at least a millisecond apart.
    pub(crate) fn now(&self) -> Result<Timestamp, Problem> {
        if let Some(now) = self.now.get() {
            return Ok(*now);
        }
        let next = self.time_of(self.state.height())?.plus_ms(1);
        Ok(*self.now.get_or_init(|| clock().max(next)))
    }

    /// The handle of an account. Handles do not change.
    pub(crate) fn handle(&self, account: AccountId) -> Result<Option<Handle>, Problem> {
        if let Some(known) = self.handles.borrow().get(&account) {
            return Ok(known.clone());
        }
        let handle = self.find::<Account>(&account)?.map(|account| account.handle);
        self.handles.borrow_mut().insert(account, handle.clone());
        Ok(handle)
    }

    /// The name of a model. Names do not change.
    pub(crate) fn name(&self, model: ModelId) -> Result<Option<ModelName>, Problem> {
        if let Some(known) = self.names.borrow().get(&model) {
            return Ok(known.clone());
        }
        let name = self.find::<Model>(&model)?.map(|model| model.name);
        self.names.borrow_mut().insert(model, name.clone());
        Ok(name)
    }
}

impl Names for Reader {
    type Error = Problem;

    fn account(&self, id: AccountId) -> Result<String, Problem> {
        Ok(self.handle(id)?.map_or_else(|| id.to_string(), |handle| handle.to_string()))
    }

    fn model(&self, id: ModelId) -> Result<String, Problem> {
        Ok(self.name(id)?.map_or_else(|| id.to_string(), |name| name.to_string()))
    }
}
