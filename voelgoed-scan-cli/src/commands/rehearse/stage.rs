//! What do the simulated devices scan? A live copy of an event with tickets of its own, and what becomes of it.
//!
//! Nothing can be deleted from a gate's history, so what stays is made harmless: devices revoked, copy archived.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use serde::Serialize;
use voelgoed_scan_core::model::{
    DeviceId, DeviceLabel, DeviceRegister, DeviceSettings, DeviceType, Event, EventId, EventPut, EventStatus,
    Gate, GateId, GatePut, GateStatus, Name, RawScanRequest, ScanAnswer, ScanSession, SessionStart,
    SigningKey, TicketCode,
};
use voelgoed_scan_core::token::Keyring;
use voelgoed_scan_server::config::Secrets;
use voelgoed_scan_server::secret::SecretError;

use super::super::device::Registered;
use super::super::ticket::import::{Said, said};
use crate::client::{Client, Upload};
use crate::failure::Failure;
use crate::world;

/// How many calls are made side by side while the stage is built.
const AT_ONCE: usize = 16;

/// How long a device's calls take to come back that the limit lets it make at once: twice what it lets it make in a second.
const REFILL: Duration = Duration::from_secs(2);

/// After how long one call more is let through by a server that is set as usual, with 50 a second.
const USUAL_PACE: Duration = Duration::from_millis(20);

/// The capacity of a copy of what has one: it is counted as at the original, and nobody is kept out.
const AMPLE: u32 = 1_000_000_000;

/// What is needed.
pub(super) struct Cast {
    pub(super) devices: u32,
    /// Tickets to be scanned once.
    pub(super) fresh: usize,
    /// Tickets that were scanned before.
    pub(super) seen: usize,
    pub(super) secret_key_file: Option<PathBuf>,
}

/// What the devices scan with, and what.
pub(super) struct Made {
    pub(super) tokens: Vec<String>,
    pub(super) fresh: Vec<String>,
    pub(super) seen: Vec<String>,
}

/// What stays behind.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Left {
    /// The archived copy.
    pub(super) event_id: EventId,
    /// Revoked devices.
    pub(super) devices: usize,
    /// Tickets of the copy.
    pub(super) tickets: usize,
}

/// The copy, and what was made for it so far.
pub(super) struct Stage {
    admin: Client,
    original: EventId,
    copy: EventId,
    put: Option<EventPut>,
    devices: Vec<DeviceId>,
    tickets: usize,
}

impl Stage {
    pub(super) fn new(admin: Client, original: EventId) -> Self {
        Self {
            admin,
            original,
            copy: EventId::generate(world::now()),
            put: None,
            devices: Vec::new(),
            tickets: 0,
        }
    }

    /// Makes the copy and all that scans there.
    pub(super) async fn build(&mut self, cast: &Cast, bar: &ProgressBar) -> Result<Made, Failure> {
        bar.set_message("copying the event");
        let gates = self.copy_event().await?;
        bar.set_message(format!("registering {} devices", cast.devices));
        let tokens = self.register(cast.devices, &gates).await?;
        bar.set_message(format!("making {} tickets", cast.fresh + cast.seen));
        let codes = self.import(cast.fresh + cast.seen).await?;
        let mut fresh = self.payloads(codes, cast, bar).await?;
        let seen = fresh.split_off(cast.fresh.min(fresh.len()));
        bar.set_message("scanning the tickets that are to be duplicates");
        self.scan_ahead(&tokens, &seen).await?;
        Ok(Made { tokens, fresh, seen })
    }

