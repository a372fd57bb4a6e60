//! `device list`: the devices with what an operator looks for on the day: state, gate, battery, waiting scans.

use std::collections::HashMap;

use comfy_table::Cell;
use serde::Serialize;
use voelgoed_scan_core::model::{
    App, Device, DeviceId, DeviceState, DeviceStatus, EventId, Gate, GateId, ScanSession, SessionStatus,
    Timestamp,
};

use super::super::tables::or_dash;
use super::DEVICES;
use crate::client::{Client, Query};
use crate::failure::Failure;
use crate::output::{Report, TableRow, status_cell};

/// A device with its state and the gate of its active session.
#[derive(Debug, Serialize)]
struct ListedDevice {
    #[serde(flatten)]
    device: Device,
    state: DeviceState,
    event_id: Option<EventId>,
    gate_id: Option<GateId>,
    gate_name: Option<String>,
}

/// Lists the devices, with this status or all.
pub(super) async fn run(client: &Client, status: Option<DeviceStatus>) -> Result<Report, Failure> {
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
    let names = gate_names(client, &sessions).await?;
    let listed: Vec<_> = devices
        .into_iter()
        .map(|device| ListedDevice::new(device, now, &gates, &names))
        .collect();
    Report::list(&listed)
}

/// The names of the gates at which sessions are active. One request for each event.
async fn gate_names(
    client: &Client,
    sessions: &[ScanSession],
) -> Result<HashMap<(EventId, GateId), String>, Failure> {
    let mut events: Vec<EventId> = sessions.iter().map(|session| session.event_id).collect();
    events.sort_unstable();
    events.dedup();
    let mut names = HashMap::new();
    for event in events {
        let gates: Vec<Gate> = client.all(&format!("/api/v1/events/{event}/gates")).await?;
        names.extend(
            gates
                .into_iter()
                .map(|gate| ((event, gate.id), gate.name.to_string())),
        );
    }
    Ok(names)
}

impl ListedDevice {
    fn new(
        device: Device,
        now: Timestamp,
        gates: &HashMap<DeviceId, (EventId, GateId)>,
        names: &HashMap<(EventId, GateId), String>,
    ) -> Self {
        let at = gates.get(&device.id).copied();
        Self {
            state: DeviceState::at(device.last_seen_at, now),
            event_id: at.map(|(event, _)| event),
            gate_id: at.map(|(_, gate)| gate),
            gate_name: at.and_then(|at| names.get(&at).cloned()),
            device,
        }
    }
}

/// An app with its version, such as `Gate 2.1`.
fn app_text(app: &App) -> String {
    format!("{} {}", app.name, app.version)
}

impl TableRow for ListedDevice {
    const COLUMNS: &'static [&'static str] = &[
        "DEVICE ID",
        "NAME",
        "STATE",
        "GATE",
        "BATTERY",
        "WAITING",
        "APP",
        "LAST SEEN",
        "STATUS",
        "ID",
    ];

    fn cells(&self) -> Vec<Cell> {
        let device = &self.device;
        let battery = device.battery.map(|charge| format!("{:.0} %", charge * 100.0));
        vec![
            Cell::new(&device.device_id),
            Cell::new(&device.name),
            status_cell(self.state),
            Cell::new(or_dash(self.gate_name.as_ref())),
            Cell::new(or_dash(battery)),
            Cell::new(or_dash(device.waiting)),
            Cell::new(or_dash(device.app.as_ref().map(app_text))),
            Cell::new(or_dash(device.last_seen_at)),
            status_cell(device.status),
            Cell::new(device.id),
        ]
    }
}
