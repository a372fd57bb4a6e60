//! The names of events, gates and devices, by their ids.

use std::collections::{BTreeSet, HashMap};

use jiff::tz::TimeZone;
use voelgoed_scan_core::model::{Device, DeviceId, Event, EventId, Gate, GateId};

use super::{DEVICES, EVENTS};
use crate::client::Client;
use crate::failure::Failure;

/// The names of events with their gates, and of devices. What the caller may not read has no name here.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    events: HashMap<EventId, Event>,
    gates: HashMap<(EventId, GateId), String>,
    devices: HashMap<DeviceId, String>,
}

impl Directory {
    /// Reads the names of these events and of their gates.
    pub(crate) async fn of_events(
        client: &Client,
        events: impl IntoIterator<Item = EventId>,
    ) -> Result<Self, Failure> {
        let mut directory = Self::default();
        for id in events.into_iter().collect::<BTreeSet<_>>() {
            let Some(event) = readable(client.find::<Event>(&format!("{EVENTS}/{id}")).await)?.flatten()
            else {
                continue;
            };
            let gates = readable(client.all::<Gate>(&format!("{EVENTS}/{id}/gates")).await)?;
            let names = gates.into_iter().flatten();
            directory
                .gates
                .extend(names.map(|gate| ((id, gate.id), gate.name.to_string())));
            directory.events.insert(id, event);
        }
        Ok(directory)
    }

    /// Reads the names of the devices, too.
    pub(crate) async fn with_devices(mut self, client: &Client) -> Result<Self, Failure> {
        let devices = readable(client.all::<Device>(DEVICES).await)?;
        self.devices = devices
            .into_iter()
            .flatten()
            .map(|device| (device.id, device.name.to_string()))
            .collect();
        Ok(self)
    }

    /// The name of an event.
    pub(crate) fn event(&self, id: EventId) -> Option<&str> {
        self.events.get(&id).map(|event| event.name.as_str())
    }

    /// The name of a gate of an event.
    pub(crate) fn gate(&self, event: EventId, id: GateId) -> Option<&str> {
        self.gates.get(&(event, id)).map(String::as_str)
    }

    /// The name of a device.
    pub(crate) fn device(&self, id: DeviceId) -> Option<&str> {
        self.devices.get(&id).map(String::as_str)
    }

    /// The time zone of an event.
    pub(crate) fn zone(&self, id: EventId) -> Option<TimeZone> {
        self.events.get(&id)?.time_zone.zone()
    }
}

/// `None` where the caller may not read it.
fn readable<T>(read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Problem(problem)) if problem.status == 403 => Ok(None),
        Err(failure) => Err(failure),
    }
}
