//! Keeps a phone synchronised with the server and prepared for scanning without it: upload, health report, manifest.

use tokio::sync::MutexGuard;

use crate::client::answer::{check_device, check_sync_answer, parse_sync_answer};
use crate::client::api::{ApiClient, ApiRequest, to_json};
use crate::client::manifest_download::ManifestTag;
use crate::client::scanning::is_unavailable;
use crate::client::{ClientError, ManifestState, OfflineError, OfflineScanner, PhoneSession, ScannerClient};
use crate::manifest::ManifestError;
use crate::model::{DeviceHealth, DeviceSelf, SessionStart, SessionStatus};
use crate::sync::SyncAnswer;

/// The result of an upload: what the server did with the scans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// The number of scans that the server recorded now.
    pub recorded: u64,
    /// The number of scans that the server had recorded before.
    pub replayed: u64,
    /// The number of scans that the server rejected. They stay on the phone.
    pub rejected: u64,
    /// The number of scans that the server quarantined.
    pub quarantined: u64,
    /// The number of scans that are part of a conflict.
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

/// The result of a manifest refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestRefresh {
    /// A newer manifest is in use.
    Updated(ManifestState),
    /// The manifest in use is the newest one.
    Unchanged,
}

impl ScannerClient {
    /// Runs the maintenance: uploads waiting scans, reconnects to the server, refreshes the manifest and reports the
    /// device's health. The app runs it while it scans. Returns after the next [`ScannerClient::stop`].
    pub async fn run(&self) {
        let mut stops = self.stops.subscribe();
        tokio::select! {
            () = self.maintain_always() => {}
            // The client owns the sender, so this is a stop.
            _ = stops.changed() => {}
        }
    }

    /// Ends every [`ScannerClient::run`] that is under way. Does nothing if none is: a later `run` is not affected.
    pub fn stop(&self) {
        self.stops.send_modify(|stops| *stops += 1);
    }

    /// Tells the client that the network changed: the phone left the Wi-Fi, or got a network back.
    ///
    /// Connections of the previous network may be dead, so the transport opens new ones. A client that waits for its next
    /// attempt makes it at once.
    pub fn network_changed(&self) {
        self.setup.transport.close_connections();
        self.connectivity.end_backoff();
        self.bump_revision();
        self.wake.notify_one();
    }

