//! Properties of uploads: the same scans give the same state in every order and in every grouping.

mod many_scans;
mod rule_changes;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::model::{
    Attempt, Claims, DeviceStatus, Direction, Event, Fingerprint, Format, GateId, Ledger, Movement, Override,
    Reading, Reentry, ResultCounts, RuleSettings, ScannedBy, SessionId, TicketFacts, TicketId, TicketStatus,
    Undone, Verification,
};
use crate::rules::decision::tests::{NOW, WINDOW, event, gate, ticket};
use crate::rules::{
    BatchFacts, CountChange, FormerRules, HistoryKind, SessionFacts, TicketRules, decide_batch,
};
use crate::token::payload_sha256;

const RULES: RuleSettings = RuleSettings { dedup_window: WINDOW };

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}

fn tickets(entry_limit: u8) -> Vec<TicketFacts> {
    let codes = ["3KQR7F924M1XaB0z", "3KQR7F924M1XaB1z"];
    let made = codes.iter().zip(40..).map(|(code, number)| {
        let mut facts = ticket();
        facts.ticket.id = id(number);
        facts.ticket.code = code.parse().expect("a code");
        facts.ticket.entry_limit = entry_limit;
        facts
    });
    made.collect()
}

/// What a device reports about its decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Admitted,
    Overridden,
    Denied,
    Undecided,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    number: u128,
    device: u128,
    gate: u128,
    ticket: usize,
    seconds: i64,
    direction: Direction,
    report: Report,
    /// Whether the server answers it at the gate before the device uploads it.
    online: bool,
    overrides: bool,
    undone: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let report = prop::sample::select(vec![
        Report::Admitted,
        Report::Admitted,
        Report::Admitted,
        Report::Overridden,
        Report::Denied,
        Report::Undecided,
    ]);
    let ways = prop::sample::select(vec![Direction::Entry, Direction::Entry, Direction::Exit]);
    (
        (0..3_u128, 3..5_u128, 0..2_usize, 0..900_i64),
        (
            ways,
            report,
            prop::bool::weighted(0.3),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.1),
        ),
    )
        .prop_map(
            |((device, gate, ticket, seconds), (direction, report, online, overrides, undone))| Step {
                number: 0,
                device: 70 + device,
                gate,
                ticket,
                // Coarse steps, so that scans share times.
                seconds: seconds / 20 * 20,
                direction,
                report,
                online,
                overrides,
                undone,
            },
        )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..14).prop_map(|mut steps| {
        for (step, number) in steps.iter_mut().zip(1000..) {
            step.number = number;
        }
        steps
    })
}

/// `NOW` is 18:00 UTC. A day begins 420 seconds after it, when it is 19:07 in Berlin.
const DAY_STARTS_AT: &str = "19:07";
const ZONE: &str = "Europe/Berlin";

/// A database in memory.
struct TestDatabase {
    event: Event,
    tickets: HashMap<TicketId, TicketFacts>,
    scans: HashMap<ScanId, (ScanState, [u8; 32])>,
    counts: BTreeMap<GateId, CountChange>,
    missing: HashMap<DeviceId, ReceivedSequences>,
    former_rules: FormerRules,
    rules_since: Timestamp,
    counted_since: Timestamp,
}

impl TestDatabase {
    fn new(reentry: Reentry, entry_limit: u8) -> Self {
        let mut event = event();
        event.reentry = reentry;
        event.day_starts_at = DAY_STARTS_AT.parse().expect("a time of day");
        event.time_zone = ZONE.parse().expect("a zone");
        Self {
            event,
            tickets: tickets(entry_limit)
                .into_iter()
                .map(|facts| (facts.ticket.id, facts))
                .collect(),
            scans: HashMap::new(),
            counts: BTreeMap::new(),
            missing: HashMap::new(),
            former_rules: FormerRules::default(),
            rules_since: Timestamp::from_millis(0),
            counted_since: Timestamp::MIN,
        }
    }

    fn claims(step: &Step) -> (Claims, [u8; 32]) {
        let code = tickets(1)[step.ticket].ticket.code;
        let claims = Claims {
            ticket_code: Some(code),
            ..Claims::default()
        };
        (claims, payload_sha256(&code.to_string()))
    }

