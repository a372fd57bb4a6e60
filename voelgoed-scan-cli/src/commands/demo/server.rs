//! The server of the demo: it runs in this process and is set up over HTTP, as any other server.

use std::path::PathBuf;

use tempfile::TempDir;
use voelgoed_scan_core::model::{
    AuditContext, ClassName, Event, EventId, EventPut, EventStatus, Gate, GateId, GatePut, GateStatus, Name,
    OrganizationId, SettableStatus, SigningKey, Ticket, TicketCode, TicketPatch,
};
use voelgoed_scan_core::token::{Keyring, MasterSecret};
use voelgoed_scan_server::{Config, Running};

use super::super::device::{register_device, scanner};
use super::super::session;
use super::super::ticket::import::import_tickets;
use crate::client::Client;
use crate::env;
use crate::failure::Failure;

/// The number of tickets of the event. The first [`VIP_TICKETS`] are VIP tickets.
pub(super) const TICKETS: usize = 50;

const VIP_TICKETS: usize = 10;

/// A scanner with an active session at a gate.
pub(super) struct DemoScanner {
    pub(super) gate: GateId,
    pub(super) token: String,
    pub(super) client: Client,
}

/// A running server with an organization, two events, two gates, two scanners and tickets.
pub(super) struct DemoServer {
    running: Running,
    master: MasterSecret,
    admin: Client,
    pub(super) organization: OrganizationId,
    pub(super) api_key: String,
    pub(super) event: EventId,
    pub(super) other_event: EventId,
    pub(super) main: DemoScanner,
    pub(super) vip: DemoScanner,
    /// The standard tickets of the event.
    pub(super) tickets: Vec<TicketCode>,
    /// A ticket of the other event.
    pub(super) other_ticket: TicketCode,
    /// The payload of the first standard ticket, which the scenarios scan.
    pub(super) first_qr: String,
    // Dropped, and so removed, after the server has stopped.
    _folder: Option<TempDir>,
}

impl DemoServer {
    /// Starts the server and creates the sample data. Without `dir`, the database is in a temporary folder.
    pub(super) async fn start(dir: Option<PathBuf>, listen: String) -> Result<Self, Failure> {
        let (folder, path) = if let Some(dir) = dir {
            std::fs::create_dir_all(&dir).map_err(|error| Failure::file(&dir, error))?;
            (None, dir)
        } else {
            let folder = tempfile::Builder::new().prefix("voelgoed-scan-demo-").tempdir()?;
            let path = folder.path().to_owned();
            (Some(folder), path)
        };
        let url = format!("sqlite://{}", path.join("demo.db").display());
        let config = Config {
            listen,
            // The secret comes first, because the demo signs with it too.
            create: true,
            ..Config::on_free_port(url)
        };
        let master = config.secrets.master(&config.database_url)?;
        let running = voelgoed_scan_server::start(config).await?;
        let address = format!("http://{}", reachable(running.address()));

        let (organization, _, secret) = running
            .admin()
            .create_organization(name("Voelgoed Demo")?, &AuditContext::cli(), env::now())
            .await?;
        let api_key = secret.reveal().to_owned();
        let admin = Client::new(&address, None, None)?.with_token(&api_key)?;
        let event = put_event(&admin, "Summer Night", Some(2000)).await?;
        let other_event = put_event(&admin, "Winter Night", None).await?;
        let main = put_gate(&admin, event, "Main", 500, None).await?;
        let vip = put_gate(&admin, event, "VIP", 100, Some(vec![class("VIP")?])).await?;
        let mut tickets = import(&admin, event, TICKETS).await?;
        let other_ticket = import(&admin, other_event, 1)
            .await?
            .pop()
            .ok_or_else(too_few_tickets)?;
        let main = start_scanner(&admin, event, main, "door-1", "Door 1").await?;
        let vip = start_scanner(&admin, event, vip, "door-2", "Door 2").await?;
        let tickets = tickets.split_off(VIP_TICKETS.min(tickets.len()));
        let mut server = Self {
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
            other_ticket,
            first_qr: String::new(),
            _folder: folder,
        };
        server.first_qr = server.qr(server.event, server.ticket(0)?).await?;
        Ok(server)
    }

