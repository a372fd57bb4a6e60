//! Signals: lists, settings, changes for streams, and the writes of a search.
//!
//! Invariants: the unique index of open signals decides which of two nodes opens one. A transaction that changes signals
//! reserves its positions first and holds their lock until its commit, so positions are committed in their order.

mod states;
mod writes;

use std::collections::HashMap;

use async_trait::async_trait;
use serde::Serialize;
use uuid::fmt::Simple;

use crate::audit::Audit;
use crate::model::{
    DeviceId, DeviceSettings, EventId, OrganizationId, ScanResult, Signal, SignalKind, SignalSettings,
    SignalSettingsPatch, Source, TicketId, Timestamp,
};
use crate::rules::signals::{DeviceScan, DeviceWindow, OrganizationState, Presentation};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::signal_settings_changed;
use crate::store::sql::background::advance_cursor;
use crate::store::sql::bounded_list::{BoundedList, ROWS_PER_READ, cursor};
use crate::store::sql::feed::{Place, places_after};
use crate::store::sql::lookup::{IdLookup, json_text};
use crate::store::sql::{Dialect, Row, Sql, query, statement};
use crate::store::{
    Cursor, LoadedWindow, Page, PageRequest, SearchedPage, SearchedScan, SignalChange, SignalFilter,
    SignalStore, SignalWatch, SignalWrite, StoreError,
};

/// A window as the statement reads it.
#[derive(Serialize)]
struct WindowRow {
    k: Simple,
    w: String,
}

impl WindowRow {
    fn new(device: DeviceId, window: &DeviceWindow) -> Result<Self, StoreError> {
        Ok(Self {
            k: device.as_uuid().simple(),
            w: json_text(window)?,
        })
    }
}

/// The consumer of feeds that finds signals.
pub(crate) const CONSUMER: &str = "signals";

#[async_trait]
impl<D: Dialect> SignalStore for Sql<D> {
    async fn signals(
        &self,
        organization: OrganizationId,
        filter: &SignalFilter,
        page: &PageRequest,
    ) -> Result<Page<Signal>, StoreError> {
        let is_filtered = *filter != SignalFilter::default();
        let mut list = BoundedList::new(page, Cursor::MAX);
        while let Some((after, limit)) = list.next_read() {
            let (_permit, mut connection) = self.read_bulk(organization).await?;
            let bound = if is_filtered {
                query::<D>(statement!("signals/bound.sql"))
                    .id(organization.as_uuid())
                    .int(after.at)
                    .id(&after.id)
                    .int(ROWS_PER_READ - 1)
                    .fetch_optional(&mut connection)
                    .await?
            } else {
                None
            };
            let bound = bound.map(|row| cursor(&row, "opened_at", "id")).transpose()?;
            let last = bound.unwrap_or(Cursor::MIN);
            let rows = query::<D>(statement!("signals/list.sql"))
                .id(organization.as_uuid())
                .int(after.at)
                .id(&after.id)
                .opt_id(filter.event_id.as_ref().map(EventId::as_uuid))
                .opt_text(filter.kind.map(SignalKind::as_str))
                .opt_int(filter.open.map(i64::from))
                .int(last.at)
                .id(&last.id)
                .int(limit)
                .fetch_all(&mut connection)
                .await?;
            list.add(rows.iter().map(signal), bound)?;
        }
        Ok(list.into_page(|signal: &Signal| Cursor {
            at: signal.opened_at.as_millis(),
            id: *signal.id.as_uuid(),
        }))
    }

    async fn signal_settings(&self, organization: OrganizationId) -> Result<SignalSettings, StoreError> {
        let row = query::<D>(statement!("signals/settings.sql"))
            .id(organization.as_uuid())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let changes: Option<SignalSettingsPatch> = row.map(|row| row.json("changes")).transpose()?;
        Ok(SignalSettings::with(&changes.unwrap_or_default()))
    }