    fn fingerprint(step: &Step) -> Fingerprint {
        Fingerprint {
            sha256: Self::claims(step).1,
            other_sha256: None,
            format: Some(Format::Vg1),
            kid: None,
        }
    }

    fn count(&mut self, gate: GateId, change: &CountChange) {
        let count = self.counts.entry(gate).or_default();
        count.add_movement(&Movement {
            gate_id: gate,
            since: change.since,
            entries: change.entries,
            exits: change.exits,
        });
        count.results.add(&change.results);
    }

    fn decide_online(&mut self, step: &Step) {
        let session: SessionId = id(9);
        let mut facts = BatchFacts::default();
        let organization = self.event.organization_id;
        facts.sessions.insert(
            (organization, session),
            SessionFacts {
                session_active: true,
                device_status: DeviceStatus::Active,
                device_scope: crate::model::DeviceScope::default(),
                device_name: format!("Scanner {}", step.device),
                event: self.event.clone(),
                gate: gate(step.gate),
                rules_since: self.rules_since,
                counted_since: self.counted_since,
            },
        );
        for facts_of_ticket in self.tickets.values() {
            facts.add_ticket(facts_of_ticket.clone());
        }
        let attempt = Attempt {
            scan_id: id(step.number),
            organization_id: organization,
            scanned_by: ScannedBy::Device {
                id: id(step.device),
                session_id: session,
            },
            event_id: self.event.id,
            gate_id: gate(step.gate).id,
            gate_name: "Main".to_owned(),
            authenticated: None,
            fingerprint: Self::fingerprint(step),
            verification: Verification::Verified(Self::claims(step).0),
            direction: step.direction,
            now: NOW.plus_millis(step.seconds * 1000),
            device_scanned_at: None,
            override_: None,
            metadata: None,
            warnings: Vec::new(),
            origin: None,
            claimed: true,
        };
        let (_, writes) = decide_batch(&[attempt], facts, &RULES);
        for scan in writes.scans {
            let state = ScanState {
                entry_limit: scan.snapshot.ticket.as_ref().map(|ticket| ticket.entry_limit),
                record: scan.record,
                history_kind: None,
                conflict: None,
                winner: None,
                gate_name: scan.snapshot.gate_name,
                device_name: format!("Scanner {}", step.device),
            };
            self.scans
                .insert(state.record.scan_id, (state, scan.fingerprint.sha256));
        }
        for ((_, _, gate), change) in &writes.counts {
            self.count(*gate, change);
        }
        for facts in writes.tickets {
            self.tickets.insert(facts.ticket.id, facts);
        }
    }

    fn history(&self) -> Vec<ScanState> {
        let takes_part =
            |state: &&ScanState| state.record.result == ScanResult::Valid || state.history_kind.is_some();
        self.scans
            .values()
            .map(|(state, _)| state)
            .filter(takes_part)
            .cloned()
            .collect()
    }

    fn item(step: &Step) -> UploadItem {
        let (local_result, local_reason) = match (step.report, step.direction) {
            (Report::Admitted | Report::Overridden, Direction::Exit) => (Some(ScanResult::Valid), None),
            (Report::Admitted, Direction::Entry) => (Some(ScanResult::Valid), Some(Reason::Admitted)),
            (Report::Overridden, Direction::Entry) => (Some(ScanResult::Valid), Some(Reason::Overridden)),
            (Report::Denied, _) => (Some(ScanResult::Duplicate), None),
            (Report::Undecided, _) => (None, None),
        };
        let scan = SyncScan {
            scan_id: id(step.number),
            reading: Reading::Qr(
                Self::claims(step)
                    .0
                    .ticket_code
                    .map(|code| code.to_string())
                    .unwrap_or_default(),
            ),
            gate_id: gate(step.gate).id,
            direction: step.direction,
            scanned_at: NOW.plus_millis(step.seconds * 1000),
            local_result,
            local_reason,
            sequence: Some(u64::try_from(step.number - 999).expect("small")),
            override_: (step.overrides || step.report == Report::Overridden).then(|| Override {
                reason: "Knows the band".parse().expect("a reason"),
            }),
            metadata: None,
            event_id: None,
            age_ms: None,
            prev_hash: None,
        };
        UploadItem {
            scan_id: Some(scan.scan_id),
            sequence: scan.sequence,
            link: LinkHash::new([0; 32]),
            upload: Ok(Box::new(Upload {
                scan,
                fingerprint: Self::fingerprint(step),
                claims: Ok(Self::claims(step).0),
                medium: None,
                media_tickets: Vec::new(),
            })),
        }
    }

