//! Issues the manifests of events, without building one for each phone that asks: a node keeps what it read, asks the
//! database only for what is new, and renders once what is the same for all phones.
//!
//! Invariants:
//! - One caller reads for an event at a time. The others wait and get the same manifest.
//! - A change that was answered to an operator is in every manifest made after it. A scan is in it after at most
//!   [`SCAN_REFRESH_INTERVAL`], and no request makes a node read scans more often.
//! - `made_at` is a time before any part of the manifest was read.
//! - A delta holds every ticket that changed after its base, whichever node issued the base: a version is one state of the
//!   database, and states follow one another.
//! - A transfer that broke off is resumed with the bytes that it began with, or not at all.

mod issued;
mod snapshot;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::bus::EventKey;
use crate::manifest::ManifestTooLarge;
use crate::model::{EventId, OrganizationId, Timestamp};
use crate::store::{ManifestMark, Store, StoreError};
use crate::token::Keyring;
use issued::IssuedManifests;
pub use issued::SignedManifest;
use snapshot::{Render, Snapshot};

/// How long a snapshot serves while only scans change the event. During admission something changes all the time.
const SCAN_REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// The maximal number of events in the cache.
const MAX_EVENTS: NonZeroUsize = match NonZeroUsize::new(16) {
    Some(events) => events,
    None => NonZeroUsize::MIN,
};

/// How long an event stays in the cache after the last request.
const IDLE_TIMEOUT: Duration = Duration::from_hours(1);

/// The versions that a phone has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The version that a delta may build on.
    pub delta_base: Option<u64>,
    /// The version for which no manifest is needed: the phone has it.
    pub none_match: Option<u64>,
}

/// The response to a phone's request for a manifest.
#[derive(Debug, Clone)]
pub enum ManifestResponse {
    /// The phone has the newest version, which is this one.
    NotModified(u64),
    /// The manifest, or a delta.
    Manifest(Arc<SignedManifest>),
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestFailure {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event exceeds a limit of the manifest format.
    #[error(transparent)]
    TooLarge(#[from] ManifestTooLarge),
}

/// The manifests of this node.
pub(crate) struct ManifestCache {
    window: Duration,
    events: Mutex<LruCache<EventKey, CachedEvent>>,
    issued: IssuedManifests,
}

struct CachedEvent {
    last_requested_at: Timestamp,
    /// Locked while one caller reads and renders for the event.
    manifests: Arc<tokio::sync::Mutex<EventManifests>>,
}

/// The snapshot and the full manifest of one event.
#[derive(Default)]
struct EventManifests {
    snapshot: Option<Arc<Snapshot>>,
    /// The last full manifest, with its `made_at`.
    full: Option<(Timestamp, Arc<SignedManifest>)>,
}

/// What a request has to do before it gets the snapshot.
enum Refresh {
    /// Nothing: it is new enough.
    None,
    /// Read the database again.
    Now,
    /// Wait this long, and ask again.
    After(Duration),
}

impl EventManifests {
    /// Whether the database must be read again for a request that came at `requested_at`. `mark` is the present one.
    fn refresh(
        &self,
        mark: &ManifestMark,
        precondition: Precondition,
        requested_at: Timestamp,
        now: Timestamp,
    ) -> Refresh {
        let Some(snapshot) = &self.snapshot else {
            return Refresh::Now;
        };
        if snapshot.mark == *mark {
            return Refresh::None;
        }
        let only_scans_changed = snapshot.mark
            == ManifestMark {
                movements: snapshot.mark.movements,
                ..*mark
            };
        let due_at = snapshot.made_at.plus(SCAN_REFRESH_INTERVAL);
        // A clock that was set back makes the snapshot look as if it came later.
        if !only_scans_changed || now >= due_at || now < snapshot.made_at {
            return Refresh::Now;
        }
        // A phone that has a newer version from another node must not get an older one here. It waits, because it may also
        // name a version that does not exist. What was read after its request is newer than all that it can have.
        let phone_is_newer = precondition
            .delta_base
            .max(precondition.none_match)
            .is_some_and(|version| version > snapshot.version);
        match u64::try_from(due_at.millis_since(now)) {
            Ok(millis) if phone_is_newer && snapshot.made_at < requested_at => {
                Refresh::After(Duration::from_millis(millis))
            }
            _ => Refresh::None,
        }
    }
}

impl ManifestCache {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            events: Mutex::new(LruCache::new(MAX_EVENTS)),
            issued: IssuedManifests::new(),
        }
    }

