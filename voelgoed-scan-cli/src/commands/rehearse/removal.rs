//! Removes what rehearsals made on the server: copies of events, and devices.
//!
//! Invariants: an event is removed only if the server says that a rehearsal made it, which is fixed at its creation. A device
//! is revoked only if it is marked as one of a rehearsal and may work at such a copy alone. A name decides nothing. What
//! cannot be removed is returned with the command that removes it.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use serde::Serialize;
use voelgoed_scan_core::model::{
    Device, DeviceId, DeviceStatus, Event, EventId, EventPut, EventStatus, Timestamp,
};

use super::event_copy::{MAX_CONCURRENT, event_path};
use crate::client::Client;
use crate::failure::Failure;

const ACTIVE_DEVICES: &str = "/api/v1/scanning/devices?status=active";

/// The command that removes all that rehearsals left.
pub(super) const REMOVE_LEFTOVERS: &str = "voelgoed-scan rehearse --remove-leftovers";

/// Why a copy stays that was asked for.
const KEPT: &str = "kept by --keep";

/// Something of a rehearsal that is still on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Leftover {
    kind: &'static str,
    id: Option<String>,
    /// Why it is still there.
    reason: String,
    /// The command that removes it.
    remove_with: String,
}

impl Leftover {
    fn event(event: EventId, reason: impl Into<String>) -> Self {
        Self {
            kind: "event",
            id: Some(event.to_string()),
            reason: reason.into(),
            remove_with: format!("voelgoed-scan event delete {event} --yes"),
        }
    }

    /// A copy that is not archived, so that `event delete` would not remove it.
    fn open_event(event: EventId, reason: impl Into<String>) -> Self {
        Self {
            remove_with: REMOVE_LEFTOVERS.to_owned(),
            ..Self::event(event, reason)
        }
    }

    /// Whether it stays because that was asked for.
    pub(super) fn is_kept(&self) -> bool {
        self.reason == KEPT
    }

    fn device(device: DeviceId, failure: &Failure) -> Self {
        Self {
            kind: "device",
            id: Some(device.to_string()),
            reason: failure.to_string(),
            remove_with: format!("voelgoed-scan device revoke {device} --yes"),
        }
    }

    fn unknown_devices(failure: &Failure) -> Self {
        Self {
            kind: "devices",
            id: None,
            reason: failure.to_string(),
            remove_with: REMOVE_LEFTOVERS.to_owned(),
        }
    }
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = self.id.as_deref().map_or_else(String::new, |id| format!(" {id}"));
        write!(f, "{}{id} ({}): {}", self.kind, self.reason, self.remove_with)
    }
}

/// What was removed, and what was not.
#[derive(Debug, Default, Serialize)]
pub(super) struct Removal {
    /// The copies that are deleted.
    pub(super) events: Vec<EventId>,
    /// The number of devices that are revoked.
    pub(super) devices: usize,
    /// What is still there.
    pub(super) left: Vec<Leftover>,
}

/// The rehearsals that the server has.
pub(super) struct Rehearsals {
    events: Vec<Event>,
    /// The devices of rehearsals, each with the only event that it may work at.
    devices: Vec<(DeviceId, EventId)>,
    all_events: BTreeSet<EventId>,
    now: Timestamp,
}

impl Rehearsals {
    pub(super) async fn read(admin: &Client) -> Result<Self, Failure> {
        // Devices first: a copy is older than its devices, so each device that is read has its copy among the events.
        let devices = devices_of_copies(admin).await?;
        let events: Vec<Event> = admin.all("/api/v1/events").await?;
        Ok(Self {
            all_events: events.iter().map(|event| event.id).collect(),
            events: events.into_iter().filter(|event| event.rehearsal).collect(),
            devices,
            now: admin.server_time().await?,
        })
    }

