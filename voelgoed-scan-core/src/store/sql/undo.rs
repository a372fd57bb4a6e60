//! How is an admission taken back? The record is marked, the ticket's history folded anew without it.

use std::collections::HashMap;

use crate::model::{
    Direction, Event, OrganizationId, ReasonText, RuleSettings, ScanId, ScanRecord, ScanResult, TicketFacts,
    TicketId, Timestamp, Undone,
};
use crate::rules::{Allowance, ConflictKind};
use crate::store::sql::batch::{add_counts, update_tickets};
use crate::store::sql::change_counters::raise_tickets_generation;
use crate::store::sql::row::{self, kept_columns, scan_columns};
use crate::store::sql::{Dialect, Sql, query};
use crate::store::{StoreError, UndoOutcome, UndoneBy};
use crate::sync::{ScanState, TicketHistories};

impl<D: Dialect> Sql<D> {
    pub(crate) async fn undo_one(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        by: UndoneBy,
        reason: &ReasonText,
        now: Timestamp,
        rules: &RuleSettings,
    ) -> Result<Option<UndoOutcome>, StoreError> {
        let mut transaction = self.write().await?;
        let Some(record) = find::<D>(organization, scan, &mut transaction).await? else {
            return Ok(None);
        };
        let ticket = match record.ticket_id {
            Some(id) => locked_ticket::<D>(organization, id, &record, &mut transaction).await?,
            None => None,
        };
        // Read again: the lock may have waited for another undo of the same scan.
        let Some(mut record) = find::<D>(organization, scan, &mut transaction).await? else {
            return Ok(None);
        };
        if record.undone.is_some() {
            return Ok(Some(if allowed(&record, by, None) {
                UndoOutcome::Undone {
                    record: Box::new(record),
                    ticket: ticket.map(Box::new),
                    again: true,
                }
            } else {
                UndoOutcome::NotAllowed
            }));
        }
        if !allowed(&record, by, Some(now)) {
            return Ok(Some(UndoOutcome::NotAllowed));
        }
        let is_admission = record.result == ScanResult::Valid && record.direction == Direction::Entry;
        let Some(mut ticket) =
            ticket.filter(|ticket| is_admission && ticket.ledger.open_admission(scan).is_some())
        else {
            return Ok(Some(UndoOutcome::NotOpen));
        };
        let event = event_of::<D>(&record, &mut transaction).await?;
        let dedup_window = rules.dedup_window;
        let allowance = |facts: &TicketFacts, _| {
            Some(Allowance {
                reentry: event.reentry,
                entry_limit: facts.ticket.entry_limit,
                dedup_window,
            })
        };
        let device = match by {
            UndoneBy::Device(device, _) => Some(device),
            UndoneBy::Member => None,
        };
        let undone = Undone {
            at: now,
            reason: reason.clone(),
            device_id: device,
        };
        let mut histories = TicketHistories::default();
        for kept in history::<D>(organization, ticket.ticket.id, &mut transaction).await? {
            histories.add_stored(kept);
        }
        histories.change(scan, |kept| kept.record.undone = Some(undone.clone()));
        let id = ticket.ticket.id;
        let refolded = histories.refold(&HashMap::from([(id, ticket.clone())]), allowance, now);
        if let Some(refolded) = refolded.tickets.into_iter().next() {
            ticket = refolded;
        }
        for kept in histories.changed() {
            write::<D>(kept, &mut transaction).await?;
        }
        update_tickets::<D>(std::slice::from_ref(&ticket), &mut transaction).await?;
        let counts = refolded.counts.iter();
        let counts = counts.map(|((event, gate), change)| ((organization, *event, *gate), *change));
        add_counts::<D>(counts, &mut transaction).await?;
        raise_tickets_generation::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        record.undone = Some(undone);
        Ok(Some(UndoOutcome::Undone {
            record: Box::new(record),
            ticket: Some(Box::new(ticket)),
            again: false,
        }))
    }
}

/// Whether the asker may: a device its own scans, and only for so long; `now` is `None` for what is undone already.
fn allowed(record: &ScanRecord, by: UndoneBy, now: Option<Timestamp>) -> bool {
    match by {
        UndoneBy::Member => true,
        UndoneBy::Device(device, limit) => {
            device == record.device_id && now.is_none_or(|now| now <= record.received_at.plus(limit))
        }
    }
}

