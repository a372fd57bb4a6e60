//! Stores what the server says of tickets: in answers to scans, in answers to uploads, and by an undo.

use crate::client::offline::clock::ClockState;
use crate::client::offline::decide::{self, OfflineContext};
use crate::client::offline::memory::{
    Learned, LocalPassage, learn_from_undo, learn_from_upload, learn_from_verdict,
};
use crate::client::offline::{COMMIT_MARGIN, State, manifests};
use crate::client::{OfflineError, OfflineScanner, Verdict};
use crate::manifest::TicketKey;
use crate::model::{Direction, EventId, GateId, ScanId, ScanResult, Timestamp};
use crate::sync::SyncAnswer;

/// The number of verdicts that are kept in memory while the disk is full.
const MAX_UNSAVED: usize = 10_000;

impl OfflineScanner {
    /// Records what the server decided on this phone, so that the phone knows it when it decides alone.
    pub async fn record_online_verdict(&self, verdict: &Verdict) -> Result<(), OfflineError> {
        self.learn_verdict(verdict.scan_id, verdict).await
    }

    /// Ends the attempt `scan_id` with the server's verdict, in one transaction with what the verdict says.
    ///
    /// A verdict that cannot be written is kept in memory and written with the next one. Until the app ends, the phone
    /// decides nothing without it.
    pub(super) async fn learn_verdict(&self, scan_id: ScanId, verdict: &Verdict) -> Result<(), OfflineError> {
        let state = &mut *self.state.lock().await;
        self.save_unsaved(state).await;
        let saved = self.save_verdict(state, scan_id, verdict).await;
        if saved.is_err() && state.unsaved.len() < MAX_UNSAVED {
            state.unsaved.push((scan_id, verdict.clone()));
        }
        saved
    }

    /// Writes what the server said of the device and of tickets, and could not be written before.
    pub(super) async fn save_unsaved(&self, state: &mut State) {
        if let Err(error) = Self::store_device(state).await {
            tracing::debug!(
                code = error.code(),
                "what the server said of the device is still not written"
            );
            return;
        }
        while let Some((scan_id, verdict)) = state.unsaved.first().cloned() {
            if let Err(error) = self.save_verdict(state, scan_id, &verdict).await {
                tracing::debug!(
                    code = error.code(),
                    "a verdict of the server is still not written"
                );
                return;
            }
            state.unsaved.remove(0);
        }
    }

    async fn save_verdict(
        &self,
        state: &mut State,
        scan_id: ScanId,
        verdict: &Verdict,
    ) -> Result<(), OfflineError> {
        let organization = self.setup.organization_id;
        let attempt = state.log.attempt(scan_id).await?;
        let payload = attempt.map(|attempt| attempt.payload_sha256);
        let learned = learn_from_verdict(organization, verdict, payload)?;
        let mut transaction = state.log.begin().await?;
        if let Some(payload) = &payload {
            transaction
                .insert_server_verdict(verdict.scan_id, payload, verdict)
                .await?;
        }
        if let Some(ticket) = verdict
            .ticket
            .as_ref()
            .filter(|_| verdict.result == ScanResult::Valid)
        {
            let key = ticket
                .code
                .map(|code| TicketKey::of(organization, verdict.event_id, code));
            let passage = LocalPassage::of(verdict, Some(verdict.scanned_at.plus(COMMIT_MARGIN)));
            if let Some(key) = key {
                transaction
                    .insert_passage(verdict.event_id, key, &passage)
                    .await?;
            }
        }
        for one in &learned {
            transaction.learn(one).await?;
        }
        transaction.end_attempt(scan_id).await?;
        state.log.commit(transaction).await
    }

    /// Stores the server's answer to a batch. A scan without a result continues to wait.
    pub async fn acknowledge(&self, answer: &SyncAnswer) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        let known_at = answer.server_time.plus(COMMIT_MARGIN);
        let mut learned = Vec::new();
        for result in &answer.results {
            let Some(scan_id) = result.scan_id else { continue };
            if let Some(scan) = state.log.uploaded_scan(scan_id).await? {
                let passage = state.log.passage(scan_id).await?;
                learned.extend(learn_from_upload(
                    self.setup.organization_id,
                    &scan,
                    passage.map(|(_, ticket, _)| ticket),
                    result,
                    answer.server_time,
                )?);
            }
        }
        state.log.acknowledge(&answer.results, known_at, &learned).await
    }

    /// Records that the admission of a scan was undone on the server. The ticket then admits again on this phone too.
    /// `undone_at` is the server's time.
    pub async fn record_undo(&self, scan_id: ScanId, undone_at: Timestamp) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        let Some(passage) = state.log.passage(scan_id).await? else {
            return Ok(());
        };
        let learned = self.undo_facts(&mut state, &passage, undone_at).await?;
        let mut transaction = state.log.begin().await?;
        transaction.delete_passage(scan_id).await?;
        for one in &learned {
            transaction.learn(one).await?;
        }
        state.log.commit(transaction).await
    }

    async fn undo_facts(
        &self,
        state: &mut State,
        (event, ticket, gate): &(EventId, TicketKey, GateId),
        undone_at: Timestamp,
    ) -> Result<Vec<Learned>, OfflineError> {
        // Without the manifest there is no count to correct.
        match manifests::activate(state, &self.setup, *event).await {
            Ok(()) => {}
            Err(OfflineError::NoManifest) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
        let State {
            log,
            active_manifest: Some(active),
            ..
        } = state
        else {
            return Ok(Vec::new());
        };
        let Some(gate) = active.manifest.head().gate(*gate) else {
            return Ok(Vec::new());
        };
        let memory = log.memory(*event, Some(*ticket), &[0; 32]).await?;
        let context = OfflineContext {
            manifest: &active.manifest,
            gate,
            direction: Direction::Entry,
            now: undone_at,
            has_override: false,
            device_id: self.setup.device_id,
            device_name: &self.setup.device_name,
            clock: ClockState::Trusted,
            lost_at: None,
        };
        let Some(before) = decide::facts_of(&context, *ticket, &memory) else {
            return Ok(Vec::new());
        };
        let inside = before.ledger.inside(context.scan_context().day.counted_since);
        Ok(learn_from_undo(*event, *ticket, &before, inside, undone_at)?)
    }
}
