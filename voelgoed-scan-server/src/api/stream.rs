//! The live stream of an event, as Server-Sent Events.
//!
//! Invariants: the id of an event names the last scan that the client has (its position in the feed) and the time at
//! which it was sent. So a stream resumes from `Last-Event-ID` with the next scan, whichever node sent the last one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::HeaderMap;
use hyper::body::Frame;
use hyper::header::HeaderName;
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use voelgoed_scan_core::model::{self, EventOccupancy, OrganizationId, ScanRecord, Signal, Timestamp};
use voelgoed_scan_core::node::{FeedItem, OccupancyItem, ScansItem, SignalSubscription, Subscription};
use voelgoed_scan_core::rules::Day;
use voelgoed_scan_core::store::{FeedEntry, StoreError};

use crate::auth::Permission;
use crate::problem::Code;
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, StreamAborted};
use crate::route::{HandlerResult, Route};
use crate::state::ServerState;
use crate::streams::OpenStream;

const MEDIA_TYPE: &str = "text/event-stream";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The interval of comments, which show the client that the stream is alive.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

/// How far back `Last-Event-ID` resumes.
const MAX_RESUME_AGE: Duration = Duration::from_mins(5);

/// How much further back the signals of a stream that resumes begin. They are found up to a few seconds after their time.
const SIGNAL_OVERLAP_MILLIS: i64 = 10_000;

const COMMENT: Bytes = Bytes::from_static(b":\n\n");
const RESET: Bytes = Bytes::from_static(b"event: reset\ndata: {}\n\n");

/// `GET /api/v1/scanning/events/{id}/stream`
pub(crate) fn watch() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/stream",
        "watchEvent",
        "Streams Server-Sent Events: scan (a scan record), occupancy (the event's counters), signal (a signal that opened or \
         ended; for owner, admin and staff) and reset (Last-Event-ID is older than 5 minutes, so that events were missed). A \
         stream that resumes with Last-Event-ID sends every scan exactly once, in the order of recording; an undone scan is \
         sent again. It also sends the signals that changed meanwhile, each as it is now; it may repeat some of the last \
         ten seconds. An API key has at most 64 streams.",
    )
    .responds_with("The stream.", vec![(MEDIA_TYPE, None)])
    .problems(&[Code::RateLimited, Code::Overloaded])
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .authenticated(Permission::Viewer, run_watch)
}

async fn run_watch(request: Request) -> HandlerResult {
    let (organization, event) = (request.organization(), request.event_id()?);
    let open = request.state.streams.open(request.credential, &request.caller)?;
    let last = last_event_id(&request.headers);
    let after = last.and_then(|last| last.if_recent(request.now));
    // Subscribe first, then read the occupancy, so that a scan in between is counted or sent, whichever node records it.
    let feed = request.scanner().feed();
    let subscription = feed.subscribe(organization, event, after).await?;
    let signals = if Permission::Staff.admits(&request.caller) {
        // The signals of a stream that cannot resume begin now, as its scans do.
        let since = after
            .and(last)
            .map(|last| last.sent_at.plus_millis(-SIGNAL_OVERLAP_MILLIS));
        let signals = request.scanner().signals();
        Some(signals.subscribe(organization, event, since).await?)
    } else {
        None
    };
    let occupancy = request
        .store()
        .occupancy(organization, event, request.now)
        .await?
        .ok_or(Code::NotFound)?;
    let found = request
        .store()
        .event(organization, event)
        .await?
        .ok_or(Code::NotFound)?;
    let mut pending = VecDeque::from([COMMENT]);
    if last.is_some() && !subscription.is_resumed() {
        pending.push_back(RESET);
    }
    let stream = EventStream {
        subscription,
        signals,
        open,
        with_codes: request.caller.may_see_codes(),
        pending,
        occupancy: Some(occupancy),
        comments: delayed_interval(COMMENT_INTERVAL),
        event: (organization, event),
        day_end: day_end(found.day(request.now), request.now),
        state: request.state,
    };
    Ok(response::stream(
        MEDIA_TYPE,
        stream::unfold(stream, |mut stream| async move {
            let next = stream.next().await?;
            Some((Ok::<_, StreamAborted>(Frame::data(next)), stream))
        }),
    ))
}

