//! The events of the scans in a file, each read from the server when its first scan comes.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use voelgoed_scan_core::model::{Event, EventId, Gate, GateId, Reason, TicketListing};
use voelgoed_scan_core::rules::{RecordedScan, WhatIfEvent};

use super::Settings;
use crate::client::Client;
use crate::commands::replay::past_scan::PastScan;
use crate::failure::Failure;

/// The events whose scans are decided again.
pub(super) struct WhatIfEvents {
    client: Client,
    settings: Settings,
    events: HashMap<EventId, KnownEvent>,
    /// The events of each gate, read when a line does not name its event.
    events_of_gates: Option<HashMap<GateId, Vec<EventId>>>,
}

/// An event whose scans are decided again, and its time zone where it is known.
struct KnownEvent {
    rules: WhatIfEvent,
    zone: Option<TimeZone>,
}

/// How a scan is decided.
pub(super) struct Decided {
    /// The reason under the other settings.
    pub(super) reason: Reason,
    /// The time zone of the event.
    pub(super) zone: Option<TimeZone>,
}

impl KnownEvent {
    fn decide(&mut self, recorded: &RecordedScan) -> Option<Decided> {
        Some(Decided {
            reason: self.rules.decide(recorded)?,
            zone: self.zone.clone(),
        })
    }
}

impl WhatIfEvents {
    pub(super) fn new(client: Client, settings: Settings) -> Self {
        Self {
            client,
            settings,
            events: HashMap::new(),
            events_of_gates: None,
        }
    }

    /// Decides the next scan of its event. `None` if the gate or the ticket is unknown.
    pub(super) async fn decide(
        &mut self,
        scan: &PastScan,
        recorded: &RecordedScan,
        number: u64,
    ) -> Result<Option<Decided>, Failure> {
        let event = match scan.event() {
            Some(event) => event,
            None => self.event_of(scan.gate_id, number).await?,
        };
        if let Some(known) = self.events.get_mut(&event) {
            return Ok(known.decide(recorded));
        }
        let known = self.read(event).await?;
        Ok(self.events.entry(event).or_insert(known).decide(recorded))
    }

    /// Reads an event with its gates and tickets.
    async fn read(&self, id: EventId) -> Result<KnownEvent, Failure> {
        let path = format!("/api/v1/events/{id}");
        let event: Event = self.client.get(&path).await?;
        let gates: Vec<Gate> = self.client.all(&format!("{path}/gates")).await?;
        let zone = event.time_zone.zone();
        let mut rules = WhatIfEvent::new(
            event,
            gates,
            self.settings.other.clone(),
            self.settings.dedup_window,
        );
        self.client
            .pages(&format!("{path}/tickets"), |listings: Vec<TicketListing>| {
                for listing in listings {
                    rules.add_ticket(listing.ticket);
                }
                Ok(())
            })
            .await?;
        Ok(KnownEvent { rules, zone })
    }

    /// The only event that has a gate.
    async fn event_of(&mut self, gate: GateId, number: u64) -> Result<EventId, Failure> {
        let known = match &mut self.events_of_gates {
            Some(known) => known,
            none => none.insert(events_of_gates(&self.client).await?),
        };
        match known.get(&gate).map(Vec::as_slice) {
            Some([only]) => Ok(*only),
            found => Err(Failure::Invalid {
                what: format!("line {number}"),
                reason: format!(
                    "names no event, and {} events have its gate {gate}",
                    found.map_or(0, <[EventId]>::len)
                ),
                hint: Some("add the field event_id, or --event"),
            }),
        }
    }
}

async fn events_of_gates(client: &Client) -> Result<HashMap<GateId, Vec<EventId>>, Failure> {
    let mut found: HashMap<GateId, Vec<EventId>> = HashMap::new();
    for event in client.all::<Event>("/api/v1/events").await? {
        for gate in client
            .all::<Gate>(&format!("/api/v1/events/{}/gates", event.id))
            .await?
        {
            found.entry(gate.id).or_default().push(event.id);
        }
    }
    Ok(found)
}
