//! What does the demo play on? A server in this process, set up over HTTP like any other.

use std::path::PathBuf;

use futures_util::TryStreamExt;
use tempfile::TempDir;
use voelgoed_scan_core::model::{
    ClassName, DeviceLabel, DeviceRegister, DeviceSettings, DeviceType, Event, EventId, EventPut,
    EventStatus, Gate, GateId, GatePut, GateStatus, Name, OrganizationId, Reentry, ScanSession, SessionStart,
    SigningKey, StaleManifest, TicketCode,
};
use voelgoed_scan_core::token::{Keyring, MasterSecret};
use voelgoed_scan_server::{Config, Running};

use super::super::device::Registered;
use super::super::ticket::import::{Said, said};
use crate::client::{Client, Upload};
use crate::failure::Failure;
use crate::world;

/// How many tickets the event has: the first [`VIPS`] are VIP tickets.
pub(super) const TICKETS: usize = 50;

/// How many of them are VIP tickets.
const VIPS: usize = 10;

/// A scanner at its gate.
pub(super) struct Post {
    pub(super) gate: GateId,
    pub(super) token: String,
    pub(super) client: Client,
}

/// A server with everything that the demo needs.
pub(super) struct Stage {
    running: Running,
    master: MasterSecret,
    admin: Client,
    pub(super) organization: OrganizationId,
    pub(super) api_key: String,
    pub(super) event: EventId,
    pub(super) other_event: EventId,
    pub(super) main: Post,
    pub(super) vip: Post,
    /// Tickets of the event that are no VIP tickets.
    pub(super) tickets: Vec<TicketCode>,
    /// A ticket of the other event.
    pub(super) stray: TicketCode,
    /// The payload of the first ticket, which the story scans.
    pub(super) first: String,
    // Removed with the stage, after the server stopped.
    _folder: Option<TempDir>,
}

impl Stage {
    /// Starts the server and sets everything up.
    pub(super) async fn build(dir: Option<PathBuf>, listen: String) -> Result<Self, Failure> {
        let (folder, path) = if let Some(dir) = dir {
            let unwritable = |error| Failure::File {
                path: dir.clone(),
                error,
            };
            std::fs::create_dir_all(&dir).map_err(unwritable)?;
            (None, dir)
        } else {
            let folder = tempfile::Builder::new().prefix("voelgoed-scan-demo-").tempdir()?;
            let path = folder.path().to_owned();
            (Some(folder), path)
        };
        let url = format!("sqlite://{}", path.join("demo.db").display());
        let config = Config {
            listen,
            ..Config::on_free_port(url)
        };
        let master = config.secrets.master(&config.database_url)?;
        let running = voelgoed_scan_server::start(config).await?;
        let server = format!("http://{}", reachable(running.address()));

        let (organization, _, secret) = running
            .admin()
            .create_organization(name("Voelgoed Demo")?, world::now())
            .await?;
        let api_key = secret.reveal().to_owned();
        let admin = Client::new(&server, None, None)?.with_token(&api_key)?;
        let event = event(&admin, "Summer Night", Some(2000)).await?;
        let other_event = self::event(&admin, "Winter Night", None).await?;
        let main = gate(&admin, event, "Main", 500, None).await?;
        let vip = gate(&admin, event, "VIP", 100, Some(vec![class("VIP")?])).await?;
        let mut tickets = import(&admin, event, TICKETS).await?;
        let stray = import(&admin, other_event, 1).await?.pop().ok_or_else(too_few)?;
        let main = post(&admin, event, main, "door-1", "Door 1").await?;
        let vip = post(&admin, event, vip, "door-2", "Door 2").await?;
        let tickets = tickets.split_off(VIPS.min(tickets.len()));
        let mut stage = Self {
            running,
            master,
            admin,
            organization: organization.id,
            api_key,
            event,
            other_event,
            main,
            vip,
            tickets,
            stray,
            first: String::new(),
            _folder: folder,
        };
        stage.first = stage.qr(stage.event, stage.ticket(0)?).await?;
        Ok(stage)
    }

    /// The server's address.
    pub(super) fn server(&self) -> &str {
        self.admin.server()
    }

    /// The code of a ticket of the event that is no VIP ticket.
    pub(super) fn ticket(&self, at: usize) -> Result<TicketCode, Failure> {
        self.tickets.get(at).copied().ok_or_else(too_few)
    }

    /// The payload of a ticket, as its holder shows it.
    pub(super) async fn qr(&self, event: EventId, code: TicketCode) -> Result<String, Failure> {
        let bytes = self
            .admin
            .file(&format!(
                "/api/v1/events/{event}/tickets/{code}/qr?format=vg1&as=text"
            ))
            .await?;
        Ok(String::from_utf8_lossy(&bytes).trim_ascii().to_owned())
    }