    async fn copy_event(&mut self) -> Result<Vec<GateId>, Failure> {
        let (from, to) = (self.path(self.original), self.path(self.copy));
        let event: Event = self.admin.get(&from).await?;
        let gates: Vec<Gate> = self.admin.all(&format!("{from}/gates")).await?;
        if gates.is_empty() {
            return Err(Failure::unfit("the event", "has no gate to scan at"));
        }
        let title = format!("Rehearsal: {}", event.name);
        let title: String = title.chars().take(Name::MAX).collect();
        let put = EventPut {
            name: Name::new(title).map_err(|error| Failure::unfit("the copy's name", error))?,
            status: EventStatus::Live,
            starts_at: event.starts_at,
            ends_at: event.ends_at,
            capacity: event.capacity.map(|_| AMPLE),
            reentry: event.reentry,
            allow_unsigned: false,
            ticket_classes: None,
            stale_manifest: event.stale_manifest,
            manifest_max_age_s: event.manifest_max_age_s,
        };
        // From here on there is something to put away, whatever the answer.
        self.put = Some(put.clone());
        self.admin.put::<Event>(&to, &put).await?;
        let mut copies = Vec::with_capacity(gates.len());
        for gate in gates {
            let copy = GateId::generate(world::now());
            let put = GatePut {
                name: gate.name,
                code: gate.code,
                status: GateStatus::Open,
                capacity: gate.capacity.map(|_| AMPLE),
                ticket_classes: None,
            };
            self.admin
                .put::<Gate>(&format!("{to}/gates/{copy}"), &put)
                .await?;
            copies.push(copy);
        }
        Ok(copies)
    }

