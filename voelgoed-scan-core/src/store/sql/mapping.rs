//! Maps rows to the types of the model.
//!
//! A statement that reads a whole entity names its columns with the prefix of the entity (`e_` event, `g_` gate, `d_`
//! device, `s_` session, `t_` ticket, `x_` scan), so that the names of a join never clash.

use crate::model::{
    AnswerSnapshot, Device, Event, Gate, Outcome, Reason, RecordedOverride, ScanRecord, ScanSession, Source,
    Ticket, TicketFacts, TicketListing, Undone,
};
use crate::store::StoreError;
use crate::store::sql::scan_row::CLEARED_REASON;
use crate::store::sql::{Dialect, Row};
use crate::sync::ScanState;

pub(crate) fn event<D: Dialect>(row: &Row<D>) -> Result<Event, StoreError> {
    Ok(Event {
        id: row.id("e_id")?,
        organization_id: row.id("e_organization_id")?,
        name: row.parse("e_name")?,
        status: row.parse("e_status")?,
        starts_at: row.opt_time("e_starts_at")?,
        ends_at: row.opt_time("e_ends_at")?,
        doors_open_at: row.opt_time("e_doors_open_at")?,
        doors_close_at: row.opt_time("e_doors_close_at")?,
        rescheduled_at: row.opt_time("e_rescheduled_at")?,
        time_zone: row.parse("e_time_zone")?,
        day_starts_at: row.parse("e_day_starts_at")?,
        capacity: row.opt_number("e_capacity")?,
        reentry: row.parse("e_reentry")?,
        allow_unsigned: row.bool("e_allow_unsigned")?,
        allow_media: row.bool("e_allow_media")?,
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
        scope: row.opt_json("d_scope")?.unwrap_or_default(),
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

/// A ticket with its personal data, `holder_name` and `order_ref`, and its media.
pub(crate) fn listing<D: Dialect>(row: &Row<D>) -> Result<TicketListing, StoreError> {
    Ok(TicketListing {
        ticket: ticket(row)?.ticket,
        holder_name: row.opt_parse("holder_name")?,
        order_ref: row.opt_parse("order_ref")?,
        media: Some(row.opt_json("media")?.unwrap_or_default()),
    })
}

pub(crate) fn scan<D: Dialect>(row: &Row<D>) -> Result<ScanRecord, StoreError> {
    let override_ = match row.opt_text("x_override_reason")? {
        Some(reason) if reason == CLEARED_REASON => Some(RecordedOverride { reason: None }),
        Some(_) => Some(RecordedOverride {
            reason: row.opt_parse("x_override_reason")?,
        }),
        None => None,
    };
    let undone = match row.opt_time("x_undone_at")? {
        Some(at) => Some(Undone {
            at,
            reason: row.opt_parse("x_undone_reason")?,
            device_id: row.opt_id("x_undone_by")?,
        }),
        None => None,
    };
    let source: Source = row.parse("x_source")?;
    // The column holds the API key of a check-in by hand, which no device made.
    let (device_id, api_key_id) = match source {
        Source::Online | Source::Sync => (Some(row.id("x_device_id")?), None),
        Source::Desk => (None, Some(row.id("x_device_id")?)),
    };
    Ok(ScanRecord {
        scan_id: row.id("x_scan_id")?,
        organization_id: row.id("x_organization_id")?,
        ticket_id: row.opt_id("x_ticket_id")?,
        ticket_code: row.opt_parse("x_ticket_code")?,
        event_id: row.id("x_event_id")?,
        gate_id: row.id("x_gate_id")?,
        device_id,
        api_key_id,
        scan_session_id: row.opt_id("x_session_id")?,
        result: row.parse("x_result")?,
        reason: row.parse("x_reason")?,
        would_have_been: row.opt_parse::<Reason>("x_would_have_been")?.map(Outcome::from),
        direction: row.parse("x_direction")?,
        scanned_at: row.time("x_scanned_at")?,
        device_scanned_at: row.opt_time("x_device_scanned_at")?,
        received_at: row.time("x_received_at")?,
        source,
        decided_by: row.parse("x_decided_by")?,
        override_,
        undone,
        local_result: row.opt_parse("x_local_result")?,
        metadata: row.opt_json("x_metadata")?,
    })
}

/// A scan with what the history of its ticket needs.
pub(crate) fn history_scan<D: Dialect>(row: &Row<D>) -> Result<ScanState, StoreError> {
    let snapshot: AnswerSnapshot = row.json("x_shown")?;
    Ok(ScanState {
        record: scan(row)?,
        history_kind: row.opt_parse("x_part")?,
        conflict: row.opt_parse("x_conflict")?,
        winner: row.opt_id("x_winner_scan_id")?,
        gate_name: snapshot.gate_name,
        device_name: match snapshot.desk_name {
            Some(desk) => desk,
            None => row.text("x_device_name")?,
        },
        entry_limit: snapshot.ticket.map(|ticket| ticket.entry_limit),
    })
}