/// The next signal; waits for ever for a caller who may see none.
async fn next_signal(signals: Option<&mut SignalSubscription>) -> Option<Signal> {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

/// The end of a day, by the clock of the runtime.
fn day_end(day: Option<Day>, now: Timestamp) -> Option<Instant> {
    let left = day?.until.millis_since(now);
    Some(Instant::now() + Duration::from_millis(u64::try_from(left).unwrap_or(0)))
}

/// Waits for this time; for ever if there is none.
async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// An interval whose first tick is after one period.
fn delayed_interval(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The stream of one client.
struct EventStream {
    state: Arc<ServerState>,
    subscription: Subscription,
    /// The signals, for callers who may see them.
    signals: Option<SignalSubscription>,
    open: OpenStream,
    with_codes: bool,
    /// Events to send before those of the subscription.
    pending: VecDeque<Bytes>,
    /// The occupancy at the start, which follows the scans that the client missed.
    occupancy: Option<EventOccupancy>,
    comments: Interval,
    event: (OrganizationId, model::EventId),
    /// When everybody has left, because a day of the event begins. The client gets the occupancy then.
    day_end: Option<Instant>,
}

impl EventStream {
    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        self.open.begin_wait();
        let piece = self.next_piece().await;
        self.open.end_wait(&self.subscription.backlog());
        piece
    }

    /// Reads the occupancy of a day that has begun, which follows.
    async fn begin_day(&mut self) {
        let (organization, event) = self.event;
        let (store, now) = (self.state.scanner.store(), self.state.clock.now());
        let read = async {
            let found = store.event(organization, event).await?;
            Ok::<_, StoreError>((found, store.occupancy(organization, event, now).await?))
        };
        match read.await {
            Ok((found, occupancy)) => {
                self.occupancy = occupancy;
                self.day_end = day_end(found.and_then(|found| found.day(now)), now);
            }
            Err(error) => {
                tracing::warn!(%error, "the occupancy could not be read as a day began");
                self.day_end = Some(Instant::now() + COMMENT_INTERVAL);
            }
        }
    }

    async fn next_piece(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.pending.pop_front() {
            return Some(piece);
        }
        if !self.subscription.is_catching_up()
            && let Some(occupancy) = self.occupancy.take()
        {
            let id = EventId::new(self.subscription.position(), self.state.clock.now());
            return Some(occupancy_event(id, &occupancy).into());
        }
        // A stream that resumes sends what it missed in its order: the scans, the occupancy, then the signals.
        let may_send_signals = !self.subscription.is_catching_up();
        tokio::select! {
            biased;
            () = self.state.stopping.cancelled() => None,
            () = self.open.ended() => None,
            item = self.subscription.next() => {
                let now = self.state.clock.now();
                Some(match item? {
                    FeedItem::Scans(scans) => scan_events(&scans, self.with_codes, now),
                    FeedItem::Occupancy(item) => shared_occupancy_event(&item, now),
                })
            }
            signal = next_signal(self.signals.as_mut()), if may_send_signals => {
                let id = EventId::new(self.subscription.position(), self.state.clock.now());
                let mut text = Vec::new();
                write_event(&mut text, id, "signal", &signal?);
                Some(text.into())
            }
            () = wait_until(self.day_end) => {
                self.begin_day().await;
                Some(COMMENT)
            }
            _ = self.comments.tick() => {
                // The id keeps a quiet stream from growing too old to resume.
                let id = EventId::new(self.subscription.position(), self.state.clock.now());
                Some(format!(":\nid: {id}\n\n").into())
            }
        }
    }
}

/// The id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EventId {
    /// The position of the last scan that the client has.
    position: i64,
    /// When the event was sent.
    sent_at: Timestamp,
}

impl EventId {
    fn new(position: i64, sent_at: Timestamp) -> Self {
        Self { position, sent_at }
    }

    /// The position, unless the id is too old.
    fn if_recent(self, now: Timestamp) -> Option<i64> {
        let max_age = i64::try_from(MAX_RESUME_AGE.as_millis()).unwrap_or(0);
        (now.millis_since(self.sent_at) <= max_age).then_some(self.position)
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.position, self.sent_at.as_millis())
    }
}

