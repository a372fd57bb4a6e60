//! `device list`: the devices with what an operator looks for on the day: state, gate, battery, waiting scans.

use std::collections::HashMap;

use comfy_table::Cell;
use serde::Serialize;
use voelgoed_scan_core::model::{
    App, Device, DeviceId, DeviceState, DeviceStatus, EventId, GateId, ScanSession, SessionStatus, Timestamp,
};

use super::super::named_rows::with_id;
use super::super::tables::or_dash;
use super::DEVICES;
use crate::client::{Client, Query};
use crate::failure::Failure;
use crate::names::Directory;
use crate::output::{Report, json, status_cell};
use crate::view::View;

const COLUMNS: &[&str] = &[
    "NAME",
    "STATE",
    "GATE",
    "BATTERY",
    "WAITING",
    "APP",
    "LAST SEEN",
    "STATUS",
    "DEVICE ID",
];

const COLUMNS_WITH_ID: &[&str] = &[
    "NAME",
    "STATE",
    "GATE",
    "BATTERY",
    "WAITING",
    "APP",
    "LAST SEEN",
    "STATUS",
    "DEVICE ID",
    "ID",
];

/// A device with its state and the gate of its active session.
#[derive(Debug, Serialize)]
struct ListedDevice {
    #[serde(flatten)]
    device: Device,
    state: DeviceState,
    event_id: Option<EventId>,
    event_name: Option<String>,
    gate_id: Option<GateId>,
    gate_name: Option<String>,
}

/// Lists the devices, with this status or of every one. Those of rehearsals are left out unless `all` are wanted.
pub(super) async fn run(
    client: &Client,
    status: Option<DeviceStatus>,
    all: bool,
    view: View,
) -> Result<Report, Failure> {
    let mut query = Query::new(DEVICES);
    query.add("status", status);
    let devices: Vec<Device> = client.all(&query.path()).await?;
    let now = client.server_time().await?;
    let mut query = Query::new("/api/v1/scanning/sessions");
    query.add("status", Some(SessionStatus::Active));
    let sessions: Vec<ScanSession> = client.all(&query.path()).await?;
    let gates: HashMap<DeviceId, (EventId, GateId)> = sessions
        .iter()
        .map(|session| (session.device_id, (session.event_id, session.gate_id)))
        .collect();
    let directory = Directory::of_events(client, sessions.iter().map(|session| session.event_id)).await?;
    let rows = devices
        .into_iter()
        .filter(|device| all || !device.settings.is_rehearsal())
        .map(|device| ListedDevice::new(device, now, &gates, &directory))
        .map(|listed| Ok((json(&listed)?, listed.cells(&directory, view))))
        .collect::<Result<_, Failure>>()?;
    let columns = if view.ids { COLUMNS_WITH_ID } else { COLUMNS };
    Ok(Report::rows(columns, rows))
}

impl ListedDevice {
    fn new(
        device: Device,
        now: Timestamp,
        gates: &HashMap<DeviceId, (EventId, GateId)>,
        directory: &Directory,
    ) -> Self {
        let at = gates.get(&device.id).copied();
        Self {
            state: DeviceState::at(device.last_seen_at, now),
            event_id: at.map(|(event, _)| event),
            event_name: at.and_then(|(event, _)| directory.event(event).map(str::to_owned)),
            gate_id: at.map(|(_, gate)| gate),
            gate_name: at.and_then(|(event, gate)| directory.gate(event, gate).map(str::to_owned)),
            device,
        }
    }

    fn cells(&self, directory: &Directory, view: View) -> Vec<Cell> {
        let device = &self.device;
        let battery = device.battery.map(|charge| format!("{:.0} %", charge * 100.0));
        let gate = self
            .gate_id
            .map(|gate| view.name(gate, self.gate_name.as_deref()));
        let zone = self.event_id.and_then(|event| directory.zone(event));
        let last_seen = device.last_seen_at.map(|at| view.time(at, zone.as_ref()));
        let cells = vec![
            Cell::new(&device.name),
            status_cell(self.state),
            Cell::new(or_dash(gate)),
            Cell::new(or_dash(battery)),
            Cell::new(or_dash(device.waiting)),
            Cell::new(or_dash(device.app.as_ref().map(app_text))),
            Cell::new(or_dash(last_seen)),
            status_cell(device.status),
            Cell::new(&device.device_id),
        ];
        with_id(cells, device.id, view)
    }
}

/// An app with its version, such as `Gate 2.1`.
fn app_text(app: &App) -> String {
    format!("{} {}", app.name, app.version)
}