    fn sync(&mut self, device: u128, batch: &[Step], arrival: i64) -> Vec<SyncResult> {
        self.sync_in_chunks(device, batch, arrival, usize::MAX)
    }

    /// Uploads a batch in chunks of about `limit` scans.
    fn sync_in_chunks(
        &mut self,
        device: u128,
        batch: &[Step],
        arrival: i64,
        limit: usize,
    ) -> Vec<SyncResult> {
        self.sync_first_chunks(device, batch, arrival, limit, usize::MAX)
    }

    /// Uploads the first `chunks` chunks of a batch.
    fn sync_first_chunks(
        &mut self,
        device: u128,
        batch: &[Step],
        arrival: i64,
        limit: usize,
        chunks: usize,
    ) -> Vec<SyncResult> {
        let arrival = NOW.plus_millis(arrival * 1000);
        let upload_batch = UploadBatch {
            organization_id: self.event.organization_id,
            device_id: id(device),
            batch_id: id(1),
            sent_at: arrival,
            received_at: arrival,
            signature: None,
            origin: None,
            items: batch.iter().map(Self::item).collect(),
        };
        let mut remaining = RemainingItems::new(&upload_batch);
        let mut results = BTreeMap::new();
        for _ in 0..chunks {
            let (positions, chunk) = remaining.take(limit);
            results.extend(positions.into_iter().zip(self.sync_chunk(device, &chunk)));
            if remaining.is_empty() {
                break;
            }
        }
        results.into_values().collect()
    }

    fn sync_chunk(&mut self, device: u128, chunk: &UploadChunk<'_>) -> Vec<SyncResult> {
        let device_id: DeviceId = id(device);
        let recorded = chunk.items.iter().filter_map(|item| {
            let (state, payload_sha256) = self.scans.get(&item.scan_id?)?.clone();
            Some((
                state.record.scan_id,
                RecordedScan {
                    state,
                    payload_sha256,
                },
            ))
        });
        let facts = SyncFacts {
            device: SyncDevice {
                name: format!("Scanner {device}"),
                revoked: false,
                can_override: true,
                scopes: DeviceScopes::default(),
                key: None,
                received: self.missing.get(&device_id).cloned().unwrap_or_default(),
                may_restart_log: false,
            },
            status_changes: HashMap::new(),
            former_rules: self.former_rules.clone(),
            recorded: recorded.collect(),
            gate_events: [3, 4]
                .map(|number| (gate(number).id, self.event.id))
                .into_iter()
                .collect(),
            gates: [3, 4]
                .map(|number| {
                    (
                        (self.event.id, gate(number).id),
                        (self.event.clone(), gate(number)),
                    )
                })
                .into(),
            tickets: self.tickets.clone(),
            history: self.history(),
            sessions: Vec::new(),
            log: HashMap::new(),
            quarantined: HashMap::new(),
            quarantine_capacity: usize::MAX,
        };
        let (results, writes) = ingest(chunk, facts, &RULES);
        for new in writes.scans {
            let state = ScanState {
                entry_limit: new.scan.snapshot.ticket.as_ref().map(|ticket| ticket.entry_limit),
                record: new.scan.record,
                history_kind: new.history_kind,
                conflict: new.conflict,
                winner: new.winner,
                gate_name: new.scan.snapshot.gate_name,
                device_name: format!("Scanner {device}"),
            };
            self.scans
                .insert(state.record.scan_id, (state, new.scan.fingerprint.sha256));
        }
        for state in writes.changed {
            let scan = self.scans.get_mut(&state.record.scan_id).expect("on record");
            scan.0 = state;
        }
        for ((_, gate), change) in &writes.counts {
            self.count(*gate, change);
        }
        for facts in writes.tickets {
            self.tickets.insert(facts.ticket.id, facts);
        }
        self.missing.insert(device_id, writes.received);
        results
    }

