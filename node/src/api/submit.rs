//! Taking transactions in, and waiting for the block that holds them.
//!
//! A request that waits is entered in [`WaitingRequests`] before its transaction is handed to the event loop, so that no block
//! can pass between; one task answers all who wait as blocks come ([`answer_waiting`]). Submitting is idempotent: a
//! transaction that waits already is waited for, one that was executed already is answered with its result.

use super::{
    Api, Shared, WAIT_MAX,
    extract::{Body, Query, from_json},
    reader::{Json, Reader, with_reader},
    views::{BatchRefusal, BatchView, Problem, Submitted},
};
use crate::{
    event_loop::handle::{Notice, SubmitError},
    plain,
};
use allod_protocol::{
    agreement::mempool::{Checked, Refused},
    ground::{codec, ids::TransactionId, invalid::Invalid},
    rules::transaction::Transaction,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt as _;
use serde::Deserialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{broadcast, oneshot};
use utoipa::IntoParams;

/// How long a request waits unless it says otherwise.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);

type Waiters = HashMap<TransactionId, Vec<oneshot::Sender<Submitted>>>;

/// The requests that wait for their transaction's block.
#[derive(Default)]
pub(crate) struct WaitingRequests(Mutex<Waiters>);

impl WaitingRequests {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiters().values().map(Vec::len).sum()
    }

    pub(super) fn enter<'a>(&'a self, id: TransactionId) -> Wait<'a> {
        let (sender, answer) = oneshot::channel();
        self.waiters().entry(id).or_default().push(sender);
        Wait { waiting: self, id, answer }
    }

    fn answer(&self, found: Submitted) {
        let waiters = self.waiters().remove(&found.id);
        for waiter in waiters.into_iter().flatten() {
            // Whoever gave up does not mind.
            let _ = waiter.send(found.clone());
        }
    }

    fn answer_block(&self, notice: &Notice) {
        let waited: Vec<(usize, TransactionId)> = {
            let waiters = self.waiters();
            if waiters.is_empty() {
                return;
            }
            let ids = notice.results.iter().map(|result| result.id).enumerate();
            ids.filter(|(_, id)| waiters.contains_key(id)).collect()
        };
        for (index, id) in waited {
            let (height, result) = (Some(notice.height), notice.results.get(index).cloned());
            self.answer(Submitted { id, height, index: Some(index), result });
        }
    }
}

/// One request that waits; leaves the list when it is dropped.
pub(super) struct Wait<'a> {
    waiting: &'a WaitingRequests,
    id: TransactionId,
    answer: oneshot::Receiver<Submitted>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.answer.close();
        let mut waiters = self.waiting.waiters();
        if let Some(list) = waiters.get_mut(&self.id) {
            list.retain(|waiter| !waiter.is_closed());
            if list.is_empty() {
                waiters.remove(&self.id);
            }
        }
    }
}

