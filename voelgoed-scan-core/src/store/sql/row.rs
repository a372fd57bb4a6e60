//! How does a row become a noun? Column lists with their prefixes, and the readers that go with them.
//!
//! A statement names its columns by these lists, so that joins never clash and a reader always finds what it reads.

use crate::model::{
    AnswerSnapshot, Device, Event, Gate, Outcome, Override, Reason, ScanRecord, ScanSession, Ticket,
    TicketFacts, TicketListing, Undone,
};
use crate::store::StoreError;
use crate::store::sql::{Dialect, Row};
use crate::sync::ScanState;

/// Columns of `events e`.
macro_rules! event_columns {
    () => {
        "e.organization_id as e_organization_id, e.id as e_id, e.name as e_name, e.status as e_status, \
         e.starts_at as e_starts_at, e.ends_at as e_ends_at, e.capacity as e_capacity, e.reentry as e_reentry, \
         e.allow_unsigned as e_allow_unsigned, e.ticket_classes as e_ticket_classes, \
         e.stale_manifest as e_stale_manifest, e.manifest_max_age_s as e_manifest_max_age_s, \
         e.inserted_at as e_inserted_at, e.updated_at as e_updated_at"
    };
}

/// Columns of `gates g`.
macro_rules! gate_columns {
    () => {
        "g.organization_id as g_organization_id, g.id as g_id, g.event_id as g_event_id, g.name as g_name, \
         g.code as g_code, g.status as g_status, g.capacity as g_capacity, g.ticket_classes as g_ticket_classes, \
         g.inserted_at as g_inserted_at, g.updated_at as g_updated_at"
    };
}

/// Columns of `devices d`.
macro_rules! device_columns {
    () => {
        "d.organization_id as d_organization_id, d.id as d_id, d.label as d_label, d.name as d_name, \
         d.device_type as d_device_type, d.status as d_status, d.settings as d_settings, \
         d.last_seen_at as d_last_seen_at, d.app as d_app, d.battery as d_battery, d.waiting as d_waiting, \
         d.inserted_at as d_inserted_at, d.updated_at as d_updated_at"
    };
}

/// Columns of `sessions s`.
macro_rules! session_columns {
    () => {
        "s.organization_id as s_organization_id, s.id as s_id, s.device_id as s_device_id, \
         s.event_id as s_event_id, s.gate_id as s_gate_id, s.status as s_status, s.started_at as s_started_at, \
         s.ended_at as s_ended_at, s.scan_count as s_scan_count"
    };
}

/// Columns of `tickets t`.
macro_rules! ticket_columns {
    () => {
        "t.organization_id as t_organization_id, t.id as t_id, t.event_id as t_event_id, t.code as t_code, \
         t.status as t_status, t.ticket_class as t_ticket_class, t.gate_ids as t_gate_ids, t.seat as t_seat, \
         t.valid_from as t_valid_from, t.valid_until as t_valid_until, t.entry_limit as t_entry_limit, \
         t.scan_count as t_scan_count, t.ledger as t_ledger, t.version as t_version, t.note as t_note, \
         t.inserted_at as t_inserted_at, t.updated_at as t_updated_at"
    };
}

/// Columns of `scans x`.
macro_rules! scan_columns {
    () => {
        "x.organization_id as x_organization_id, x.scan_id as x_scan_id, x.ticket_id as x_ticket_id, \
         x.ticket_code as x_ticket_code, x.event_id as x_event_id, x.gate_id as x_gate_id, \
         x.device_id as x_device_id, x.session_id as x_session_id, x.result as x_result, x.reason as x_reason, \
         x.would_have_been as x_would_have_been, x.direction as x_direction, x.scanned_at as x_scanned_at, \
         x.device_scanned_at as x_device_scanned_at, x.received_at as x_received_at, x.source as x_source, \
         x.decided_by as x_decided_by, x.override_reason as x_override_reason, x.undone_at as x_undone_at, \
         x.undone_reason as x_undone_reason, x.undone_by as x_undone_by, x.local_result as x_local_result, \
         x.metadata as x_metadata"
    };
}

/// Columns of `scans x` and `devices d` that a ticket's history needs.
macro_rules! kept_columns {
    () => {
        concat!(
            crate::store::sql::row::scan_columns!(),
            ", x.part as x_part, x.conflict as x_conflict, x.winner_scan_id as x_winner_scan_id, \
             x.shown as x_shown, d.name as x_device_name"
        )
    };
}

pub(crate) use {
    device_columns, event_columns, gate_columns, kept_columns, scan_columns, session_columns, ticket_columns,
};

pub(crate) fn event<D: Dialect>(row: &Row<D>) -> Result<Event, StoreError> {
    Ok(Event {
        id: row.id("e_id")?,
        organization_id: row.id("e_organization_id")?,
        name: row.parse("e_name")?,
        status: row.parse("e_status")?,
        starts_at: row.opt_time("e_starts_at")?,
        ends_at: row.opt_time("e_ends_at")?,
        capacity: row.opt_number("e_capacity")?,
        reentry: row.parse("e_reentry")?,
        allow_unsigned: row.bool("e_allow_unsigned")?,
        ticket_classes: row.json("e_ticket_classes")?,
        stale_manifest: row.parse("e_stale_manifest")?,
        manifest_max_age_s: row.number("e_manifest_max_age_s")?,
        inserted_at: row.time("e_inserted_at")?,
        updated_at: row.time("e_updated_at")?,
    })
}

