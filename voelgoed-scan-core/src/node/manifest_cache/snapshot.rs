//! The facts of an event as they were read, and their rendering as a manifest or a delta.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{ManifestFailure, SignedManifest};
use crate::manifest::{ManifestDraft, ManifestFacts, ManifestTicket};
use crate::model::{CustomMessages, Event, Gate, SigningKey, TicketCode, Timestamp};
use crate::store::{ManifestMark, ManifestReading, StoreError};
use crate::token::Keyring;

/// The shortest life of a manifest, even if its event asks for a shorter one.
const MIN_MANIFEST_AGE: Duration = Duration::from_mins(5);

/// The facts of an event at one moment.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) mark: ManifestMark,
    pub(super) version: u64,
    pub(super) made_at: Timestamp,
    /// The version of the first snapshot of this event. What changed before it is unknown.
    first_version: u64,
    /// The version since which the event lets media in, if it does. A manifest from before has no media of tickets that did
    /// not change since.
    media_since: u64,
    event: Event,
    gates: Vec<Gate>,
    keys: Vec<SigningKey>,
    messages: CustomMessages,
    tickets: HashMap<TicketCode, SnapshotTicket>,
}

#[derive(Clone)]
struct SnapshotTicket {
    /// The version of the ticket.
    version: i64,
    /// The version of the first snapshot with this version of the ticket.
    changed_in: u64,
    ticket: ManifestTicket,
}

impl Snapshot {
    /// The snapshot after a reading that found what changed since the previous snapshot.
    pub(super) fn update(previous: Option<Arc<Self>>, reading: ManifestReading, now: Timestamp) -> Self {
        let ManifestReading {
            mark,
            version,
            event,
            gates,
            keys,
            messages,
            changed,
        } = reading;
        let (first_version, media_since, mut tickets) = match previous {
            Some(previous) => {
                let previous = Arc::unwrap_or_clone(previous);
                let media_since = if previous.event.allow_media {
                    previous.media_since
                } else {
                    version
                };
                (previous.first_version, media_since, previous.tickets)
            }
            None => (version, version, HashMap::with_capacity(changed.len())),
        };
        for changed in changed {
            let ticket = SnapshotTicket {
                version: changed.version,
                changed_in: version,
                ticket: changed.ticket,
            };
            tickets.insert(changed.code, ticket);
        }
        Self {
            mark,
            version,
            made_at: now,
            first_version,
            media_since,
            event,
            gates,
            keys,
            messages,
            tickets,
        }
    }

    /// Whether the event had the same policy and the same starts of days.
    pub(super) fn has_rules_of(&self, event: &Event) -> bool {
        self.event.rules() == event.rules()
    }

    /// The version in which a ticket is known.
    pub(super) fn ticket_version(&self, code: TicketCode) -> Option<i64> {
        self.tickets.get(&code).map(|ticket| ticket.version)
    }

    /// Whether the changes since `base` are known, and fewer than half of all tickets.
    pub(super) fn supports_delta(&self, base: u64) -> bool {
        (self.first_version..=self.version).contains(&base)
            && (!self.event.allow_media || base >= self.media_since)
            && self.changed_since(base).count() * 2 <= self.tickets.len()
    }

    fn changed_since(&self, base: u64) -> impl Iterator<Item = &ManifestTicket> {
        let changed = self
            .tickets
            .values()
            .filter(move |ticket| ticket.changed_in > base);
        changed.map(|ticket| &ticket.ticket)
    }
}

/// A snapshot about to be rendered.
pub(super) struct Render {
    pub(super) made_at: Timestamp,
    pub(super) window: Duration,
    pub(super) keyring: Arc<Keyring>,
    pub(super) snapshot: Arc<Snapshot>,
}

impl Render {
    pub(super) fn full(&self) -> Result<SignedManifest, ManifestFailure> {
        let tickets = self.snapshot.tickets.values().map(|ticket| ticket.ticket.clone());
        self.sign(ManifestDraft::full(&self.facts(), tickets)?)
    }

    pub(super) fn delta(&self, base: u64) -> Result<SignedManifest, ManifestFailure> {
        let tickets = self.snapshot.changed_since(base).cloned();
        self.sign(ManifestDraft::delta(&self.facts(), base, tickets)?)
    }

    fn expires_at(&self) -> Timestamp {
        let age = Duration::from_secs(self.snapshot.event.manifest_max_age_s.into());
        self.made_at.plus(age.max(MIN_MANIFEST_AGE))
    }

    fn facts(&self) -> ManifestFacts<'_> {
        let snapshot = &*self.snapshot;
        ManifestFacts {
            version: snapshot.version,
            made_at: self.made_at,
            expires_at: self.expires_at(),
            event: &snapshot.event,
            gates: &snapshot.gates,
            keys: &snapshot.keys,
            messages: &snapshot.messages,
            dedup_window: self.window,
        }
    }

    fn sign(&self, draft: ManifestDraft) -> Result<SignedManifest, ManifestFailure> {
        let bytes = draft
            .sign(&self.keyring)
            .ok_or_else(|| StoreError::failed("a server's keyring signs manifests"))?;
        Ok(SignedManifest::new(
            self.snapshot.version,
            self.expires_at(),
            bytes,
        ))
    }
}