    async fn change_signal_settings(
        &self,
        organization: OrganizationId,
        patch: &SignalSettingsPatch,
        audit: Audit<'_>,
    ) -> Result<SignalSettings, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let row = query::<D>(statement!("signals/lock_settings.sql"))
            .id(organization.as_uuid())
            .fetch_optional(&mut transaction)
            .await?
            .ok_or_else(|| StoreError::failed("the settings of signals have a row"))?;
        let mut changes: SignalSettingsPatch = row.json("changes")?;
        let before = SignalSettings::with(&changes);
        changes.merge(patch);
        let after = SignalSettings::with(&changes);
        query::<D>(statement!("signals/put_settings.sql"))
            .id(organization.as_uuid())
            .json(&changes)
            .execute(&mut transaction)
            .await?;
        if let Some(change) = signal_settings_changed(organization, &before, &after) {
            append::<D>(organization, change, audit, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(after)
    }

    async fn changed_signal_settings(&self) -> Result<HashMap<OrganizationId, SignalSettings>, StoreError> {
        let rows = query::<D>(statement!("signals/all_settings.sql"))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.id("organization_id")?,
                    SignalSettings::with(&row.json("changes")?),
                ))
            })
            .collect()
    }

    async fn signal_positions(&self) -> Result<Vec<(OrganizationId, i64)>, StoreError> {
        let rows = query::<D>(statement!("signals/positions.sql"))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| Ok((row.id("organization_id")?, row.int("last")?)))
            .collect()
    }

    async fn signal_position(&self, organization: OrganizationId) -> Result<i64, StoreError> {
        let row = query::<D>(statement!("signals/position.sql"))
            .id(organization.as_uuid())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.map_or(Ok(0), |row| row.int("last"))
    }

    async fn signal_changes(
        &self,
        organization: OrganizationId,
        after: i64,
        limit: u16,
    ) -> Result<Vec<SignalChange>, StoreError> {
        let rows = query::<D>(statement!("signals/changes.sql"))
            .id(organization.as_uuid())
            .int(after)
            .int(limit.into())
            .fetch_all(&mut *self.read().await?)
            .await?;
        let change = |row: &Row<D>| {
            let mut signal = signal(row)?;
            let ends_later = row.opt_int("closed_position")?.is_some();
            if row.int("is_end")? == 0 && ends_later {
                signal.closed_at = None;
            }
            Ok(SignalChange {
                position: row.int("position")?,
                signal,
            })
        };
        rows.iter().map(change).collect()
    }

    async fn signals_changed_since(
        &self,
        organization: OrganizationId,
        event: EventId,
        since: Timestamp,
        limit: u16,
    ) -> Result<Vec<SignalChange>, StoreError> {
        let rows = query::<D>(statement!("signals/changed_since.sql"))
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .time(since)
            .int(limit.into())
            .fetch_all(&mut *self.read().await?)
            .await?;
        let change = |row: &Row<D>| {
            Ok(SignalChange {
                position: row.int("position")?,
                signal: signal(row)?,
            })
        };
        rows.iter().rev().map(change).collect()
    }

    async fn signal_states(
        &self,
        settings: &HashMap<OrganizationId, SignalSettings>,
        now: Timestamp,
    ) -> Result<HashMap<OrganizationId, OrganizationState>, StoreError> {
        states::read::<D>(settings, now, &mut *self.read().await?).await
    }

    async fn searched_page(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: i64,
        limit: u16,
    ) -> Result<SearchedPage, StoreError> {
        let mut connection = self.read().await?;
        let limit = usize::from(limit);
        let places = places_after::<D>(organization, event, after, limit, &mut connection).await?;
        let rows = query::<D>(D::SQL.signal_scans)
            .id(organization.as_uuid())
            .rows(&places)
            .fetch_all(&mut connection)
            .await?;
        let scans = rows
            .iter()
            .map(|row| searched_scan(event, row))
            .collect::<Result<_, _>>()?;
        Ok(SearchedPage {
            last: places.last().map(Place::position),
            is_full: places.len() == limit,
            scans,
        })
    }

    async fn device_windows(
        &self,
        organization: OrganizationId,
        devices: &[DeviceId],
    ) -> Result<Vec<LoadedWindow>, StoreError> {
        let lookups: Vec<_> = devices.iter().map(|id| IdLookup::new(id.as_uuid())).collect();
        let rows = query::<D>(D::SQL.load_signal_windows)
            .json(&lookups)
            .id(organization.as_uuid())
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(LoadedWindow {
                    device_id: row.id("id")?,
                    is_rehearsal: row.json::<DeviceSettings>("settings")?.is_rehearsal(),
                    window: row.opt_json("scans")?.unwrap_or_default(),
                })
            })
            .collect()
    }

    async fn presentations(
        &self,
        organization: OrganizationId,
        ticket: TicketId,
        from: Timestamp,
        to: Timestamp,
        limit: u16,
    ) -> Result<Vec<Presentation>, StoreError> {
        let rows = query::<D>(statement!("signals/presentations.sql"))
            .id(organization.as_uuid())
            .id(ticket.as_uuid())
            .time(from)
            .time(to)
            .int(limit.into())
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Presentation {
                    scan_id: row.id("scan_id")?,
                    event_id: row.id("event_id")?,
                    gate_id: row.id("gate_id")?,
                    at: row.time("scanned_at")?,
                    result: row.parse("result")?,
                    direction: row.parse("direction")?,
                })
            })
            .collect()
    }

    async fn record_signals(&self, write: &SignalWrite) -> Result<Option<Vec<Signal>>, StoreError> {
        let mut transaction = self.write().await?;
        let organization = write.organization_id;
        if let Some(read) = &write.read {
            let advanced = advance_cursor::<D>(
                &mut transaction,
                organization,
                CONSUMER,
                read.event_id,
                read.from,
                read.to,
            );
            if !advanced.await? {
                transaction.rollback().await?;
                return Ok(None);
            }
        }
        let changed = writes::write_changes::<D>(write, &mut transaction).await?;
        if !write.windows.is_empty() {
            let windows: Vec<_> = write
                .windows
                .iter()
                .map(|(device, window)| WindowRow::new(*device, window))
                .collect::<Result<_, _>>()?;
            query::<D>(D::SQL.put_signal_windows)
                .json(&windows)
                .id(organization.as_uuid())
                .execute(&mut transaction)
                .await?;
        }
        for (signal, details) in &write.grown {
            query::<D>(statement!("signals/set_details.sql"))
                .id(organization.as_uuid())
                .id(signal.as_uuid())
                .json(details)
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Some(changed))
    }

    async fn signal_watch(&self) -> Result<Option<SignalWatch>, StoreError> {
        let row = query::<D>(statement!("signals/watch.sql"))
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let watch = |row: Row<D>| {
            Ok(SignalWatch {
                listening_since: row.time("listening_since")?,
                seen_at: row.time("seen_at")?,
            })
        };
        row.map(watch).transpose()
    }

    async fn put_signal_watch(&self, watch: SignalWatch) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        query::<D>(statement!("signals/put_watch.sql"))
            .time(watch.listening_since)
            .time(watch.seen_at)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

