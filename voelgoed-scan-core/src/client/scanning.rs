//! Decides one scan: the server within the scan timeout, otherwise the phone, both under the same `scan_id`.
//!
//! An attempt runs to its end, whether or not a caller waits for it. `attempts.rs` says which calls share an attempt.

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};

use crate::client::answer::{check_scan_answer, parse_scan_answer};
use crate::client::api::{ApiRequest, to_json};
use crate::client::attempts::{Outcome, Pending, Start, Unfinished};
use crate::client::offline::debounce::truncate;
use crate::client::{
    Attempt, AttemptOutcome, ClientError, OfflineError, PhoneSession, ScannerClient, TransportError, Verdict,
};
use crate::model::{
    Direction, Metadata, RawScanRequest, Reading, ReasonText, ScanAnswer, ScanId, ScanResult, Warning,
};
use crate::token::payload_sha256;

/// What the app passes for a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanInput {
    /// What the camera read or staff typed.
    pub reading: Reading,
    /// Entry or exit.
    pub direction: Direction,
    /// Forces an entry, for this reason.
    pub override_reason: Option<ReasonText>,
    /// Stored with the scan.
    pub metadata: Option<Metadata>,
    /// The app's own id of the attempt. An app that repeats a call with the same id gets the verdict of the first call.
    /// `None`: the client makes one.
    pub scan_id: Option<ScanId>,
}

impl ScanInput {
    /// Creates an entry with the text of a QR code.
    #[must_use]
    pub fn entry(qr: impl Into<String>) -> Self {
        Self {
            reading: Reading::Qr(qr.into()),
            direction: Direction::Entry,
            override_reason: None,
            metadata: None,
            scan_id: None,
        }
    }
}

/// What became of a request to the server.
enum ServerAnswer {
    /// The server decided.
    Verdict(Box<Verdict>),
    /// The server was not asked. The phone decides.
    NotAsked,
    /// The server was asked and may have decided, but its answer did not arrive. The phone decides.
    Missing,
}

impl ScannerClient {
    /// Scans a ticket and returns the verdict. If the phone decides, the verdict is on disk before this returns.
    ///
    /// The same payload within 2.5 s, and while the first call is still being decided, returns the same verdict and makes
    /// no second scan, whether the server or the phone decided. A scan in the other direction ends this. All callers but
    /// one get the verdict with `repeated`.
    ///
    /// A caller may stop waiting: the attempt goes on, and the next call with the same payload gets its verdict.
    pub async fn scan(&self, mut input: ScanInput) -> Result<Verdict, ClientError> {
        // Before the first await: a call may wait for the database while the attempt of its reading is recorded.
        let called_at = self.setup.clock.steady();
        self.check_not_refused().await?;
        let session = self.offline.session().await.ok_or(ClientError::NoActiveSession)?;
        truncate(&mut input.reading);
        let callers_id = input.scan_id.map(|id| (id, payload_sha256(input.reading.text())));
        let client = self.without_tasks();
        let run = |start| async move { client.run_attempt(start).await }.boxed().shared();
        // No await until the work is kept running: a caller that is cancelled has started the attempt or has not.
        let (call, pending) = self
            .attempts
            .enter(&session, input, called_at, &*self.setup.clock, run)?;
        let outcome = match pending {
            Pending::Work(work) => self.keep_running(work).await,
            Pending::Decided(verdict) => Ok(*verdict),
        };
        let received = call.receive(outcome, self.setup.clock.steady());
        if let (Some((id, payload)), Ok(verdict)) = (callers_id, &received)
            && verdict.scan_id != id
        {
            self.keep_joined_verdict(id, &payload, verdict).await;
        }
        received
    }

    /// Keeps the verdict of the attempt that a call joined under an id of its own: repeated later, it is no second scan.
    async fn keep_joined_verdict(&self, id: ScanId, payload: &[u8; 32], verdict: &Verdict) {
        if let Err(error) = self.offline.keep_joined_verdict(id, payload, verdict).await {
            // The verdict itself is recorded. Only a later repetition of this call would be a scan of its own.
            tracing::warn!(
                code = error.code(),
                "the id of a repeated reading was not recorded"
            );
        }
    }

    /// Runs an attempt to its end.
    async fn run_attempt(&self, mut start: Start) -> Outcome {
        if let Some(predecessor) = start.predecessor.take() {
            // Its own callers get its outcome.
            let _ = predecessor.await;
        }
        for scan in self.attempts.take_abandoned() {
            self.abandon_attempt(scan).await;
        }
        let (outcome, is_unfinished) = match self.decide_earlier(start.earlier.take()).await {
            Some(outcome) => (outcome, false),
            None => {
                self.decide_attempt(&start.attempt, start.is_resumed, start.has_callers_id)
                    .await
            }
        };
        let now = self.setup.clock.steady();
        self.attempts.finish(start, &outcome, is_unfinished, now);
        outcome
    }