/// Answers those who wait, block by block, until the node's end.
pub(crate) async fn answer_waiting(api: Shared, mut notices: broadcast::Receiver<Arc<Notice>>) {
    loop {
        match notices.recv().await {
            Ok(notice) => api.waiting.answer_block(&notice),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                // Blocks went by unseen: whoever still waits is looked up.
                let ids: Vec<TransactionId> = api.waiting.waiters().keys().copied().collect();
                for id in ids {
                    if let Ok(Some(found)) = on_ledger(&api, id).await {
                        api.waiting.answer(found);
                    }
                }
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// How to submit.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SubmitQuery {
    /// Answer when the transaction is in a decided block, and say what became of it.
    #[serde(default)]
    wait: bool,
    /// How long to wait, in milliseconds: at most 60,000; 30,000 unless given.
    #[param(maximum = 60_000)]
    timeout_ms: Option<u64>,
}

impl SubmitQuery {
    fn patience(&self) -> Result<Duration, Problem> {
        let patience = self.timeout_ms.map_or(WAIT_DEFAULT, Duration::from_millis);
        if patience > WAIT_MAX {
            let detail = format!("timeout_ms is more than {}; wait again afterwards instead", WAIT_MAX.as_millis());
            return Err(Problem::bad_request("bad_timeout", detail));
        }
        Ok(patience)
    }
}

/// Hand in a signed transaction: its canonical bytes, or its JSON form.
#[utoipa::path(post, path = "/v1/transactions", tag = "transactions", params(SubmitQuery),
    request_body(content(
        (Vec<u8> = "application/octet-stream"),
        (Transaction = "application/json"),
    )),
    responses(
        (status = 200, description = "It is in a decided block; `result` says what became of it there.", body = Submitted),
        (status = 202, description = "It waits for a block.", body = Submitted),
        (status = 400, description = "It is malformed, or signed wrongly.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The ledger as it stands would reject it; `code` names the rule.", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Another problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn submit(
    State(api): State<Shared>,
    Query(query): Query<SubmitQuery>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let patience = query.patience()?;
    let transaction = decode(&headers, &body)?;
    // About 40 us a signature: not worth another thread.
    let checked = Checked::new(transaction, api.node.network_id)
        .inspect_err(|invalid| api.node.metrics.on_refused(invalid.code()))?;
    let id = checked.id;
    let wait = query.wait.then(|| api.waiting.enter(id));
    let found = match hand_in(&api, checked).await {
        Ok(found) => found,
        Err(problem) => return Err(named(&api, problem).await),
    };
    if let Some(found) = found {
        return Ok(Json(found).into_response());
    }
    let Some(mut wait) = wait else { return Ok(accepted(id)) };
    let mut stop = api.stop.clone();
    tokio::select! {
        answer = tokio::time::timeout(patience, &mut wait.answer) => match answer {
            Ok(Ok(found)) => Ok(Json(found).into_response()),
            _ => Ok(accepted(id)),
        },
        _ = stop.wait_for(|stop| *stop) => Ok(accepted(id)),
    }
}

/// Transactions of one batch that are on their way to the event loop at once.
const BATCH_WINDOW: usize = 64;

/// Hand in many signed transactions at once: the canonical encoding of a list of them. It does not wait for a block.
#[utoipa::path(post, path = "/v1/transactions/batch", tag = "transactions",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 202, description = "Those that are not listed as refused wait for a block.", body = BatchView),
        (status = 400, description = "It is malformed.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "As many transactions wait already as the network decides in half a second; try \
            again shortly.", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Another problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn submit_batch(
    State(api): State<Shared>,
    Body(body): Body,
) -> Result<(StatusCode, Json<BatchView>), Problem> {
    // Before hundreds of signatures are checked in vain.
    api.node.check_room().inspect_err(|_| api.node.metrics.on_refused("mempool_full"))?;
    let network = api.node.network_id;
    let checked = tokio::task::spawn_blocking(move || {
        let transactions: Vec<Transaction> =
            codec::decode(&body, super::BODY_SIZE_BYTES).map_err(Invalid::Malformed)?;
        let check = |transaction| Checked::new(transaction, network);
        Ok::<_, Invalid>(transactions.into_iter().map(check).collect::<Vec<_>>())
    });
    let checked = checked.await.map_err(|error| Problem::internal("defect", format!("checking failed: {error}")))??;
    let total = checked.len();
    // Polled in order, so that the transactions of one sender stay in theirs.
    let outcomes = futures::stream::iter(checked).map(async |checked| match checked {
        Ok(checked) => hand_in(&api, checked).await.map(|_| ()),
        Err(invalid) => {
            api.node.metrics.on_refused(invalid.code());
            Err(invalid.into())
        }
    });
    let outcomes: Vec<Result<(), Problem>> = outcomes.buffered(BATCH_WINDOW).collect().await;
    let refused: Vec<BatchRefusal> = outcomes
        .into_iter()
        .enumerate()
        .filter_map(|(index, outcome)| outcome.err().map(|problem| BatchRefusal { index, problem }))
        .collect();
    Ok((StatusCode::ACCEPTED, Json(BatchView { accepted: total.saturating_sub(refused.len()), refused })))
}

fn accepted(id: TransactionId) -> Response {
    let submitted = Submitted { id, height: None, index: None, result: None };
    (StatusCode::ACCEPTED, Json(submitted)).into_response()
}

/// Hands it to the event loop; gives what became of it if it was executed before.
async fn hand_in(api: &Shared, checked: Checked) -> Result<Option<Submitted>, Problem> {
    let id = checked.id;
    api.node.metrics.on_submitted(id);
    let error = match api.node.submit(checked).await {
        // One that is waiting already comes to the same.
        Ok(()) | Err(SubmitError::Refused(Refused::Known(_))) => return Ok(None),
        Err(error) => error,
    };
    api.node.metrics.on_submission_failed(&id);
    if matches!(error, SubmitError::Refused(Refused::Rejected(_)))
        && let Some(found) = on_ledger(api, id).await?
    {
        return Ok(Some(found));
    }
    Err(error.into())
}

/// A problem of the rules, which know ids alone, with the names of accounts and models in their place.
async fn named(api: &Shared, problem: Problem) -> Problem {
    if plain::ids_in(&problem.detail).is_empty() {
        return problem;
    }
    let work = move |reader: &Reader| Ok(Problem { detail: plain::with_names(reader, &problem.detail)?, ..problem });
    with_reader(api, work).await.unwrap_or_else(|failed| failed)
}

async fn on_ledger(api: &Arc<Api>, id: TransactionId) -> Result<Option<Submitted>, Problem> {
    with_reader(api, move |reader| {
        let found = reader.node.ledger.transaction(&id)?;
        Ok(found.map(|found| Submitted {
            id,
            height: Some(found.height),
            index: Some(found.index),
            result: Some(found.result),
        }))
    })
    .await
}

fn decode(headers: &HeaderMap, body: &[u8]) -> Result<Transaction, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    if content_type.eq_ignore_ascii_case("application/octet-stream") {
        Ok(Transaction::decode(body)?)
    } else if content_type.eq_ignore_ascii_case("application/json") {
        from_json(body)
    } else {
        Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "bad_content_type",
            "send a transaction as application/octet-stream (its canonical bytes) or application/json",
        ))
    }
}
