//! The temporary copy of an event on which the simulated devices scan: its gates, devices, sessions and tickets.
//!
//! The copy is marked as one of a rehearsal, and its devices may work nowhere else. Its doors close soon after the planned end
//! of the run, so that a copy whose rehearsal was killed admits nobody, and the next rehearsal knows that nobody uses it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use voelgoed_scan_core::model::{
    DeviceId, DeviceScope, Direction, Event, EventId, EventPut, EventStatus, Gate, GateId, GatePut,
    GateStatus, Name, RawScanRequest, ScanAnswer, SigningKey, TicketCode,
};
use voelgoed_scan_core::token::Keyring;
use voelgoed_scan_server::config::Secrets;
use voelgoed_scan_server::secret::SecretError;

use super::super::device::{register_device, scanner};
use super::super::session;
use super::super::ticket::import::import_tickets;
use super::removal::{Removal, remove_copy};
use crate::client::Client;
use crate::env;
use crate::failure::Failure;

/// The number of concurrent requests that create the copy.
pub(super) const MAX_CONCURRENT: usize = 16;

/// How long the server's rate limit takes to restore the full burst of a device: the burst is twice the rate a second.
const FULL_REFILL: Duration = Duration::from_secs(2);

/// How long the default rate limit (50 a second) takes to restore one request.
const DEFAULT_REFILL: Duration = Duration::from_millis(20);

/// How long the copy may take to be created.
const MAX_PREPARATION: Duration = Duration::from_secs(60 * 60);

/// How long after its planned end a run may use the copy.
const MAX_OVERTIME: Duration = Duration::from_secs(5 * 60);

/// The capacity of a copied event or gate whose original has one. Occupancy is checked as at the original, but no scan
/// reaches the limit.
const COPY_CAPACITY: u32 = 1_000_000_000;

/// The size of a workload, and how to sign its payloads.
pub(super) struct WorkloadSize {
    pub(super) devices: u32,
    /// The number of tickets that are not scanned before the run.
    pub(super) unscanned: usize,
    /// The number of tickets that are scanned before the run, for duplicates.
    pub(super) scanned: usize,
    pub(super) secret_key_file: Option<PathBuf>,
}

/// The device tokens and payloads of a run.
pub(super) struct Workload {
    pub(super) tokens: Vec<String>,
    /// Payloads of tickets that were not scanned before the run.
    pub(super) unscanned: Vec<String>,
    /// Payloads of tickets that were scanned before the run.
    pub(super) scanned: Vec<String>,
}

/// What became of the copy.
pub(super) struct RemovedCopy {
    pub(super) event_id: EventId,
    /// The number of tickets that it had.
    pub(super) tickets: usize,
    pub(super) removal: Removal,
}

/// The copy, and what has been created for it so far.
pub(super) struct EventCopy {
    admin: Client,
    original: EventId,
    copy: EventId,
    /// The body with which the copy is put; `None` before that.
    put: Option<EventPut>,
    devices: Vec<DeviceId>,
    tickets: usize,
}

impl EventCopy {
    pub(super) fn new(admin: Client, original: EventId) -> Self {
        Self {
            admin,
            original,
            copy: EventId::generate(env::now()),
            put: None,
            devices: Vec::new(),
            tickets: 0,
        }
    }

    /// Creates the copy, its devices with their sessions, and its tickets.
    pub(super) async fn create(
        &mut self,
        size: &WorkloadSize,
        bar: &ProgressBar,
    ) -> Result<Workload, Failure> {
        bar.set_message("copying the event");
        let gates = self.copy_event().await?;
        bar.set_message(format!("registering {} devices", size.devices));
        let tokens = self.register_devices(size.devices, &gates).await?;
        bar.set_message(format!("creating {} tickets", size.unscanned + size.scanned));
        let codes = self.create_tickets(size.unscanned + size.scanned).await?;
        let mut unscanned = self.payloads(codes, size, bar).await?;
        let scanned = unscanned.split_off(size.unscanned.min(unscanned.len()));
        bar.set_message("scanning the tickets for the duplicates");
        self.scan_before_run(&tokens, &scanned).await?;
        Ok(Workload {
            tokens,
            unscanned,
            scanned,
        })
    }

