//! Live events: one SSE event for each block, as it becomes durable here.
//!
//! ```text
//! event: block        data: a NoticeView          id: its height
//! event: lagged       data: a LaggedView: the client was too slow, and some blocks were left out
//! ```

use super::{
    SUBSCRIBERS, Shared,
    extract::Query,
    views::{LaggedView, NoticeView, Problem},
};
use crate::handle::Notice;
use allod_protocol::event::Event as LedgerEvent;
use axum::{
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use serde::Deserialize;
use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use utoipa::IntoParams;

/// How often a comment is sent when no block comes, so that a broken connection shows.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Names of ledger events, such as `shares_changed,proposal_closed`: then only blocks in which one of them happened
    /// are told, with these alone.
    types: Option<String>,
}

/// What one stream needs.
struct Stream {
    notices: broadcast::Receiver<Arc<Notice>>,
    stop: watch::Receiver<bool>,
    types: Option<BTreeSet<String>>,
    _place: OwnedSemaphorePermit,
}

/// Blocks as they are executed, from the next one on, as server-sent events.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventsQuery), responses(
    (status = 200, description = "Events `block` (a NoticeView) and `lagged` (a LaggedView), for as long as the client stays.",
        body = NoticeView, content_type = "text/event-stream"),
    (status = 429, description = "Too many streams are open.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn events(State(api): State<Shared>, Query(query): Query<EventsQuery>) -> Result<Response, Problem> {
    let place = api.subscribers.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{SUBSCRIBERS} streams of events are open already; close one");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_subscribers", detail)
    })?;
    let types = query
        .types
        .map(|types| types.split(',').map(str::trim).filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect());
    let stream = Stream { notices: api.node.subscribe(), stop: api.stop.clone(), types, _place: place };
    let events = futures::stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

impl Stream {
    /// The next event; none when the peer stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let notice = tokio::select! {
                notice = self.notices.recv() => notice,
                _ = self.stop.wait_for(|stop| *stop) => return None,
            };
            match notice {
                Ok(notice) => {
                    if let Some(view) = self.select(&notice) {
                        let event = Event::default().event("block").id(view.height.to_string());
                        // A view is always JSON.
                        return event.json_data(&view).ok();
                    }
                }
                Err(broadcast::error::RecvError::Lagged(missed_blocks)) => {
                    return Event::default().event("lagged").json_data(LaggedView { missed_blocks }).ok();
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The block as the client wants to see it, if it does.
    fn select(&self, notice: &Notice) -> Option<NoticeView> {
        let mut view = NoticeView {
            height: notice.height,
            block: notice.block,
            time: notice.time,
            deadline_events: notice.deadline_events.clone(),
            results: notice.results.clone(),
        };
        if let Some(types) = &self.types {
            let wanted = |event: &LedgerEvent| name(event).is_some_and(|name| types.contains(&name));
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

/// An event's name: the one key of its JSON form.
fn name(event: &LedgerEvent) -> Option<String> {
    match serde_json::to_value(event).ok()? {
        serde_json::Value::Object(fields) => fields.into_iter().next().map(|(name, _)| name),
        serde_json::Value::String(name) => Some(name),
        _ => None,
    }
}