    /// The server's address.
    pub(super) fn address(&self) -> &str {
        self.admin.server()
    }

    /// The code of the standard ticket at this index.
    pub(super) fn ticket(&self, index: usize) -> Result<TicketCode, Failure> {
        self.tickets.get(index).copied().ok_or_else(too_few_tickets)
    }

    /// The payload of a ticket's QR code.
    pub(super) async fn qr(&self, event: EventId, code: TicketCode) -> Result<String, Failure> {
        let path = format!("/api/v1/events/{event}/tickets/{code}/qr?format=vg1&as=text");
        let bytes = self.admin.get_bytes(&path).await?;
        Ok(String::from_utf8_lossy(&bytes).trim_ascii().to_owned())
    }

    /// The payload of a ticket that no scenario scans.
    pub(super) async fn unused_qr(&self) -> Result<String, Failure> {
        self.qr(self.event, self.ticket(self.tickets.len().saturating_sub(1))?)
            .await
    }

    /// A payload with a genuine signature over a code of no ticket.
    pub(super) async fn unknown_ticket_qr(&self) -> Result<String, Failure> {
        let keys: Vec<SigningKey> = self.admin.all("/api/v1/signing-keys").await?;
        Keyring::derive(&self.master, self.organization, &keys)
            .ok()
            .and_then(|keyring| keyring.sign_vg1(TicketCode::generate()))
            .ok_or_else(|| Failure::invalid("the keyring", "has no active vg1 key"))
    }

    /// Voids a ticket of the event.
    pub(super) async fn void(&self, code: TicketCode) -> Result<(), Failure> {
        let path = format!("/api/v1/events/{}/tickets/{code}", self.event);
        let patch = TicketPatch {
            status: SettableStatus::Voided,
        };
        self.admin.patch::<Ticket>(&path, &patch).await.map(drop)
    }

    /// Stops the server, then removes the temporary folder.
    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

fn name(text: &str) -> Result<Name, Failure> {
    Name::new(text).map_err(|error| Failure::invalid(text, error))
}

fn class(text: &str) -> Result<ClassName, Failure> {
    ClassName::new(text).map_err(|error| Failure::invalid(text, error))
}

fn too_few_tickets() -> Failure {
    Failure::invalid("the import", "created fewer tickets than it was given")
}

/// An address that clients can connect to, also where the server listens on all addresses.
fn reachable(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

async fn put_event(admin: &Client, title: &str, capacity: Option<u32>) -> Result<EventId, Failure> {
    let id = EventId::generate(env::now());
    let event = EventPut {
        capacity,
        ..EventPut::new(name(title)?, EventStatus::Live)
    };
    admin
        .put::<Event>(&format!("/api/v1/events/{id}"), &event)
        .await?;
    Ok(id)
}

async fn put_gate(
    admin: &Client,
    event: EventId,
    title: &str,
    capacity: u32,
    ticket_classes: Option<Vec<ClassName>>,
) -> Result<GateId, Failure> {
    let id = GateId::generate(env::now());
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
    let lines = (0..count).map(move |index| {
        let class = if index < VIP_TICKETS && count > VIP_TICKETS {
            "VIP"
        } else {
            "Standard"
        };
        let (row, seat) = (index / 10 + 1, index % 10 + 1);
        format!(r#"{{"ticket_class":"{class}","seat":{{"block":"A","row":"{row}","number":"{seat}"}}}}"#)
    });
    let tickets = import_tickets(admin, event, lines).await?;
    Ok(tickets.into_iter().map(|ticket| ticket.code).collect())
}

async fn start_scanner(
    admin: &Client,
    event: EventId,
    gate: GateId,
    label: &str,
    title: &str,
) -> Result<DemoScanner, Failure> {
    let token = register_device(admin, &scanner(label, title)?).await?.token;
    let client = admin.with_token(&token)?;
    session::start(&client, event, gate, false).await?;
    Ok(DemoScanner { gate, token, client })
}