    async fn copy_event(&mut self) -> Result<Vec<GateId>, Failure> {
        let (from, to) = (event_path(self.original), event_path(self.copy));
        let event: Event = self.admin.get(&from).await?;
        let gates: Vec<Gate> = self.admin.all(&format!("{from}/gates")).await?;
        if gates.is_empty() {
            return Err(Failure::invalid("the event", "has no gate to scan at"));
        }
        let title = format!("Rehearsal: {}", event.name);
        let title: String = title.chars().take(Name::MAX).collect();
        let name = Name::new(title).map_err(|error| Failure::invalid("the copy's name", error))?;
        let put = EventPut {
            starts_at: event.starts_at,
            ends_at: event.ends_at,
            time_zone: event.time_zone,
            day_starts_at: event.day_starts_at,
            capacity: event.capacity.map(|_| COPY_CAPACITY),
            reentry: event.reentry,
            stale_manifest: event.stale_manifest,
            manifest_max_age_s: event.manifest_max_age_s,
            // The doors of the original stay out: a rehearsal takes place before they open.
            doors_close_at: Some(self.admin.server_time().await?.plus(MAX_PREPARATION)),
            rehearsal: true,
            ..EventPut::new(name, EventStatus::Live)
        };
        // Set before the request: the copy must be removed even where its answer gets lost.
        self.put = Some(put.clone());
        self.admin.put::<Event>(&to, &put).await?;
        let mut copies = Vec::with_capacity(gates.len());
        for gate in gates {
            let copy = GateId::generate(env::now());
            let put = GatePut {
                name: gate.name,
                code: gate.code,
                status: GateStatus::Open,
                capacity: gate.capacity.map(|_| COPY_CAPACITY),
                ticket_classes: None,
            };
            self.admin
                .put::<Gate>(&format!("{to}/gates/{copy}"), &put)
                .await?;
            copies.push(copy);
        }
        Ok(copies)
    }

