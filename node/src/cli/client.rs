//! A node's API as the client uses it: JSON in and out, transactions in canonical bytes, streamed answers in lines.

use super::{Exit, Failure, standstill::Standstill};
use crate::{
    api::views::{AccountView, BatchView, GapView, ModelView, NoticeView, Page, Problem, StatusView, Submitted},
    tls,
    tokens::Token,
};
use allod_protocol::{
    ground::ids::{AccountId, Height, ModelName, TransactionId},
    ledger::execute::TransactionResult,
};
use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::{Response, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use std::{ops::ControlFlow, path::Path, time::Duration};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a question that needs no work may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a transaction may wait for its block before the client gives up.
const DECISION: Duration = Duration::from_secs(60);
/// Entries requested at a time.
const PAGE: usize = 200;
/// Maximum size of one line of an answer, in bytes: a block's events are the longest.
const LINE_SIZE_BYTES: usize = 64 * 1024 * 1024;
/// The media type of the ledger's canonical bytes.
pub(super) const BYTES: &str = "application/octet-stream";

/// A node reached over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Client {
    base: String,
    http: reqwest::Client,
    token: Option<Token>,
}

impl Client {
    /// A client of the node at `base`, which shows it a token. The certificate of a node is checked against `ca_file`, or
    /// against those that this machine trusts.
    pub(super) fn new(base: &str, token: Option<Token>, ca_file: Option<&Path>) -> Result<Self> {
        // A proxy named by the environment is for the outside world; the node is local.
        let mut http = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT).tcp_nodelay(true);
        tls::install();
        if base.starts_with("http://") {
            // The machine's certificates are not read for nothing.
            http = http.tls_certs_only([]);
        } else if let Some(file) = ca_file {
            let unusable = || format!("cannot use the certificate {}", file.display());
            let pem = std::fs::read(file).with_context(unusable)?;
            http = http.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).with_context(unusable)?);
        }
        Ok(Self { base: base.to_owned(), http: http.build()?, token })
    }

    /// The base URL of the node.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a request, and distinguishes an unreachable node from one that refuses.
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.secret()),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if status == StatusCode::UNAUTHORIZED => Err(self.not_let_in(&problem)),
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(anyhow!("{} answers {status}; is it a node of allod?", self.base)),
        }
    }

    /// Says what to do about a token that is missing or not accepted.
    fn not_let_in(&self, problem: &Problem) -> anyhow::Error {
        let found = if self.token.is_some() { "does not accept the token it was shown" } else { "wants a token" };
        let message = format!(
            "the node at {base} {found} ({code}); its operator's is the file api.token in its data directory: give it with \
             --token-file FILE, or keep it for this node: allod token keep --api {base} < FILE; for others its operator \
             issues one with: allod token create",
            base = self.base,
            code = problem.code,
        );
        Failure::new(Exit::Failed, message).with_code(&problem.code).into()
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let why = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        let cause = innermost(error);
        let base = &self.base;
        let message =
            format!("the node at {base} {why} ({cause}); start it with `allod run`, or choose another with --api URL");
        Failure::new(Exit::Unreachable, message).into()
    }

    /// Reads what is at a path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let response = self.send(self.http.get(self.url(path)).timeout(ANSWER)).await?;
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        self.read(&bytes, path)
    }

    fn read<T: DeserializeOwned>(&self, bytes: &[u8], path: &str) -> Result<T> {
        serde_json::from_slice(bytes).with_context(|| {
            format!("{}{path} sent an answer that this client does not understand; do their versions match?", self.base)
        })
    }

    /// Reads what is at a path. `None` if there is nothing.
    pub(super) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the canonical bytes at a path.
    pub(super) async fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let request = self.http.get(self.url(path)).header(header::ACCEPT, BYTES).timeout(ANSWER);
        let response = self.send(request).await?;
        Ok(response.bytes().await.map_err(|error| self.unreachable(&error))?.to_vec())
    }

    /// Reads a list from its start: at most `limit` entries. Its `next` is present only if more follow.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str, limit: usize) -> Result<Page<T>> {
        let mut all = Page { items: Vec::new(), next: None };
        loop {
            let wanted = limit.saturating_sub(all.items.len()).min(PAGE);
            let after = all.next.as_ref().map(|next| format!("&after={next}")).unwrap_or_default();
            let separator = if path.contains('?') { '&' } else { '?' };
            let page: Page<T> = self.get(&format!("{path}{separator}limit={wanted}{after}")).await?;
            // A page may be empty before the last one, if nothing that was examined matched. The cursor advances in any
            // case.
            let is_stuck = page.items.is_empty() && page.next == all.next;
            all.items.extend(page.items);
            all.next = page.next;
            if all.next.is_none() || is_stuck {
                return Ok(all);
            }
            if all.items.len() >= limit {
                return self.look_ahead(path, all).await;
            }
        }
    }

    /// Removes the cursor if nothing follows it: a full page may be the last one.
    async fn look_ahead<T: DeserializeOwned>(&self, path: &str, mut read: Page<T>) -> Result<Page<T>> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut behind = read.next.clone();
        while let Some(next) = behind {
            let page: Page<T> = self.get(&format!("{path}{separator}limit=1&after={next}")).await?;
            if !page.items.is_empty() {
                return Ok(read);
            }
            behind = page.next.filter(|further| *further != next);
        }
        read.next = None;
        Ok(read)
    }

    /// The status of the node.
    pub(super) async fn status(&self) -> Result<StatusView> {
        self.get("/v1/status").await
    }

    /// An account by handle or id.
    pub(super) async fn account(&self, name: &str) -> Result<AccountView> {
        if name.parse::<AccountId>().is_err() {
            name.parse::<allod_protocol::ground::ids::Handle>().map_err(|error| Failure::usage(error.to_string()))?;
        }
        self.get(&format!("/v1/accounts/{name}")).await
    }

    /// A model by name.
    pub(super) async fn model(&self, name: &ModelName) -> Result<ModelView> {
        self.get(&format!("/v1/models/{name}")).await
    }

    /// Sends a question with a JSON body.
    pub(super) async fn ask<Question: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        question: &Question,
    ) -> Result<T> {
        let response = self.send(self.http.post(self.url(path)).json(question).timeout(ANSWER)).await?;
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        self.read(&bytes, path)
    }

    /// Sets something on the node, or unsets it if `set` is false.
    pub(super) async fn set<T: DeserializeOwned>(&self, path: &str, set: bool) -> Result<T> {
        let url = self.url(path);
        let request = if set { self.http.put(url) } else { self.http.delete(url) };
        let response = self.send(request.timeout(ANSWER)).await?;
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        self.read(&bytes, path)
    }

    /// Submits a transaction and waits until it is in a block. Meanwhile tells if nothing is decided, and why.
    pub(super) async fn submit(&self, id: TransactionId, bytes: Vec<u8>) -> Result<Taken> {
        let mut standstill = Standstill::new(std::time::Instant::now());
        let taken = tokio::select! {
            taken = Box::pin(self.submit_and_wait(id, bytes)) => taken?,
            never = Box::pin(standstill.watch(self)) => match never {},
        };
        if let Some(line) = standstill.end(taken.height) {
            eprintln!("{line}");
        }
        Ok(taken)
    }

    async fn submit_and_wait(&self, id: TransactionId, bytes: Vec<u8>) -> Result<Taken> {
        let request = self.http.post(self.url("/v1/transactions?wait=true"));
        let request = request.header(header::CONTENT_TYPE, BYTES).body(bytes).timeout(DECISION);
        let response = self.send(request).await?;
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let submitted: Submitted = self.read(&body, "/v1/transactions")?;
        if let (Some(height), Some(result)) = (submitted.height, submitted.result) {
            return Ok(Taken { height, result });
        }
        self.await_block(id).await
    }

    /// Polls until a transaction is in a block, in case the node stops waiting first.
    async fn await_block(&self, id: TransactionId) -> Result<Taken> {
        let path = format!("/v1/transactions/{id}");
        let deadline = tokio::time::Instant::now() + DECISION;
        loop {
            if let Some(Submitted { height: Some(height), result: Some(result), .. }) = self.find(&path).await? {
                return Ok(Taken { height, result });
            }
            if tokio::time::Instant::now() >= deadline {
                bail!(
                    "transaction {id} is not in a block yet; are more than two thirds of the validators running? \
                     Look again with: allod transaction {id}"
                );
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Submits a list of transactions in canonical bytes, and does not wait: the load of a bench.
    pub(super) async fn submit_batch(&self, bytes: Vec<u8>) -> Result<BatchView> {
        let path = "/v1/transactions/batch";
        let request = self.http.post(self.url(path)).header(header::CONTENT_TYPE, BYTES).body(bytes).timeout(ANSWER);
        let response = self.send(request).await?;
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        self.read(&bytes, path)
    }

    /// Requests work whose answer is a stream of JSON lines. Passes each line to `on_line`, until that breaks with the
    /// result.
    pub(super) async fn post_lines<Request, Line, Done>(
        &self,
        path: &str,
        request: &Request,
        mut on_line: impl FnMut(Line) -> Result<ControlFlow<Done>>,
    ) -> Result<Done>
    where
        Request: Serialize,
        Line: DeserializeOwned,
    {
        let response = self.send(self.http.post(self.url(path)).json(request)).await?;
        let mut lines = Lines::new(response);
        while let Some(line) = lines.next(self).await? {
            if line.is_empty() {
                continue;
            }
            if let ControlFlow::Break(done) = on_line(self.read(line.as_bytes(), path)?)? {
                return Ok(done);
            }
        }
        bail!("the node at {} stopped in the middle of its answer; see its log", self.base)
    }

    /// Follows the blocks: from the next one on, or from after the event of an id, which any node may have assigned.
    pub(super) async fn follow(&self, after: Option<&str>) -> Result<Notices> {
        let request = self.http.get(self.url("/v1/events")).header(header::ACCEPT, "text/event-stream");
        let request = after.iter().fold(request, |request, id| request.query(&[("after", id)]));
        Ok(Notices {
            client: self.clone(),
            lines: Lines::new(self.send(request).await?),
            last_id: after.map(Into::into),
        })
    }
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) height: Height,
    pub(super) result: TransactionResult,
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Whether an error is a problem that the node reported with this code.
pub(super) fn has_code(error: &anyhow::Error, code: &str) -> bool {
    error.downcast_ref::<Problem>().is_some_and(|problem| problem.code == code)
}

/// Whether the node says that there is no such thing.
pub(super) fn is_not_found(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Problem>().is_some_and(|problem| problem.status == StatusCode::NOT_FOUND.as_u16())
}

/// The lines of a body that comes bit by bit.
struct Lines {
    response: Response,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are known to hold no line break.
    searched: usize,
}

impl Lines {
    fn new(response: Response) -> Self {
        Self { response, buffer: Vec::new(), searched: 0 }
    }

    async fn next(&mut self, client: &Client) -> Result<Option<String>> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let end = self.searched + at;
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                self.searched = 0;
                while matches!(line.last(), Some(b'\n' | b'\r')) {
                    line.pop();
                }
                return Ok(Some(String::from_utf8(line)?));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > LINE_SIZE_BYTES {
                bail!("the node sends a line of more than {LINE_SIZE_BYTES} bytes");
            }
            match self.response.chunk().await.map_err(|error| client.unreachable(&error))? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// What the stream of events says.
#[derive(Debug)]
pub(super) enum Notified {
    /// A block was executed; a large one is told in parts.
    Block(Box<NoticeView>),
    /// The node does not tell these blocks again.
    Gap(GapView),
}

/// The live stream of blocks, which is server-sent events on the wire.
pub(super) struct Notices {
    client: Client,
    lines: Lines,
    last_id: Option<String>,
}

impl Notices {
    /// The node that tells.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The id of the last event: where to go on, at this node or at another.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next block; none when the node closes the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Notified>> {
        let (mut id, mut kind, mut data) = (None, String::new(), String::new());
        while let Some(line) = self.lines.next(&self.client).await? {
            if let Some(value) = line.strip_prefix("id:") {
                id = Some(value.trim().to_owned());
            } else if let Some(name) = line.strip_prefix("event:") {
                kind = name.trim().to_owned();
            } else if let Some(part) = line.strip_prefix("data:") {
                data.push_str(part.strip_prefix(' ').unwrap_or(part));
            } else if line.is_empty() {
                self.last_id = id.take().or(self.last_id.take());
                match kind.as_str() {
                    "block" => {
                        let notice = self.client.read(data.as_bytes(), "/v1/events")?;
                        return Ok(Some(Notified::Block(Box::new(notice))));
                    }
                    "gap" => return Ok(Some(Notified::Gap(self.client.read(data.as_bytes(), "/v1/events")?))),
                    // An id alone, or an event that a later version adds.
                    _ => (kind, data) = (String::new(), String::new()),
                }
            }
        }
        Ok(None)
    }
}
