//! How do many phones get the manifest of an event, without its being made for each of them? This node keeps what it
//! read, asks the database for what is new, and writes once what is the same for all.
//!
//! Invariants: one reads for an event at a time, the others wait and get the same; a change that an operator was told of
//! is in what is made after it, a scan within [`PACE`]; `made_at` is a time before anything of it was read; a delta holds
//! every ticket that changed after its base, whichever node made the base, because a version is one state of the database
//! and states follow one another.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use lru::LruCache;

use crate::manifest::{ManifestDraft, ManifestFacts, ManifestTicket, ManifestTooLarge};
use crate::model::{Event, EventId, Gate, OrganizationId, SigningKey, TicketCode, Timestamp};
use crate::store::{ManifestMark, ManifestReading, Store, StoreError};
use crate::token::Keyring;

/// For so long scans alone do not call for another reading: while people come in, everything changes all the time.
const PACE: Duration = Duration::from_secs(2);

/// At least so long a manifest may be taken into use, however young its event wants it.
const SHORTEST_LIFE: Duration = Duration::from_mins(5);

/// The most events that are kept, and how long one is kept that nobody asks for.
const MOST_EVENTS: NonZeroUsize = match NonZeroUsize::new(16) {
    Some(most) => most,
    None => NonZeroUsize::MIN,
};
const KEPT: Duration = Duration::from_hours(1);

/// What a phone has already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The version that it wants what changed since.
    pub since: Option<u64>,
    /// The version of which it wants to be told nothing.
    pub unless: Option<u64>,
}

/// A manifest or a delta, signed.
#[derive(Debug)]
pub struct ManifestIssue {
    /// Its version.
    pub version: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The bytes as a transport packs them: kept here, so that it is done once for all phones.
    pub packed: OnceLock<Vec<u8>>,
}

/// What a phone gets.
#[derive(Debug, Clone)]
pub enum ManifestResponse {
    /// Nothing: what it has is the newest.
    Unchanged(u64),
    /// This.
    Issue(Arc<ManifestIssue>),
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestFailure {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event has more of something than a manifest has room for.
    #[error(transparent)]
    TooLarge(#[from] ManifestTooLarge),
}

/// The manifests that this node makes.
pub(crate) struct ManifestCache {
    window: Duration,
    shelves: Mutex<LruCache<(OrganizationId, EventId), Kept>>,
}

struct Kept {
    asked_at: Timestamp,
    shelf: Arc<tokio::sync::Mutex<Entry>>,
}

/// What is kept of one event.
#[derive(Default)]
struct Entry {
    plate: Option<Arc<Snapshot>>,
    whole: Option<(Timestamp, Arc<ManifestIssue>)>,
}

/// What was read.
#[derive(Clone)]
struct Snapshot {
    mark: ManifestMark,
    version: u64,
    /// The version that was read first: what changed before it is not known.
    first: u64,
    made_at: Timestamp,
    event: Event,
    gates: Vec<Gate>,
    keys: Vec<SigningKey>,
    tickets: HashMap<TicketCode, Printed>,
}

#[derive(Clone)]
struct Printed {
    /// The ticket's own version.
    version: i64,
    /// The version of the manifest that told this first, here.
    changed: u64,
    ticket: ManifestTicket,
}

impl ManifestCache {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            shelves: Mutex::new(LruCache::new(MOST_EVENTS)),
        }
    }

    /// What a phone gets that asks at `now`; `None` where there is no such event.
    ///
    /// It is made to its end, whether the phone waits for it or not: the next one finds it.
    pub(crate) async fn issue(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        keyring: Arc<Keyring>,
        event: EventId,
        held: Precondition,
        now: Timestamp,
    ) -> Result<Option<ManifestResponse>, ManifestFailure> {
        let (manifest_cache, store) = (Arc::clone(self), Arc::clone(store));
        let made =
            tokio::spawn(async move { manifest_cache.make(&*store, &keyring, event, held, now).await });
        made.await.unwrap_or_else(|error| Err(broken(&error)))
    }

    async fn make(
        &self,
        store: &dyn Store,
        keyring: &Arc<Keyring>,
        event: EventId,
        held: Precondition,
        now: Timestamp,
    ) -> Result<Option<ManifestResponse>, ManifestFailure> {
        let organization = keyring.organization_id();
        // Whoever asks for events that are not there takes no other event's place.
        if !self.keeps(organization, event) && store.manifest_mark(organization, event).await?.is_none() {
            return Ok(None);
        }
        let shelf = self.shelf(organization, event, now);
        let mut shelf = shelf.lock().await;
        let Some(mark) = store.manifest_mark(organization, event).await? else {
            self.forget(organization, event);
            return Ok(None);
        };
        if shelf.is_due(&mark, held, now) {
            let plate = shelf.plate.as_deref();
            let known = |code| Some(plate?.tickets.get(&code)?.version);
            let Some(reading) = store.read_manifest(organization, event, &known).await? else {
                self.forget(organization, event);
                return Ok(None);
            };
            shelf.take(reading, now);
        }
        let Some(plate) = shelf.plate.clone() else {
            return Ok(None);
        };
        if held.unless == Some(plate.version) {
            return Ok(Some(ManifestResponse::Unchanged(plate.version)));
        }
        // Nothing changed since it was read: what is made of it is as young as the question.
        let made_at = if plate.mark == mark {
            plate.made_at.max(now)
        } else {
            plate.made_at
        };
        let print = Render {
            made_at,
            window: self.window,
            keyring: Arc::clone(keyring),
            plate,
        };
        if let Some(base) = held.since.filter(|base| print.plate.has_delta_onto(*base)) {
            let issue = in_background(move || print.delta(base)).await?;
            return Ok(Some(ManifestResponse::Issue(Arc::new(issue))));
        }
        if let Some((made_at, whole)) = &shelf.whole
            && whole.version == print.plate.version
            && now < made_at.plus(PACE)
        {
            return Ok(Some(ManifestResponse::Issue(Arc::clone(whole))));
        }
        let whole = Arc::new(in_background(move || print.whole()).await?);
        shelf.whole = Some((made_at, Arc::clone(&whole)));
        Ok(Some(ManifestResponse::Issue(whole)))
    }

