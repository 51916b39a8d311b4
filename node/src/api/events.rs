//! Live events: what each block did, as it becomes durable here, as server-sent events.
//!
//! ```text
//! event: block   data: a NoticeView: a block, or the next part of a large one
//! event: gap     data: a GapView: blocks that this peer does not tell again
//! event: copies  data: a Copies: of a release, copies have begun to be missing, or no longer are. It is this peer's own
//!                view, has no id, and is not told again
//! ```
//!
//! # How far a client has come
//! The id of an event is a place on the ledger, `HEIGHT.INDEX`: index 0 of a block is what its deadlines did, and its
//! transactions follow from 1. It means the same to every peer, so a client that lost its connection may go on at
//! another one. `HEIGHT` alone is the whole block. A client that names the last id it saw (`Last-Event-ID`, or
//! `?after=`) is told everything since, from the ledger, and then what happens: nothing is left out silently. A client
//! that is too slow for the live blocks is told them from the ledger in the same way.
//!
//! The first message of a stream, and one now and then while nothing is told, has an id and no data: clients take note
//! of the id, so that they know where they are before anything has happened.

use super::{
    SUBSCRIBERS, Shared,
    extract::Query,
    reader::with_reader,
    subscribers::Subscriber,
    views::{GapView, NoticeView, Problem},
};
use crate::{artifacts::replication::Copies, config, event_loop::handle::Notice, json};
use allod_protocol::{ground::ids::Height, ledger::execute::TransactionResult, rules::event::Event as LedgerEvent};
use allod_storage::{Ledger, StorageError};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use serde::Deserialize;
use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    fmt,
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{broadcast, watch};
use utoipa::IntoParams;

/// How often a message without data is sent when there is nothing to tell, so that a broken connection shows.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Results in one event; a larger block is told in parts.
pub(super) const EVENT_RESULTS: usize = 256;
/// Blocks that are told again to a client that was away; of what is further back it is told that it missed them.
pub(super) const REPLAY_BLOCKS: u64 = if cfg!(test) { 6 } else { 10_000 };
/// How many blocks another peer may be ahead of all that this one knows of.
const LEAD_BLOCKS: u64 = 1_000;
/// The name of an event about copies, which is not an event of the ledger.
const COPIES_EVENT: &str = "copies";
/// The header in which a client names the last id that it saw.
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Names of events, such as `shares_changed,proposal_closed`, or `copies`: then only blocks in which one of them
    /// happened are told, with these alone.
    types: Option<String>,
    /// The id of the last event that the client saw, of this peer or of any other: what followed it is told first. The
    /// header `Last-Event-ID`, which browsers send when they reconnect, says the same and goes before.
    after: Option<String>,
}

/// A place on the ledger: everything up to it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    height: Height,
    /// The last index of the block that was told; none for all of it.
    index: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}.{index}", self.height),
            None => write!(f, "{}", self.height),
        }
    }
}

impl FromStr for Place {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (height, index) = match text.split_once('.') {
            Some((height, index)) => (height, Some(index)),
            None => (text, None),
        };
        let wrong = |_| {
            let detail = format!(
                "{text:?} is not the id of an event, which is HEIGHT.INDEX or HEIGHT; leave it out to begin now"
            );
            Problem::bad_request("bad_event_id", detail)
        };
        let height = Height::new(height.parse().map_err(wrong)?);
        Ok(Self { height, index: index.map(str::parse).transpose().map_err(wrong)? })
    }
}

impl Place {
    /// Refuses a place that is on no ledger of this network, as far as can be known. A peer that may just be behind goes on
    /// from there when it gets there.
    fn require_within(self, api: &Shared) -> Result<(), Problem> {
        let status = api.node.status();
        let highest = api.node.ledger.tip().height.max(status.best_known_height);
        if self.height.get() <= highest.get().saturating_add(LEAD_BLOCKS) {
            return Ok(());
        }
        let detail = format!(
            "the id {self} is of a block far beyond height {highest}, the highest that this peer knows of; is it another \
             network's?"
        );
        Err(Problem::bad_request("event_id_beyond_tip", detail))
    }
}