    /// The age of what phones get now of each event, at most `limit`, the latest requested first. An event whose manifest is
    /// being made is left out.
    pub(crate) fn ages(&self, now: Timestamp, limit: usize) -> Vec<(EventKey, Duration)> {
        let events: Vec<_> = {
            let events = self.events.lock();
            let latest = events.iter().take(limit);
            latest
                .map(|(key, cached)| (*key, Arc::clone(&cached.manifests)))
                .collect()
        };
        let age = |manifests: &EventManifests| {
            let made_at = manifests.snapshot.as_ref()?.made_at;
            let millis = u64::try_from(now.millis_since(made_at)).unwrap_or(0);
            Some(Duration::from_millis(millis))
        };
        events
            .into_iter()
            .filter_map(|(key, manifests)| {
                let manifests = manifests.try_lock().ok()?;
                Some((key, age(&manifests)?))
            })
            .collect()
    }

    /// The response to a phone that asks at `now`; `None` where there is no such event.
    ///
    /// The manifest is completed even if the phone goes away: the next phone finds it.
    pub(crate) async fn issue(
        self: &Arc<Self>,
        store: &Arc<dyn Store>,
        keyring: Arc<Keyring>,
        event: EventId,
        precondition: Precondition,
        now: Timestamp,
    ) -> Result<Option<ManifestResponse>, ManifestFailure> {
        let (manifest_cache, store) = (Arc::clone(self), Arc::clone(store));
        let response = tokio::spawn(async move {
            manifest_cache
                .respond(&store, &keyring, event, precondition, now)
                .await
        });
        response.await.unwrap_or_else(|error| Err(task_failure(&error)))
    }