    /// The start of the period in which the latest scan counts people.
    fn counted_since(&self) -> Timestamp {
        let last = self
            .scans
            .values()
            .map(|(state, _)| state.record.scanned_at)
            .max();
        let facts = self.tickets.values().next().expect("a ticket");
        last.map_or(Timestamp::MIN, |last| self.rules_of(facts).counted_since(last))
    }

    /// The people inside by the tickets, and by the counters, when the latest scan was made.
    fn people(&self) -> (usize, i64) {
        let since = self.counted_since();
        let tickets = self.tickets.values();
        let of_day = self.counts.values().filter(|count| count.since >= since);
        (
            tickets.map(|facts| facts.ledger.inside(since)).sum(),
            of_day.map(|count| count.entries - count.exits).sum(),
        )
    }

    fn rules_of(&self, facts: &TicketFacts) -> TicketRules {
        self.former_rules.of_ticket(&facts.ticket, &self.event, &RULES)
    }

    fn undo(&mut self, scan: ScanId) {
        let Some((state, _)) = self.scans.get(&scan) else {
            return;
        };
        let record = state.record.clone();
        let Some(ticket) = record.ticket_id.and_then(|id| self.tickets.get(&id)).cloned() else {
            return;
        };
        let is_admission = record.result == ScanResult::Valid && record.direction == Direction::Entry;
        if !is_admission || record.undone.is_some() {
            return;
        }
        let mut histories = TicketHistories::default();
        for state in self.history() {
            histories.add_stored(state);
        }
        if !histories.is_open(scan, &self.rules_of(&ticket)) {
            return;
        }
        histories.change(scan, |state| {
            state.record.undone = Some(Undone {
                at: NOW,
                reason: "A mistake".parse().ok(),
                device_id: None,
            });
        });
        let refolded = histories.refold(&self.tickets, |facts, _| Some(self.rules_of(facts)), NOW);
        let changed: Vec<_> = histories.changed().cloned().collect();
        for state in changed {
            let scan = self.scans.get_mut(&state.record.scan_id).expect("on record");
            scan.0 = state;
        }
        for ((_, gate), change) in &refolded.counts {
            self.count(*gate, change);
        }
        for facts in refolded.tickets {
            self.tickets.insert(facts.ticket.id, facts);
        }
    }

    /// Everything that must not depend on the order.
    fn state(&self) -> State {
        // Everybody who was counted before the last day began has left.
        let since = self.counted_since();
        let mut counts = self.counts.clone();
        for count in counts.values_mut() {
            if count.since < since {
                (count.entries, count.exits) = (0, 0);
            }
            count.since = Timestamp::MIN;
        }
        counts.retain(|_, count| *count != CountChange::default());
        State {
            scans: self
                .scans
                .iter()
                .map(|(id, (state, _))| {
                    let mut state = state.clone();
                    // These depend on the batch alone: the time of arrival and the entry limit at that time.
                    state.record.received_at = NOW;
                    state.entry_limit = None;
                    if let Some(undone) = &mut state.record.undone {
                        undone.at = NOW;
                    }
                    (*id, state)
                })
                .collect(),
            tickets: self
                .tickets
                .iter()
                .map(|(id, facts)| {
                    (
                        *id,
                        (facts.ledger.clone(), facts.ticket.status, facts.ticket.scan_count),
                    )
                })
                .collect(),
            counts,
        }
    }
}

#[derive(Debug, PartialEq)]
struct State {
    scans: BTreeMap<ScanId, ScanState>,
    tickets: BTreeMap<TicketId, (Ledger, TicketStatus, u32)>,
    counts: BTreeMap<GateId, CountChange>,
}

