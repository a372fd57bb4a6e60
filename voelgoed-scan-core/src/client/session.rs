//! Sessions: a phone starts and ends its session at a gate, if necessary without the server.

use crate::client::api::{ApiRequest, to_json};
use crate::client::{ClientError, PhoneSession, ScannerClient};
use crate::model::{EventId, GateId, ScanSession, SessionStart};

impl ScannerClient {
    /// Starts a session at a gate. `replace` ends the session that the device may have at another gate.
    ///
    /// Returns `None` if the server is unavailable and the manifest in use contains the gate: the phone then scans at
    /// that gate alone, and the next resync starts the session on the server.
    pub async fn start_session(
        &self,
        event_id: EventId,
        gate_id: GateId,
        replace: bool,
    ) -> Result<Option<ScanSession>, ClientError> {
        let start = SessionStart {
            event_id,
            gate_id,
            replace,
        };
        let session = match self.request_session(&start).await {
            Ok(session) => Some(session),
            Err(error) if error.is_transient() && self.manifest_has_gate(event_id, gate_id).await => {
                self.went_offline(&error);
                None
            }
            Err(error) => return Err(error),
        };
        let phone_session = PhoneSession {
            event_id,
            gate_id,
            session_id: session.as_ref().map(|session| session.id),
        };
        self.offline.set_session(Some(phone_session)).await?;
        // The server has answered, and the phone has no scan that the server lacks: the server may decide.
        if session.is_some() && self.offline.state().await?.waiting == 0 {
            self.connectivity.mark_online();
        }
        self.bump_revision();
        self.wake.notify_one();
        Ok(session)
    }

    pub(super) async fn request_session(&self, start: &SessionStart) -> Result<ScanSession, ClientError> {
        let body = to_json(start)?;
        let request = ApiRequest::post(
            "/api/v1/scanning/sessions",
            body,
            self.setup.settings.call_timeout,
        );
        self.api().call(request).await
    }

    async fn manifest_has_gate(&self, event: EventId, gate: GateId) -> bool {
        let head = self.offline.manifest_head_of(event).await;
        head.is_ok_and(|head| head.is_some_and(|head| head.gate(gate).is_some()))
    }

    /// Ends the session and returns it. Returns `None` if the server had not yet started it.
    ///
    /// Fails if the server is unavailable. The session then continues.
    pub async fn end_session(&self) -> Result<Option<ScanSession>, ClientError> {
        let phone_session = self.offline.session().await.ok_or(ClientError::NoActiveSession)?;
        let ended = match phone_session.session_id {
            Some(session) => {
                let path = format!("/api/v1/scanning/sessions/{session}/end");
                let request = ApiRequest::put(path, Vec::new(), self.setup.settings.call_timeout);
                Some(self.api().call(request).await?)
            }
            None => None,
        };
        self.offline.set_session(None).await?;
        self.bump_revision();
        Ok(ended)
    }
}