    /// Decides the unfinished attempt that an override follows. Returns its outcome if the override is not needed, or must
    /// wait.
    async fn decide_earlier(&self, earlier: Option<Unfinished>) -> Option<Outcome> {
        let earlier = earlier?;
        let (outcome, is_unfinished) = self.decide_attempt(&earlier.attempt, true, false).await;
        if is_unfinished {
            self.attempts.keep(earlier);
        }
        match outcome {
            Ok(verdict) => (verdict.result == ScanResult::Valid).then_some(Ok(verdict)),
            Err(error) => Some(Err(error)),
        }
    }

    /// Returns the outcome of an attempt, and whether the server may have decided it although there is no verdict.
    async fn decide_attempt(
        &self,
        attempt: &Attempt,
        is_resumed: bool,
        has_callers_id: bool,
    ) -> (Outcome, bool) {
        let scan_id = attempt.scan.scan_id;
        if has_callers_id {
            match self.offline.earlier_verdict(&attempt.scan).await {
                Ok(None) => {}
                Ok(Some(verdict)) => return (Ok(verdict), false),
                Err(error) => return (Err(error.into()), false),
            }
        }
        let answer = match self.ask_server(attempt).await {
            Ok(ServerAnswer::Verdict(mut verdict)) => {
                let decided = AttemptOutcome::Decided(&verdict);
                if let Err(error) = self.offline.finish_attempt(scan_id, decided).await {
                    // The scan is on the server's record. Only the phone's own copy is missing.
                    tracing::warn!(
                        code = error.code(),
                        "a verdict of the server could not be recorded on the device"
                    );
                    if matches!(error, OfflineError::StorageFull(_)) {
                        verdict.warnings.push(Warning::StorageFull);
                        self.bump_revision();
                    }
                }
                return (Ok(*verdict), false);
            }
            Ok(answer) => answer,
            // The phone failed. The server may have decided the attempt before.
            Err(error @ ClientError::Offline(_)) if is_resumed => return (Err(error), true),
            Err(error) => {
                self.abandon_attempt(scan_id).await;
                return (Err(error), false);
            }
        };
        let was_sent = is_resumed || matches!(answer, ServerAnswer::Missing);
        let outcome = self.decide_offline(attempt).await;
        self.bump_revision();
        let is_unfinished = outcome.is_err() && was_sent;
        (outcome, is_unfinished)
    }

    async fn decide_offline(&self, attempt: &Attempt) -> Outcome {
        // The session may have ended while the server was asked.
        if self.session_of(attempt).await.is_none() {
            return Err(ClientError::NoActiveSession);
        }
        // This is a new reading, although the offline scanner alone may take it for a repeated one.
        self.offline.end_reading(&attempt.scan.reading).await;
        Ok(self.offline.decide_attempt(attempt).await?)
    }

    /// Removes an attempt from the unfinished ones.
    async fn abandon_attempt(&self, scan: ScanId) {
        if let Err(error) = self.offline.finish_attempt(scan, AttemptOutcome::Abandoned).await {
            // The next start finds it again, and repeats it under the same id.
            tracing::warn!(code = error.code(), "an attempt could not be removed");
        }
    }

    /// Asks the server for the verdict of an attempt. An error is a refusal of the server.
    async fn ask_server(&self, attempt: &Attempt) -> Result<ServerAnswer, ClientError> {
        if self.offline.must_decide(attempt).await? {
            return Ok(ServerAnswer::NotAsked);
        }
        let scan_timeout = self.setup.settings.scan_timeout;
        let began = Instant::now();
        let reconnected = timeout(scan_timeout, self.reconnect()).await;
        match reconnected.unwrap_or(Err(TransportError::TimedOut.into())) {
            Ok(true) => {}
            Ok(false) => return Ok(ServerAnswer::NotAsked),
            Err(error) => return self.no_answer(error, ServerAnswer::NotAsked),
        }
        let Some(session) = self.session_of(attempt).await else {
            return Err(ClientError::NoActiveSession);
        };
        let rest = scan_timeout.saturating_sub(began.elapsed());
        if let Err(error) = self.offline.begin_attempt(attempt).await {
            // The steward gets the server's answer. If the app ends before it arrives, the attempt is forgotten.
            tracing::warn!(
                code = error.code(),
                "an attempt could not be recorded on the device"
            );
        }
        let asked = timeout(rest, self.request_decision(attempt)).await;
        match asked.unwrap_or(Err(TransportError::TimedOut.into())) {
            Ok(answer) => {
                self.came_online();
                let verdict = Verdict::of_server(attempt.scan.scan_id, answer);
                Ok(ServerAnswer::Verdict(Box::new(verdict)))
            }
            Err(error) if error.code() == "no_active_session" => {
                self.without_session(&session).await?;
                // The session continues, so the next node or the next resync knows it.
                self.went_offline(&error);
                Ok(ServerAnswer::Missing)
            }
            Err(error) => {
                if error.code() == "out_of_scope" {
                    self.learn_scope(&session).await;
                }
                self.no_answer(error, ServerAnswer::Missing)
            }
        }
    }