    /// The manifest that this node or another one issued under a tag ([`SignedManifest::tag`]), as long as it is kept.
    pub(crate) async fn issued(
        &self,
        store: &dyn Store,
        organization: OrganizationId,
        event: EventId,
        tag: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedManifest>>, StoreError> {
        let key = (organization, event);
        if let Some(manifest) = self.issued.find(key, tag, now) {
            return Ok(Some(manifest));
        }
        let Some(copy) = store.manifest_copy(organization, event, tag, now).await? else {
            return Ok(None);
        };
        let read = tokio::task::spawn_blocking(move || SignedManifest::of_copy(copy)).await;
        let Some(manifest) = read.map_err(|error| StoreError::failed(error.to_string()))? else {
            return Ok(None);
        };
        let manifest = Arc::new(manifest);
        self.issued.keep(key, &manifest, false, now);
        Ok(Some(manifest))
    }

    /// Keeps a full manifest for resumed transfers, on this node and on the others.
    fn keep(
        &self,
        store: &Arc<dyn Store>,
        (organization, event): EventKey,
        manifest: &Arc<SignedManifest>,
        now: Timestamp,
    ) {
        self.issued.keep((organization, event), manifest, false, now);
        if !store.is_shared() {
            return;
        }
        let (store, manifest) = (Arc::clone(store), Arc::clone(manifest));
        // Beside the answer: a copy that is late, or missing, only makes a phone begin a transfer again.
        tokio::spawn(async move {
            let Ok(copy) = tokio::task::spawn_blocking(move || manifest.to_copy(now)).await else {
                return;
            };
            if let Err(error) = store.keep_manifest_copy(organization, event, &copy, now).await {
                tracing::warn!(%error, "the manifest is not kept for other nodes");
            }
        });
    }

    async fn respond(
        &self,
        store: &Arc<dyn Store>,
        keyring: &Arc<Keyring>,
        event: EventId,
        precondition: Precondition,
        now: Timestamp,
    ) -> Result<Option<ManifestResponse>, ManifestFailure> {
        let organization = keyring.organization_id();
        // Requests for unknown events must not evict known ones.
        if !self.contains(organization, event) && store.manifest_mark(organization, event).await?.is_none() {
            return Ok(None);
        }
        let manifests = self.manifests(organization, event, now);
        let (requested_at, began_at) = (now, Instant::now());
        let (mut manifests, mark, is_outdated, now) = loop {
            let manifests = manifests.lock().await;
            // Later than what others read while this request waited.
            let now = requested_at.plus(began_at.elapsed());
            let Some(mark) = store.manifest_mark(organization, event).await? else {
                self.remove(organization, event);
                return Ok(None);
            };
            match manifests.refresh(&mark, precondition, requested_at, now) {
                Refresh::None => break (manifests, mark, false, now),
                Refresh::Now => break (manifests, mark, true, now),
                Refresh::After(wait) => {
                    drop(manifests);
                    sleep(wait).await;
                }
            }
        };
        if is_outdated {
            let previous = manifests.snapshot.as_deref();
            let known_version = |code| previous?.ticket_version(code);
            let Some(reading) = store.read_manifest(organization, event, &known_version).await? else {
                self.remove(organization, event);
                return Ok(None);
            };
            let is_same_day = previous.is_none_or(|previous| previous.has_rules_of(&reading.event));
            let (previous, reading) = if is_same_day {
                (manifests.snapshot.take(), reading)
            } else {
                // What a manifest tells of each ticket depends on when days begin. No delta describes such a change.
                let Some(reading) = store.read_manifest(organization, event, &|_| None).await? else {
                    self.remove(organization, event);
                    return Ok(None);
                };
                (None, reading)
            };
            let snapshot = Snapshot::update(previous, reading, now);
            manifests.snapshot = Some(Arc::new(snapshot));
        }
        let Some(snapshot) = manifests.snapshot.clone() else {
            return Ok(None);
        };
        if precondition.none_match == Some(snapshot.version) {
            return Ok(Some(ManifestResponse::NotModified(snapshot.version)));
        }
        // If nothing changed since the snapshot was read, it is still true now.
        let made_at = if snapshot.mark == mark {
            snapshot.made_at.max(now)
        } else {
            snapshot.made_at
        };
        let render = Render {
            made_at,
            window: self.window,
            keyring: Arc::clone(keyring),
            snapshot,
        };
        let delta_base = precondition
            .delta_base
            .filter(|base| render.snapshot.supports_delta(*base));
        if let Some(base) = delta_base {
            let delta = Arc::new(render_in_background(move || render.delta(base)).await?);
            self.issued.keep((organization, event), &delta, true, now);
            return Ok(Some(ManifestResponse::Manifest(delta)));
        }
        if let Some((made_at, full)) = &manifests.full
            && full.version() == render.snapshot.version
            && now < made_at.plus(SCAN_REFRESH_INTERVAL)
        {
            return Ok(Some(ManifestResponse::Manifest(Arc::clone(full))));
        }
        let full = Arc::new(render_in_background(move || render.full()).await?);
        self.keep(store, (organization, event), &full, now);
        manifests.full = Some((made_at, Arc::clone(&full)));
        Ok(Some(ManifestResponse::Manifest(full)))
    }

    /// The manifests of an event. Also evicts events without a request for [`IDLE_TIMEOUT`].
    fn manifests(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Arc<tokio::sync::Mutex<EventManifests>> {
        let mut events = self.events.lock();
        while events
            .peek_lru()
            .is_some_and(|(_, cached)| now > cached.last_requested_at.plus(IDLE_TIMEOUT))
        {
            events.pop_lru();
        }
        let cached = events.get_or_insert_mut((organization, event), || CachedEvent {
            last_requested_at: now,
            manifests: Arc::default(),
        });
        cached.last_requested_at = now;
        Arc::clone(&cached.manifests)
    }

    fn contains(&self, organization: OrganizationId, event: EventId) -> bool {
        self.events.lock().contains(&(organization, event))
    }

    fn remove(&self, organization: OrganizationId, event: EventId) {
        self.events.lock().pop(&(organization, event));
    }
}

/// Renders and signs on a blocking thread: a large manifest takes too long for a worker of the runtime.
async fn render_in_background(
    render: impl FnOnce() -> Result<SignedManifest, ManifestFailure> + Send + 'static,
) -> Result<SignedManifest, ManifestFailure> {
    let rendered = tokio::task::spawn_blocking(render).await;
    rendered.unwrap_or_else(|error| Err(task_failure(&error)))
}

/// The failure of a task that panicked or was cancelled.
fn task_failure(error: &tokio::task::JoinError) -> ManifestFailure {
    StoreError::failed(error.to_string()).into()
}