    fn shelf(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Arc<tokio::sync::Mutex<Entry>> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        while shelves
            .peek_lru()
            .is_some_and(|(_, kept)| now > kept.asked_at.plus(KEPT))
        {
            shelves.pop_lru();
        }
        let kept = shelves.get_or_insert_mut((organization, event), || Kept {
            asked_at: now,
            shelf: Arc::default(),
        });
        kept.asked_at = now;
        Arc::clone(&kept.shelf)
    }

    fn keeps(&self, organization: OrganizationId, event: EventId) -> bool {
        let shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.contains(&(organization, event))
    }

    fn forget(&self, organization: OrganizationId, event: EventId) {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.pop(&(organization, event));
    }
}

/// Writes and signs where it holds up nobody else: a large manifest takes a while.
async fn in_background(
    print: impl FnOnce() -> Result<ManifestIssue, ManifestFailure> + Send + 'static,
) -> Result<ManifestIssue, ManifestFailure> {
    let printed = tokio::task::spawn_blocking(print).await;
    printed.unwrap_or_else(|error| Err(broken(&error)))
}

/// A task that did not come to its end.
fn broken(error: &tokio::task::JoinError) -> ManifestFailure {
    StoreError::failed(error.to_string()).into()
}

impl Entry {
    /// Whether what is kept no longer does.
    fn is_due(&self, mark: &ManifestMark, held: Precondition, now: Timestamp) -> bool {
        let Some(plate) = &self.plate else { return true };
        if plate.mark == *mark {
            return false;
        }
        let scans_alone = plate.mark
            == ManifestMark {
                movements: plate.mark.movements,
                ..*mark
            };
        // A phone that another node told more must not be told less here.
        let behind = held
            .since
            .max(held.unless)
            .is_some_and(|held| held > plate.version);
        !scans_alone || behind || now >= plate.made_at.plus(PACE)
    }

    fn take(&mut self, reading: ManifestReading, now: Timestamp) {
        let ManifestReading {
            mark,
            version,
            event,
            gates,
            keys,
            changed,
        } = reading;
        let (first, mut tickets) = match self.plate.take() {
            Some(plate) => {
                let plate = Arc::unwrap_or_clone(plate);
                (plate.first, plate.tickets)
            }
            None => (version, HashMap::with_capacity(changed.len())),
        };
        for one in changed {
            let printed = Printed {
                version: one.version,
                changed: version,
                ticket: one.ticket,
            };
            tickets.insert(one.code, printed);
        }
        self.plate = Some(Arc::new(Snapshot {
            mark,
            version,
            first,
            made_at: now,
            event,
            gates,
            keys,
            tickets,
        }));
    }
}

impl Snapshot {
    /// Whether it is known what changed since `base`, and is less than half of all.
    fn has_delta_onto(&self, base: u64) -> bool {
        (self.first..=self.version).contains(&base) && self.since(base).count() * 2 <= self.tickets.len()
    }

    fn since(&self, base: u64) -> impl Iterator<Item = &ManifestTicket> {
        let changed = self
            .tickets
            .values()
            .filter(move |printed| printed.changed > base);
        changed.map(|printed| &printed.ticket)
    }
}

/// A plate on its way to paper.
struct Render {
    made_at: Timestamp,
    window: Duration,
    keyring: Arc<Keyring>,
    plate: Arc<Snapshot>,
}

impl Render {
    fn whole(&self) -> Result<ManifestIssue, ManifestFailure> {
        let tickets = self.plate.tickets.values().map(|printed| printed.ticket.clone());
        self.signed(ManifestDraft::full(&self.facts(), tickets)?)
    }

    fn delta(&self, base: u64) -> Result<ManifestIssue, ManifestFailure> {
        let tickets = self.plate.since(base).cloned();
        self.signed(ManifestDraft::delta(&self.facts(), base, tickets)?)
    }

    fn facts(&self) -> ManifestFacts<'_> {
        let plate = &*self.plate;
        let age = Duration::from_secs(plate.event.manifest_max_age_s.into());
        ManifestFacts {
            version: plate.version,
            made_at: self.made_at,
            expires_at: self.made_at.plus(age.max(SHORTEST_LIFE)),
            event: &plate.event,
            gates: &plate.gates,
            keys: &plate.keys,
            dedup_window: self.window,
        }
    }

    fn signed(&self, draft: ManifestDraft) -> Result<ManifestIssue, ManifestFailure> {
        let bytes = draft
            .sign(&self.keyring)
            .ok_or_else(|| StoreError::failed("a server's keyring signs manifests"))?;
        Ok(ManifestIssue {
            version: self.plate.version,
            bytes,
            packed: OnceLock::new(),
        })
    }
}
