//! The live stream of an event, as Server-Sent Events.
//!
//! Invariants: the id of a `scan` event is its position in the audit trail (time and scan id), so that a stream resumes
//! from `Last-Event-ID` by reading the audit trail.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::HeaderMap;
use hyper::body::Frame;
use hyper::header::HeaderName;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use voelgoed_scan_core::model::{EventId, EventOccupancy, OrganizationId, ScanId, ScanRecord, Timestamp};
use voelgoed_scan_core::node::{FeedItem, Subscription};
use voelgoed_scan_core::store::{Cursor, Order, PageRequest, ScanFilter, StoreError};

use crate::auth::{Credential, Permission};
use crate::problem::{Code, Problem};
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, StreamAborted};
use crate::route::{HandlerResult, Route};
use crate::state::ServerState;

const MEDIA_TYPE: &str = "text/event-stream";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The interval of comments, which show the client that the stream is alive.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

/// The interval at which the caller's permission is checked again.
const PERMISSION_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// How far back `Last-Event-ID` resumes.
const MAX_RESUME_AGE: Duration = Duration::from_mins(5);

const COMMENT: Bytes = Bytes::from_static(b":\n\n");
const RESET: Bytes = Bytes::from_static(b"event: reset\ndata: {}\n\n");

/// `GET /api/v1/scanning/events/{id}/stream`
pub(crate) fn watch() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/stream",
        "watchEvent",
        "Streams Server-Sent Events: scan (a scan record), occupancy (the event's counters) and reset (Last-Event-ID is \
         older than 5 minutes, so that events were missed).",
    )
    .responds_with("The stream.", vec![(MEDIA_TYPE, None)])
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .authenticated(Permission::Viewer, run_watch)
}

async fn run_watch(request: Request) -> HandlerResult {
    let (organization, event) = (request.organization(), request.event_id()?);
    // Subscribe first, then read. A scan in between arrives twice and is sent once, and no scan after the first item is
    // lost, whichever node records it.
    let subscription = request.scanner().feed().subscribe(organization, event).await;
    let occupancy = request
        .store()
        .occupancy(organization, event, request.now)
        .await?
        .ok_or(Code::NotFound)?;
    let mut stream = EventStream {
        subscription,
        with_codes: request.caller.may_see_codes(),
        credential: request.credential,
        organization,
        event,
        pending: VecDeque::from([COMMENT]),
        replayed: HashSet::new(),
        comments: delayed_interval(COMMENT_INTERVAL),
        permission_checks: delayed_interval(PERMISSION_CHECK_INTERVAL),
        state: request.state,
    };
    if let Some(since) = last_event_id(&request.headers) {
        stream.replay(since, request.now).await?;
    }
    stream.pending.push_back(occupancy_event(&occupancy)?);
    Ok(response::stream(
        MEDIA_TYPE,
        stream::unfold(stream, |mut stream| async move {
            let next = stream.next().await?;
            Some((Ok::<_, StreamAborted>(Frame::data(next)), stream))
        }),
    ))
}

