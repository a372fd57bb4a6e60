//! Undoes an admission: marks its record, and folds the history of the ticket again without it.

use std::collections::HashMap;

use crate::model::{
    AuditAction, AuditContext, DeviceId, Direction, OrganizationId, ReasonText, RuleSettings, ScanId,
    ScanRecord, ScanResult, TicketFacts, TicketId, Timestamp, Undone,
};
use crate::rules::{ConflictKind, TicketRules};
use crate::store::sql::audit_acts::keep_act;
use crate::store::sql::batch::writes::{add_counts, update_tickets};
use crate::store::sql::change_counters::raise_tickets_change_counter;
use crate::store::sql::events::find_event;
use crate::store::sql::feed::append_changes;
use crate::store::sql::former_rules;
use crate::store::sql::long_folds::{run_fold, yield_between_rows};
use crate::store::sql::lookup::{IdLookup, TicketLookup};
use crate::store::sql::scans::find_scan;
use crate::store::sql::webhooks::enqueue_conflicts;
use crate::store::sql::{Dialect, Sql, mapping, query, statement};
use crate::store::{StoreError, UndoOutcome, UndoPermission};
use crate::sync::{RefoldResult, ScanState, TicketHistories};

impl<D: Dialect> Sql<D> {
    #[expect(clippy::too_many_arguments, reason = "the arguments of the trait's method")]
    pub(crate) async fn undo_admission(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        permission: UndoPermission,
        reason: &ReasonText,
        origin: &AuditContext,
        now: Timestamp,
        rules: &RuleSettings,
    ) -> Result<Option<UndoOutcome>, StoreError> {
        let (_turn, mut transaction) = self.write_for_device(organization).await?;
        let Some(record) = find_scan::<D>(organization, scan, &mut transaction).await? else {
            return Ok(None);
        };
        let ticket = match record.ticket_id {
            Some(id) => locked_ticket::<D>(organization, id, &record, &mut transaction).await?,
            None => None,
        };
        // Read again: another undo of the same scan may have committed while this one waited for the lock.
        let Some(mut record) = find_scan::<D>(organization, scan, &mut transaction).await? else {
            return Ok(None);
        };
        if record.undone.is_some() {
            return Ok(Some(if is_allowed(&record, permission, None) {
                UndoOutcome::Undone {
                    record: Box::new(record),
                    ticket: ticket.map(Box::new),
                    again: true,
                }
            } else {
                UndoOutcome::NotAllowed
            }));
        }
        if !is_allowed(&record, permission, Some(now)) {
            return Ok(Some(UndoOutcome::NotAllowed));
        }
        let is_admission = record.result == ScanResult::Valid && record.direction == Direction::Entry;
        let Some(mut ticket) = ticket.filter(|_| is_admission) else {
            return Ok(Some(UndoOutcome::NotOpen));
        };
        // A scan of a deleted event exists no more, even if its row does for a while.
        let Some(event) = find_event::<D>(organization, record.event_id, &mut transaction).await? else {
            return Ok(None);
        };
        let (events, tickets) = (std::iter::once(event.id), std::iter::once(ticket.ticket.id));
        let former = former_rules::load::<D>(organization, events, tickets, &mut transaction).await?;
        let ticket_rules = former.of_ticket(&ticket.ticket, &event, rules);
        let history = history::<D>(organization, ticket.ticket.id, &mut transaction).await?;
        let device = match permission {
            UndoPermission::Device(device, _) => Some(device),
            UndoPermission::Member => None,
        };
        let undone = Undone {
            at: now,
            reason: Some(reason.clone()),
            device_id: device,
        };
        let (scans, present, mark) = (history.len(), ticket.clone(), undone.clone());
        let fold = move || fold_without(scan, &mark, history, present, &ticket_rules);
        let Some((histories, refolded)) = run_fold(scans, fold).await? else {
            return Ok(Some(UndoOutcome::NotOpen));
        };
        if let Some(refolded) = refolded.tickets.into_iter().next() {
            ticket = refolded;
        }
        for state in histories.changed() {
            update_scan::<D>(state, &mut transaction).await?;
        }
        let decisions = histories.changed_decisions();
        let decisions: Vec<_> = decisions
            .map(|record| (record.event_id, record.scan_id))
            .collect();
        append_changes::<D>(organization, &decisions, &mut transaction).await?;
        let lost = histories.changed().filter(|state| state.conflict.is_some());
        let lost: Vec<_> = lost.map(|state| state.record.scan_id).collect();
        update_tickets::<D>(organization, std::slice::from_ref(&ticket), &mut transaction).await?;
        let counts = refolded.counts.iter();
        let counts = counts.map(|((event, gate), change)| ((*event, *gate), *change));
        add_counts::<D>(organization, counts, &mut transaction).await?;
        raise_tickets_change_counter::<D>(organization, &mut transaction).await?;
        enqueue_conflicts::<D>(organization, lost.into_iter(), now, &mut transaction).await?;
        keep_act::<D>(
            organization,
            scan,
            AuditAction::ScanUndo,
            origin,
            now,
            &mut transaction,
        )
        .await?;
        transaction.commit().await?;
        record.undone = Some(undone);
        Ok(Some(UndoOutcome::Undone {
            record: Box::new(record),
            ticket: Some(Box::new(ticket)),
            again: false,
        }))
    }
}

