//! Artifacts: what is in this peer's store, taking files in, fetching, checking.

use super::{
    Shared, WAIT_MAX,
    extract::{Json as JsonBody, Paging, Path, Query, parse},
    preconditions::{Asked, asked, etag},
    reader::{Json, Reader, json, with_reader},
    standing,
    stream::{Meter, lines},
    views::{
        ArtifactVersion, ArtifactView, CollectRequest, CollectedView, DroppedProviderView, FetchLine, FetchRequest,
        FetchedView, ImportLine, ImportModeView, ImportRequest, LetGoView, Page, PinView, Problem, ProviderView,
        ProvidersView, PublishedView, VerifyLine,
    },
};
use crate::{
    artifacts::{
        replication::Copies,
        service::{Checked, FetchJob, FetchUpdate, ForVersion, found},
    },
    exchange::fetch::{FetchEvent, FetchReport},
};
use allod_protocol::{
    ground::{
        ids::ArtifactId,
        limits,
        state::{Direction, page},
    },
    rules::{
        artifact::{Artifact, ArtifactKind, ArtifactPath},
        model::{ArtifactUse, VersionRef},
        standing::{ConcernKind, Standing},
    },
};
use allod_storage::artifacts::{
    ArtifactError, BlobReader, ByteRange, Contents, GROUP_SIZE_BYTES, ImportMode, Overwrite, Selection,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt as _;
use libp2p::PeerId;
use serde::Deserialize;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use utoipa::IntoParams;

/// Versions of an artifact that are named.
const VERSIONS_NAMED: usize = 16;
/// Bytes that are read and sent at a time.
const PIECE_BYTES: u64 = 256 * 1024;
/// Pieces that are read ahead of a client.
const PIECES: usize = 3;
/// How long a download waits for a place among the others.
const DOWNLOAD_WAIT: Duration = Duration::from_secs(1);
/// How long a search for providers lasts unless the request says otherwise.
const SEARCH_DEFAULT: Duration = Duration::from_secs(5);

fn versions_of(reader: &Reader, address: &ArtifactId) -> Result<Vec<ArtifactVersion>, Problem> {
    let (uses, _) = page::<ArtifactUse>(&reader.state, address, None, Direction::Ascending, VERSIONS_NAMED)?;
    let mut versions = Vec::with_capacity(uses.len());
    for ArtifactUse(version) in uses {
        if let Some(model) = reader.name(version.model)? {
            versions.push(ArtifactVersion { model, label: version.label });
        }
    }
    Ok(versions)
}

/// What is said of an artifact in a list.
fn view(reader: &Reader, artifact: Artifact) -> Result<ArtifactView, Problem> {
    let (store, address) = (&reader.node.artifacts, &artifact.address);
    Ok(ArtifactView {
        pinned: store.is_pinned(address),
        awaited: store.awaited(address)?.is_some(),
        damaged: !store.has(address),
        versions: versions_of(reader, address)?,
        standing: standing::of_artifact(reader, address, None)?,
        manifest: None,
        contents: Contents::default(),
        artifact,
    })
}

/// The artifacts in this peer's store, by address.
#[utoipa::path(get, path = "/v1/artifacts", tag = "artifacts", params(Paging), responses(
    (status = 200, description = "One page.", body = Page<ArtifactView>),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ArtifactView>>, Problem> {
    json(&api, move |reader| {
        let limit = paging.limit()?;
        let after: Option<ArtifactId> = paging.after.as_deref().map(parse).transpose()?;
        let mut artifacts = reader.node.artifacts.list()?;
        artifacts.retain(|artifact| after.is_none_or(|after| artifact.address > after));
        let next = artifacts.get(limit.saturating_sub(1)).filter(|_| artifacts.len() > limit);
        let next = next.map(|artifact| artifact.address.to_string());
        artifacts.truncate(limit);
        let mut items = Vec::with_capacity(artifacts.len());
        for artifact in artifacts {
            items.push(view(reader, artifact)?);
        }
        Ok(Page { items, next })
    })
    .await
}

/// One artifact of this peer's store, with the files of a collection.
#[utoipa::path(get, path = "/v1/artifacts/{address}", tag = "artifacts",
    params(("address" = String, Path, description = "The artifact's address.")),
    responses(
        (status = 200, description = "The artifact.", body = ArtifactView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn one(State(api): State<Shared>, Path(address): Path<String>) -> Result<Response, Problem> {
    let view = with_reader(&api, move |reader| {
        let address: ArtifactId = parse(&address)?;
        let artifact = reader.node.artifacts.artifact(&address)?;
        let manifest = match artifact.kind {
            ArtifactKind::File => None,
            ArtifactKind::Collection => Some(reader.node.artifacts.manifest(&address)?.into()),
        };
        let view = view(reader, artifact)?;
        let contents = if view.damaged {
            Contents::default()
        } else {
            Contents::clone(&*reader.node.artifacts.contents(&address)?)
        };
        Ok(ArtifactView { manifest, contents, ..view })
    })
    .await?;
    let mut headers = HeaderMap::new();
    standing::tell(&mut headers, &view.standing);
    Ok((headers, Json(view)).into_response())
}

/// Take a file or a directory of the node's machine into the store, tell the other peers, and serve it.
#[utoipa::path(post, path = "/v1/artifacts", tag = "artifacts", request_body = ImportRequest, responses(
    (status = 200, description = "Lines of progress, then the artifact or an error.", body = ImportLine, content_type = "application/x-ndjson"),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn import(
    State(api): State<Shared>,
    JsonBody(request): JsonBody<ImportRequest>,
) -> Result<Response, Problem> {
    let answer_ms = request.answer_ms.unwrap_or(limits::TRANSACTION_LIFETIME_MS);
    if answer_ms > ForVersion::ANSWER_MS {
        let detail = format!("answer_ms is more than {}; no request waits longer on the ledger", ForVersion::ANSWER_MS);
        return Err(Problem::bad_request("bad_answer_time", detail));
    }
    let version = request.version_of.map(|model| ForVersion { model, answer_ms });
    let mode = match request.mode {
        ImportModeView::Copy => ImportMode::Copy,
        ImportModeView::HardLink => ImportMode::HardLink,
        ImportModeView::Reference => ImportMode::Reference,
    };
    let (service, stop) = (api.artifacts.clone(), api.stop.clone());
    Ok(lines(stop, ImportLine::Error, |sender| async move {
        let started = Instant::now();
        let mut meter = Meter::new(sender, ImportLine::Progress);
        let imported =
            service.publish(PathBuf::from(request.path), mode, version, move |progress| meter.tell(progress)).await?;
        Ok(ImportLine::Artifact(PublishedView {
            artifact: imported.artifact,
            sha256: imported.sha256,
            new_bytes: imported.new_bytes,
            excluded: imported.excluded.iter().map(|path| path.display().to_string()).collect(),
            elapsed_seconds: started.elapsed().as_secs_f64(),
        }))
    })
    .await)
}

/// Say that the ledger refused the version for which an artifact was imported: what the import brought is removed.
#[utoipa::path(delete, path = "/v1/artifacts/{address}/publication", tag = "artifacts",
    params(("address" = String, Path, description = "The artifact's address.")),
    responses(
        (status = 200, description = "What became of it.", body = LetGoView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn let_go(State(api): State<Shared>, Path(address): Path<String>) -> Result<Json<LetGoView>, Problem> {
    Ok(Json(LetGoView { removed: api.artifacts.let_go(parse(&address)?).await? }))
}

/// How many copies there are of the releases whose owners wish for some, as this peer saw it last.
#[utoipa::path(get, path = "/v1/replication", tag = "artifacts", responses(
    (status = 200, description = "By model.", body = Vec<Copies>),
))]
pub(crate) async fn replication(State(api): State<Shared>) -> Json<Vec<Copies>> {
    Json(api.replication.seen())
}

/// How long to search.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProvidersQuery {
    /// For how long, in milliseconds: at most 60,000; 5,000 unless given.
    #[param(maximum = 60_000)]
    timeout_ms: Option<u64>,
}

/// The peers that serve an artifact, found by its address alone.
#[utoipa::path(get, path = "/v1/artifacts/{address}/providers", tag = "artifacts",
    params(("address" = String, Path, description = "The artifact's address."), ProvidersQuery),
    responses(
        (status = 200, description = "Who was found in the time given.", body = ProvidersView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn providers(
    State(api): State<Shared>,
    Path(address): Path<String>,
    Query(query): Query<ProvidersQuery>,
) -> Result<Json<ProvidersView>, Problem> {
    let address: ArtifactId = parse(&address)?;
    let patience = query.timeout_ms.map_or(SEARCH_DEFAULT, Duration::from_millis);
    if patience > WAIT_MAX {
        let detail = format!("timeout_ms is more than {}; search again afterwards instead", WAIT_MAX.as_millis());
        return Err(Problem::bad_request("bad_timeout", detail));
    }
    let own = api.node.network.local_peer_id();
    let stored = with_reader(&api, move |reader| Ok(reader.node.artifacts.has(&address))).await?;
    let mut providers: Vec<PeerId> = stored.then_some(own).into_iter().collect();
    let search = async {
        let mut found = std::pin::pin!(found(api.node.network.find_providers(address)));
        while let Some(peer) = found.next().await {
            if !providers.contains(&peer) {
                providers.push(peer);
            }
        }
    };
    let complete = tokio::time::timeout(patience, search).await.is_ok();
    let providers = providers.iter().map(ToString::to_string).collect();
    Ok(Json(ProvidersView { address, providers, complete }))
}

/// Fetch an artifact from the peers that have it, and keep it; write a copy out if asked to.
#[utoipa::path(post, path = "/v1/artifacts/{address}/fetch", tag = "artifacts",
    params(("address" = String, Path, description = "The artifact's address.")),
    request_body = FetchRequest,
    responses(
        (status = 200, description = "Lines of progress, then the result or an error.", body = FetchLine, content_type = "application/x-ndjson"),
        (status = 410, description = "It was withdrawn, and is not asked for by that name.", body = Problem, content_type = "application/problem+json"),
        (status = 423, description = "It is suspended, and is not asked for by that name.", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn fetch(
    State(api): State<Shared>,
    Path(address): Path<String>,
    JsonBody(request): JsonBody<FetchRequest>,
) -> Result<Response, Problem> {
    let (output, version, despite) = (request.output.clone(), request.version.clone(), request.despite.clone());
    let job = job(parse(&address)?, request)?;
    let address = job.address;
    judge(&api, address, version.clone(), despite.clone()).await?;
    let (api, stop) = (api.clone(), api.stop.clone());
    Ok(lines(stop, FetchLine::Error, |sender| async move {
        let (artifact, report) = api.artifacts.fetch(job, teller(sender)).await?;
        // Again: what was decided while the bytes came counts too.
        let standing = judge(&api, address, version, despite).await?;
        Ok(FetchLine::Result(FetchedView { standing, ..fetched(artifact, report, output) }))
    })
    .await)
}

/// Where an artifact stands; refused if it was withdrawn or is suspended and is not asked for by that name.
async fn judge(
    api: &Shared,
    address: ArtifactId,
    version: Option<VersionRef>,
    despite: Vec<ConcernKind>,
) -> Result<Standing, Problem> {
    with_reader(api, move |reader| {
        let standing = standing::of_artifact(reader, &address, version.as_ref())?;
        standing::require(&standing, &despite)?;
        Ok(standing)
    })
    .await
}

fn job(address: ArtifactId, request: FetchRequest) -> Result<FetchJob, Problem> {
    let bad_peer = |text: &str| {
        Problem::bad_request(
            "bad_peer",
            format!("{text:?} is not a peer id; `allod peers` shows those of connected peers"),
        )
    };
    let peer = |text: &String| text.parse::<PeerId>().map_err(|_| bad_peer(text));
    Ok(FetchJob {
        address,
        kind: request.kind,
        providers: request.providers.map(|peers| peers.iter().map(peer).collect::<Result<_, _>>()).transpose()?,
        output: request.output.map(PathBuf::from),
        selection: selection(&request.include)?,
        overwrite: if request.overwrite { Overwrite::Replace } else { Overwrite::Refuse },
    })
}

fn selection(patterns: &[String]) -> Result<Option<Selection>, Problem> {
    if patterns.is_empty() {
        return Ok(None);
    }
    Ok(Some(Selection::new(patterns.iter().map(String::as_str))?))
}

/// Tells the client what happens in a fetch; what it does not read in time is left out.
fn teller(sender: mpsc::Sender<FetchLine>) -> Arc<dyn Fn(FetchUpdate) + Send + Sync> {
    let fetching = Mutex::new(Meter::new(sender.clone(), FetchLine::Progress));
    let exporting = Mutex::new(Meter::new(sender.clone(), FetchLine::Export));
    Arc::new(move |told| match told {
        FetchUpdate::Exchange(FetchEvent::Progress(progress)) => {
            fetching.lock().unwrap_or_else(PoisonError::into_inner).tell(progress);
        }
        FetchUpdate::Export(progress) => exporting.lock().unwrap_or_else(PoisonError::into_inner).tell(progress),
        FetchUpdate::Provider(peer) => {
            let _ = sender.try_send(FetchLine::Providers(vec![peer.to_string()]));
        }
        FetchUpdate::Exchange(FetchEvent::ProviderDropped { peer, reason }) => {
            let dropped = DroppedProviderView { peer_id: peer.to_string(), reason: reason.to_string() };
            let _ = sender.try_send(FetchLine::Dropped(dropped));
        }
    })
}

fn fetched(artifact: Artifact, report: FetchReport, output: Option<String>) -> FetchedView {
    let view = |(peer, given): (&PeerId, &crate::exchange::fetch::ProviderReport)| ProviderView {
        peer_id: peer.to_string(),
        received_bytes: given.bytes,
    };
    let dropped = report.providers.iter().filter_map(|(peer, given)| {
        let reason = given.dropped.as_ref()?.to_string();
        Some(DroppedProviderView { peer_id: peer.to_string(), reason })
    });
    FetchedView {
        artifact,
        received_bytes: report.fetched_bytes,
        present_bytes: report.present_bytes,
        elapsed_seconds: report.elapsed.as_secs_f64(),
        dropped: dropped.collect(),
        providers: report.providers.iter().filter(|(_, given)| given.bytes > 0).map(view).collect(),
        output,
        standing: Standing::default(),
    }
}

/// What to do with what is damaged.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerifyQuery {
    /// Fetch it again from other peers.
    #[serde(default)]
    #[param(required = false)]
    repair: bool,
}

/// Read every byte of a stored artifact and check it against its address. What is damaged is not served any more.
#[utoipa::path(post, path = "/v1/artifacts/{address}/verify", tag = "artifacts",
    params(("address" = String, Path, description = "The artifact's address."), VerifyQuery),
    responses(
        (status = 200, description = "Lines of progress, then the artifact or an error.", body = VerifyLine, content_type = "application/x-ndjson"),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn verify(
    State(api): State<Shared>,
    Path(address): Path<String>,
    Query(query): Query<VerifyQuery>,
) -> Result<Response, Problem> {
    let address: ArtifactId = parse(&address)?;
    let (service, stop) = (api.artifacts.clone(), api.stop.clone());
    Ok(lines(stop, VerifyLine::Error, |sender| async move {
        let meter = Mutex::new(Meter::new(sender.clone(), VerifyLine::Progress));
        let tell = move |checked| match checked {
            Checked::Progress(done) => meter.lock().unwrap_or_else(PoisonError::into_inner).tell(done),
            Checked::Damaged(fault) => {
                let _ = sender.try_send(VerifyLine::Damaged(fault));
            }
        };
        Ok(VerifyLine::Verified(service.verify(address, query.repair, Arc::new(tell)).await?))
    })
    .await)
}

/// Pin an artifact of this peer's store: no collection removes it.
#[utoipa::path(put, path = "/v1/artifacts/{address}/pin", tag = "artifacts",
    params(("address" = String, Path, description = "The artifact's address.")),
    responses(
        (status = 200, description = "It is pinned.", body = PinView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn pin(State(api): State<Shared>, Path(address): Path<String>) -> Result<Json<PinView>, Problem> {
    let changed = api.artifacts.pin(parse(&address)?, true).await?;
    Ok(Json(PinView { pinned: true, changed }))
}

/// Take a pin back.
#[utoipa::path(delete, path = "/v1/artifacts/{address}/pin", tag = "artifacts",
    params(("address" = String, Path, description = "The artifact's address.")),
    responses(
        (status = 200, description = "It is not pinned.", body = PinView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn unpin(State(api): State<Shared>, Path(address): Path<String>) -> Result<Json<PinView>, Problem> {
    let changed = api.artifacts.pin(parse(&address)?, false).await?;
    Ok(Json(PinView { pinned: false, changed }))
}

/// Remove every artifact that is neither pinned nor of a released version, and what nothing names.
#[utoipa::path(post, path = "/v1/artifacts/collect", tag = "artifacts", request_body = CollectRequest, responses(
    (status = 200, description = "What was removed, or would be.", body = CollectedView),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn collect(
    State(api): State<Shared>,
    JsonBody(request): JsonBody<CollectRequest>,
) -> Result<Json<CollectedView>, Problem> {
    let collected = api.artifacts.collect_garbage(request.dry_run, request.downloads).await?;
    let store = &api.node.artifacts;
    Ok(Json(CollectedView {
        artifacts: collected.artifacts,
        blobs: collected.blobs,
        downloads: collected.downloads,
        freed_bytes: collected.freed_bytes,
        used_bytes: store.used_bytes(),
        quota_bytes: store.quota_bytes(),
    }))
}

/// Which file of a collection.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ContentQuery {
    /// The path of a file in a collection.
    path: Option<String>,
    /// What is put up with, as `withdrawn,suspended`: both are refused unless they are named.
    despite: Option<String>,
}

/// The bytes of a stored file, or of a file of a stored collection, checked while they are read.
#[utoipa::path(get, path = "/v1/artifacts/{address}/content", tag = "artifacts",
    params(("address" = String, Path, description = "The artifact's address."), ContentQuery,
        ("range" = Option<String>, Header, description = "One range of bytes, such as `bytes=0-99` or `bytes=-8`; anything else, or several ranges, is ignored."),
        ("if-range" = Option<String>, Header, description = "The `ETag` that the range is of: of other bytes all are sent."),
        ("if-none-match" = Option<String>, Header, description = "`ETag`s of what the client has; or `*`.")),
    responses(
        (status = 200, description = "The bytes. Their `ETag` is the file's own address; `Allod-Standing` says what is the matter with the version.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The bytes of the range.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "The client has them."),
        (status = 410, description = "The version was withdrawn, and is not asked for by that name.", body = Problem, content_type = "application/problem+json"),
        (status = 423, description = "The version is suspended, and is not asked for by that name.", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "The range is not of the file; `Content-Range` tells its size.", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn content(
    State(api): State<Shared>,
    Path(address): Path<String>,
    Query(query): Query<ContentQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let despite = standing::named(query.despite.as_deref())?;
    let opened = with_reader(&api, move |reader| {
        let address: ArtifactId = parse(&address)?;
        let standing = standing::of_artifact(reader, &address, None)?;
        standing::require(&standing, &despite)?;
        Ok((open(reader, address, query.path.as_deref())?, standing))
    });
    let (blob, standing) = opened.await?;
    let (address, size_bytes) = (*blob.address(), blob.size_bytes());
    let (wanted, status) = match asked(&method, &headers, &address, size_bytes) {
        Asked::Nothing => {
            let mut response = (StatusCode::NOT_MODIFIED, [(header::ETAG, etag(&address))]).into_response();
            standing::tell(response.headers_mut(), &standing);
            return Ok(response);
        }
        Asked::Outside => return Ok(unsatisfiable(&headers, size_bytes)),
        Asked::Whole => (ByteRange::whole(size_bytes), StatusCode::OK),
        Asked::Part(range) => (range, StatusCode::PARTIAL_CONTENT),
    };
    let body = if method == Method::HEAD { Body::empty() } else { bytes(&api, blob, wanted).await? };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    // A stranger's bytes are never shown as a page of this address, from which it could act through the API.
    for (name, value) in [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (HeaderName::from_static("content-security-policy"), "sandbox"),
        (header::ACCEPT_RANGES, "bytes"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, etag(&address));
    standing::tell(headers, &standing);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(wanted.size_bytes()));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = wanted.end.saturating_sub(1);
        let place = HeaderValue::try_from(format!("bytes {}-{last}/{size_bytes}", wanted.start));
        headers.insert(header::CONTENT_RANGE, place.map_err(|error| Problem::internal("defect", error.to_string()))?);
    }
    Ok(response)
}

/// The bytes of a range, read as the client takes them. What is wrong with the first of them is a problem; of a later
/// fault the client learns by the missing bytes.
async fn bytes(api: &Shared, blob: BlobReader, wanted: ByteRange) -> Result<Body, Problem> {
    let place = download(api).await?;
    let (sender, mut receiver) = mpsc::channel::<Result<Bytes, ArtifactError>>(PIECES);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        for range in around(wanted, blob.size_bytes()).pieces(PIECE_BYTES) {
            let mut piece = Vec::new();
            let read = blob.read(range, &mut piece).map(|()| cut(Bytes::from(piece), range, wanted));
            let failed = read.is_err();
            // A client that went away ends the reading.
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    let first = receiver.recv().await.transpose()?;
    let rest = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let pieces = futures::stream::iter(first.map(Ok)).chain(rest.map(|piece| piece.map_err(std::io::Error::other)));
    Ok(Body::from_stream(pieces))
}

/// A place among the downloads, which a client that does not read has to give up if there is none left.
async fn download(api: &Shared) -> Result<OwnedSemaphorePermit, Problem> {
    if let Ok(place) = api.downloads.clone().try_acquire_owned() {
        return Ok(place);
    }
    api.seats.unseat_slowest();
    match tokio::time::timeout(DOWNLOAD_WAIT, api.downloads.clone().acquire_owned()).await {
        Ok(Ok(place)) => Ok(place),
        _ => {
            let detail =
                format!("{} files are being downloaded already; try again when some are done", super::DOWNLOADS);
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail))
        }
    }
}

/// The refusal of a range, which tells the size so that the client can ask for another.
fn unsatisfiable(headers: &HeaderMap, size_bytes: u64) -> Response {
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    let detail = format!("{asked:?} is no range of a file of {size_bytes} bytes, which are counted from 0");
    let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad_range", detail).into_response();
    if let Ok(size) = HeaderValue::try_from(format!("bytes */{size_bytes}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, size);
    }
    response
}

/// The groups that a range lies in: bytes are proven by the group.
fn around(range: ByteRange, size_bytes: u64) -> ByteRange {
    let start = range.start.saturating_sub(range.start % GROUP_SIZE_BYTES);
    let end = range.end.div_ceil(GROUP_SIZE_BYTES).saturating_mul(GROUP_SIZE_BYTES).min(size_bytes);
    ByteRange { start, end }
}

/// What of a piece of the file lies in the range wanted.
fn cut(piece: Bytes, lies: ByteRange, wanted: ByteRange) -> Bytes {
    let inside = |place: u64| usize::try_from(place.clamp(lies.start, lies.end).saturating_sub(lies.start));
    match (inside(wanted.start), inside(wanted.end)) {
        (Ok(from), Ok(to)) => piece.slice(from.min(piece.len())..to.min(piece.len())),
        _ => Bytes::new(),
    }
}

fn open(reader: &Reader, address: ArtifactId, path: Option<&str>) -> Result<BlobReader, Problem> {
    let store = &reader.node.artifacts;
    let artifact = store.artifact(&address)?;
    let address = match (artifact.kind, path) {
        (ArtifactKind::File, None) => address,
        (ArtifactKind::File, Some(_)) => {
            return Err(Problem::bad_request("not_a_collection", "the artifact is one file; leave `path` out"));
        }
        (ArtifactKind::Collection, None) => {
            return Err(Problem::bad_request(
                "is_a_collection",
                format!(
                    "the artifact is a collection; name one of its files with `path`, /v1/artifacts/{address} lists them"
                ),
            ));
        }
        (ArtifactKind::Collection, Some(path)) => {
            let wanted =
                ArtifactPath::new(path).map_err(|error| Problem::bad_request("bad_path", error.to_string()))?;
            let manifest = store.manifest(&address)?;
            let file = manifest.files().iter().find(|file| file.path == wanted);
            file.map(|file| file.address).ok_or_else(|| {
                let detail = format!("the collection has no file {wanted}; /v1/artifacts/{address} lists its files");
                Problem::not_found("unknown_path", detail)
            })?
        }
    };
    Ok(store.reader(&address)?)
}