/// An interval whose first tick is after one period.
fn delayed_interval(period: Duration) -> Interval {
    let mut interval = interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The stream of one client.
struct EventStream {
    state: Arc<ServerState>,
    subscription: Subscription,
    credential: Credential,
    with_codes: bool,
    organization: OrganizationId,
    event: EventId,
    /// Events to send before those of the subscription.
    pending: VecDeque<Bytes>,
    /// Scans that were replayed. The subscription may deliver them again.
    replayed: HashSet<ScanId>,
    comments: Interval,
    permission_checks: Interval,
}

impl EventStream {
    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.pending.pop_front() {
                return Some(piece);
            }
            tokio::select! {
                biased;
                () = self.state.stopping.cancelled() => return None,
                _ = self.permission_checks.tick() => {
                    if !self.is_permitted().await {
                        return None;
                    }
                }
                item = self.subscription.next() => match &*item? {
                    FeedItem::Scan(record) => {
                        if record.undone.is_some() || !self.replayed.remove(&record.scan_id) {
                            self.pending.extend(scan_event(record, self.with_codes));
                        }
                    }
                    FeedItem::Occupancy(occupancy) => self.pending.extend(occupancy_event(occupancy)),
                    FeedItem::Lagged(_) => self.pending.push_back(RESET),
                },
                _ = self.comments.tick() => return Some(COMMENT),
            }
        }
    }

    /// Whether the credential still permits this stream. The stream continues while the database is unavailable.
    async fn is_permitted(&self) -> bool {
        match self
            .credential
            .caller(&self.state.scanner, &self.state.admin, false)
            .await
        {
            Ok(caller) => caller.organization() == self.organization && Permission::Viewer.admits(&caller),
            Err(problem) => problem.is_unavailable(),
        }
    }

    /// Queues the scans after the last event that the client received.
    async fn replay(&mut self, since: Cursor, now: Timestamp) -> Result<(), StoreError> {
        let max_age = i64::try_from(MAX_RESUME_AGE.as_millis()).unwrap_or(0);
        if now.millis_since(Timestamp::from_millis(since.at)) > max_age {
            self.pending.push_back(RESET);
            return Ok(());
        }
        let filter = ScanFilter {
            event_id: Some(self.event),
            ..ScanFilter::default()
        };
        let mut page = PageRequest {
            limit: 500,
            after: Some(since),
        };
        loop {
            let store = self.state.scanner.store();
            let scans = store
                .scans(self.organization, &filter, Order::Oldest, &page)
                .await?;
            for record in &scans.data {
                self.replayed.insert(record.scan_id);
                self.pending.extend(scan_event(record, self.with_codes));
            }
            match scans.next {
                Some(next) => page.after = Some(next),
                None => return Ok(()),
            }
        }
    }
}

/// The position after which the client resumes. An id that is not valid counts as too old.
fn last_event_id(headers: &HeaderMap) -> Option<Cursor> {
    let text = headers
        .get(LAST_EVENT_ID)?
        .to_str()
        .ok()
        .filter(|text| !text.is_empty())?;
    let position = text.split_once('-').and_then(|(at, id)| {
        Some(Cursor {
            at: at.parse().ok()?,
            id: id.parse().ok()?,
        })
    });
    Some(position.unwrap_or(Cursor {
        at: i64::MIN,
        id: uuid::Uuid::nil(),
    }))
}

fn event(id: Option<&str>, name: &str, data: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut text = String::new();
    if let Some(id) = id {
        text.push_str("id: ");
        text.push_str(id);
        text.push('\n');
    }
    text.push_str("event: ");
    text.push_str(name);
    text.push_str("\ndata: ");
    // JSON text contains no line ends, so that one `data` line is enough.
    text.push_str(&serde_json::to_string(data)?);
    text.push_str("\n\n");
    Ok(text.into())
}

fn scan_event(record: &ScanRecord, with_code: bool) -> Result<Bytes, serde_json::Error> {
    let id = format!("{}-{}", record.scanned_at.as_millis(), record.scan_id);
    if with_code || record.ticket_code.is_none() {
        return event(Some(&id), "scan", record);
    }
    let record = ScanRecord {
        ticket_code: None,
        ..record.clone()
    };
    event(Some(&id), "scan", &record)
}

fn occupancy_event(occupancy: &EventOccupancy) -> Result<Bytes, serde_json::Error> {
    event(None, "occupancy", occupancy)
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "a value could not be serialised as JSON");
        Code::Internal.into()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn position(text: &str) -> Option<(i64, bool)> {
        let mut headers = HeaderMap::new();
        headers.insert(
            LAST_EVENT_ID,
            HeaderValue::from_str(text).expect("a valid header value"),
        );
        last_event_id(&headers).map(|cursor| (cursor.at, cursor.id.is_nil()))
    }

    #[test]
    fn a_last_event_id_is_a_position_in_the_audit_trail_and_an_invalid_one_counts_as_too_old() {
        assert_eq!(
            position("1780000000123-0192f0c1-7a4e-7000-8000-000000000001"),
            Some((1_780_000_000_123, false))
        );
        assert_eq!(position(""), None);
        for text in [
            "1",
            "x-y",
            "1780000000123-",
            "-0192f0c1-7a4e-7000-8000-000000000001",
        ] {
            assert_eq!(position(text), Some((i64::MIN, true)), "{text}");
        }
    }

    #[test]
    fn an_event_is_its_id_its_name_and_one_line_of_json() {
        let bytes = event(Some("7"), "scan", &serde_json::json!({ "note": "a\nb" })).expect("JSON");
        assert_eq!(bytes, "id: 7\nevent: scan\ndata: {\"note\":\"a\\nb\"}\n\n");
    }
}