    /// Registers devices, spread over the gates, and starts their sessions. Returns their tokens.
    async fn register_devices(&mut self, count: u32, gates: &[GateId]) -> Result<Vec<String>, Failure> {
        let (admin, copy) = (&self.admin, self.copy);
        // The end of the copy's id is random, so the labels differ from those of other rehearsals.
        let suffix: String = copy.to_string().chars().skip(24).collect();
        let numbered_gates = (1..=count).zip(gates.iter().copied().cycle());
        let mut started = stream::iter(numbered_gates)
            .map(|(number, gate)| {
                let label = format!("rehearsal-{suffix}-{number}");
                async move { start_device(admin, copy, gate, &label).await }
            })
            .buffer_unordered(MAX_CONCURRENT);
        let mut tokens = Vec::new();
        let mut first_failure = None;
        while let Some((device, outcome)) = started.next().await {
            self.devices.extend(device);
            match outcome {
                Ok(token) => tokens.push(token),
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        first_failure.map_or(Ok(tokens), Err)
    }

    async fn create_tickets(&mut self, count: usize) -> Result<Vec<TicketCode>, Failure> {
        let lines = std::iter::repeat_n("{}".to_owned(), count);
        let tickets = import_tickets(&self.admin, self.copy, lines).await?;
        self.tickets = tickets.len();
        Ok(tickets.into_iter().map(|ticket| ticket.code).collect())
    }

    /// The payloads of the tickets: signed here where the master secret is given, else fetched from the server.
    async fn payloads(
        &self,
        codes: Vec<TicketCode>,
        size: &WorkloadSize,
        bar: &ProgressBar,
    ) -> Result<Vec<String>, Failure> {
        if let Some(keyring) = self.keyring(size).await? {
            let signed: Option<Vec<String>> = codes.into_iter().map(|code| keyring.sign_vg1(code)).collect();
            return signed.ok_or_else(|| Failure::invalid("the organization", "has no active vg1 key"));
        }
        let (total, admin, event) = (codes.len(), &self.admin, event_path(self.copy));
        let event = event.as_str();
        let mut payloads = Vec::with_capacity(total);
        let mut responses = stream::iter(codes)
            .map(|code| async move {
                let path = format!("{event}/tickets/{code}/qr?format=vg1&as=text");
                admin.get_bytes(&path).await
            })
            .buffer_unordered(MAX_CONCURRENT);
        while let Some(bytes) = responses.try_next().await? {
            payloads.push(String::from_utf8_lossy(bytes.trim_ascii()).into_owned());
            if payloads.len().is_multiple_of(500) {
                bar.set_message(format!("fetching payloads: {} of {total}", payloads.len()));
            }
        }
        Ok(payloads)
    }

    async fn keyring(&self, size: &WorkloadSize) -> Result<Option<Keyring>, Failure> {
        let secrets = Secrets {
            secret_key_file: size.secret_key_file.clone(),
            ..Secrets::default()
        };
        // With the URL of a database that is no file, a missing secret is an error and is not generated.
        let master = match secrets.master("postgres://") {
            Ok(master) => master,
            Err(SecretError::Missing) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let event: Event = self.admin.get(&event_path(self.copy)).await?;
        let keys: Vec<SigningKey> = self.admin.all("/api/v1/signing-keys").await?;
        Keyring::derive(&master, event.organization_id, &keys)
            .map(Some)
            .map_err(|error| Failure::invalid("the master secret", error))
    }

    /// Scans the tickets for the duplicates. Then waits until the server's rate limit has restored the devices' full
    /// burst, so that the run begins with the limits of a real gate.
    async fn scan_before_run(&self, tokens: &[String], payloads: &[String]) -> Result<(), Failure> {
        let limited = &AtomicBool::new(false);
        let clients = tokens
            .iter()
            .take(MAX_CONCURRENT)
            .map(|token| self.admin.with_token(token).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        stream::iter(payloads.iter().zip(clients.iter().cycle()))
            .map(Ok)
            .try_for_each_concurrent(MAX_CONCURRENT, |(payload, client)| async move {
                let request = RawScanRequest {
                    qr: Some(payload.clone()),
                    ticket_code: None,
                    medium: None,
                    scan_id: None,
                    scanned_at: None,
                    direction: Direction::Entry,
                    metadata: None,
                    override_: None,
                    dry_run: false,
                };
                scan_with_retries(client, &request, limited).await
            })
            .await?;
        let scans_each = u32::try_from(payloads.len().div_ceil(clients.len().max(1))).unwrap_or(u32::MAX);
        let refill = if limited.load(Ordering::Relaxed) {
            FULL_REFILL
        } else {
            FULL_REFILL.min(DEFAULT_REFILL.saturating_mul(scans_each))
        };
        tokio::time::sleep(refill).await;
        Ok(())
    }

    /// Keeps the doors of the copy open for a run that takes this long.
    pub(super) async fn open_for(&mut self, run: Duration) -> Result<(), Failure> {
        let Some(mut put) = self.put.take() else {
            return Ok(());
        };
        put.doors_close_at = Some(self.admin.server_time().await?.plus(run + MAX_OVERTIME));
        self.admin.put::<Event>(&event_path(self.copy), &put).await?;
        self.put = Some(put);
        Ok(())
    }

    /// Removes the copy and its devices, or with `keep` archives it and revokes its devices.
    pub(super) async fn remove(self, keep: bool) -> RemovedCopy {
        let removal = match self.put {
            Some(_) => remove_copy(&self.admin, self.copy, &self.devices, keep).await,
            None => Removal::default(),
        };
        RemovedCopy {
            event_id: self.copy,
            tickets: self.tickets,
            removal,
        }
    }
}

pub(super) fn event_path(event: EventId) -> String {
    format!("/api/v1/events/{event}")
}

/// Registers a device and starts its session. Returns its id where it was registered, and its token where the session
/// was started as well.
async fn start_device(
    admin: &Client,
    event: EventId,
    gate: GateId,
    label: &str,
) -> (Option<DeviceId>, Result<String, Failure>) {
    let registered = async {
        let mut device = scanner(label, label)?;
        // Nothing that a rehearsal does is a signal.
        device.settings.other.insert("rehearsal".to_owned(), true.into());
        device.scope = DeviceScope {
            event_ids: Some(vec![event]),
            gate_ids: None,
        };
        register_device(admin, &device).await
    };
    let registered = match registered.await {
        Ok(registered) => registered,
        Err(failure) => return (None, Err(failure)),
    };
    let started = async {
        let client = admin.with_token(&registered.token)?;
        session::start(&client, event, gate, false).await
    };
    let token = started.await.map(|_| registered.token.clone());
    (Some(registered.device.id), token)
}

/// Scans, and retries while the server's rate limit rejects the request. Sets `limited` where it did.
async fn scan_with_retries(
    client: &Client,
    request: &RawScanRequest,
    limited: &AtomicBool,
) -> Result<(), Failure> {
    loop {
        match client.post::<ScanAnswer>("/api/v1/scanning/scan", request).await {
            Ok(_) => return Ok(()),
            Err(Failure::Problem(problem)) if problem.status == 429 => {
                limited.store(true, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}