    async fn maintain_always(&self) {
        let mut refreshed_at = None;
        loop {
            let now = self.setup.clock.steady();
            let interval = self.setup.settings.refresh_interval;
            if self.connectivity.backoff(now).is_none() {
                let due = refreshed_at.is_none_or(|at| now < at || now >= at.plus(interval));
                if self.maintain(due).await && due {
                    refreshed_at = Some(now);
                }
            }
            let pause = self
                .connectivity
                .backoff(self.setup.clock.steady())
                .unwrap_or(interval);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Runs one round of maintenance. Returns whether the server was available.
    pub(super) async fn maintain(&self, refresh: bool) -> bool {
        self.offline.store_unsaved().await;
        let round = async {
            if refresh || !self.connectivity.is_online() || self.offline.state().await?.waiting > 0 {
                let guard = self.resync_lock.lock().await;
                self.resync(&guard).await?;
                self.upload_earlier_enrollments(&guard).await;
            }
            if (refresh || self.needs_manifest().await) && self.offline.session().await.is_some() {
                self.refresh_manifest().await?;
            }
            if refresh {
                self.find_lost_scans().await?;
            }
            Ok(())
        };
        match round.await {
            Ok(()) => true,
            Err(error) => {
                self.record_failure(&error);
                !is_unavailable(&error)
            }
        }
    }

    /// Returns whether the manifest in use is not that of the session's event.
    async fn needs_manifest(&self) -> bool {
        let Some(session) = self.offline.session().await else {
            return false;
        };
        let head = self.offline.manifest_head().await;
        head.is_none_or(|head| head.event.id != session.event_id)
    }

    pub(super) fn record_failure(&self, error: &ClientError) {
        tracing::debug!(code = error.code(), "the server could not be used");
        if is_unavailable(error) {
            self.went_offline(error);
        } else {
            self.connectivity.record_refusal(error.code());
            self.bump_revision();
        }
    }

    /// Uploads all waiting scans now, also those of earlier enrolments, which the report does not count.
    pub async fn sync(&self) -> Result<SyncReport, ClientError> {
        self.offline.store_unsaved().await;
        let guard = self.resync_lock.lock().await;
        let report = self.resync(&guard).await;
        match &report {
            Ok(_) => self.upload_earlier_enrollments(&guard).await,
            Err(error) => self.record_failure(error),
        }
        report
    }

    /// Uploads all waiting scans, reports the device's health, and starts the session if the server does not have it.
    /// Afterwards the server has all facts of the phone and may decide again.
    pub(super) async fn resync(&self, _guard: &MutexGuard<'_, ()>) -> Result<SyncReport, ClientError> {
        let report = self.upload(&self.offline, self.api()).await?;
        match self.report_health().await {
            // The office then lacks the health of this phone. That must not keep the server from deciding.
            Err(error) if is_refused_content(&error) => {
                tracing::warn!(code = error.code(), "the server refused the report of the device");
            }
            reported => reported?,
        }
        self.confirm_session().await?;
        self.came_online();
        Ok(report)
    }

    /// Starts the session on the server, if the phone has one that the server lacks.
    async fn confirm_session(&self) -> Result<(), ClientError> {
        let _turn = self.session_lock.lock().await;
        let Some(phone_session) = self.offline.session().await else {
            return Ok(());
        };
        if phone_session.session_id.is_some() {
            return Ok(());
        }
        let start = SessionStart {
            event_id: phone_session.event_id,
            gate_id: phone_session.gate_id,
            replace: true,
        };
        let session = self.request_session(&start).await?;
        let started = PhoneSession {
            session_id: Some(session.id),
            ..phone_session
        };
        if let Err(error) = self.offline.set_session(Some(started)).await {
            // It holds until the app ends. A full disk must not keep the server from deciding.
            tracing::warn!(
                code = error.code(),
                "the session on the server could not be written"
            );
        }
        Ok(())
    }

    /// Uploads the waiting scans of a database.
    pub(super) async fn upload(
        &self,
        log: &OfflineScanner,
        api: ApiClient<'_>,
    ) -> Result<SyncReport, ClientError> {
        let settings = &self.setup.settings;
        let mut report = SyncReport::default();
        let mut limit = settings.batch_size;
        let mut previous = None;
        while let Some(batch) = log.next_batch(limit, self.setup.clock.now()).await? {
            // A scan without a result is uploaded again, but not endlessly.
            if previous.as_ref() == Some(&batch.scan_ids) {
                return Err(ClientError::UnexpectedAnswer);
            }
            let request = ApiRequest::post(
                "/api/v1/scanning/sync",
                batch.body.clone(),
                settings.transfer_timeout,
            );
            let response = api.send(request).await;
            let answer = response.and_then(|response| parse_sync_answer(&response));
            match answer.and_then(|answer| check_sync_answer(&batch, &answer).map(|()| answer)) {
                Ok(answer) => {
                    match log.acknowledge(&answer).await {
                        // The scans go on waiting, and the phone decides their tickets. The server decides all others.
                        Err(OfflineError::StorageFull(_)) => {
                            self.bump_revision();
                            return Ok(report);
                        }
                        acknowledged => acknowledged?,
                    }
                    report.add(&answer);
                    limit = settings.batch_size;
                    previous = Some(batch.scan_ids);
                }
                // One scan makes the server refuse the whole batch. Halve the batch until that scan is alone, mark it
                // as rejected, and continue with the others.
                Err(error) if is_refused_content(&error) => match batch.scan_ids.as_slice() {
                    [scan] => {
                        log.mark_rejected(*scan, error.code()).await?;
                        report.rejected += 1;
                        limit = settings.batch_size;
                    }
                    scans => limit = scans.len() / 2,
                },
                Err(error) => return Err(error),
            }
            self.bump_revision();
        }
        Ok(report)
    }

    pub(super) async fn report_health(&self) -> Result<(), ClientError> {
        let waiting = self.offline.state().await?.waiting;
        let health = DeviceHealth {
            app: Some(self.setup.app.clone()),
            battery: *self.battery.lock(),
            waiting: Some(u32::try_from(waiting).unwrap_or(u32::MAX)),
        };
        let session = self.offline.session().await;
        let sent_at = self.setup.clock.now();
        let body = to_json(&health)?;
        let request = ApiRequest::put("/api/v1/scanning/device", body, self.setup.settings.call_timeout);
        let answer: DeviceSelf = self.api().call(request).await?;
        let received_at = self.setup.clock.now();
        check_device(self.device(), &answer.device)?;
        let measured = self
            .offline
            .update_clock_offset(sent_at, received_at, answer.server_time);
        let permitted = self.offline.set_can_override(answer.device.settings.can_override);
        let scoped = self.offline.set_scope(&answer.device.scope);
        for stored in [measured.await, permitted.await, scoped.await] {
            if let Err(error) = stored {
                // All hold until the app ends. A full disk must not keep the server from deciding.
                tracing::warn!(code = error.code(), "what the server said could not be stored");
            }
        }
        self.note_device_settings(&answer.device.settings);
        // The session that the phone had when it asked.
        if let Some(session) = session
            && session.session_id.is_some()
        {
            let active = answer
                .session
                .filter(|active| active.status == SessionStatus::Active)
                .map(|active| active.id);
            if active != session.session_id {
                match self.without_session(&session).await {
                    // The upload and the rest of the round go on without a session.
                    Ok(()) | Err(ClientError::NoActiveSession) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.heed_acceptance().await
    }

    /// Requests a newer manifest of the session's event and installs it.
    pub async fn refresh_manifest(&self) -> Result<ManifestRefresh, ClientError> {
        // A second call waits, and then usually finds nothing new.
        let _turn = self.manifest_downloads.begin().await;
        let session = self.offline.session().await.ok_or(ClientError::NoActiveSession)?;
        let state = self.offline.state().await?;
        let (now, _) = self.offline.server_time(self.setup.clock.now()).await;
        let current = state
            .manifest
            .filter(|current| current.event_id == session.event_id);
        let since = current
            .as_ref()
            .filter(|current| !current.needs_full)
            .map(|current| current.version);
        // After half of the age that the event allows, the phone fetches the same version again to reset the age.
        let is_fresh = current.as_ref().is_some_and(|current| {
            let lifetime = current.stale_from.millis_since(current.made_at);
            now.millis_since(current.made_at) * 2 < lifetime
        });
        // The server knows a manifest by its version, and two events may have the same one. So a tag is only sent for the
        // manifest that it belongs to.
        let known = self.manifest_etag.lock().clone().filter(|known| {
            let is_held = |current: &ManifestState| {
                (current.event_id, current.version) == (known.event_id, known.version)
            };
            is_fresh && current.as_ref().is_some_and(is_held)
        });
        let known = known.map(|known| known.etag);
        let installed = match self.fetch_manifest(&session, since, known.as_deref()).await {
            // The delta has another base than the manifest in use: fetch the full manifest instead.
            Err(ClientError::Offline(error))
                if matches!(*error, OfflineError::Manifest(ManifestError::OtherBase { .. })) =>
            {
                self.fetch_manifest(&session, None, None).await?
            }
            installed => installed?,
        };
        self.bump_revision();
        Ok(installed.map_or(ManifestRefresh::Unchanged, ManifestRefresh::Updated))
    }

    /// Fetches a manifest and installs it: a delta onto version `since`, or a full manifest. If the server
    /// has nothing newer than the manifest with the tag `known`, returns `None`.
    async fn fetch_manifest(
        &self,
        session: &PhoneSession,
        since: Option<u64>,
        known: Option<&str>,
    ) -> Result<Option<ManifestState>, ClientError> {
        let query = since.map_or_else(String::new, |version| format!("?since={version}"));
        let path = format!("/api/v1/scanning/events/{}/manifest{query}", session.event_id);
        let Some(downloaded) = self.download_manifest(&path, known).await? else {
            return Ok(None);
        };
        let now = self.setup.clock.now();
        let state = self
            .offline
            .install(session.event_id, downloaded.bytes, now)
            .await?;
        *self.manifest_etag.lock() = downloaded.etag.map(|etag| ManifestTag {
            event_id: state.event_id,
            version: state.version,
            etag,
        });
        Ok(Some(state))
    }
}

/// Returns whether the server refused the content of a request, rather than the device or the moment.
fn is_refused_content(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Refused {
            status: 400 | 413 | 422,
            ..
        }
    )
}
