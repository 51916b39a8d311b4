//! Answers that come in lines while the work goes on (`application/x-ndjson`): progress, then one last line that says
//! how it ended. What is refused before there is anything to tell is no such answer but a problem, with its status.

use super::views::{Problem, ProgressView};
use allod_storage::artifacts::Progress;
use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{
    convert::Infallible,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// Lines that wait for a slow client; of progress, what does not fit is left out.
const BACKLOG: usize = 64;
/// How often progress is told at most.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// How long the answer is put off for a refusal.
const REFUSAL_WAIT: Duration = Duration::from_millis(500);

/// Answers with the lines that `work` sends, then the line that it ends with. The work is dropped when the client goes
/// away; when the peer stops, the last line is a problem, made a line by `failed`. Work that fails at once, and before
/// its first line, is answered with the problem itself.
pub(crate) async fn lines<T, F>(
    mut stop: watch::Receiver<bool>,
    failed: fn(Problem) -> T,
    work: impl FnOnce(mpsc::Sender<T>) -> F,
) -> Response
where
    T: Serialize + Send + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel::<T>(BACKLOG);
    let mut work = Box::pin(work(sender.clone()));
    let mut ended = tokio::time::timeout(REFUSAL_WAIT, &mut work).await.ok();
    if receiver.is_empty()
        && let Some(Err(problem)) = ended
    {
        return problem.into_response();
    }
    tokio::spawn(async move {
        let work = async {
            match ended.take() {
                Some(ended) => ended,
                None => work.await,
            }
        };
        let last = tokio::select! {
            last = work => last.unwrap_or_else(failed),
            _ = stop.wait_for(|stop| *stop) => failed(Problem::stopping()),
            () = sender.closed() => return,
        };
        // The client may have gone in the meantime.
        let _ = sender.send(last).await;
    });
    let lines = futures::stream::poll_fn(move |cx| {
        receiver.poll_recv(cx).map(|line| {
            line.map(|line| {
                let mut bytes = crate::json::to_vec(&line).unwrap_or_default();
                bytes.push(b'\n');
                Ok::<_, Infallible>(Bytes::from(bytes))
            })
        })
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

/// Turns what a long operation says of its progress into a line now and then.
pub(crate) struct Meter<T> {
    sender: mpsc::Sender<T>,
    line: fn(ProgressView) -> T,
    begun: Option<(Instant, u64)>,
    told: Option<Instant>,
}

impl<T> Meter<T> {
    pub(crate) fn new(sender: mpsc::Sender<T>, line: fn(ProgressView) -> T) -> Self {
        Self { sender, line, begun: None, told: None }
    }

    pub(crate) fn tell(&mut self, progress: Progress) {
        let now = Instant::now();
        let done = progress.total_bytes > 0 && progress.done_bytes >= progress.total_bytes;
        if !done && self.told.is_some_and(|told| now.duration_since(told) < PROGRESS_INTERVAL) {
            return;
        }
        self.told = Some(now);
        // What was there at the first word was not done at this rate.
        let (begun, before) = *self.begun.get_or_insert((now, progress.done_bytes));
        let milliseconds = u64::try_from(now.duration_since(begun).as_millis()).unwrap_or(u64::MAX);
        let since = progress.done_bytes.saturating_sub(before).saturating_mul(1_000);
        let view = ProgressView {
            done_bytes: progress.done_bytes,
            total_bytes: progress.total_bytes,
            bytes_per_second: since.checked_div(milliseconds).unwrap_or(0),
        };
        // A client that reads slowly misses some progress, and nothing waits for it.
        let _ = self.sender.try_send((self.line)(view));
    }
}