    /// The copies that may be in use: their rehearsal has not ended and its time is not over.
    pub(super) fn in_use(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| self.may_be_in_use(event))
    }

    fn may_be_in_use(&self, event: &Event) -> bool {
        event.status != EventStatus::Archived && event.doors_close_at.is_none_or(|close| close >= self.now)
    }

    /// Removes what was left by rehearsals that were killed: their time is over and nobody archived their copies. An archived
    /// copy was kept on purpose, or its rehearsal has said what to do.
    pub(super) async fn remove_abandoned(&self, admin: &Client) -> Removal {
        let abandoned = |event: &&Event| event.status != EventStatus::Archived && !self.may_be_in_use(event);
        self.remove(admin, self.events.iter().filter(abandoned).collect())
            .await
    }

    /// Removes what all rehearsals left, also of one that runs.
    pub(super) async fn remove_all(&self, admin: &Client) -> Removal {
        self.remove(admin, self.events.iter().collect()).await
    }

    /// Removes these copies with their devices, and the devices whose copy does not exist any more.
    async fn remove(&self, admin: &Client, events: Vec<&Event>) -> Removal {
        let mut removal = Removal::default();
        let removed: BTreeSet<EventId> = events.iter().map(|event| event.id).collect();
        let devices = self
            .devices
            .iter()
            .filter(|(_, event)| removed.contains(event) || !self.all_events.contains(event))
            .map(|(device, _)| *device);
        revoke(admin, devices.collect(), &mut removal).await;
        for event in events {
            remove_event(admin, event, false, &mut removal).await;
        }
        removal
    }
}

/// Removes the copy of this rehearsal. With `keep` it is archived and stays. `devices` are the known ones: others may have
/// been registered by requests whose answers did not arrive.
pub(super) async fn remove_copy(admin: &Client, copy: EventId, devices: &[DeviceId], keep: bool) -> Removal {
    let mut removal = Removal::default();
    let mut found: BTreeSet<DeviceId> = devices.iter().copied().collect();
    match devices_of_copies(admin).await {
        Ok(all) => found.extend(all.iter().filter(|(_, event)| *event == copy).map(|(id, _)| *id)),
        Err(failure) => removal.left.push(Leftover::unknown_devices(&failure)),
    }
    revoke(admin, found, &mut removal).await;
    match admin.find::<Event>(&event_path(copy)).await {
        Ok(Some(event)) => remove_event(admin, &event, keep, &mut removal).await,
        Ok(None) => {}
        Err(failure) => removal.left.push(Leftover::open_event(copy, failure.to_string())),
    }
    removal
}

/// The active devices that rehearsals made, each with its copy.
async fn devices_of_copies(admin: &Client) -> Result<Vec<(DeviceId, EventId)>, Failure> {
    let devices: Vec<Device> = admin.all(ACTIVE_DEVICES).await?;
    Ok(devices
        .into_iter()
        .filter(|device| device.settings.is_rehearsal() && device.status == DeviceStatus::Active)
        .filter_map(|device| match device.scope.event_ids.as_deref() {
            Some(&[event]) => Some((device.id, event)),
            _ => None,
        })
        .collect())
}

async fn revoke(admin: &Client, devices: BTreeSet<DeviceId>, removal: &mut Removal) {
    let mut revoked = stream::iter(devices)
        .map(|id| async move {
            let path = format!("/api/v1/scanning/devices/{id}");
            (id, admin.delete(&path).await)
        })
        .buffer_unordered(MAX_CONCURRENT);
    while let Some((id, outcome)) = revoked.next().await {
        match outcome {
            Ok(()) => removal.devices += 1,
            Err(failure) => removal.left.push(Leftover::device(id, &failure)),
        }
    }
}

/// Archives a copy, then deletes it unless it is kept.
async fn remove_event(admin: &Client, event: &Event, keep: bool, removal: &mut Removal) {
    let (id, path) = (event.id, event_path(event.id));
    if event.status != EventStatus::Archived
        && let Err(failure) = archive(admin, event, &path).await
    {
        removal.left.push(Leftover::open_event(id, failure.to_string()));
        return;
    }
    if keep {
        removal.left.push(Leftover::event(id, KEPT));
        return;
    }
    if !event.rehearsal {
        let reason = "the server does not say that a rehearsal made it";
        removal.left.push(Leftover::event(id, reason));
        return;
    }
    match admin.delete(&path).await {
        Ok(()) => removal.events.push(id),
        Err(failure) => removal.left.push(Leftover::event(id, failure.to_string())),
    }
}

async fn archive(admin: &Client, event: &Event, path: &str) -> Result<(), Failure> {
    let put = serde_json::to_value(event).and_then(serde_json::from_value::<EventPut>);
    let put = EventPut {
        status: EventStatus::Archived,
        // Absent classes stay.
        ticket_classes: None,
        ..put.map_err(|error| Failure::invalid("the event", error))?
    };
    admin.put::<Event>(path, &put).await.map(drop)
}
