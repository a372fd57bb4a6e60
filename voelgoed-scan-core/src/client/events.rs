//! The events and gates that a steward chooses from before a session.
//!
//! Invariant: a word of the server that this version does not know, such as a new status, hides no event and no gate.

use serde::Deserialize;

use crate::client::listing::server_was_not_asked;
use crate::client::{ClientError, ScannerClient};
use crate::model::{
    ClassName, Event, EventId, EventStatus, Gate, GateCode, GateId, GateStatus, Name, Timestamp,
};

/// An event to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEvent {
    /// The event.
    pub id: EventId,
    /// Its display name.
    pub name: Name,
    /// Its status. `None` if the server has a status that this version does not know.
    pub status: Option<EventStatus>,
    /// Its start, for information only.
    pub starts_at: Option<Timestamp>,
    /// Its end, for information only.
    pub ends_at: Option<Timestamp>,
    /// When its doors open. `None` is no bound.
    pub doors_open_at: Option<Timestamp>,
    /// When its doors close. `None` is no bound.
    pub doors_close_at: Option<Timestamp>,
    /// The new start of a postponed event. `None` while it is not known.
    pub rescheduled_at: Option<Timestamp>,
    /// Whether this phone has the event's manifest, so that it can scan there without a network.
    pub has_manifest: bool,
}

/// A gate to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGate {
    /// The gate.
    pub id: GateId,
    /// Its display name.
    pub name: Name,
    /// A short code for plans and signs.
    pub code: Option<GateCode>,
    /// Whether it admits people. `None` if the server has a status that this version does not know.
    pub status: Option<GateStatus>,
    /// The maximum number of people inside who entered here. `None` is no limit.
    pub capacity: Option<u32>,
    /// The ticket classes that it admits. `None` is all.
    pub ticket_classes: Option<Vec<ClassName>>,
}

/// An event in the server's list.
#[derive(Deserialize)]
struct EventItem {
    id: EventId,
    name: Name,
    status: String,
    starts_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    doors_open_at: Option<Timestamp>,
    doors_close_at: Option<Timestamp>,
    rescheduled_at: Option<Timestamp>,
}

/// A gate in the server's list.
#[derive(Deserialize)]
struct GateItem {
    id: GateId,
    name: Name,
    code: Option<GateCode>,
    status: String,
    capacity: Option<u32>,
    ticket_classes: Option<Vec<ClassName>>,
}

impl From<&Event> for ListedEvent {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id,
            name: event.name.clone(),
            status: Some(event.status),
            starts_at: event.starts_at,
            ends_at: event.ends_at,
            doors_open_at: event.doors_open_at,
            doors_close_at: event.doors_close_at,
            rescheduled_at: event.rescheduled_at,
            has_manifest: true,
        }
    }
}

impl From<&Gate> for ListedGate {
    fn from(gate: &Gate) -> Self {
        Self {
            id: gate.id,
            name: gate.name.clone(),
            code: gate.code.clone(),
            status: Some(gate.status),
            capacity: gate.capacity,
            ticket_classes: gate.ticket_classes.clone(),
        }
    }
}

impl From<GateItem> for ListedGate {
    fn from(item: GateItem) -> Self {
        Self {
            id: item.id,
            name: item.name,
            code: item.code,
            status: item.status.parse().ok(),
            capacity: item.capacity,
            ticket_classes: item.ticket_classes,
        }
    }
}

/// Orders a status for a list: events that admit people first, then those to come, then those that are over.
fn rank(status: Option<EventStatus>) -> u8 {
    match status {
        Some(EventStatus::Live) => 0,
        Some(EventStatus::Published) | None => 1,
        Some(EventStatus::Postponed) => 2,
        Some(EventStatus::Draft) => 3,
        Some(EventStatus::Ended | EventStatus::Cancelled) => 4,
        Some(EventStatus::Archived) => 5,
    }
}

impl ScannerClient {
    /// Returns the events that the device may see: those that admit people first, then by their start and name.
    ///
    /// If the server is unavailable, returns the events whose manifests this phone has. Fails if there is none.
    pub async fn events(&self) -> Result<Vec<ListedEvent>, ClientError> {
        let held = self.offline.held_manifests().await?;
        let scope = self.offline.scope().await;
        let mut events = match self.get_list::<EventItem>("/api/v1/events").await {
            Ok(items) => items
                .into_iter()
                .map(|item| ListedEvent {
                    has_manifest: held.iter().any(|head| head.event.id == item.id),
                    id: item.id,
                    name: item.name,
                    status: item.status.parse().ok(),
                    starts_at: item.starts_at,
                    ends_at: item.ends_at,
                    doors_open_at: item.doors_open_at,
                    doors_close_at: item.doors_close_at,
                    rescheduled_at: item.rescheduled_at,
                })
                .collect(),
            Err(error) if server_was_not_asked(&error) && !held.is_empty() => held
                .iter()
                .map(|head| ListedEvent::from(&head.event))
                .filter(|event| scope.admits_event(event.id))
                .collect::<Vec<_>>(),
            Err(error) => return Err(error),
        };
        events.sort_by(|a, b| {
            let key = |event: &ListedEvent| (rank(event.status), event.starts_at);
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        Ok(events)
    }

    /// Returns the gates of an event, ordered by name.
    ///
    /// If the server is unavailable, returns those of the event's manifest. Fails if this phone does not have it.
    pub async fn event_gates(&self, event: EventId) -> Result<Vec<ListedGate>, ClientError> {
        let path = format!("/api/v1/events/{event}/gates");
        let mut gates = match self.get_list::<GateItem>(&path).await {
            Ok(items) => items.into_iter().map(ListedGate::from).collect(),
            Err(error) if server_was_not_asked(&error) => {
                let heads = self.offline.held_manifests().await?;
                let scope = self.offline.scope().await;
                let head = heads
                    .into_iter()
                    .find(|head| head.event.id == event)
                    .ok_or(error)?;
                head.gates
                    .iter()
                    .map(|listed| ListedGate::from(&listed.gate))
                    .filter(|gate| scope.admits_gate(event, gate.id))
                    .collect::<Vec<_>>()
            }
            Err(error) => return Err(error),
        };
        gates.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        Ok(gates)
    }
}
