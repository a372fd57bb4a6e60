//! The manifests that this node issued lately. A phone whose transfer broke off gets the rest of exactly these bytes.
//!
//! Invariants: a tag names one sequence of bytes; the bytes kept stay below [`MAX_BYTES`], apart from the newest manifest.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use lru::LruCache;
use parking_lot::Mutex;

use crate::bus::EventKey;
use crate::model::{Timestamp, hex};
use crate::store::ManifestCopy;

/// The maximal number of bytes that are kept, with their compressed form.
const MAX_BYTES: usize = 64 << 20;

/// How long a manifest is kept after its last use.
const IDLE_TIMEOUT: Duration = Duration::from_mins(15);

/// A smaller delta is not kept: a phone requests it again as fast as its rest.
const MIN_DELTA_BYTES: usize = 64 << 10;

/// The bytes of the signature in a tag. A signature is different for different bytes.
const TAG_BYTES: usize = 16;

/// A manifest or a delta with its signature.
#[derive(Debug)]
pub struct SignedManifest {
    version: u64,
    expires_at: Timestamp,
    bytes: Vec<u8>,
    /// Made once, for all phones.
    compressed: OnceLock<Vec<u8>>,
}

impl SignedManifest {
    pub(super) const fn new(version: u64, expires_at: Timestamp, bytes: Vec<u8>) -> Self {
        Self {
            version,
            expires_at,
            bytes,
            compressed: OnceLock::new(),
        }
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A text that names these bytes and no others: the version, a hyphen, and the start of the signature.
    #[must_use]
    pub fn tag(&self) -> String {
        let signature = self
            .bytes
            .split_last_chunk::<64>()
            .map(|(_, signature)| signature);
        let signature = signature.and_then(|signature| signature.first_chunk::<TAG_BYTES>());
        let signature = signature.map_or_else(String::new, |signature| hex::encode(signature));
        format!("{}-{signature}", self.version)
    }

    /// The manifest of a copy that another node kept. `None` if the copy is damaged.
    pub(super) fn of_copy(copy: ManifestCopy) -> Option<Self> {
        let mut bytes = Vec::new();
        GzDecoder::new(copy.bytes.as_slice())
            .read_to_end(&mut bytes)
            .ok()?;
        let manifest = Self {
            version: Self::version_of_tag(&copy.tag)?,
            expires_at: copy.expires_at,
            bytes,
            compressed: OnceLock::from(copy.bytes),
        };
        (manifest.tag() == copy.tag).then_some(manifest)
    }

    /// The copy for other nodes.
    pub(super) fn to_copy(&self, now: Timestamp) -> ManifestCopy {
        ManifestCopy {
            tag: self.tag(),
            bytes: self.compressed().to_vec(),
            expires_at: self.expires_at.min(now.plus(IDLE_TIMEOUT)),
        }
    }

    /// The version in a tag.
    #[must_use]
    pub fn version_of_tag(tag: &str) -> Option<u64> {
        let version = tag.split_once('-').map_or(tag, |(version, _)| version);
        version.parse().ok()
    }

    /// The bytes as gzip. The first call compresses them, which takes a while; others wait for it.
    #[must_use]
    pub fn compressed(&self) -> &[u8] {
        self.compressed.get_or_init(|| compress(&self.bytes))
    }

    /// The bytes as gzip, if they are compressed already.
    #[must_use]
    pub fn compressed_before(&self) -> Option<&[u8]> {
        self.compressed.get().map(Vec::as_slice)
    }

    fn size(&self) -> usize {
        // Before it is compressed: what it will take at most.
        2 * self.bytes.len()
    }
}

/// Compresses a manifest. Hashes do not compress and the rest compresses well at any level, so that the fastest level
/// gives the same size as the best one.
#[expect(clippy::expect_used, reason = "writing to memory does not fail")]
fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    gzip.write_all(bytes)
        .and_then(|()| gzip.finish())
        .expect("writing to memory does not fail")
}

/// The manifests that can be resumed at this node.
pub(super) struct IssuedManifests(Mutex<Kept>);

struct Kept {
    manifests: LruCache<(EventKey, String), KeptManifest>,
    bytes: usize,
}

struct KeptManifest {
    last_used_at: Timestamp,
    manifest: Arc<SignedManifest>,
}

impl IssuedManifests {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Kept {
            manifests: LruCache::unbounded(),
            bytes: 0,
        }))
    }

    /// Keeps a manifest that was issued.
    pub(super) fn keep(
        &self,
        event: EventKey,
        manifest: &Arc<SignedManifest>,
        is_delta: bool,
        now: Timestamp,
    ) {
        if is_delta && manifest.bytes.len() < MIN_DELTA_BYTES {
            return;
        }
        let kept = &mut *self.0.lock();
        let added = KeptManifest {
            last_used_at: now,
            manifest: Arc::clone(manifest),
        };
        kept.bytes += manifest.size();
        if let Some(before) = kept.manifests.put((event, manifest.tag()), added) {
            kept.bytes -= before.manifest.size();
        }
        kept.evict(now);
    }

    /// The manifest of a tag, if it is kept and may still be taken into use.
    pub(super) fn find(&self, event: EventKey, tag: &str, now: Timestamp) -> Option<Arc<SignedManifest>> {
        let kept = &mut *self.0.lock();
        kept.evict(now);
        let found = kept.manifests.get_mut(&(event, tag.to_owned()))?;
        found.last_used_at = now;
        (now <= found.manifest.expires_at).then(|| Arc::clone(&found.manifest))
    }
}