pub(crate) fn gate<D: Dialect>(row: &Row<D>) -> Result<Gate, StoreError> {
    Ok(Gate {
        id: row.id("g_id")?,
        organization_id: row.id("g_organization_id")?,
        event_id: row.id("g_event_id")?,
        name: row.parse("g_name")?,
        code: row.opt_parse("g_code")?,
        status: row.parse("g_status")?,
        capacity: row.opt_number("g_capacity")?,
        ticket_classes: row.opt_json("g_ticket_classes")?,
        inserted_at: row.time("g_inserted_at")?,
        updated_at: row.time("g_updated_at")?,
    })
}

pub(crate) fn device<D: Dialect>(row: &Row<D>) -> Result<Device, StoreError> {
    Ok(Device {
        id: row.id("d_id")?,
        organization_id: row.id("d_organization_id")?,
        device_id: row.parse("d_label")?,
        name: row.parse("d_name")?,
        device_type: row.parse("d_device_type")?,
        status: row.parse("d_status")?,
        last_seen_at: row.opt_time("d_last_seen_at")?,
        settings: row.json("d_settings")?,
        app: row.opt_json("d_app")?,
        battery: row.opt_float("d_battery")?,
        waiting: row.opt_number("d_waiting")?,
        inserted_at: row.time("d_inserted_at")?,
        updated_at: row.time("d_updated_at")?,
    })
}

pub(crate) fn session<D: Dialect>(row: &Row<D>) -> Result<ScanSession, StoreError> {
    Ok(ScanSession {
        id: row.id("s_id")?,
        organization_id: row.id("s_organization_id")?,
        device_id: row.id("s_device_id")?,
        event_id: row.id("s_event_id")?,
        gate_id: row.id("s_gate_id")?,
        status: row.parse("s_status")?,
        started_at: row.time("s_started_at")?,
        ended_at: row.opt_time("s_ended_at")?,
        scan_count: row.number("s_scan_count")?,
    })
}

pub(crate) fn ticket<D: Dialect>(row: &Row<D>) -> Result<TicketFacts, StoreError> {
    let ticket = Ticket {
        id: row.id("t_id")?,
        organization_id: row.id("t_organization_id")?,
        event_id: row.id("t_event_id")?,
        code: row.parse("t_code")?,
        status: row.parse("t_status")?,
        ticket_class: row.opt_parse("t_ticket_class")?,
        gate_ids: row.opt_json("t_gate_ids")?,
        seat: row.opt_json("t_seat")?,
        valid_from: row.opt_time("t_valid_from")?,
        valid_until: row.opt_time("t_valid_until")?,
        entry_limit: row.number("t_entry_limit")?,
        scan_count: row.number("t_scan_count")?,
        note: row.opt_parse("t_note")?,
        inserted_at: row.time("t_inserted_at")?,
        updated_at: row.time("t_updated_at")?,
    };
    Ok(TicketFacts {
        ticket,
        ledger: row.json("t_ledger")?,
        version: row.int("t_version")?,
    })
}

/// A ticket with its personal data: reads `t.holder_name` and `t.order_ref` besides, under their own names.
pub(crate) fn listing<D: Dialect>(row: &Row<D>) -> Result<TicketListing, StoreError> {
    Ok(TicketListing {
        ticket: ticket(row)?.ticket,
        holder_name: row.opt_parse("holder_name")?,
        order_ref: row.opt_parse("order_ref")?,
    })
}

pub(crate) fn scan<D: Dialect>(row: &Row<D>) -> Result<ScanRecord, StoreError> {
    let override_ = row
        .opt_parse("x_override_reason")?
        .map(|reason| Override { reason });
    let undone = match row.opt_time("x_undone_at")? {
        Some(at) => Some(Undone {
            at,
            reason: row.parse("x_undone_reason")?,
            device_id: row.opt_id("x_undone_by")?,
        }),
        None => None,
    };
    Ok(ScanRecord {
        scan_id: row.id("x_scan_id")?,
        organization_id: row.id("x_organization_id")?,
        ticket_id: row.opt_id("x_ticket_id")?,
        ticket_code: row.opt_parse("x_ticket_code")?,
        event_id: row.id("x_event_id")?,
        gate_id: row.id("x_gate_id")?,
        device_id: row.id("x_device_id")?,
        scan_session_id: row.opt_id("x_session_id")?,
        result: row.parse("x_result")?,
        reason: row.parse("x_reason")?,
        would_have_been: row.opt_parse::<Reason>("x_would_have_been")?.map(Outcome::from),
        direction: row.parse("x_direction")?,
        scanned_at: row.time("x_scanned_at")?,
        device_scanned_at: row.opt_time("x_device_scanned_at")?,
        received_at: row.time("x_received_at")?,
        source: row.parse("x_source")?,
        decided_by: row.parse("x_decided_by")?,
        override_,
        undone,
        local_result: row.opt_parse("x_local_result")?,
        metadata: row.opt_json("x_metadata")?,
    })
}

/// A scan with what its ticket's history needs of it: reads [`kept_columns`].
pub(crate) fn kept<D: Dialect>(row: &Row<D>) -> Result<ScanState, StoreError> {
    let shown: AnswerSnapshot = row.json("x_shown")?;
    Ok(ScanState {
        record: scan(row)?,
        history_kind: row.opt_parse("x_part")?,
        conflict: row.opt_parse("x_conflict")?,
        winner: row.opt_id("x_winner_scan_id")?,
        gate_name: shown.gate_name,
        device_name: row.text("x_device_name")?,
        entry_limit: shown.ticket.map(|ticket| ticket.entry_limit),
    })
}