/// What happens, as server-sent events; with the id of the last event seen, everything since then first.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(EventsQuery, ("Last-Event-ID" = Option<String>, Header, description = "As `after`.")),
    responses(
        (status = 200, description = "Events `block` (a NoticeView), `gap` (a GapView) and `copies` (a Copies), for as long as the client \
            stays. The id of an event, HEIGHT.INDEX or HEIGHT, is a place on the ledger and the same on every peer.",
            body = NoticeView, content_type = "text/event-stream"),
        (status = 400, description = "The id is not HEIGHT.INDEX or HEIGHT, or is of a block that is not there yet; or there is no such type.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many streams are open.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn events(
    State(api): State<Shared>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last_seen = headers.get(LAST_EVENT_ID).map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let told = last_seen.or(query.after).map(|id| id.parse::<Place>()).transpose()?;
    if let Some(told) = told {
        told.require_within(&api)?;
    }
    let types = query.types.as_deref().map(parse_types).transpose()?;
    // Last: it may be at the cost of another client.
    let place = api.subscribers.enter().ok_or_else(|| {
        let detail = format!("{SUBSCRIBERS} streams of events are open already; close one");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_subscribers", detail)
    })?;
    let events = futures::stream::unfold(Stream::new(api, told, types, place), |mut stream| async move {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    Ok(Sse::new(events).into_response())
}

/// The names of events that a client wants.
fn parse_types(text: &str) -> Result<BTreeSet<&'static str>, Problem> {
    let parse = |name: &str| {
        let known = LedgerEvent::NAMES.iter().copied().chain([COPIES_EVENT]);
        known.clone().find(|known| *known == name).ok_or_else(|| {
            let hint = config::nearest(name, known.map(str::to_owned));
            Problem::bad_request("unknown_event_type", format!("there is no event {name:?}{hint}"))
        })
    };
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(parse).collect()
}

/// What a stream that is up to date hears of.
enum Incoming {
    Block(Result<Arc<Notice>, broadcast::error::RecvError>),
    Copies(Result<Arc<Copies>, broadcast::error::RecvError>),
    Nothing,
}

/// What one stream needs.
struct Stream {
    api: Shared,
    notices: broadcast::Receiver<Arc<Notice>>,
    copies: broadcast::Receiver<Arc<Copies>>,
    stop: watch::Receiver<bool>,
    types: Option<BTreeSet<&'static str>>,
    told: Place,
    /// Whether the ledger may hold blocks after `told` for which no notice will come.
    behind: bool,
    /// What is to be sent next.
    ready: VecDeque<Event>,
    place: Subscriber,
}

impl Stream {
    fn new(api: Shared, told: Option<Place>, types: Option<BTreeSet<&'static str>>, place: Subscriber) -> Self {
        // Before the tip is read: a block in between comes twice rather than never, and is told once.
        let notices = api.node.subscribe();
        let told = told.unwrap_or_else(|| Place { height: api.node.ledger.tip().height, index: None });
        let ready = VecDeque::from([Event::default().id(told.to_string())]);
        let copies = api.replication.subscribe();
        Self { notices, copies, stop: api.stop.clone(), types, told, behind: true, ready, place, api }
    }

    /// The next event; none when the peer stops, or when another client has the place.
    async fn next(&mut self) -> Option<Event> {
        if !self.place.on_taken() {
            return None;
        }
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.place.on_told();
                return Some(event);
            }
            if self.behind {
                self.look_back().await?;
            } else {
                self.look_on().await?;
            }
        }
    }

    /// The height of which something is to be told next.
    fn next_height(&self) -> Height {
        if self.told.index.is_some() { self.told.height } else { self.told.height.next() }
    }

    /// Waits for the next block, or for news of copies.
    async fn look_on(&mut self) -> Option<()> {
        let told = tokio::select! {
            notice = self.notices.recv() => Incoming::Block(notice),
            copies = self.copies.recv() => Incoming::Copies(copies),
            () = tokio::time::sleep(KEEP_ALIVE) => Incoming::Nothing,
            _ = self.stop.wait_for(|stop| *stop) => return None,
        };
        let notice = match told {
            Incoming::Block(notice) => notice,
            Incoming::Copies(copies) => {
                // What was missed is in the list of the endpoint; the sender lives as long as the peer.
                copies.iter().for_each(|copies| self.tell_copies(copies));
                return Some(());
            }
            Incoming::Nothing => {
                self.ready.push_back(Event::default().id(self.told.to_string()));
                return Some(());
            }
        };
        match notice {
            Ok(notice) if notice.height == self.next_height() => self.tell(&notice),
            // Told already, from the ledger; or beyond what was told, so that the ledger has what is between.
            Ok(notice) => self.behind = notice.height > self.next_height(),
            Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
            Err(broadcast::error::RecvError::Closed) => return None,
        }
        Some(())
    }

    /// Tells one block from the ledger, or that some cannot be told.
    async fn look_back(&mut self) -> Option<()> {
        let tip = self.api.node.ledger.tip().height;
        let height = self.next_height();
        if height > tip {
            self.behind = false;
            return Some(());
        }
        let oldest = Height::new(tip.get().saturating_add(1).saturating_sub(REPLAY_BLOCKS));
        if height < oldest {
            self.tell_gap(height, oldest.previous());
            return Some(());
        }
        let found = with_reader(&self.api, move |reader| Ok(notice(&reader.node.ledger, height)?)).await;
        match found {
            Ok(Some(notice)) => self.tell(&notice),
            Ok(None) => self.tell_gap(height, height),
            Err(problem) => {
                tracing::error!(%height, detail = problem.detail, "a stream of events ends: the ledger cannot be read");
                return None;
            }
        }
        Some(())
    }

    fn tell_gap(&mut self, from: Height, to: Height) {
        self.told = Place { height: to, index: None };
        let event = Event::default().event("gap").id(self.told.to_string());
        self.ready.extend(json::to_string(&GapView { from, to }).map(|data| event.data(data)));
    }

    fn tell_copies(&mut self, copies: &Copies) {
        if self.types.as_ref().is_none_or(|types| types.contains(COPIES_EVENT)) {
            self.ready.extend(json::to_string(&copies).map(|data| Event::default().event(COPIES_EVENT).data(data)));
        }
    }

    /// Tells what of a block was not told yet.
    fn tell(&mut self, notice: &Notice) {
        let resumed = self.told.index.filter(|_| self.told.height == notice.height);
        for (place, view) in parts(notice, resumed) {
            if let Some(view) = self.select(view) {
                // A view is always JSON.
                let event = Event::default().event("block").id(place.to_string());
                self.ready.extend(json::to_string(&view).map(|data| event.data(data)));
            }
        }
        self.told = Place { height: notice.height, index: None };
    }

    /// The part as the client wants to see it, if it does.
    fn select(&self, mut view: NoticeView) -> Option<NoticeView> {
        if let Some(types) = &self.types {
            let wanted = |event: &LedgerEvent| types.contains(event.name());
            view.deadline_events.retain(wanted);
            for result in &mut view.results {
                result.events.retain(wanted);
            }
            view.results.retain(|result| !result.events.is_empty());
            if view.deadline_events.is_empty() && view.results.is_empty() {
                return None;
            }
        }
        Some(view)
    }
}