/// Runs the steps: first the online scans in the order of their times, then the uploads by `order` and `sizes`, then the
/// undos.
fn run(steps: &[Step], reentry: Reentry, entry_limit: u8, order: &[usize], sizes: &[usize]) -> TestDatabase {
    let mut database = TestDatabase::new(reentry, entry_limit);
    let mut online: Vec<_> = steps.iter().filter(|step| step.online).collect();
    online.sort_by_key(|step| (step.seconds, step.number));
    for step in online {
        database.decide_online(step);
    }
    let uploaded: Vec<Step> = order.iter().filter_map(|at| steps.get(*at)).copied().collect();
    let mut sizes = sizes.iter().copied().cycle();
    let mut arrival = 1000;
    let mut rest = &uploaded[..];
    while let Some(first) = rest.first() {
        let size = sizes.next().unwrap_or(1).max(1);
        let alike = rest
            .iter()
            .take(size)
            .take_while(|step| step.device == first.device)
            .count();
        let (batch, after) = rest.split_at(alike);
        arrival += 1;
        database.sync(first.device, batch, arrival);
        rest = after;
    }
    for step in steps.iter().filter(|step| step.undone) {
        database.undo(id(step.number));
    }
    database
}

fn orders() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let order = Just((0..14).collect::<Vec<usize>>()).prop_shuffle();
    (order, prop::collection::vec(1..6_usize, 1..6))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn order_and_grouping_of_uploads_make_no_difference(
        steps in steps(),
        entry_limit in 1..4_u8,
        reentry in prop::sample::select(Reentry::ALL),
        one in orders(),
        other in orders(),
    ) {
        let once = run(&steps, reentry, entry_limit, &one.0, &one.1);
        let again = run(&steps, reentry, entry_limit, &other.0, &other.1);
        prop_assert_eq!(once.state(), again.state());
        let missing = |database: &TestDatabase| database.missing.clone().into_iter().collect::<HashMap<_, _>>();
        prop_assert_eq!(missing(&once), missing(&again));
    }

    #[test]
    fn people_are_counted_and_the_entry_limit_holds(
        steps in steps(),
        entry_limit in 1..4_u8,
        reentry in prop::sample::select(Reentry::ALL),
        order in orders(),
    ) {
        let database = run(&steps, reentry, entry_limit, &order.0, &order.1);
        let (on_tickets, inside) = database.people();
        prop_assert_eq!(i64::try_from(on_tickets).ok(), Some(inside));
        prop_assert!(database.counts.values().all(|count| count.entries >= count.exits));

        let mut results = ResultCounts::default();
        for (state, _) in database.scans.values() {
            results.count(state.record.result);
        }
        let mut counted = ResultCounts::default();
        for count in database.counts.values() {
            counted.add(&count.results);
        }
        prop_assert_eq!(results, counted);

        let entries = || database.scans.values().map(|(state, _)| state).filter(|state| {
            state.record.direction == Direction::Entry && state.record.undone.is_none()
        });
        // Every entry that the server or a device admitted counts as a person. An undecided one counts if it was admitted.
        let people = entries().filter(|state| match state.history_kind {
            None | Some(HistoryKind::Asked | HistoryKind::AskedBacked) => state.record.result == ScanResult::Valid,
            Some(_) => true,
        });
        // Those of the last day on which a scan was counted.
        let since = database.counted_since();
        let people = people.filter(|state| state.record.scanned_at >= since);
        let of_day = database.counts.values().filter(|count| count.since >= since);
        let counted: i64 = of_day.map(|count| count.entries).sum();
        prop_assert_eq!(i64::try_from(people.count()).ok(), Some(counted));
        if matches!(reentry, Reentry::Never | Reentry::Daily) {
            for facts in database.tickets.values() {
                let by_right = entries().filter(|state| {
                    state.record.ticket_id == Some(facts.ticket.id)
                        && state.record.result == ScanResult::Valid
                        && state.record.reason != Reason::Overridden
                        && state.conflict.is_none()
                });
                let mut by_day = BTreeMap::new();
                for state in by_right {
                    let day = database.event.day(state.record.scanned_at).map(|day| day.from);
                    *by_day.entry(day).or_insert(0_usize) += 1;
                }
                prop_assert!(by_day.values().all(|count| *count <= usize::from(entry_limit)), "{:?}", by_day);
            }
        }
        for (state, _) in database.scans.values() {
            if state.record.local_result.is_some_and(|local| local != ScanResult::Valid) && state.record.undone.is_none() {
                prop_assert!(state.record.result != ScanResult::Valid || state.record.direction == Direction::Exit,
                    "a denial never becomes an admission");
            }
            if state.conflict == Some(ConflictKind::DoubleEntry) {
                let winner = state.winner.and_then(|id| database.scans.get(&id)).map(|(winner, _)| winner);
                prop_assert!(winner.is_some_and(|winner| winner.past().is_some()
                    && (winner.record.scanned_at, winner.record.scan_id) < (state.record.scanned_at, state.record.scan_id)));
            }
        }
    }

    #[test]
    fn chunks_give_the_results_and_the_state_of_one_write(
        steps in steps(),
        entry_limit in 1..4_u8,
        reentry in prop::sample::select(Reentry::ALL),
        limit in 1..8_usize,
        broken_off in 0..4_usize,
    ) {
        let mut batch = steps;
        // The same scan again, and another scan with its id.
        if let Some(first) = batch.first().copied() {
            batch.push(first);
            batch.push(Step { ticket: 1 - first.ticket, ..first });
        }
        let mut whole = TestDatabase::new(reentry, entry_limit);
        let at_once = whole.sync(5, &batch, 10_000);
        let mut parts = TestDatabase::new(reentry, entry_limit);
        let in_chunks = parts.sync_in_chunks(5, &batch, 10_000, limit);
        prop_assert_eq!(at_once, in_chunks);
        prop_assert_eq!(whole.state(), parts.state());
        prop_assert_eq!(&whole.missing, &parts.missing);
        // A batch that breaks off between two chunks is completed by sending it again.
        let mut resumed = TestDatabase::new(reentry, entry_limit);
        resumed.sync_first_chunks(5, &batch, 10_000, limit, broken_off);
        resumed.sync_in_chunks(5, &batch, 10_000, limit + 1);
        prop_assert_eq!(whole.state(), resumed.state());
        prop_assert_eq!(&whole.missing, &resumed.missing);
    }

    #[test]
    fn uploading_twice_equals_uploading_once(
        steps in steps(),
        entry_limit in 1..4_u8,
        reentry in prop::sample::select(Reentry::ALL),
        order in orders(),
    ) {
        let mut steps = steps;
        for step in &mut steps {
            step.undone = false;
        }
        let once = run(&steps, reentry, entry_limit, &order.0, &order.1);
        let twice: Vec<usize> = order.0.iter().chain(&order.0).copied().collect();
        let twice = run(&steps, reentry, entry_limit, &twice, &order.1);
        prop_assert_eq!(once.state(), twice.state());
    }
}

