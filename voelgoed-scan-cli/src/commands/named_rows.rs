//! Lists and objects with names: tables show names in place of ids, times in the event's time zone and masked codes. JSON keeps
//! what the server sent, and adds a name beside each id.

use comfy_table::Cell;
use jiff::tz::TimeZone;
use serde::Serialize;
use voelgoed_scan_core::model::{
    ClassName, Event, EventId, Gate, ScanRecord, ScanSession, Signal, Source, TicketListing, TicketWithMedia,
    Timestamp,
};
use voelgoed_scan_core::sync::Conflict;

use super::signals::summary;
use super::tables::{or_dash, seat};
use super::value_parsers::TypedTime;
use crate::client::Client;
use crate::failure::Failure;
use crate::names::Directory;
use crate::output::{Report, json, status_cell};
use crate::view::View;

/// A value with the names of what it mentions by id.
#[derive(Serialize)]
struct Named<'a, T> {
    #[serde(flatten)]
    value: &'a T,
    event_name: Option<&'a str>,
    gate_name: Option<&'a str>,
    device_name: Option<&'a str>,
}

/// The moment of a time that was typed. A local one needs an event.
pub(super) async fn moment(
    client: &Client,
    time: TypedTime,
    event: Option<EventId>,
) -> Result<Timestamp, Failure> {
    if !time.is_local() {
        return time.at(&TimeZone::UTC);
    }
    let event = event.ok_or_else(|| Failure::Usage {
        reason: "a local time needs an event, whose time zone it has".to_owned(),
        hint: "add --event, or give the time as 2026-11-22T17:00:00Z",
    })?;
    let zone = Directory::of_events(client, [event]).await?.zone(event);
    time.at(&zone.unwrap_or(TimeZone::UTC))
}

/// The cells of a row, with its id where ids are wanted.
pub(super) fn with_id(mut cells: Vec<Cell>, id: impl ToString, view: View) -> Vec<Cell> {
    if view.ids {
        cells.push(Cell::new(id));
    }
    cells
}

/// The events.
pub(super) fn events(events: &[Event], view: View) -> Result<Report, Failure> {
    let row = |event: &Event| {
        let zone = event.time_zone.zone();
        let starts_at = event.starts_at.map(|at| view.time(at, zone.as_ref()));
        let cells = vec![
            Cell::new(&event.name),
            status_cell(event.status),
            Cell::new(or_dash(event.capacity)),
            Cell::new(event.reentry),
            Cell::new(or_dash(starts_at)),
        ];
        Ok((json(event)?, with_id(cells, event.id, view)))
    };
    let columns: &[&str] = if view.ids {
        &["NAME", "STATUS", "CAPACITY", "RE-ENTRY", "STARTS", "ID"]
    } else {
        &["NAME", "STATUS", "CAPACITY", "RE-ENTRY", "STARTS"]
    };
    Ok(Report::rows(
        columns,
        events.iter().map(row).collect::<Result<_, Failure>>()?,
    ))
}