    /// Asks the server for the scope of this device, if the phone does not know yet that its gate is outside. Otherwise
    /// the phone would decide by itself there as soon as the network fails.
    async fn learn_scope(&self, session: &PhoneSession) {
        let known = self.offline.scope().await;
        if known.admits_gate(session.event_id, session.gate_id) {
            let report = timeout(self.setup.settings.scan_timeout, self.report_health()).await;
            if let Err(error) = report.unwrap_or(Err(TransportError::TimedOut.into())) {
                tracing::debug!(code = error.code(), "the scope of the device could not be read");
            }
            self.bump_revision();
        }
    }

    /// Returns `answer` if the server is unavailable, and the error if the server refused the request.
    fn no_answer(&self, error: ClientError, answer: ServerAnswer) -> Result<ServerAnswer, ClientError> {
        self.record_failure(&error);
        if is_unavailable(&error) {
            Ok(answer)
        } else {
            Err(error)
        }
    }

    /// Returns the phone's session if it is at the gate of the attempt.
    async fn session_of(&self, attempt: &Attempt) -> Option<PhoneSession> {
        let session = self.offline.session().await?;
        let is_same = session.event_id == attempt.event_id && session.gate_id == attempt.scan.gate_id;
        is_same.then_some(session)
    }

    /// Reconnects if the client is offline and an attempt is due. Returns whether the server may decide now.
    async fn reconnect(&self) -> Result<bool, ClientError> {
        if self.connectivity.is_online() {
            return Ok(true);
        }
        if self.connectivity.backoff(self.setup.clock.steady()).is_some() {
            return Ok(false);
        }
        // It runs within this scan's timeout, unless another task is resyncing already.
        let Ok(guard) = self.resync_lock.try_lock() else {
            // That task has no answer yet. Until it has one, the state says why the phone decides.
            if self.problems.server_not_reached(self.setup.clock.now()) {
                self.bump_revision();
            }
            return Ok(false);
        };
        self.resync(&guard).await?;
        Ok(true)
    }

    async fn request_decision(&self, attempt: &Attempt) -> Result<ScanAnswer, ClientError> {
        let asked = &attempt.scan;
        let (qr, ticket_code, medium) = asked.reading.clone().into_fields();
        let scan = RawScanRequest {
            qr,
            ticket_code,
            medium,
            scan_id: Some(asked.scan_id),
            // The corrected time: the server warns of a clock that differs from its own.
            scanned_at: Some(self.offline.server_time(asked.scanned_at).await.0),
            direction: asked.direction,
            metadata: asked.metadata.clone(),
            override_: asked.override_.clone(),
            dry_run: false,
        };
        let body = to_json(&scan)?;
        let request = ApiRequest::post("/api/v1/scanning/scan", body, self.setup.settings.scan_timeout);
        let sent_at = self.setup.clock.now();
        let response = self.api().send(request).await?;
        let received_at = self.setup.clock.now();
        let answer = parse_scan_answer(&response)?;
        check_scan_answer(attempt, &answer)?;
        if answer.warnings.contains(&Warning::ClockSkew) && !answer.replayed {
            // The clock was changed since the last measurement.
            let measured = self
                .offline
                .update_clock_offset(sent_at, received_at, answer.scanned_at);
            if let Err(error) = measured.await {
                tracing::warn!(code = error.code(), "the clock offset could not be recorded");
            }
        }
        Ok(answer)
    }
}

/// Returns whether an error means that the server is unavailable. A response that does not come from the server, such as
/// a captive portal's page, counts as unavailable too, and so does a server that no longer serves this version of the app.
pub(super) fn is_unavailable(error: &ClientError) -> bool {
    let is_transient = matches!(error, ClientError::UnexpectedAnswer) || error.is_transient();
    is_transient || error.code() == "upgrade_required"
}