/// Folds the history of a ticket without a scan. `None` if the scan cannot be undone because an exit ended its admission.
fn fold_without(
    scan: ScanId,
    undone: &Undone,
    history: Vec<ScanState>,
    ticket: TicketFacts,
    rules: &TicketRules,
) -> Option<(TicketHistories, RefoldResult)> {
    let mut histories = TicketHistories::default();
    for state in history {
        histories.add_stored(state);
    }
    if !histories.is_open(scan, rules) {
        return None;
    }
    histories.change(scan, |state| state.record.undone = Some(undone.clone()));
    let tickets = HashMap::from([(ticket.ticket.id, ticket)]);
    let refolded = histories.refold(&tickets, |_, _| Some(rules.clone()), undone.at);
    Some((histories, refolded))
}

/// Whether the caller may undo the scan. The time limit of a device does not apply to a scan that is undone already,
/// for which `now` is `None`.
fn is_allowed(record: &ScanRecord, permission: UndoPermission, now: Option<Timestamp>) -> bool {
    match permission {
        UndoPermission::Member => true,
        UndoPermission::Device(device, limit) => {
            Some(device) == record.device_id && now.is_none_or(|now| now <= record.received_at.plus(limit))
        }
    }
}

/// Locks as every scan does, counters before tickets, and reads the ticket.
async fn locked_ticket<D: Dialect>(
    organization: OrganizationId,
    ticket: TicketId,
    record: &ScanRecord,
    connection: &mut D::Connection,
) -> Result<Option<TicketFacts>, StoreError> {
    let tickets = [TicketLookup::by_id(ticket)];
    if let Some(sql) = D::SQL.lock_occupancy {
        let events = [IdLookup::new(record.event_id.as_uuid())];
        query::<D>(sql)
            .json(&events)
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?;
    }
    if let Some(sql) = D::SQL.lock_tickets {
        query::<D>(sql)
            .json(&tickets)
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?;
    }
    let row = query::<D>(D::SQL.load_tickets)
        .json(&tickets)
        .id(organization.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(mapping::ticket).transpose()
}

/// The scans in the history of a ticket.
async fn history<D: Dialect>(
    organization: OrganizationId,
    ticket: TicketId,
    connection: &mut D::Connection,
) -> Result<Vec<ScanState>, StoreError> {
    let rows = query::<D>(statement!("scans/history_of_ticket.sql"))
        .id(organization.as_uuid())
        .id(ticket.as_uuid())
        .fetch_all(connection)
        .await?;
    let mut history = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        yield_between_rows(number).await;
        history.push(mapping::history_scan(row)?);
    }
    Ok(history)
}

/// Writes what an undo changes on a scan: on the undone scan itself, or on one that is decided differently without it.
async fn update_scan<D: Dialect>(
    state: &ScanState,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let record = &state.record;
    let undone = record.undone.as_ref();
    let undone_by = undone.and_then(|undone| undone.device_id);
    query::<D>(statement!("scans/update_after_undo.sql"))
        .id(record.organization_id.as_uuid())
        .id(record.scan_id.as_uuid())
        .opt_time(undone.map(|undone| undone.at))
        .opt_text(undone.and_then(|undone| Some(undone.reason.as_ref()?.as_str())))
        .opt_id(undone_by.as_ref().map(DeviceId::as_uuid))
        .text(record.result.as_str())
        .text(record.reason.as_str())
        .opt_text(record.would_have_been.map(|outcome| outcome.reason.as_str()))
        .opt_text(state.conflict.map(ConflictKind::as_str))
        .opt_id(state.winner.as_ref().map(ScanId::as_uuid))
        .execute(connection)
        .await?;
    Ok(())
}