/// The gates of an event.
pub(super) fn gates(gates: &[Gate], view: View) -> Result<Report, Failure> {
    let row = |gate: &Gate| {
        let classes = gate.ticket_classes.as_ref().map_or_else(
            || "all".to_owned(),
            |classes| {
                classes
                    .iter()
                    .map(ClassName::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            },
        );
        let cells = vec![
            Cell::new(&gate.name),
            status_cell(gate.status),
            Cell::new(or_dash(gate.capacity)),
            Cell::new(or_dash(gate.code.as_ref())),
            Cell::new(classes),
        ];
        Ok((json(gate)?, with_id(cells, gate.id, view)))
    };
    let columns: &[&str] = if view.ids {
        &["NAME", "STATUS", "CAPACITY", "CODE", "TICKET CLASSES", "ID"]
    } else {
        &["NAME", "STATUS", "CAPACITY", "CODE", "TICKET CLASSES"]
    };
    Ok(Report::rows(
        columns,
        gates.iter().map(row).collect::<Result<_, Failure>>()?,
    ))
}

/// The tickets of an event.
pub(super) fn tickets(tickets: &[TicketListing], view: View) -> Result<Report, Failure> {
    let row = |listing: &TicketListing| {
        let ticket = &listing.ticket;
        let cells = vec![
            Cell::new(view.code(ticket.code)),
            status_cell(ticket.status),
            Cell::new(or_dash(ticket.ticket_class.as_ref())),
            Cell::new(or_dash(ticket.seat.as_ref().map(seat))),
            Cell::new(ticket.scan_count),
            Cell::new(ticket.entry_limit),
            Cell::new(or_dash(listing.holder_name.as_ref())),
            Cell::new(or_dash(listing.order_ref.as_ref())),
        ];
        Ok((json(listing)?, cells))
    };
    let columns = &[
        "CODE", "STATUS", "CLASS", "SEAT", "SCANS", "LIMIT", "HOLDER", "ORDER",
    ];
    Ok(Report::rows(
        columns,
        tickets.iter().map(row).collect::<Result<_, Failure>>()?,
    ))
}

/// A ticket.
pub(super) fn ticket(ticket: &TicketWithMedia, view: View) -> Result<Report, Failure> {
    let mut shown = serde_json::to_value(ticket).map_err(|error| Failure::invalid("the answer", error))?;
    if let Some(code) = shown.get_mut("code") {
        *code = view.code(ticket.ticket.code).into();
    }
    let media = ticket.media.as_ref().filter(|_| !view.codes);
    if let (Some(media), Some(shown)) = (media, shown.get_mut("media")) {
        *shown = media.iter().map(|medium| view.code(medium.as_str())).collect();
    }
    Report::object_shown(ticket, &shown)
}

/// Sessions.
pub(super) async fn sessions(
    client: &Client,
    sessions: &[ScanSession],
    view: View,
) -> Result<Report, Failure> {
    let directory = Directory::of_events(client, sessions.iter().map(|session| session.event_id)).await?;
    let directory = directory.with_devices(client).await?;
    let row = |session: &ScanSession| {
        let named = named_session(session, &directory);
        let zone = directory.zone(session.event_id);
        let time = |at| view.time(at, zone.as_ref());
        let cells = vec![
            Cell::new(view.name(session.device_id, named.device_name)),
            status_cell(session.status),
            Cell::new(session.scan_count),
            Cell::new(time(session.started_at)),
            Cell::new(or_dash(session.ended_at.map(time))),
            Cell::new(view.name(session.event_id, named.event_name)),
            Cell::new(view.name(session.gate_id, named.gate_name)),
            Cell::new(session.id),
        ];
        Ok((json(&named)?, cells))
    };
    let columns = &[
        "DEVICE", "STATUS", "SCANS", "STARTED", "ENDED", "EVENT", "GATE", "ID",
    ];
    Ok(Report::rows(
        columns,
        sessions.iter().map(row).collect::<Result<_, Failure>>()?,
    ))
}

/// A session.
pub(super) async fn session(client: &Client, session: &ScanSession) -> Result<Report, Failure> {
    let directory = Directory::of_events(client, [session.event_id]).await?;
    let directory = directory.with_devices(client).await?;
    Report::object(&named_session(session, &directory))
}

fn named_session<'a>(session: &'a ScanSession, directory: &'a Directory) -> Named<'a, ScanSession> {
    Named {
        value: session,
        event_name: directory.event(session.event_id),
        gate_name: directory.gate(session.event_id, session.gate_id),
        device_name: directory.device(session.device_id),
    }
}

/// Recorded scans.
pub(super) async fn scans(client: &Client, scans: &[ScanRecord], view: View) -> Result<Report, Failure> {
    view.check_codes(client).await?;
    let directory = Directory::of_events(client, scans.iter().map(|scan| scan.event_id)).await?;
    let directory = directory.with_devices(client).await?;
    let row = |scan: &ScanRecord| {
        let named = Named {
            value: scan,
            event_name: directory.event(scan.event_id),
            gate_name: directory.gate(scan.event_id, scan.gate_id),
            device_name: scan.device_id.and_then(|device| directory.device(device)),
        };
        let by = scan.device_id.map(|device| view.name(device, named.device_name));
        let zone = directory.zone(scan.event_id);
        let cells = vec![
            Cell::new(view.time(scan.scanned_at, zone.as_ref())),
            status_cell(scan.result),
            Cell::new(scan.reason),
            Cell::new(marks(scan)),
            Cell::new(scan.direction),
            Cell::new(or_dash(scan.ticket_code.map(|code| view.code(code)))),
            Cell::new(view.name(scan.event_id, named.event_name)),
            Cell::new(view.name(scan.gate_id, named.gate_name)),
            Cell::new(by.unwrap_or_else(|| "desk".to_owned())),
            Cell::new(scan.scan_id),
        ];
        Ok((json(&named)?, cells))
    };
    let columns = &[
        "SCANNED", "RESULT", "REASON", "MARKS", "WAY", "TICKET", "EVENT", "GATE", "DEVICE", "SCAN",
    ];
    Ok(Report::rows(
        columns,
        scans.iter().map(row).collect::<Result<_, Failure>>()?,
    ))
}

/// What is special about a scan.
fn marks(scan: &ScanRecord) -> String {
    let marks = [
        (scan.undone.is_some(), "undone"),
        (scan.source == Source::Desk, "by hand"),
        (scan.source == Source::Sync, "offline"),
        (scan.override_.is_some(), "override"),
    ];
    let marks: Vec<_> = marks
        .into_iter()
        .filter_map(|(holds, mark)| holds.then_some(mark))
        .collect();
    if marks.is_empty() {
        "-".to_owned()
    } else {
        marks.join(", ")
    }
}

/// Signals of an event.
pub(super) async fn signals(
    client: &Client,
    event: Option<EventId>,
    signals: &[Signal],
    view: View,
) -> Result<Report, Failure> {
    let events = signals.iter().filter_map(|signal| signal.event_id).chain(event);
    let directory = Directory::of_events(client, events)
        .await?
        .with_devices(client)
        .await?;
    let row = |signal: &Signal| {
        let event_id = signal.event_id.or(event);
        let place = event_id.zip(signal.gate_id);
        let named = Named {
            value: signal,
            event_name: event_id.and_then(|event| directory.event(event)),
            gate_name: place.and_then(|(event, gate)| directory.gate(event, gate)),
            device_name: signal.device_id.and_then(|device| directory.device(device)),
        };
        let zone = event_id.and_then(|event| directory.zone(event));
        let time = |at| view.time(at, zone.as_ref());
        let cells = vec![
            Cell::new(signal.kind),
            Cell::new(time(signal.opened_at)),
            Cell::new(or_dash(signal.closed_at.map(time))),
            Cell::new(or_dash(
                signal.gate_id.map(|gate| view.name(gate, named.gate_name)),
            )),
            Cell::new(or_dash(
                signal
                    .device_id
                    .map(|device| view.name(device, named.device_name)),
            )),
            Cell::new(or_dash(signal.ticket_id)),
            Cell::new(summary(signal)),
        ];
        Ok((json(&named)?, cells))
    };
    let columns = &["KIND", "OPENED", "CLOSED", "GATE", "DEVICE", "TICKET", "WHAT"];
    Ok(Report::rows(
        columns,
        signals.iter().map(row).collect::<Result<_, Failure>>()?,
    ))
}

/// Conflicts of an event.
pub(super) async fn conflicts(
    client: &Client,
    event: EventId,
    conflicts: &[Conflict],
    view: View,
) -> Result<Report, Failure> {
    view.check_codes(client).await?;
    let zone = Directory::of_events(client, [event]).await?.zone(event);
    let row = |conflict: &Conflict| {
        let join = |texts: Vec<String>| texts.join(" / ");
        let times = conflict.times.iter().map(|at| view.time(*at, zone.as_ref()));
        let gates = conflict
            .gates
            .iter()
            .map(|gate| view.name(gate.id, Some(&gate.name)));
        let devices = conflict
            .devices
            .iter()
            .map(|device| view.name(device.id, Some(&device.name)));
        let cells = vec![
            Cell::new(conflict.kind),
            Cell::new(or_dash(conflict.ticket_code.map(|code| view.code(code)))),
            Cell::new(join(times.collect())),
            Cell::new(join(gates.collect())),
            Cell::new(join(devices.collect())),
            Cell::new(conflict.other_scan_id),
            Cell::new(or_dash(conflict.winner_scan_id)),
        ];
        Ok((json(conflict)?, cells))
    };
    let columns = &["KIND", "TICKET", "TIMES", "GATES", "DEVICES", "SCAN", "LOST TO"];
    Ok(Report::rows(
        columns,
        conflicts.iter().map(row).collect::<Result<_, Failure>>()?,
    ))
}