fn searched_scan<D: Dialect>(event: EventId, row: &Row<D>) -> Result<SearchedScan, StoreError> {
    let source: Source = row.parse("source")?;
    let result: ScanResult = row.parse("result")?;
    Ok(SearchedScan {
        scan: DeviceScan {
            scan_id: row.id("scan_id")?,
            event_id: event,
            gate_id: row.id("gate_id")?,
            at: row.time("scanned_at")?,
            received_at: row.time("received_at")?,
            is_upload: source == Source::Sync,
            is_invalid: result == ScanResult::InvalidToken,
        },
        // The column holds the API key of a check-in by hand, which no device made.
        device_id: match source {
            Source::Online | Source::Sync => Some(row.id("device_id")?),
            Source::Desk => None,
        },
        ticket_id: row.opt_id("ticket_id")?,
        is_duplicate: result == ScanResult::Duplicate,
    })
}

fn signal<D: Dialect>(row: &Row<D>) -> Result<Signal, StoreError> {
    Ok(Signal {
        id: row.id("s_id")?,
        kind: row.parse("kind")?,
        event_id: row.opt_id("event_id")?,
        gate_id: row.opt_id("gate_id")?,
        device_id: row.opt_id("device_id")?,
        ticket_id: row.opt_id("ticket_id")?,
        opened_at: row.time("opened_at")?,
        closed_at: row.opt_time("closed_at")?,
        details: row.json("details")?,
    })
}