/// The record of a scan.
pub(crate) async fn find<D: Dialect>(
    organization: OrganizationId,
    scan: ScanId,
    connection: &mut D::Connection,
) -> Result<Option<ScanRecord>, StoreError> {
    let row = query::<D>(concat!(
        "select ",
        scan_columns!(),
        " from scans x where x.organization_id = $1 and x.scan_id = $2"
    ))
    .id(organization.as_uuid())
    .id(scan.as_uuid())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(row::scan).transpose()
}

#[derive(serde::Serialize)]
struct Key {
    o: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    i: Option<String>,
}

/// Locks, in the order of every scan, and reads the ticket.
async fn locked_ticket<D: Dialect>(
    organization: OrganizationId,
    ticket: TicketId,
    record: &ScanRecord,
    connection: &mut D::Connection,
) -> Result<Option<TicketFacts>, StoreError> {
    let o = organization.as_uuid().simple().to_string();
    let ticket_key = [Key {
        o: o.clone(),
        k: None,
        i: Some(ticket.as_uuid().simple().to_string()),
    }];
    if let Some(sql) = D::SQL.lock_occupancy {
        let event = [Key {
            o,
            k: Some(record.event_id.as_uuid().simple().to_string()),
            i: None,
        }];
        query::<D>(sql).json(&event).fetch_all(connection).await?;
    }
    if let Some(sql) = D::SQL.lock_tickets {
        query::<D>(sql).json(&ticket_key).fetch_all(connection).await?;
    }
    let row = query::<D>(D::SQL.tickets)
        .json(&ticket_key)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row::ticket).transpose()
}

async fn event_of<D: Dialect>(
    record: &ScanRecord,
    connection: &mut D::Connection,
) -> Result<Event, StoreError> {
    let row = query::<D>(concat!(
        "select ",
        row::event_columns!(),
        " from events e where e.organization_id = $1 and e.id = $2"
    ))
    .id(record.organization_id.as_uuid())
    .id(record.event_id.as_uuid())
    .fetch_optional(connection)
    .await?;
    let row = row.ok_or_else(|| StoreError::Failed {
        reason: "a scan's event is gone".to_owned(),
    })?;
    row::event(&row)
}

/// The scans of a ticket's history.
async fn history<D: Dialect>(
    organization: OrganizationId,
    ticket: TicketId,
    connection: &mut D::Connection,
) -> Result<Vec<ScanState>, StoreError> {
    let rows = query::<D>(concat!(
        "select ",
        kept_columns!(),
        " from scans x join devices d on d.organization_id = x.organization_id and d.id = x.device_id \
         where x.organization_id = $1 and x.ticket_id = $2 and (x.result = 'valid' or x.part is not null)"
    ))
    .id(organization.as_uuid())
    .id(ticket.as_uuid())
    .fetch_all(connection)
    .await?;
    rows.iter().map(row::kept).collect()
}

/// Writes what an undo changes: the scan itself, and those that it had kept from being admitted by right.
async fn write<D: Dialect>(kept: &ScanState, connection: &mut D::Connection) -> Result<(), StoreError> {
    let record = &kept.record;
    let undone = record.undone.as_ref();
    query::<D>(
        "update scans set undone_at = $3, undone_reason = $4, undone_by = $5, result = $6, reason = $7, \
         would_have_been = $8, conflict = $9, winner_scan_id = $10 \
         where organization_id = $1 and scan_id = $2",
    )
    .id(record.organization_id.as_uuid())
    .id(record.scan_id.as_uuid())
    .opt_time(undone.map(|undone| undone.at))
    .opt_text(undone.map(|undone| undone.reason.as_str()))
    .opt_id(
        undone
            .and_then(|undone| undone.device_id)
            .as_ref()
            .map(crate::model::DeviceId::as_uuid),
    )
    .text(record.result.as_str())
    .text(record.reason.as_str())
    .opt_text(record.would_have_been.map(|outcome| outcome.reason.as_str()))
    .opt_text(kept.conflict.map(ConflictKind::as_str))
    .opt_id(kept.winner.as_ref().map(ScanId::as_uuid))
    .execute(connection)
    .await?;
    Ok(())
}