/// A block in parts, each with the place that it ends at; `told` is the last index that was told before.
fn parts(notice: &Notice, told: Option<usize>) -> Vec<(Place, NoticeView)> {
    let begin = told.unwrap_or(0);
    let rest = notice.results.get(begin..).unwrap_or_default();
    let empty: Option<&[_]> = (rest.is_empty() && told.is_none()).then_some(&[]);
    let part = |(number, results): (usize, &[TransactionResult])| {
        let deadline_events = if number == 0 && told.is_none() { notice.deadline_events.clone() } else { Vec::new() };
        let end = begin.saturating_add(number.saturating_mul(EVENT_RESULTS)).saturating_add(results.len());
        let view = NoticeView {
            height: notice.height,
            block: notice.block,
            time: notice.time,
            transactions: notice.results.len(),
            deadline_events,
            results: results.to_vec(),
        };
        (Place { height: notice.height, index: Some(end) }, view)
    };
    rest.chunks(EVENT_RESULTS).chain(empty).enumerate().map(part).collect()
}

/// What a block did, as the ledger keeps it.
fn notice(ledger: &Ledger, height: Height) -> Result<Option<Notice>, StorageError> {
    let (Some(header), Some(events)) = (ledger.certified_header(height)?, ledger.block_events(height)?) else {
        return Ok(None);
    };
    Ok(Some(Notice {
        height,
        block: header.certificate.block,
        time: header.header.time,
        deadline_events: events.deadline_events,
        results: events.results,
    }))
}

