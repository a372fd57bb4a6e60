//! Remembers the ids of scans, so that a cache answers a scan only if its id is new.
//!
//! Invariants:
//! - An id that was marked is known until many newer ones followed. [`ScanIds::complete_for`] says since when every id is
//!   known.
//! - A cache answers a scan only under the lock, and only if nothing was claimed since the scan was marked. So a claim either
//!   comes first, and the database decides the scan, or it finds the answer among those that are not on record yet.

use std::hash::BuildHasher as _;
use std::time::Duration;

use foldhash::fast::RandomState;
use foldhash::{HashMap, HashSet};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::{OrganizationId, ScanId, TicketCode};

/// The maximal number of scan ids. At least the latest half of them is remembered.
const MAX_SCAN_IDS: usize = 262_144;

/// The scans and the tickets that the database alone decides from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanClaim {
    pub(crate) organization: OrganizationId,
    pub(crate) scan_ids: Vec<ScanId>,
    /// The tickets, where all of their scans are meant.
    pub(crate) ticket_codes: Vec<TicketCode>,
}

impl ScanClaim {
    /// The claim of one scan.
    pub(crate) fn of_scan(organization: OrganizationId, scan: ScanId) -> Self {
        Self {
            organization,
            scan_ids: vec![scan],
            ticket_codes: Vec::new(),
        }
    }
}

/// A scan id as it was found when its scan arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Whether the id was known.
    pub(crate) seen_before: bool,
    claims: u64,
}

/// Remembers scan ids in two generations, and drops the older generation as a whole. There is no order within a generation:
/// each of very many ids arrives once, and maintaining an order would touch memory that is in no processor cache. An id is
/// kept as a number of 64 bits. Two ids with the same number only cost a query.
struct SeenScanIds {
    newer: HashSet<u64>,
    older: HashSet<u64>,
    newer_since: Instant,
    /// Every id since then is known.
    complete_since: Instant,
    hasher: RandomState,
}

impl SeenScanIds {
    fn new(now: Instant) -> Self {
        Self {
            newer: HashSet::default(),
            older: HashSet::default(),
            newer_since: now,
            complete_since: now,
            hasher: RandomState::default(),
        }
    }

    /// Adds an id. Returns whether it was known already.
    fn mark(&mut self, scan: (OrganizationId, ScanId), now: Instant) -> bool {
        let number = self.hasher.hash_one(scan);
        if !self.newer.insert(number) {
            return true;
        }
        let known = self.older.contains(&number);
        if self.newer.len() >= MAX_SCAN_IDS / 2 {
            // Swapped instead of replaced, so that neither set allocates again.
            std::mem::swap(&mut self.older, &mut self.newer);
            self.newer.clear();
            self.complete_since = self.complete_since.max(self.newer_since);
            self.newer_since = now;
        }
        known
    }
}

struct State {
    seen: SeenScanIds,
    /// How many claims there were.
    claims: u64,
    /// What the caches answered and the database does not have yet, with the ticket of each scan.
    unrecorded: HashMap<(OrganizationId, ScanId), TicketCode>,
}

/// The scan ids that this node knows.
pub(crate) struct ScanIds {
    state: Mutex<State>,
    recorded: Notify,
}

