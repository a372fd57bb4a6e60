//! Sessions: a phone starts and ends its session at a gate, if necessary without the server.
//!
//! Invariants:
//! - Start and end run to their end even if the caller stops waiting, so that server and phone agree on the session.
//! - One step at a time starts or ends the session, so that the server and the phone see the same last one.
//! - After the office has ended a session, the phone has none, whatever answer said so, until the app starts one.

use crate::client::answer::{check_ended_session, check_started_session};
use crate::client::api::{ApiRequest, to_json};
use crate::client::scanning::is_unavailable;
use crate::client::{ClientError, OfflineError, PhoneSession, ProblemCode, ScannerClient};
use crate::model::{EventId, GateId, ScanSession, SessionId, SessionStart, SessionStatus};

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
        self.run_to_end(|client| async move { client.start_requested_session(&start).await })
            .await
    }

    async fn start_requested_session(
        &self,
        start: &SessionStart,
    ) -> Result<Option<ScanSession>, ClientError> {
        let _turn = self.session_lock.lock().await;
        let SessionStart {
            event_id, gate_id, ..
        } = *start;
        let session = match self.request_session(start).await {
            Ok(session) => Some(session),
            Err(error) if is_unavailable(&error) && self.manifest_has_gate(event_id, gate_id).await => {
                if !self.offline.scope().await.admits_gate(event_id, gate_id) {
                    return Err(OfflineError::OutOfScope.into());
                }
                self.went_offline(&error);
                None
            }
            Err(error) => {
                if is_unavailable(&error) {
                    self.distrust_session(&error).await;
                }
                return Err(error);
            }
        };
        let phone_session = PhoneSession {
            event_id,
            gate_id,
            session_id: session.as_ref().map(|session| session.id),
        };
        self.offline.set_session(Some(phone_session)).await?;
        self.problems.clear(ProblemCode::NoActiveSession);
        // The server has answered, and the phone has no scan that the server lacks: the server may decide.
        if session.is_some() && self.offline.state().await?.waiting == 0 {
            self.came_online();
        }
        self.bump_revision();
        self.wake.notify_one();
        Ok(session)
    }

    /// The server may have started another session, in which it would decide this phone's scans. So the phone starts its own one
    /// again before the server decides the next scan.
    async fn distrust_session(&self, error: &ClientError) {
        let Some(session) = self.offline.session().await else {
            return;
        };
        let unconfirmed = PhoneSession {
            session_id: None,
            ..session
        };
        if let Err(error) = self.offline.set_session(Some(unconfirmed)).await {
            tracing::warn!(
                code = error.code(),
                "a session that must be started again could not be written"
            );
        }
        self.went_offline(error);
    }

    pub(super) async fn request_session(&self, start: &SessionStart) -> Result<ScanSession, ClientError> {
        let body = to_json(start)?;
        let request = ApiRequest::post(
            "/api/v1/scanning/sessions",
            body,
            self.setup.settings.call_timeout,
        );
        let session: ScanSession = self.api().call(request).await?;
        check_started_session(start, self.device(), &session)?;
        Ok(session)
    }

    async fn manifest_has_gate(&self, event: EventId, gate: GateId) -> bool {
        let head = self.offline.manifest_head_of(event).await;
        head.is_ok_and(|head| head.is_some_and(|head| head.gate(gate).is_some()))
    }

    /// Ends the session and returns it. Returns `None` if the server had not yet started it.
    ///
    /// Fails if the server is unavailable. The session then continues.
    pub async fn end_session(&self) -> Result<Option<ScanSession>, ClientError> {
        self.run_to_end(|client| async move { client.end_current_session().await })
            .await
    }

    async fn end_current_session(&self) -> Result<Option<ScanSession>, ClientError> {
        let _turn = self.session_lock.lock().await;
        let phone_session = self.offline.session().await.ok_or(ClientError::NoActiveSession)?;
        let ended = match phone_session.session_id {
            Some(session) => {
                let path = format!("/api/v1/scanning/sessions/{session}/end");
                let request = ApiRequest::put(path, Vec::new(), self.setup.settings.call_timeout);
                let ended: ScanSession = self.api().call(request).await?;
                check_ended_session(session, self.device(), &ended)?;
                Some(ended)
            }
            None => None,
        };
        self.forget_session(&phone_session).await;
        Ok(ended)
    }

    /// Forgets a session that has ended, unless the app has started another one since.
    async fn forget_session(&self, ended: &PhoneSession) {
        if self.offline.session().await.as_ref() == Some(ended) {
            if let Err(error) = self.offline.set_session(None).await {
                // It is over all the same. It is written as soon as there is room.
                tracing::warn!(code = error.code(), "the end of a session could not be written");
            }
            self.problems
                .raise(ProblemCode::NoActiveSession, self.setup.clock.now());
            self.bump_revision();
        }
    }

    /// Handles an answer that says that the device has no session, or another one than the phone has.
    ///
    /// Returns `NoActiveSession` if the session has ended. Otherwise the answer is older than the session, because nodes
    /// learn of a new session within a second, or the server has not started the session yet.
    pub(super) async fn without_session(&self, session: &PhoneSession) -> Result<(), ClientError> {
        let Some(session_id) = session.session_id else {
            return Ok(());
        };
        if self.session_continues(session_id).await {
            return Ok(());
        }
        self.forget_session(session).await;
        Err(ClientError::NoActiveSession)
    }

    /// Asks the server whether a session is active. Only a clear answer means that it is.
    async fn session_continues(&self, session: SessionId) -> bool {
        let path = format!("/api/v1/scanning/sessions/{session}");
        let request = ApiRequest::get(path, self.setup.settings.scan_timeout);
        let answer: Result<ScanSession, _> = self.api().call(request).await;
        answer.is_ok_and(|answer| answer.id == session && answer.status == SessionStatus::Active)
    }
}
