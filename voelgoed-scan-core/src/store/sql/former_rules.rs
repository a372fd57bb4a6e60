//! The rules that no longer hold. They are kept with the time until which they held, for scans of their time that arrive
//! later.
//!
//! Invariant: a change of the rules begins later than every recorded scan that it may concern. So no change alters what
//! was counted before.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use serde::Serialize;
use uuid::fmt::Simple;

use crate::model::{Event, EventId, EventRules, OrganizationId, TicketId, Timestamp};
use crate::rules::{FormerRules, FormerValues, ScanDay};
use crate::store::StoreError;
use crate::store::sql::lookup::IdLookup;
use crate::store::sql::{Dialect, Row, query, statement};

/// Reads the former rules of events and tickets. The caller holds the locks that a scan of the tickets takes.
pub(crate) async fn load<D: Dialect>(
    organization: OrganizationId,
    events: impl Iterator<Item = EventId>,
    tickets: impl Iterator<Item = TicketId>,
    connection: &mut D::Connection,
) -> Result<FormerRules, StoreError> {
    let events: BTreeSet<_> = events.map(|id| IdLookup::new(id.as_uuid())).collect();
    let tickets: BTreeSet<_> = tickets.map(|id| IdLookup::new(id.as_uuid())).collect();
    let event_rows = query::<D>(D::SQL.load_former_event_rules)
        .json(&events)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    let ticket_rows = query::<D>(D::SQL.load_former_entry_limits)
        .json(&tickets)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    let event_rules = |row: &Row<D>| {
        Ok(EventRules {
            reentry: row.parse("reentry")?,
            time_zone: row.parse("time_zone")?,
            day_starts_at: row.parse("day_starts_at")?,
        })
    };
    let windows = dedup_windows::<D>(connection).await?;
    Ok(FormerRules {
        events: by_id(&event_rows, "event_id", event_rules)?,
        entry_limits: by_id(&ticket_rows, "ticket_id", |row| row.number("entry_limit"))?,
        dedup_windows: former_windows(&windows),
        dedup_window: windows.last().map(|(_, present)| *present),
    })
}

/// The rows of each id, which are in the order of their times.
fn by_id<D: Dialect, I: From<uuid::Uuid> + Eq + Hash, T>(
    rows: &[Row<D>],
    id: &str,
    value: impl Fn(&Row<D>) -> Result<T, StoreError>,
) -> Result<HashMap<I, FormerValues<T>>, StoreError> {
    let mut former: HashMap<I, FormerValues<T>> = HashMap::new();
    for row in rows {
        let values = former.entry(row.id(id)?).or_default();
        values.push((row.time("held_until")?, value(row)?));
    }
    Ok(former)
}

/// When the present rules of an event began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RulesBegin {
    /// The time from which they hold.
    pub(crate) since: Timestamp,
    /// The start of the period in which people were counted at that time.
    pub(crate) counted_since: Timestamp,
}

impl RulesBegin {
    /// The start in a row of the event.
    pub(crate) fn of_row<D: Dialect>(row: &Row<D>) -> Result<Self, StoreError> {
        Ok(Self {
            since: row.time("rules_since")?,
            counted_since: row.time("counted_since")?,
        })
    }

    /// The day of a time by the present rules of the event.
    pub(crate) fn day(self, event: &Event, at: Timestamp) -> ScanDay {
        ScanDay::new(event.day(at), self.since, self.counted_since)
    }
}

/// Reads when the present rules of an event began.
pub(crate) async fn rules_begin<D: Dialect>(
    event: &Event,
    connection: &mut D::Connection,
) -> Result<RulesBegin, StoreError> {
    let row = query::<D>(statement!("rules/find_begin.sql"))
        .id(event.organization_id.as_uuid())
        .id(event.id.as_uuid())
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| StoreError::failed("an event that was read does not exist"))?;
    RulesBegin::of_row(&row)
}

