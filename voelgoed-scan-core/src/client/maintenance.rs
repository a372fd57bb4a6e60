//! How does a phone make good what happened without the server, and stay fit to do without it again?

use std::sync::PoisonError;

use tokio::sync::MutexGuard;

use crate::client::request::{Call, json, refusal};
use crate::client::scanning::is_absent;
use crate::client::{ClientError, ManifestState, OfflineError, PhoneSession, ScannerClient};
use crate::manifest::ManifestError;
use crate::model::{DeviceHealth, DeviceSelf, SessionStart};
use crate::sync::SyncAnswer;

/// What handing in came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// How many scans are new on the server's record.
    pub recorded: u64,
    /// How many were on record before.
    pub replayed: u64,
    /// How many the server cannot take; they stay on the phone.
    pub rejected: u64,
    /// How many the server keeps apart.
    pub quarantined: u64,
    /// How many take part in a conflict.
    pub conflicts: u64,
}

impl SyncReport {
    fn add(&mut self, answer: &SyncAnswer) {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.recorded += number(answer.recorded);
        self.replayed += number(answer.replayed);
        self.rejected += number(answer.rejected);
        let others = answer.recorded + answer.replayed + answer.rejected;
        self.quarantined += number(answer.results.len().saturating_sub(others));
        self.conflicts += number(answer.conflicts);
    }
}

/// What asking for a newer manifest came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestRefresh {
    /// A newer one is in use.
    Taken(ManifestState),
    /// The one in use is the newest.
    Unchanged,
}

