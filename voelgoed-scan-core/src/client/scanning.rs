//! Decides one scan: the server within the scan timeout, otherwise the phone, both under the same `scan_id`.

use crate::client::api::{ApiRequest, parse_response, to_json};
use crate::client::offline::debounce::{ReadingKey, truncate};
use crate::client::{ClientError, OfflineScan, PhoneSession, ScannerClient, TransportError, Verdict};
use crate::model::{
    Direction, Metadata, Override, RawScanRequest, Reading, ReasonText, ScanAnswer, ScanId, Timestamp,
};

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
        }
    }
}

impl ScannerClient {
    /// Scans a ticket and returns the verdict. If the phone decides, the verdict is on disk before this returns.
    ///
    /// The same payload within 2.5 s returns the same verdict and makes no second scan, whether the server or the phone
    /// decided. Await the future to its end: a cancelled scan may already have admitted a person.
    pub async fn scan(&self, mut input: ScanInput) -> Result<Verdict, ClientError> {
        self.check_not_refused().await?;
        let session = self.offline.session().await.ok_or(ClientError::NoActiveSession)?;
        truncate(&mut input.reading);
        let now = self.setup.clock.now();
        let key = ReadingKey::of(&input.reading, session.gate_id, input.direction);
        if input.override_reason.is_none()
            && let Some(verdict) = self.offline.debounced(&key, now).await
        {
            return Ok(verdict);
        }
        let scan_id = ScanId::generate(now);
        if let Some(verdict) = self.decide_online(&session, scan_id, now, &input).await? {
            self.offline.debounce(key, now, &verdict).await;
            if let Err(error) = self.offline.record_online_verdict(&verdict).await {
                // The scan is on the server's record. Only the phone's own copy is missing.
                tracing::warn!(
                    code = error.code(),
                    "an admission could not be recorded on the device"
                );
            }
            return Ok(verdict);
        }
        let verdict = self.decide_offline(&session, scan_id, now, input).await?;
        self.bump_revision();
        Ok(verdict)
    }

    async fn decide_offline(
        &self,
        session: &PhoneSession,
        scan_id: ScanId,
        now: Timestamp,
        input: ScanInput,
    ) -> Result<Verdict, ClientError> {
        let scan = OfflineScan {
            scan_id,
            reading: input.reading,
            gate_id: session.gate_id,
            direction: input.direction,
            scanned_at: now,
            override_: input.override_reason.map(|reason| Override { reason }),
            metadata: input.metadata,
        };
        Ok(self.offline.decide(scan).await?)
    }

    /// Returns the server's verdict, or `None` if the phone must decide.
    async fn decide_online(
        &self,
        session: &PhoneSession,
        scan_id: ScanId,
        now: Timestamp,
        input: &ScanInput,
    ) -> Result<Option<Verdict>, ClientError> {
        // The phone recorded an admission or exit of this ticket that the server lacks. The server could admit it again.
        if self
            .offline
            .has_newer_facts(&input.reading, session.event_id)
            .await?
        {
            return Ok(None);
        }
        let timeout = self.setup.settings.scan_timeout;
        let result = tokio::time::timeout(timeout, self.request_decision(scan_id, now, input)).await;
        match result.unwrap_or(Err(ClientError::Transport(TransportError::TimedOut))) {
            Ok(Some(answer)) => {
                if self.connectivity.mark_online() {
                    self.bump_revision();
                }
                Ok(Some(Verdict::of_server(scan_id, answer)))
            }
            Ok(None) => Ok(None),
            Err(error) if is_unavailable(&error) => {
                self.went_offline(&error);
                Ok(None)
            }
            Err(error) => {
                self.heed_refusal(&error).await;
                self.connectivity.record_refusal(error.code());
                self.bump_revision();
                Err(error)
            }
        }
    }

    /// Requests a decision from the server. Returns `None` if the client is offline and does not reconnect now.
    async fn request_decision(
        &self,
        scan_id: ScanId,
        now: Timestamp,
        input: &ScanInput,
    ) -> Result<Option<ScanAnswer>, ClientError> {
        if !self.connectivity.is_online() {
            if self.connectivity.backoff(now).is_some() {
                return Ok(None);
            }
            // An attempt is due. It runs within this scan's timeout, unless another task is resyncing already.
            let Ok(guard) = self.resync_lock.try_lock() else {
                return Ok(None);
            };
            self.resync(&guard).await?;
        }
        let (qr, ticket_code) = match &input.reading {
            Reading::Qr(text) => (Some(text.clone()), None),
            Reading::TicketCode(text) => (None, Some(text.clone())),
        };
        let scan = RawScanRequest {
            qr,
            ticket_code,
            scan_id: Some(scan_id),
            scanned_at: Some(now),
            direction: input.direction,
            metadata: input.metadata.clone(),
            override_: input.override_reason.clone().map(|reason| Override { reason }),
            dry_run: false,
        };
        let body = to_json(&scan)?;
        let request = ApiRequest::post("/api/v1/scanning/scan", body, self.setup.settings.scan_timeout);
        let response = self.api().send(request).await?;
        parse_response(&response).map(Some)
    }
}

/// Returns whether an error means that the server is unavailable. A response that does not come from the server, such as
/// a captive portal's page, counts as unavailable too.
pub(super) fn is_unavailable(error: &ClientError) -> bool {
    match error {
        ClientError::UnexpectedAnswer => true,
        ClientError::Refused { code, .. } => error.is_transient() || code.starts_with("http_"),
        _ => error.is_transient(),
    }
}