#[cfg(test)]
mod unit_tests {
    use super::*;
    use allod_protocol::{
        ground::ids::{AccountId, BlockHash, Timestamp, TransactionId},
        ledger::execute::Outcome,
    };

    fn block(transactions: usize) -> Notice {
        let result = |index: usize| {
            let id = TransactionId::from_bytes([u8::try_from(index % 251).expect("small"); 32]);
            TransactionResult { id, outcome: Outcome::Applied, events: Vec::new() }
        };
        Notice {
            height: Height::new(7),
            block: BlockHash::from_bytes([1; 32]),
            time: Timestamp::new(9),
            deadline_events: vec![LedgerEvent::KeysRotated { account: AccountId::from_bytes([2; 32]) }],
            results: (0..transactions).map(result).collect(),
        }
    }

    /// Where each part ends, how many results it has and how many events of deadlines.
    fn shape(notice: &Notice, told: Option<usize>) -> Vec<(String, usize, usize)> {
        let parts = parts(notice, told).into_iter();
        parts.map(|(place, view)| (place.to_string(), view.results.len(), view.deadline_events.len())).collect()
    }

    #[test]
    fn a_large_block_is_told_in_parts_and_taken_up_anywhere() {
        let large = block(600);
        let part = |id: &str, results, deadlines| (id.to_owned(), results, deadlines);
        assert_eq!(shape(&large, None), [part("7.256", 256, 1), part("7.512", 256, 0), part("7.600", 88, 0)]);
        assert_eq!(shape(&large, Some(256)), [part("7.512", 256, 0), part("7.600", 88, 0)]);
        assert_eq!(shape(&large, Some(0)).len(), 3);
        assert_eq!(shape(&large, Some(599)), [part("7.600", 1, 0)]);
        assert_eq!(shape(&large, Some(600)), []);
        let resumed = parts(&large, Some(300)).into_iter().flat_map(|(_, view)| view.results).collect::<Vec<_>>();
        assert_eq!(Some(resumed.as_slice()), large.results.get(300..));
    }

    #[test]
    fn an_empty_block_is_told_once() {
        assert_eq!(shape(&block(0), None), [("7.0".to_owned(), 0, 1)]);
        assert_eq!(shape(&block(0), Some(0)), []);
    }

    #[test]
    fn an_id_reads_back() {
        for text in ["7", "7.0", "18446744073709551615.600"] {
            assert_eq!(text.parse::<Place>().expect("an id").to_string(), text);
        }
        for text in ["", "7.", ".7", "7.1.2", "-1", "seven"] {
            assert_eq!(text.parse::<Place>().expect_err("no id").code, "bad_event_id", "{text}");
        }
    }
}