impl Kept {
    /// Removes what was not used for [`IDLE_TIMEOUT`], and the least recently used manifests while there is too much.
    fn evict(&mut self, now: Timestamp) {
        while self.manifests.peek_lru().is_some_and(|(_, oldest)| {
            now > oldest.last_used_at.plus(IDLE_TIMEOUT)
                || (self.bytes > MAX_BYTES && self.manifests.len() > 1)
        }) {
            if let Some((_, removed)) = self.manifests.pop_lru() {
                self.bytes -= removed.manifest.size();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{EventId, OrganizationId};

    const NOW: Timestamp = Timestamp::from_seconds(1_780_000_000);

    fn event(number: u128) -> EventKey {
        (
            OrganizationId::from_uuid(Uuid::from_u128(1)),
            EventId::from_uuid(Uuid::from_u128(number)),
        )
    }

    fn manifest(version: u8, size: usize) -> Arc<SignedManifest> {
        let mut bytes = vec![0; size];
        bytes.extend([version; 64]);
        Arc::new(SignedManifest::new(
            version.into(),
            NOW.plus(Duration::from_hours(1)),
            bytes,
        ))
    }

    #[test]
    fn a_tag_names_the_bytes_and_its_version_is_read_back() {
        let one = manifest(7, 10);
        assert_eq!(one.tag(), format!("7-{}", "07".repeat(16)));
        assert_ne!(one.tag(), manifest(8, 10).tag());
        assert_eq!(SignedManifest::version_of_tag(&one.tag()), Some(7));
        assert_eq!(SignedManifest::version_of_tag("17"), Some(17));
        for other in ["", "-", "x-1", "17x"] {
            assert_eq!(SignedManifest::version_of_tag(other), None, "{other}");
        }
    }

    #[test]
    fn a_copy_is_the_same_manifest_and_a_damaged_one_is_none() {
        let one = manifest(7, 5000);
        let copy = one.to_copy(NOW);
        assert_eq!(copy.expires_at, NOW.plus(IDLE_TIMEOUT));
        let again = SignedManifest::of_copy(copy.clone()).expect("a manifest");
        assert_eq!((again.bytes(), again.tag()), (one.bytes(), one.tag()));
        assert_eq!(again.compressed(), one.compressed());
        // The start of the file, and the checksum at its end.
        for at in [0, copy.bytes.len() - 5] {
            let mut damaged = copy.clone();
            damaged.bytes[at] ^= 1;
            assert!(SignedManifest::of_copy(damaged).is_none(), "byte {at}");
        }
        let mut cut = copy.clone();
        cut.bytes.truncate(copy.bytes.len() / 2);
        assert!(SignedManifest::of_copy(cut).is_none());
        let renamed = ManifestCopy {
            tag: manifest(8, 10).tag(),
            ..copy
        };
        assert!(SignedManifest::of_copy(renamed).is_none());
    }

    #[test]
    fn a_manifest_is_kept_for_its_event_until_it_is_not_used_or_expires() {
        let issued = IssuedManifests::new();
        let one = manifest(1, 100);
        issued.keep(event(1), &one, false, NOW);
        let found = |event, at| issued.find(event, &one.tag(), at).is_some();
        assert!(found(event(1), NOW));
        assert!(!found(event(2), NOW), "another event's");
        let mut now = NOW;
        for _ in 0..3 {
            now = now.plus(IDLE_TIMEOUT);
            assert!(found(event(1), now), "it is in use");
        }
        assert!(
            !found(event(1), now.plus(IDLE_TIMEOUT).plus_millis(1)),
            "it was not used"
        );
        issued.keep(event(1), &one, false, NOW);
        assert!(
            !found(event(1), NOW.plus(Duration::from_hours(1)).plus_millis(1)),
            "expired"
        );
    }

    #[test]
    fn the_least_recently_used_manifests_make_place_and_small_deltas_take_none() {
        let issued = IssuedManifests::new();
        let big: Vec<_> = (1..=4).map(|version| manifest(version, 10 << 20)).collect();
        for one in &big[..3] {
            issued.keep(event(1), one, false, NOW);
        }
        let is_kept = |one: &Arc<SignedManifest>| issued.find(event(1), &one.tag(), NOW).is_some();
        assert!(is_kept(&big[0]), "three fit, and this one is used now");
        issued.keep(event(1), &big[3], false, NOW);
        let kept: Vec<_> = big.iter().map(is_kept).collect();
        assert_eq!(kept, [true, false, true, true]);
        let delta = manifest(9, 100);
        issued.keep(event(1), &delta, true, NOW);
        assert!(!is_kept(&delta));
        let alone = manifest(10, MAX_BYTES);
        issued.keep(event(1), &alone, false, NOW);
        assert!(is_kept(&alone), "the newest is always kept");
        assert!(!is_kept(&big[3]));
    }
}