    /// The payload of a ticket that the story leaves alone.
    pub(super) async fn spare(&self) -> Result<String, Failure> {
        self.qr(self.event, self.ticket(self.tickets.len().saturating_sub(1))?)
            .await
    }

    /// A payload with a genuine signature over a code that nobody has.
    pub(super) async fn of_nobody(&self) -> Result<String, Failure> {
        let keys: Vec<SigningKey> = self.admin.all("/api/v1/signing-keys").await?;
        Keyring::derive(&self.master, self.organization, &keys)
            .ok()
            .and_then(|keyring| keyring.sign_vg1(TicketCode::generate()))
            .ok_or_else(|| Failure::unfit("the keyring", "signs nothing"))
    }

    /// Takes a ticket back.
    pub(super) async fn void(&self, code: TicketCode) -> Result<(), Failure> {
        let path = format!("/api/v1/events/{}/tickets/{code}", self.event);
        let patch = voelgoed_scan_core::model::TicketPatch {
            status: voelgoed_scan_core::model::SettableStatus::Voided,
        };
        self.admin
            .patch::<voelgoed_scan_core::model::Ticket>(&path, &patch)
            .await
            .map(drop)
    }

    /// Serves until somebody has had enough.
    pub(super) async fn serve(&self) {
        world::enough().await;
    }

    /// Stops the server and removes what was temporary.
    pub(super) async fn strike(self) {
        self.running.stop().await;
    }
}

fn name(text: &str) -> Result<Name, Failure> {
    Name::new(text).map_err(|error| Failure::unfit(text, error))
}

fn class(text: &str) -> Result<ClassName, Failure> {
    ClassName::new(text).map_err(|error| Failure::unfit(text, error))
}

fn too_few() -> Failure {
    Failure::unfit("the import", "made fewer tickets than it was given")
}

/// An address that can be called, where the server listens on all of them.
fn reachable(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

async fn event(admin: &Client, title: &str, capacity: Option<u32>) -> Result<EventId, Failure> {
    let id = EventId::generate(world::now());
    let event = EventPut {
        name: name(title)?,
        status: EventStatus::Live,
        starts_at: None,
        ends_at: None,
        capacity,
        reentry: Reentry::Never,
        allow_unsigned: false,
        ticket_classes: None,
        stale_manifest: StaleManifest::Warn,
        manifest_max_age_s: 43_200,
    };
    admin
        .put::<Event>(&format!("/api/v1/events/{id}"), &event)
        .await?;
    Ok(id)
}

async fn gate(
    admin: &Client,
    event: EventId,
    title: &str,
    capacity: u32,
    ticket_classes: Option<Vec<ClassName>>,
) -> Result<GateId, Failure> {
    let id = GateId::generate(world::now());
    let gate = GatePut {
        name: name(title)?,
        code: None,
        status: GateStatus::Open,
        capacity: Some(capacity),
        ticket_classes,
    };
    admin
        .put::<Gate>(&format!("/api/v1/events/{event}/gates/{id}"), &gate)
        .await?;
    Ok(id)
}

async fn import(admin: &Client, event: EventId, count: usize) -> Result<Vec<TicketCode>, Failure> {
    let lines = (0..count).map(|at| {
        let class = if at < VIPS && count > VIPS {
            "VIP"
        } else {
            "Standard"
        };
        let (row, seat) = (at / 10 + 1, at % 10 + 1);
        format!(r#"{{"ticket_class":"{class}","seat":{{"block":"A","row":"{row}","number":"{seat}"}}}}"#)
    });
    let upload = Upload::of_lines(lines.collect::<Vec<_>>().into_iter());
    let answer = admin
        .upload(&format!("/api/v1/events/{event}/tickets?return=codes"), upload)
        .await?;
    said(answer)
        .try_filter_map(|said| {
            std::future::ready(Ok(match said {
                Said::Line(line) => Some(line.code),
                Said::Counts(_) => None,
            }))
        })
        .try_collect()
        .await
}

async fn post(
    admin: &Client,
    event: EventId,
    gate: GateId,
    label: &str,
    title: &str,
) -> Result<Post, Failure> {
    let device = DeviceRegister {
        device_id: label
            .parse::<DeviceLabel>()
            .map_err(|error| Failure::unfit(label, error))?,
        name: name(title)?,
        device_type: DeviceType::Scanner,
        settings: DeviceSettings::default(),
    };
    let Registered { token, .. } = admin.post("/api/v1/scanning/devices", &device).await?;
    let client = admin.with_token(&token)?;
    let start = SessionStart {
        event_id: event,
        gate_id: gate,
        replace: false,
    };
    client
        .post::<ScanSession>("/api/v1/scanning/sessions", &start)
        .await?;
    Ok(Post { gate, token, client })
}
