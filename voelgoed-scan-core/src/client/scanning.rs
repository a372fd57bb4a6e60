//! How is one scan decided? By the server within the deadline, else by the phone, under the same `scan_id`.

use crate::client::offline::debounce::{ReadingKey, bound};
use crate::client::request::{Call, json, read};
use crate::client::{ClientError, OfflineScan, PhoneSession, ScannerClient, TransportError, Verdict};
use crate::model::{
    Direction, Metadata, Override, RawScanRequest, Reading, ReasonText, ScanAnswer, ScanId, Timestamp,
};

/// What an app hands over for a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanInput {
    /// What the camera read or staff typed.
    pub reading: Reading,
    /// Which way the person goes.
    pub direction: Direction,
    /// Forces an entry, for a reason.
    pub override_reason: Option<ReasonText>,
    /// Kept with the scan.
    pub metadata: Option<Metadata>,
}

impl ScanInput {
    /// An entry by what a camera read.
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
    /// Scans. The verdict of the phone is on the disk before this returns.
    ///
    /// The same payload within 2.5 s gets its verdict again and makes no second scan, wherever it was decided. To be
    /// waited for to its end: a scan that is given up may have let somebody in.
    pub async fn scan(&self, mut input: ScanInput) -> Result<Verdict, ClientError> {
        let station = self.gate.station().await.ok_or(ClientError::NoActiveSession)?;
        bound(&mut input.reading);
        let now = self.setup.clock.now();
        let key = ReadingKey::of(&input.reading, station.gate_id, input.direction);
        if input.override_reason.is_none()
            && let Some(verdict) = self.gate.repeat(&key, now).await
        {
            return Ok(verdict);
        }
        let scan_id = ScanId::generate(now);
        if let Some(verdict) = self.by_server(&station, scan_id, now, &input).await? {
            self.gate.keep_reading(key, now, &verdict).await;
            if let Err(error) = self.gate.note(&verdict).await {
                // The server has it; what is missing is only this phone's own memory of it.
                tracing::warn!(
                    code = error.code(),
                    "an admission could not be noted on the device"
                );
            }
            return Ok(verdict);
        }
        let verdict = self.by_phone(&station, scan_id, now, input).await?;
        self.changed();
        Ok(verdict)
    }

    async fn by_phone(
        &self,
        station: &PhoneSession,
        scan_id: ScanId,
        now: Timestamp,
        input: ScanInput,
    ) -> Result<Verdict, ClientError> {
        let scan = OfflineScan {
            scan_id,
            reading: input.reading,
            gate_id: station.gate_id,
            direction: input.direction,
            scanned_at: now,
            override_: input.override_reason.map(|reason| Override { reason }),
            metadata: input.metadata,
        };
        Ok(self.gate.decide(scan).await?)
    }

    /// The server's verdict; `None` where the phone is to decide.
    async fn by_server(
        &self,
        station: &PhoneSession,
        scan_id: ScanId,
        now: Timestamp,
        input: &ScanInput,
    ) -> Result<Option<Verdict>, ClientError> {
        // Somebody it let in or out, and the server does not know: the server would let the ticket in again.
        if self.gate.knows_better(&input.reading, station.event_id).await? {
            return Ok(None);
        }
        let deadline = self.setup.settings.scan_deadline;
        let asked = tokio::time::timeout(deadline, self.ask_server(scan_id, now, input)).await;
        match asked.unwrap_or(Err(ClientError::Transport(TransportError::TimedOut))) {
            Ok(Some(answer)) => {
                if self.link.up() {
                    self.changed();
                }
                Ok(Some(Verdict::of_server(scan_id, answer)))
            }
            Ok(None) => Ok(None),
            Err(error) if is_absent(&error) => {
                self.fell_out(&error);
                Ok(None)
            }
            Err(error) => {
                self.link.refused(error.code());
                self.changed();
                Err(error)
            }
        }
    }

    async fn ask_server(
        &self,
        scan_id: ScanId,
        now: Timestamp,
        input: &ScanInput,
    ) -> Result<Option<ScanAnswer>, ClientError> {
        if !self.link.is_up() {
            if self.link.pause(now).is_some() {
                return Ok(None);
            }
            // It is worth asking again: within this scan's deadline, unless somebody is at it already.
            let Ok(turn) = self.turn.try_lock() else {
                return Ok(None);
            };
            self.make_good(&turn).await?;
        }
        let (qr, ticket_code) = match &input.reading {
            Reading::Qr(text) => (Some(text.clone()), None),
            Reading::TicketCode(text) => (None, Some(text.clone())),
        };
        let request = RawScanRequest {
            qr,
            ticket_code,
            scan_id: Some(scan_id),
            scanned_at: Some(now),
            direction: input.direction,
            metadata: input.metadata.clone(),
            override_: input.override_reason.clone().map(|reason| Override { reason }),
            dry_run: false,
        };
        let body = json(&request)?;
        let call = Call::post("/api/v1/scanning/scan", body, self.setup.settings.scan_deadline);
        let answer = self.caller().send(call).await?;
        read(&answer).map(Some)
    }
}

/// Whether an error means that the server is as good as not there. A page that is not the server's (a hotel's network
/// asking for a room number) is no server either.
pub(super) fn is_absent(error: &ClientError) -> bool {
    match error {
        ClientError::UnexpectedAnswer => true,
        ClientError::Refused { code, .. } => error.passes() || code.starts_with("http_"),
        _ => error.passes(),
    }
}