    /// Devices with their sessions, spread over the gates; their tokens.
    async fn register(&mut self, count: u32, gates: &[GateId]) -> Result<Vec<String>, Failure> {
        let (admin, copy) = (&self.admin, self.copy);
        // The end of the copy's id is random: no other rehearsal's devices are called alike.
        let mark: String = copy.to_string().chars().skip(24).collect();
        let posts = (1..=count).zip(gates.iter().copied().cycle());
        let mut made = stream::iter(posts)
            .map(|(at, gate)| {
                let label = format!("rehearsal-{mark}-{at}");
                async move { (post(admin, copy, gate, &label).await, label) }
            })
            .buffer_unordered(AT_ONCE);
        let mut tokens = Vec::new();
        let mut failed = None;
        while let Some((post, _)) = made.next().await {
            let (device, outcome) = post;
            self.devices.extend(device);
            match outcome {
                Ok(token) => tokens.push(token),
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        failed.map_or(Ok(tokens), Err)
    }

    async fn import(&mut self, count: usize) -> Result<Vec<TicketCode>, Failure> {
        let upload = Upload::of_lines(std::iter::repeat_n("{}".to_owned(), count));
        let path = format!("{}/tickets?return=codes", self.path(self.copy));
        let mut answer = said(self.admin.upload(&path, upload).await?);
        let mut codes = Vec::with_capacity(count);
        while let Some(said) = answer.try_next().await? {
            match said {
                Said::Line(line) => {
                    self.tickets += 1;
                    codes.push(line.code);
                }
                Said::Counts(counts) => {
                    if let Some(error) = counts.errors.into_iter().next() {
                        return Err(Failure::unfit("a ticket", error.message));
                    }
                }
            }
        }
        Ok(codes)
    }

    /// The tickets' payloads: signed here where the secret is at hand, else as the server draws them.
    async fn payloads(
        &self,
        codes: Vec<TicketCode>,
        cast: &Cast,
        bar: &ProgressBar,
    ) -> Result<Vec<String>, Failure> {
        if let Some(keyring) = self.keyring(cast).await? {
            let signed: Option<Vec<String>> = codes.into_iter().map(|code| keyring.sign_vg1(code)).collect();
            return signed.ok_or_else(|| Failure::unfit("the organization", "has no active vg1 key"));
        }
        let (total, admin, event) = (codes.len(), &self.admin, self.path(self.copy));
        let event = event.as_str();
        let mut payloads = Vec::with_capacity(total);
        let mut coming = stream::iter(codes)
            .map(|code| async move {
                let path = format!("{event}/tickets/{code}/qr?format=vg1&as=text");
                admin.file(&path).await
            })
            .buffer_unordered(AT_ONCE);
        while let Some(bytes) = coming.try_next().await? {
            payloads.push(String::from_utf8_lossy(bytes.trim_ascii()).into_owned());
            if payloads.len().is_multiple_of(500) {
                bar.set_message(format!("fetching payloads: {} of {total}", payloads.len()));
            }
        }
        Ok(payloads)
    }

    async fn keyring(&self, cast: &Cast) -> Result<Option<Keyring>, Failure> {
        let secrets = Secrets {
            secret_key_file: cast.secret_key_file.clone(),
            ..Secrets::default()
        };
        // Asked as a server without a database file would: nothing is made where it is missing.
        let master = match secrets.master("postgres://") {
            Ok(master) => master,
            Err(SecretError::Missing) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let event: Event = self.admin.get(&self.path(self.copy)).await?;
        let keys: Vec<SigningKey> = self.admin.all("/api/v1/signing-keys").await?;
        Keyring::derive(&master, event.organization_id, &keys)
            .map(Some)
            .map_err(|error| Failure::unfit("the master secret", error))
    }

    /// Scans what is to be scanned again, and waits until the server lets the devices call as if they had not: the
    /// rehearsal is to find the limit that a gate would find.
    async fn scan_ahead(&self, tokens: &[String], seen: &[String]) -> Result<(), Failure> {
        let limited = &AtomicBool::new(false);
        let clients = tokens
            .iter()
            .take(AT_ONCE)
            .map(|token| self.admin.with_token(token).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        stream::iter(seen.iter().zip(clients.iter().cycle()))
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, |(payload, client)| async move {
                let request = RawScanRequest {
                    qr: Some(payload.clone()),
                    ticket_code: None,
                    scan_id: None,
                    scanned_at: None,
                    direction: voelgoed_scan_core::model::Direction::Entry,
                    metadata: None,
                    override_: None,
                    dry_run: false,
                };
                patiently(client, &request, limited).await
            })
            .await?;
        let each = u32::try_from(seen.len().div_ceil(clients.len().max(1))).unwrap_or(u32::MAX);
        let used = REFILL.min(USUAL_PACE.saturating_mul(each));
        let refill = if limited.load(Ordering::Relaxed) {
            REFILL
        } else {
            used
        };
        tokio::time::sleep(refill).await;
        Ok(())
    }

    /// Puts the copy away; what stays.
    pub(super) async fn strike(self) -> Result<Left, Failure> {
        let admin = &self.admin;
        let revoked: Vec<Result<(), Failure>> = stream::iter(&self.devices)
            .map(|id| async move { admin.delete(&format!("/api/v1/scanning/devices/{id}")).await })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        if let Some(mut put) = self.put {
            put.status = EventStatus::Archived;
            let path = format!("/api/v1/events/{}", self.copy);
            self.admin.put::<Event>(&path, &put).await?;
        }
        let devices = revoked.len();
        revoked.into_iter().collect::<Result<(), _>>()?;
        Ok(Left {
            event_id: self.copy,
            devices,
            tickets: self.tickets,
        })
    }

    #[expect(clippy::unused_self, reason = "reads as what it is: a path of this server")]
    fn path(&self, event: EventId) -> String {
        format!("/api/v1/events/{event}")
    }
}

/// A device that stands at a gate: its id where it was registered, and its token where it got there.
async fn post(
    admin: &Client,
    event: EventId,
    gate: GateId,
    label: &str,
) -> (Option<DeviceId>, Result<String, Failure>) {
    let registered: Result<Registered, Failure> = async {
        let device = DeviceRegister {
            device_id: label
                .parse::<DeviceLabel>()
                .map_err(|error| Failure::unfit(label, error))?,
            name: Name::new(label).map_err(|error| Failure::unfit(label, error))?,
            device_type: DeviceType::Scanner,
            settings: DeviceSettings::default(),
        };
        admin.post("/api/v1/scanning/devices", &device).await
    }
    .await;
    let Registered { device, token } = match registered {
        Ok(registered) => registered,
        Err(failure) => return (None, Err(failure)),
    };
    let started = async {
        let start = SessionStart {
            event_id: event,
            gate_id: gate,
            replace: false,
        };
        let client = admin.with_token(&token)?;
        client
            .post::<ScanSession>("/api/v1/scanning/sessions", &start)
            .await
    };
    let started = started.await.map(|_| token.clone());
    (Some(device.id), started)
}

/// Scans as often as it takes to get past the server's limit of calls, and notes where there was one.
async fn patiently(client: &Client, request: &RawScanRequest, limited: &AtomicBool) -> Result<(), Failure> {
    loop {
        match client.post::<ScanAnswer>("/api/v1/scanning/scan", request).await {
            Ok(_) => return Ok(()),
            Err(Failure::Refused(problem)) if problem.status == 429 => {
                limited.store(true, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}