impl ScanIds {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                seen: SeenScanIds::new(Instant::now()),
                claims: 0,
                unrecorded: HashMap::default(),
            }),
            recorded: Notify::new(),
        }
    }

    /// Marks the id of a scan that arrives.
    pub(crate) fn mark(&self, organization: OrganizationId, scan: ScanId) -> Mark {
        let mut state = self.state.lock();
        let seen_before = state.seen.mark((organization, scan), Instant::now());
        // A retry: no cache may answer another request with this id any more.
        state.claims += u64::from(seen_before);
        Mark {
            seen_before,
            claims: state.claims,
        }
    }

    /// Marks ids that were decided elsewhere.
    pub(crate) fn mark_all(&self, organization: OrganizationId, scans: impl IntoIterator<Item = ScanId>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        for scan in scans {
            state.seen.mark((organization, scan), now);
        }
    }

    /// Claims scans for the database: no cache answers them any more, and no scan that is being answered now.
    pub(crate) fn claim(&self, claim: &ScanClaim) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.claims += 1;
        for &scan in &claim.scan_ids {
            state.seen.mark((claim.organization, scan), now);
        }
    }

    /// Answers a scan from a cache with `answer`, which queues its record. Returns `None`, without an answer, if something
    /// was claimed since the scan was marked.
    pub(crate) fn answer<T, E>(
        &self,
        mark: Mark,
        (organization, scan, code): (OrganizationId, ScanId, TicketCode),
        answer: impl FnOnce() -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let mut state = self.state.lock();
        if state.claims != mark.claims {
            return None;
        }
        let answered = answer();
        if answered.is_ok() {
            state.unrecorded.insert((organization, scan), code);
        }
        Some(answered)
    }

    /// The records of these answers are written.
    pub(crate) fn recorded(&self, scans: impl IntoIterator<Item = (OrganizationId, ScanId)>) {
        let mut state = self.state.lock();
        for scan in scans {
            state.unrecorded.remove(&scan);
        }
        drop(state);
        self.recorded.notify_waiters();
    }

    /// Whether a cache has answered a claimed scan whose record is not written yet.
    pub(crate) fn has_unrecorded(&self, claim: &ScanClaim) -> bool {
        let unrecorded = &self.state.lock().unrecorded;
        let organization = claim.organization;
        let mut ids = claim.scan_ids.iter();
        ids.any(|&scan| unrecorded.contains_key(&(organization, scan)))
            || unrecorded
                .iter()
                .any(|((of, _), code)| *of == organization && claim.ticket_codes.contains(code))
    }

    /// Waits until the answers to claimed scans are on record.
    pub(crate) async fn until_recorded(&self, claim: &ScanClaim) {
        loop {
            // Created before the check, so that no notification in between is missed.
            let recorded = self.recorded.notified();
            if !self.has_unrecorded(claim) {
                return;
            }
            recorded.await;
        }
    }

    /// For how long this node knows every id that arrived here.
    pub(crate) fn complete_for(&self) -> Duration {
        self.state.lock().seen.complete_since.elapsed()
    }

    /// Ids that were decided elsewhere until now may have been missed.
    pub(crate) fn restart_completeness(&self) {
        self.state.lock().seen.complete_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn organization() -> OrganizationId {
        OrganizationId::from_uuid(uuid::Uuid::nil())
    }

    fn scan(number: usize) -> ScanId {
        ScanId::from_uuid(uuid::Uuid::from_u128(number as u128))
    }

    fn code(number: u8) -> TicketCode {
        TicketCode::from_bytes([number; 12]).expect("a code")
    }

    fn claim(scan_ids: &[ScanId], ticket_codes: &[TicketCode]) -> ScanClaim {
        ScanClaim {
            organization: organization(),
            scan_ids: scan_ids.to_vec(),
            ticket_codes: ticket_codes.to_vec(),
        }
    }

    fn answer(ids: &ScanIds, mark: Mark, number: usize) -> bool {
        let key = (organization(), scan(number), code(1));
        ids.answer(mark, key, || Ok::<(), ()>(())).is_some()
    }

    #[test]
    fn a_scan_id_is_known_after_its_first_use() {
        let ids = ScanIds::new();
        let id = ScanId::generate(Timestamp::from_millis(0));
        assert!(!ids.mark(organization(), id).seen_before);
        assert!(ids.mark(organization(), id).seen_before);
        let other = OrganizationId::from_uuid(uuid::Uuid::from_u128(1));
        assert!(!ids.mark(other, id).seen_before, "another organization's id");
    }

    #[test]
    fn at_least_the_latest_half_of_the_scan_ids_is_remembered() {
        let now = Instant::now();
        let mut seen = SeenScanIds::new(now);
        let mut mark = |number| seen.mark((organization(), scan(number)), now);
        let last = 3 * MAX_SCAN_IDS + 7;
        for number in 0..=last {
            assert!(!mark(number), "{number}");
        }
        for number in last - MAX_SCAN_IDS / 2 + 1..=last {
            assert!(mark(number), "{number}");
        }
        assert!(!mark(0), "the first id is forgotten");
        assert!(seen.newer.len() + seen.older.len() <= MAX_SCAN_IDS);
    }

    #[test]
    fn the_ids_are_complete_since_the_oldest_remembered_one() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut seen = SeenScanIds::new(start);
        for number in 0..MAX_SCAN_IDS / 2 {
            seen.mark((organization(), scan(number)), later);
        }
        assert_eq!(seen.complete_since, start, "nothing is forgotten yet");
        let last = later + Duration::from_secs(1);
        for number in MAX_SCAN_IDS / 2..MAX_SCAN_IDS {
            seen.mark((organization(), scan(number)), last);
        }
        assert_eq!(seen.complete_since, later, "the first generation is forgotten");
    }

    #[test]
    fn no_cache_answers_a_scan_that_was_claimed_while_it_was_being_answered() {
        let ids = ScanIds::new();
        let mark = ids.mark(organization(), scan(1));
        ids.claim(&claim(&[scan(1)], &[]));
        assert!(!answer(&ids, mark, 1));
        assert!(ids.mark(organization(), scan(1)).seen_before);
        let mark = ids.mark(organization(), scan(2));
        ids.mark(organization(), scan(2));
        assert!(!answer(&ids, mark, 2), "its retry arrived meanwhile");
    }

    #[tokio::test]
    async fn a_claim_waits_until_the_answer_of_a_cache_is_on_record() {
        let ids = ScanIds::new();
        let mark = ids.mark(organization(), scan(1));
        assert!(answer(&ids, mark, 1));
        for claimed in [claim(&[scan(1)], &[]), claim(&[], &[code(1)])] {
            assert!(ids.has_unrecorded(&claimed));
        }
        for other in [claim(&[scan(2)], &[]), claim(&[], &[code(2)])] {
            ids.until_recorded(&other).await;
        }
        let claimed = claim(&[scan(1)], &[]);
        tokio::join!(ids.until_recorded(&claimed), async {
            ids.recorded([(organization(), scan(1))]);
        });
        assert!(!ids.has_unrecorded(&claimed));
    }

    #[test]
    fn an_answer_whose_record_could_not_be_queued_is_not_waited_for() {
        let ids = ScanIds::new();
        let mark = ids.mark(organization(), scan(1));
        let key = (organization(), scan(1), code(1));
        assert_eq!(ids.answer(mark, key, || Err::<(), i32>(7)), Some(Err(7)));
        assert!(!ids.has_unrecorded(&claim(&[scan(1)], &[])));
    }
}