/// The event after which the client resumes. An id that is not valid counts as too old.
fn last_event_id(headers: &HeaderMap) -> Option<EventId> {
    let text = headers
        .get(LAST_EVENT_ID)?
        .to_str()
        .ok()
        .filter(|text| !text.is_empty())?;
    let id = text.split_once('-').and_then(|(position, sent_at)| {
        Some(EventId {
            position: position.parse().ok().filter(|position| *position >= 0)?,
            sent_at: Timestamp::from_millis(sent_at.parse().ok().filter(|millis| *millis >= 0)?),
        })
    });
    Some(id.unwrap_or(EventId {
        position: 0,
        sent_at: Timestamp::from_millis(0),
    }))
}

/// Adds an event to a text.
fn write_event(text: &mut Vec<u8>, id: EventId, name: &str, data: &impl Serialize) {
    let start = text.len();
    text.extend_from_slice(format!("id: {id}\nevent: {name}\ndata: ").as_bytes());
    // JSON text contains no line ends, so that one `data` line is enough.
    if let Err(error) = serde_json::to_writer(&mut *text, data) {
        tracing::error!(%error, "a value could not be serialised as JSON");
        text.truncate(start);
        return;
    }
    text.extend_from_slice(b"\n\n");
}

/// The events of some scans. All subscribers with the same permission share them.
fn scan_events(scans: &ScansItem, with_codes: bool, now: Timestamp) -> Bytes {
    let rendering = if with_codes {
        &scans.with_codes
    } else {
        &scans.without_codes
    };
    Bytes::from_owner(rendering.get(|| {
        let mut text = Vec::new();
        for entry in scans.entries() {
            write_scan_event(&mut text, entry, with_codes, now);
        }
        text
    }))
}

fn write_scan_event(text: &mut Vec<u8>, entry: &FeedEntry, with_code: bool, now: Timestamp) {
    let id = EventId::new(entry.position, now);
    if with_code || entry.record.ticket_code.is_none() {
        return write_event(text, id, "scan", &entry.record);
    }
    let record = ScanRecord {
        ticket_code: None,
        ..entry.record.clone()
    };
    write_event(text, id, "scan", &record);
}

fn shared_occupancy_event(item: &OccupancyItem, now: Timestamp) -> Bytes {
    let render = || occupancy_event(EventId::new(item.position, now), &item.occupancy);
    Bytes::from_owner(item.rendering.get(render))
}

fn occupancy_event(id: EventId, occupancy: &EventOccupancy) -> Vec<u8> {
    let mut text = Vec::new();
    write_event(&mut text, id, "occupancy", occupancy);
    text
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn id(text: &str) -> Option<(i64, i64)> {
        let mut headers = HeaderMap::new();
        headers.insert(
            LAST_EVENT_ID,
            HeaderValue::from_str(text).expect("a valid header value"),
        );
        last_event_id(&headers).map(|id| (id.position, id.sent_at.as_millis()))
    }

    #[test]
    fn a_last_event_id_is_a_position_and_a_time_and_an_invalid_one_counts_as_too_old() {
        assert_eq!(id("17-1780000000123"), Some((17, 1_780_000_000_123)));
        assert_eq!(id(""), None);
        for text in [
            "1",
            "x-y",
            "1780000000123-",
            "-17-1780000000123",
            "1--1",
            "-0192f0c1-7a4e-7000-8000-000000000001",
            "1780000000123-0192f0c1-7a4e-7000-8000-000000000001",
        ] {
            assert_eq!(id(text), Some((0, 0)), "{text}");
        }
    }

    #[test]
    fn an_id_resumes_for_five_minutes() {
        let at = Timestamp::from_millis(1_780_000_000_000);
        let id = EventId::new(17, at);
        for (age, position) in [(0, Some(17)), (300_000, Some(17)), (300_001, None)] {
            assert_eq!(id.if_recent(at.plus_millis(age)), position, "{age} ms");
        }
    }

    #[test]
    fn an_event_is_its_id_its_name_and_one_line_of_json() {
        let mut text = Vec::new();
        let id = EventId::new(7, Timestamp::from_millis(9));
        write_event(&mut text, id, "scan", &serde_json::json!({ "note": "a\nb" }));
        assert_eq!(
            text.as_slice(),
            b"id: 7-9\nevent: scan\ndata: {\"note\":\"a\\nb\"}\n\n"
        );
    }
}
