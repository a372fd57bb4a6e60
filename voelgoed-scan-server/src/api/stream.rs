//! What happens at an event, as it happens: Server-Sent Events.
//!
//! The id of a `scan` event is its place in the audit trail, so that `Last-Event-ID` is a question to the trail.

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
use crate::call::Call;
use crate::node::Node;
use crate::problem::{Code, Problem};
use crate::reply::{self, BrokenOff};
use crate::route::{Answer, Route};
use crate::thing::Thing;

const MEDIA_TYPE: &str = "text/event-stream";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How often a comment says that the stream is alive.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// How often it is asked whether the caller may still listen.
const RECHECK_EVERY: Duration = Duration::from_millis(500);

/// How far `Last-Event-ID` reaches back.
const REACH: Duration = Duration::from_mins(5);

/// `GET /api/v1/scanning/events/{id}/stream`
pub(crate) fn watch() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/stream",
        "watchEvent",
        "Streams Server-Sent Events: scan (a scan record), occupancy (the event's counters), reset (what was missed is \
         more than Last-Event-ID reaches back, 5 minutes).",
    )
    .answers_as("The stream.", vec![(MEDIA_TYPE, None)])
    .names(|call| Ok(Thing::Event(call.event_id()?)))
    .by(Permission::Viewer, run)
}

async fn run(call: Call) -> Answer {
    let (organization, event) = (call.organization(), call.event_id()?);
    // Listen first and read then: what happens in between comes twice and is told once, and what happens after the
    // first item is told, whichever node it happens at.
    let subscription = call.scanner().feed().subscribe(organization, event).await;
    let occupancy = call
        .store()
        .occupancy(organization, event, call.now)
        .await?
        .ok_or(Code::NotFound)?;
    let mut watch = Watch {
        subscription,
        credential: call.credential,
        organization,
        event,
        ready: VecDeque::new(),
        told: HashSet::new(),
        comments: every(COMMENT_EVERY),
        rechecks: every(RECHECK_EVERY),
        node: Arc::clone(&call.node),
    };
    watch.ready.push_back(Bytes::from_static(b":\n\n"));
    if let Some(since) = last_event_id(&call.headers) {
        watch.catch_up(since, call.now).await?;
    }
    watch.ready.push_back(occupancy_event(&occupancy)?);
    Ok(reply::stream(
        MEDIA_TYPE,
        stream::unfold(watch, |mut watch| async move {
            let next = watch.next().await?;
            Some((Ok::<_, BrokenOff>(Frame::data(next)), watch))
        }),
    ))
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A listener.
struct Watch {
    node: Arc<Node>,
    subscription: Subscription,
    credential: Credential,
    organization: OrganizationId,
    event: EventId,
    /// Events to be sent before the feed's.
    ready: VecDeque<Bytes>,
    /// Scans that were caught up with: the feed may bring them once more.
    told: HashSet<ScanId>,
    comments: Interval,
    rechecks: Interval,
}

impl Watch {
    /// The next piece of the stream; none at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            tokio::select! {
                biased;
                () = self.node.stopping.cancelled() => return None,
                _ = self.rechecks.tick() => {
                    if !self.may_listen().await {
                        return None;
                    }
                }
                item = self.subscription.next() => match &*item? {
                    FeedItem::Scan(record) => {
                        if record.undone.is_some() || !self.told.remove(&record.scan_id) {
                            self.ready.extend(scan_event(record));
                        }
                    }
                    FeedItem::Occupancy(occupancy) => self.ready.extend(occupancy_event(occupancy)),
                    FeedItem::Lagged(_) => self.ready.push_back(reset_event()),
                },
                _ = self.comments.tick() => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }

    /// Whether the credential still opens this stream. A database that does not answer closes nothing.
    async fn may_listen(&self) -> bool {
        match self
            .credential
            .caller(&self.node.scanner, &self.node.admin, false)
            .await
        {
            Ok(caller) => caller.organization() == self.organization && Permission::Viewer.admits(&caller),
            Err(problem) => problem.is_unavailable(),
        }
    }

    /// Tells what happened since an event that the caller has seen.
    async fn catch_up(&mut self, since: Cursor, now: Timestamp) -> Result<(), StoreError> {
        if now.millis_since(Timestamp::from_millis(since.at)) > i64::try_from(REACH.as_millis()).unwrap_or(0)
        {
            self.ready.push_back(reset_event());
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
            let store = self.node.scanner.store();
            let scans = store
                .scans(self.organization, &filter, Order::Oldest, &page)
                .await?;
            for record in &scans.data {
                self.told.insert(record.scan_id);
                self.ready.extend(scan_event(record));
            }
            match scans.next {
                Some(next) => page.after = Some(next),
                None => return Ok(()),
            }
        }
    }
}

/// Where the caller left off; an id that is none of ours is one too old to be known.
fn last_event_id(headers: &HeaderMap) -> Option<Cursor> {
    let text = headers
        .get(LAST_EVENT_ID)?
        .to_str()
        .ok()
        .filter(|text| !text.is_empty())?;
    let place = text.split_once('-').and_then(|(at, id)| {
        Some(Cursor {
            at: at.parse().ok()?,
            id: id.parse().ok()?,
        })
    });
    Some(place.unwrap_or(Cursor {
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
    // JSON has no line ends in it, so that one `data` line is enough.
    text.push_str(&serde_json::to_string(data)?);
    text.push_str("\n\n");
    Ok(text.into())
}

fn scan_event(record: &ScanRecord) -> Result<Bytes, serde_json::Error> {
    let id = format!("{}-{}", record.scanned_at.as_millis(), record.scan_id);
    event(Some(&id), "scan", record)
}

fn occupancy_event(occupancy: &EventOccupancy) -> Result<Bytes, serde_json::Error> {
    event(None, "occupancy", occupancy)
}

fn reset_event() -> Bytes {
    Bytes::from_static(b"event: reset\ndata: {}\n\n")
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "an event of a stream is no JSON");
        Code::Internal.into()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn place(text: &str) -> Option<(i64, bool)> {
        let mut headers = HeaderMap::new();
        headers.insert(LAST_EVENT_ID, HeaderValue::from_str(text).expect("a header"));
        last_event_id(&headers).map(|cursor| (cursor.at, cursor.id.is_nil()))
    }

    #[test]
    fn a_last_event_id_is_a_place_in_the_trail_and_others_are_too_old() {
        assert_eq!(
            place("1780000000123-0192f0c1-7a4e-7000-8000-000000000001"),
            Some((1_780_000_000_123, false))
        );
        assert_eq!(place(""), None);
        for text in [
            "1",
            "x-y",
            "1780000000123-",
            "-0192f0c1-7a4e-7000-8000-000000000001",
        ] {
            assert_eq!(place(text), Some((i64::MIN, true)), "{text}");
        }
    }

    #[test]
    fn an_event_is_its_name_and_one_line_of_json() {
        let bytes = event(Some("7"), "scan", &serde_json::json!({ "note": "a\nb" })).expect("JSON");
        assert_eq!(bytes, "id: 7\nevent: scan\ndata: {\"note\":\"a\\nb\"}\n\n");
    }
}