#[test]
fn the_clock_is_corrected_above_two_seconds_and_never_past_the_time_of_receipt() {
    for (sent, scanned, corrected) in [
        (0, -60_000, -60_000),
        (2_000, -60_000, -60_000),
        (-2_000, -60_000, -60_000),
        (2_001, -60_000, -62_001),
        (-2_001, -60_000, -57_999),
        (0, 5_000, 0),
        (3_600_000, 3_599_000, -1_000),
    ] {
        let batch = UploadBatch {
            organization_id: id(1),
            device_id: id(2),
            batch_id: id(3),
            sent_at: NOW.plus_millis(sent),
            received_at: NOW,
            signature: None,
            origin: None,
            items: Vec::new(),
        };
        let mut scan = device_scan(scanned);
        assert_eq!(
            batch.corrected(&scan),
            NOW.plus_millis(corrected),
            "{sent} {scanned}"
        );
        // The age since the scan is right, whatever both times of the device's clock say.
        for (age, corrected) in [(0, 0), (90_000, -90_000), (2_001, -2_001)] {
            scan.age_ms = Some(age);
            assert_eq!(
                batch.corrected(&scan),
                NOW.plus_millis(corrected),
                "{sent} {scanned} {age}"
            );
        }
        scan.age_ms = Some((1 << 53) - 1);
        assert!(batch.corrected(&scan) < NOW);
    }
}

/// A scan with this time of the device's clock, in milliseconds after now.
fn device_scan(scanned: i64) -> SyncScan {
    SyncScan {
        scan_id: id(1),
        reading: Reading::Qr("x".to_owned()),
        event_id: None,
        gate_id: gate(3).id,
        direction: Direction::Entry,
        scanned_at: NOW.plus_millis(scanned),
        age_ms: None,
        local_result: None,
        local_reason: None,
        sequence: None,
        override_: None,
        metadata: None,
        prev_hash: None,
    }
}