impl ScannerClient {
    /// Keeps the phone fit: hands in what waits, finds back to the server, renews the manifest, reports its health.
    /// Runs for ever; to be driven by the app for as long as it scans, and dropped when it stops.
    pub async fn run(&self) {
        let mut refreshed_at = None;
        loop {
            let now = self.setup.clock.now();
            let every = self.setup.settings.refresh_every;
            if self.link.pause(now).is_none() {
                let due = refreshed_at.is_none_or(|at| now < at || now >= at.plus(every));
                if self.keep_up(due).await && due {
                    refreshed_at = Some(now);
                }
            }
            let pause = self.link.pause(self.setup.clock.now()).unwrap_or(every);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// One round; whether the server was there.
    async fn keep_up(&self, refresh: bool) -> bool {
        let done = async {
            if refresh || !self.link.is_up() || self.gate.state().await?.waiting > 0 {
                let turn = self.turn.lock().await;
                self.make_good(&turn).await?;
            }
            if (refresh || self.lacks_manifest().await) && self.gate.station().await.is_some() {
                self.refresh_manifest().await?;
            }
            Ok(())
        };
        match done.await {
            Ok(()) => true,
            Err(error) => {
                self.went_wrong(&error);
                !is_absent(&error)
            }
        }
    }

    async fn lacks_manifest(&self) -> bool {
        let Some(station) = self.gate.station().await else {
            return false;
        };
        let held = self.gate.manifest_head().await;
        held.is_none_or(|head| head.event.id != station.event_id)
    }

    fn went_wrong(&self, error: &ClientError) {
        tracing::debug!(code = error.code(), "the server could not be used");
        if is_absent(error) {
            self.fell_out(error);
        } else {
            self.link.refused(error.code());
            self.changed();
        }
    }

    /// Hands in everything that waits, now.
    pub async fn sync(&self) -> Result<SyncReport, ClientError> {
        let turn = self.turn.lock().await;
        let report = self.make_good(&turn).await;
        if let Err(error) = &report {
            self.went_wrong(error);
        }
        report
    }

    /// Hands in everything that waits, says how the phone is, and starts the session that the server does not know:
    /// after this the server knows all that the phone knows, and may decide again.
    pub(super) async fn make_good(&self, _turn: &MutexGuard<'_, ()>) -> Result<SyncReport, ClientError> {
        let report = self.hand_in().await?;
        self.report_health().await?;
        if let Some(station) = self.gate.station().await
            && station.session_id.is_none()
        {
            let start = SessionStart {
                event_id: station.event_id,
                gate_id: station.gate_id,
                replace: true,
            };
            let session = self.ask_for_session(&start).await?;
            let known = PhoneSession {
                session_id: Some(session.id),
                ..station
            };
            self.gate.set_station(Some(known)).await?;
        }
        if self.link.up() {
            self.changed();
        }
        Ok(report)
    }

    async fn hand_in(&self) -> Result<SyncReport, ClientError> {
        let settings = &self.setup.settings;
        let mut report = SyncReport::default();
        let mut limit = settings.batch;
        let mut last = None;
        while let Some(batch) = self.gate.next_batch(limit, self.setup.clock.now()).await? {
            // Scans that the server left without an answer are handed in again, not for ever.
            if last.as_ref() == Some(&batch.scan_ids) {
                return Err(ClientError::UnexpectedAnswer);
            }
            let call = Call::post("/api/v1/scanning/sync", batch.body, settings.transfer_timeout);
            match self.caller().ask::<SyncAnswer>(call).await {
                Ok(answer) if answer.batch_id == batch.batch_id => {
                    self.gate.acknowledge(&answer).await?;
                    report.add(&answer);
                    limit = settings.batch;
                    last = Some(batch.scan_ids);
                }
                Ok(_) => return Err(ClientError::UnexpectedAnswer),
                // Something in the batch is more than the server takes: half of it, until it is found; then it is set
                // aside and the rest goes on.
                Err(error) if is_about_the_batch(&error) => match batch.scan_ids.as_slice() {
                    [scan] => {
                        self.gate.set_aside(*scan, error.code()).await?;
                        report.rejected += 1;
                        limit = settings.batch;
                    }
                    scans => limit = scans.len() / 2,
                },
                Err(error) => return Err(error),
            }
            self.changed();
        }
        Ok(report)
    }

    async fn report_health(&self) -> Result<(), ClientError> {
        let waiting = self.gate.state().await?.waiting;
        let health = DeviceHealth {
            app: Some(self.setup.app.clone()),
            battery: *self.battery.lock().unwrap_or_else(PoisonError::into_inner),
            waiting: Some(u32::try_from(waiting).unwrap_or(u32::MAX)),
        };
        let sent_at = self.setup.clock.now();
        let body = json(&health)?;
        let call = Call::put("/api/v1/scanning/device", body, self.setup.settings.call_timeout);
        let own: DeviceSelf = self.caller().ask(call).await?;
        let received_at = self.setup.clock.now();
        self.gate
            .learn_clock(sent_at, received_at, own.server_time)
            .await?;
        self.gate
            .set_can_override(own.device.settings.can_override)
            .await?;
        Ok(())
    }

    /// Asks for a newer manifest of the event that the device stands at, and takes it into use.
    pub async fn refresh_manifest(&self) -> Result<ManifestRefresh, ClientError> {
        let station = self.gate.station().await.ok_or(ClientError::NoActiveSession)?;
        let state = self.gate.state().await?;
        let now = self.setup.clock.now().plus_millis(state.clock_offset_ms);
        let held = state.manifest.filter(|held| held.event_id == station.event_id);
        let since = held
            .as_ref()
            .filter(|held| !held.wants_whole)
            .map(|held| held.version);
        // Past half of the age that its event allows, a manifest of the same version is worth having again.
        let young = held.as_ref().is_some_and(|held| {
            let lifetime = held.stale_from.millis_since(held.made_at);
            now.millis_since(held.made_at) * 2 < lifetime
        });
        let taken = match self.fetch_manifest(&station, since, young).await {
            // What came does not fit onto what is held: once more, and whole.
            Err(ClientError::Offline(OfflineError::Manifest(ManifestError::OtherBase { .. }))) => {
                self.fetch_manifest(&station, None, false).await?
            }
            taken => taken?,
        };
        self.changed();
        Ok(taken.map_or(ManifestRefresh::Unchanged, ManifestRefresh::Taken))
    }

    async fn fetch_manifest(
        &self,
        station: &PhoneSession,
        since: Option<u64>,
        young: bool,
    ) -> Result<Option<ManifestState>, ClientError> {
        let query = since.map_or_else(String::new, |version| format!("?since={version}"));
        let path = format!("/api/v1/scanning/events/{}/manifest{query}", station.event_id);
        let mut call = Call::get(path, self.setup.settings.transfer_timeout);
        let etag = self.etag.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(etag) = etag.filter(|_| young) {
            call = call.header("If-None-Match", etag);
        }
        let answer = self.caller().send(call).await?;
        match answer.status {
            304 => Ok(None),
            200 => {
                let etag = answer.header("ETag").map(str::to_owned);
                let now = self.setup.clock.now();
                let state = self.gate.install(station.event_id, answer.body, now).await?;
                *self.etag.lock().unwrap_or_else(PoisonError::into_inner) = etag;
                Ok(Some(state))
            }
            _ => Err(refusal(&answer)),
        }
    }
}

/// Whether the server refused what was handed in, and not who handed it in or when.
fn is_about_the_batch(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Refused {
            status: 400 | 413 | 422,
            ..
        }
    )
}
