//! The keys that the ticketing platform documents, written beside our own (`--redis-keys platform`).
//!
//! | key | value |
//! |---|---|
//! | `voelgoed:org:{org}:ticket:{code}:last_scan` | the ticket's last admission: `{scan_id}:{gate_id}:{unix seconds}`, for the window |
//! | `voelgoed:org:{org}:event:{event}:scans:recent` | a sorted set of the scans of known tickets in the last five minutes, denials too, by unix seconds: `{ticket_id}:{device_id}:{gate_id}` |
//! | `voelgoed:org:{org}:event:{event}:occupancy` | the number of people inside, for 60 s |
//!
//! Invariants:
//! - They are written after the commit, by a task of their own: no answer waits for them. While Redis is down or slow, they
//!   are dropped.
//! - An admission that arrives later than a newer one does not replace it. An undone admission is removed.
//! - Nothing here reads them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{CALL_TIMEOUT, MAX_KEYS_PER_COMMAND, RedisTicketCache};
use crate::bus::EventKey;
use crate::model::{Direction, OrganizationId, ScanRecord, ScanResult, TicketCode, Timestamp};

/// How many changes wait to be written. More are dropped: Redis is too slow then.
const MAX_PENDING: usize = 4096;

/// How long a scan is in the sorted set.
const RECENT_SECONDS: i64 = 300;

/// How long the number of people inside holds.
const OCCUPANCY_SECONDS: i64 = 60;

/// Sets the last admission of a ticket, unless a newer one is there. Arguments: value, unix seconds, time to live in
/// milliseconds.
const SET_LAST_SCAN: &str = "\
local old = redis.call('GET', KEYS[1])
local at = old and tonumber(string.match(old, ':(%-?%d+)$'))
if not at or at <= tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
end
return 1";

/// Removes the last admission of a ticket if it is this scan. Argument: the scan with a colon.
const REMOVE_LAST_SCAN: &str = "\
local old = redis.call('GET', KEYS[1])
if old and string.sub(old, 1, #ARGV[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1";

/// What is written.
enum Change {
    /// A scan that was recorded or changed, as it is at a time.
    Scan(Box<ScanRecord>, Timestamp),
    /// The number of people inside an event.
    Inside(EventKey, i64),
}

/// Writes the platform's keys; cheap to clone.
#[derive(Clone)]
pub(crate) struct PlatformKeys(mpsc::Sender<Change>);

impl PlatformKeys {
    /// Starts the task that writes. It ends with the last clone.
    pub(crate) fn start(cache: RedisTicketCache) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_PENDING);
        tokio::spawn(write_changes(cache, receiver));
        Self(sender)
    }

    /// Scans were recorded or changed at `now`. Returns at once.
    pub(crate) fn scans_recorded<'a>(
        &self,
        records: impl IntoIterator<Item = &'a ScanRecord>,
        now: Timestamp,
    ) {
        for record in records {
            // Only a known ticket has keys.
            if record.ticket_id.is_some() {
                let change = Change::Scan(Box::new(record.clone()), now.max(record.received_at));
                // The queue is full: these keys are hints, and no scan waits for them.
                let _ = self.0.try_send(change);
            }
        }
    }

    /// The number of people inside an event changed. Returns at once.
    pub(crate) fn inside_changed(&self, event: EventKey, inside: i64) {
        let _ = self.0.try_send(Change::Inside(event, inside));
    }
}

async fn write_changes(cache: RedisTicketCache, mut changes: mpsc::Receiver<Change>) {
    let mut batch = Vec::new();
    while changes.recv_many(&mut batch, MAX_KEYS_PER_COMMAND).await > 0 {
        let pipeline = pipeline(&batch, cache.0.window);
        batch.clear();
        if pipeline.is_empty() {
            continue;
        }
        let deadline = Instant::now() + CALL_TIMEOUT;
        let call = async { pipeline.exec_async(&mut cache.0.server.connection()?).await };
        cache.0.breaker.call(deadline, call).await;
    }
}

fn pipeline(changes: &[Change], window: Duration) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    let mut inside = BTreeMap::new();
    let mut events = BTreeMap::new();
    for change in changes {
        match change {
            Change::Inside(event, people) => {
                inside.insert(*event, *people);
            }
            Change::Scan(record, now) => {
                let event = (record.organization_id, record.event_id);
                let latest = events.entry(event).or_insert(*now);
                *latest = (*latest).max(*now);
                add_last_scan(&mut pipeline, record, *now, window);
                add_recent(&mut pipeline, record);
            }
        }
    }
    for (event, now) in events {
        let key = recent_key(event);
        let oldest = seconds(now) - RECENT_SECONDS;
        pipeline
            .cmd("ZREMRANGEBYSCORE")
            .arg(&key)
            .arg("-inf")
            .arg(format!("({oldest}"))
            .ignore();
        pipeline.cmd("EXPIRE").arg(&key).arg(RECENT_SECONDS).ignore();
    }
    for ((organization, event), people) in inside {
        pipeline
            .cmd("SET")
            .arg(format!("voelgoed:org:{organization}:event:{event}:occupancy"))
            .arg(people)
            .arg("EX")
            .arg(OCCUPANCY_SECONDS)
            .ignore();
    }
    pipeline
}

/// The last admission of a ticket. Of an upload only what is left of the window counts.
fn add_last_scan(pipeline: &mut redis::Pipeline, record: &ScanRecord, now: Timestamp, window: Duration) {
    let Some(code) = record.ticket_code else { return };
    if record.result != ScanResult::Valid || record.direction != Direction::Entry {
        return;
    }
    let key = last_scan_key(record.organization_id, code);
    let scan = record.scan_id;
    if record.undone.is_some() {
        pipeline
            .cmd("EVAL")
            .arg(REMOVE_LAST_SCAN)
            .arg(1)
            .arg(key)
            .arg(format!("{scan}:"))
            .ignore();
        return;
    }
    let age = now.millis_since(record.scanned_at).max(0);
    let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let ttl = window.saturating_sub(age);
    if ttl <= 0 {
        return;
    }
    let at = seconds(record.scanned_at);
    pipeline
        .cmd("EVAL")
        .arg(SET_LAST_SCAN)
        .arg(1)
        .arg(key)
        .arg(format!("{scan}:{}:{at}", record.gate_id))
        .arg(at)
        .arg(ttl)
        .ignore();
}

fn add_recent(pipeline: &mut redis::Pipeline, record: &ScanRecord) {
    let (Some(ticket), None) = (record.ticket_id, &record.undone) else {
        return;
    };
    // A member that is there keeps its latest time.
    pipeline
        .cmd("ZADD")
        .arg(recent_key((record.organization_id, record.event_id)))
        .arg("GT")
        .arg(seconds(record.scanned_at))
        .arg(format!("{ticket}:{}:{}", record.scanned_by(), record.gate_id))
        .ignore();
}

fn last_scan_key(organization: OrganizationId, code: TicketCode) -> String {
    format!("voelgoed:org:{organization}:ticket:{code}:last_scan")
}

fn recent_key((organization, event): EventKey) -> String {
    format!("voelgoed:org:{organization}:event:{event}:scans:recent")
}

fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}