/// Keeps the rules that an event had until now, if the new ones differ. The caller holds the locks of the event and its
/// counters.
pub(crate) async fn keep_event_rules<D: Dialect>(
    former: &Event,
    new: &Event,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if former.rules() == new.rules() {
        return Ok(());
    }
    let rules = former.rules();
    let begin = begin_of_change::<D>(former.organization_id, now, connection).await?;
    query::<D>(statement!("rules/keep_event_rules.sql"))
        .id(former.organization_id.as_uuid())
        .id(former.id.as_uuid())
        .time(begin)
        .text(rules.reentry.as_str())
        .text(rules.time_zone.as_str())
        .text(&rules.day_starts_at.to_string())
        .execute(connection)
        .await?;
    let last = begin.plus_millis(-1);
    let day = rules_begin::<D>(former, connection).await?.day(former, last);
    query::<D>(statement!("rules/begin_event_rules.sql"))
        .id(former.organization_id.as_uuid())
        .id(former.id.as_uuid())
        .time(begin)
        .time(day.counted_since)
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct LimitRow {
    i: Simple,
    l: u8,
}

/// Keeps the entry limits that tickets had until now. The caller holds the locks of the tickets.
pub(crate) async fn keep_entry_limits<D: Dialect>(
    organization: OrganizationId,
    limits: impl Iterator<Item = (TicketId, u8)>,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let row = |(ticket, limit): (TicketId, u8)| LimitRow {
        i: ticket.as_uuid().simple(),
        l: limit,
    };
    let rows: Vec<_> = limits.map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let begin = begin_of_change::<D>(organization, now, connection).await?;
    query::<D>(D::SQL.keep_entry_limits)
        .json(&rows)
        .id(organization.as_uuid())
        .time(begin)
        .execute(connection)
        .await?;
    Ok(())
}

/// When a change of the rules begins: now, and after every recorded scan, even if the clocks of nodes differ.
async fn begin_of_change<D: Dialect>(
    organization: OrganizationId,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<Timestamp, StoreError> {
    let row = query::<D>(statement!("rules/last_scan_at.sql"))
        .id(organization.as_uuid())
        .fetch_optional(connection)
        .await?;
    let last: Option<Timestamp> = row.map(|row| row.time("scanned_at")).transpose()?;
    Ok(last.map_or(now, |last| now.max(last.plus_millis(1))))
}

/// The deduplication windows of the deployment, each with the time from which it holds.
pub(crate) async fn dedup_windows<D: Dialect>(
    connection: &mut D::Connection,
) -> Result<Vec<(Timestamp, Duration)>, StoreError> {
    let rows = query::<D>(statement!("rules/dedup_windows.sql"))
        .fetch_all(connection)
        .await?;
    let window = |row: &Row<D>| {
        Ok((
            row.time("held_from")?,
            Duration::from_millis(row.number("length")?),
        ))
    };
    rows.iter().map(window).collect()
}

/// The former windows, each with the time until which it held: the beginning of the next one. The last one is present.
fn former_windows(windows: &[(Timestamp, Duration)]) -> FormerValues<Duration> {
    let next = windows.iter().skip(1);
    windows
        .iter()
        .zip(next)
        .map(|((_, length), (until, _))| (*until, *length))
        .collect()
}

/// Whether the last stored deduplication window is this one.
pub(crate) async fn is_kept<D: Dialect>(
    window: Duration,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let last = dedup_windows::<D>(connection).await?.pop();
    Ok(last.is_some_and(|(_, last)| last.as_millis() == window.as_millis()))
}

/// Stores the deduplication window of the deployment if it differs from the last one.
pub(crate) async fn keep_dedup_window<D: Dialect>(
    window: Duration,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let length = Duration::from_millis(u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
    let last = dedup_windows::<D>(connection).await?.pop();
    if last.is_some_and(|(_, last)| last == length) {
        return Ok(());
    }
    let begin = last.map_or(now, |(from, _)| now.max(from.plus_millis(1)));
    query::<D>(statement!("rules/insert_dedup_window.sql"))
        .time(begin)
        .int(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(())
}
