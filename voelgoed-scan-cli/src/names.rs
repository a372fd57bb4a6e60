//! Finds events, gates, devices and sessions by what people call them, and the names of what the server names by its id.
//!
//! Invariants: a whole UUID is taken as it is, and asks no server; a name wins over a part of a UUID; where two fit, none is
//! taken.

mod directory;
mod matching;

use std::collections::BTreeSet;
use std::str::FromStr;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    Device, DeviceId, DeviceStatus, Event, EventId, Gate, GateId, ScanSession, SessionId,
};

pub(crate) use directory::Directory;
pub(crate) use matching::fold;
use matching::{Candidate, Kind, choose};

use crate::client::Client;
use crate::failure::Failure;

const EVENTS: &str = "/api/v1/events";
const DEVICES: &str = "/api/v1/scanning/devices";
const SESSIONS: &str = "/api/v1/scanning/sessions";

/// The error of a name without characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is empty")]
pub(crate) struct EmptyName;

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name(String);

        impl FromStr for $name {
            type Err = EmptyName;

            fn from_str(text: &str) -> Result<Self, EmptyName> {
                let text = text.trim();
                if text.is_empty() { Err(EmptyName) } else { Ok(Self(text.to_owned())) }
            }
        }

        impl $name {
            /// The whole UUID, if the text is one.
            fn uuid(&self) -> Option<Uuid> {
                whole_uuid(&self.0)
            }
        }
    )+};
}

named! {
    /// An event as it was typed: its UUID, its name, or the start or the end of its UUID.
    NamedEvent;
    /// A gate as it was typed: its UUID, its name, its code, or the start or the end of its UUID.
    NamedGate;
    /// A device as it was typed: its UUID, its name, its textual id, or the start or the end of its UUID.
    NamedDevice;
    /// A session as it was typed: its UUID, or the start or the end of it.
    NamedSession;
}

fn whole_uuid(text: &str) -> Option<Uuid> {
    (text.len() == uuid::fmt::Hyphenated::LENGTH)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

impl NamedEvent {
    /// The id of the event.
    pub(crate) async fn id(&self, client: &Client) -> Result<EventId, Failure> {
        if let Some(uuid) = self.uuid() {
            return Ok(EventId::from_uuid(uuid));
        }
        let events: Vec<Event> = client.all(EVENTS).await?;
        let candidates = events.into_iter().map(|event| Candidate {
            id: *event.id.as_uuid(),
            names: vec![event.name.to_string()],
            about: event.status.to_string(),
            value: event.id,
        });
        choose(Kind::Event, &self.0, candidates.collect())
    }
}

/// The id of an event that may be left out.
pub(crate) async fn event_id(
    client: &Client,
    event: Option<&NamedEvent>,
) -> Result<Option<EventId>, Failure> {
    match event {
        Some(event) => event.id(client).await.map(Some),
        None => Ok(None),
    }
}

/// The ids of several events.
pub(crate) async fn event_ids(client: &Client, events: &[NamedEvent]) -> Result<Vec<EventId>, Failure> {
    let mut ids = Vec::with_capacity(events.len());
    for event in events {
        ids.push(event.id(client).await?);
    }
    Ok(ids)
}

impl NamedGate {
    /// The id of a gate of an event, or of any event.
    pub(crate) async fn id(&self, client: &Client, event: Option<EventId>) -> Result<GateId, Failure> {
        if let Some(uuid) = self.uuid() {
            return Ok(GateId::from_uuid(uuid));
        }
        let events: BTreeSet<EventId> = if let Some(event) = event {
            [event].into()
        } else {
            let events: Vec<Event> = client.all(EVENTS).await?;
            events.iter().map(|event| event.id).collect()
        };
        let mut candidates: Vec<Candidate<GateId>> = Vec::new();
        for event in events {
            let gates: Vec<Gate> = client.all(&format!("{EVENTS}/{event}/gates")).await?;
            for gate in gates {
                let names =
                    std::iter::once(gate.name.to_string()).chain(gate.code.map(|code| code.to_string()));
                // A gate may serve several events, under several names.
                match candidates.iter_mut().find(|known| known.value == gate.id) {
                    Some(known) => known.names.extend(names),
                    None => candidates.push(Candidate {
                        id: *gate.id.as_uuid(),
                        names: names.collect(),
                        about: gate.status.to_string(),
                        value: gate.id,
                    }),
                }
            }
        }
        choose(Kind::Gate, &self.0, candidates)
    }
}

impl NamedDevice {
    /// The device. Of devices with one name, those that are not switched off come first.
    pub(crate) async fn find(&self, client: &Client) -> Result<Device, Failure> {
        if let Some(uuid) = self.uuid()
            && let Some(device) = client.find(&format!("{DEVICES}/{uuid}")).await?
        {
            return Ok(device);
        }
        let devices: Vec<Device> = client.all(DEVICES).await?;
        let (active, inactive): (Vec<_>, Vec<_>) = devices
            .into_iter()
            .partition(|device| device.status == DeviceStatus::Active);
        match choose(Kind::Device, &self.0, candidates(active.clone())) {
            Err(Failure::NoSuchName { .. }) => {
                let found = choose(Kind::Device, &self.0, candidates(newest_of_each_label(inactive)));
                match found {
                    // The near names of all devices.
                    Err(Failure::NoSuchName { .. }) => choose(Kind::Device, &self.0, candidates(active)),
                    found => found,
                }
            }
            found => found,
        }
    }

    /// The id of the device.
    pub(crate) async fn id(&self, client: &Client) -> Result<DeviceId, Failure> {
        match self.uuid() {
            Some(uuid) => Ok(DeviceId::from_uuid(uuid)),
            None => Ok(self.find(client).await?.id),
        }
    }
}

fn candidates(devices: Vec<Device>) -> Vec<Candidate<Device>> {
    devices
        .into_iter()
        .map(|device| Candidate {
            id: *device.id.as_uuid(),
            names: vec![device.name.to_string(), device.device_id.to_string()],
            about: device.device_id.to_string(),
            value: device,
        })
        .collect()
}

/// Of the devices that had one textual id one after the other, the last one.
fn newest_of_each_label(mut devices: Vec<Device>) -> Vec<Device> {
    devices.sort_by(|a, b| {
        let key = |device: &Device| (device.device_id.as_str().to_owned(), device.inserted_at);
        key(b).cmp(&key(a))
    });
    devices.dedup_by(|a, b| a.device_id == b.device_id);
    devices
}

impl NamedSession {
    /// The id of the session.
    pub(crate) async fn id(&self, client: &Client) -> Result<SessionId, Failure> {
        if let Some(uuid) = self.uuid() {
            return Ok(SessionId::from_uuid(uuid));
        }
        let sessions: Vec<ScanSession> = client.all(SESSIONS).await?;
        let candidates = sessions.into_iter().map(|session| Candidate {
            id: *session.id.as_uuid(),
            names: Vec::new(),
            about: format!("{} since {}", session.status, session.started_at),
            value: session.id,
        });
        choose(Kind::Session, &self.0, candidates.collect())
    }
}
