//! `ScanStore::record` decides every attempt as the pure `decide` does. Random events, gates, tickets, devices and batches
//! are recorded; a model that knows only the stored facts and `decide` computes what must come out.
//!
//! On PostgreSQL a batch takes two paths: one statement (the fast path) admits first admissions by cached facts, and one
//! transaction (the slow path) decides the rest. The fast path must admit nothing that `decide` denies. SQLite has no
//! fast path, so that the same test checks its slow path.
//!
//! The test observes the fast path by the device name in the ticket's ledger: the fast path takes it from the cached
//! identity and the slow path from the database, and the test gives them different names.
//!
//! A run prints its seed. `VOELGOED_SCAN_RECORD_SEED` repeats a run.

mod case;
mod model;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use proptest::{prop_assert, prop_assert_eq};
use uuid::Uuid;
use voelgoed_scan_core::model::{
    ApiKey, ApiKeyId, Attempt, AuthenticatedDevice, EventId, Reason, Recorded, Role, TicketCode,
};
use voelgoed_scan_core::store::{PutOutcome, UndoPermission};

use crate::attempts::{entry, exit};
use crate::authentication::patch;
use crate::fixture::{
    ALL, Fixture, RULES, START, TestSession, after, audit, live, name, numbered, put_event, token,
    with_identities,
};
use case::{Case, Change, History, IdentityPlan, ScopePlan, Then};
use model::{Model, Outcome};

/// How many cases a run checks.
const CASES: u32 = 200;

/// How many variants of a failed case are tried in search of a smaller one.
const MAX_SHRINK_STEPS: u32 = 200;

/// The name of every device in its cached identity. In the database the devices have other names.
pub(crate) const CACHED_NAME: &str = "Cached name";

/// What a run covered.
#[derive(Debug, Default)]
struct Coverage {
    /// Admissions by the fast path.
    fast: usize,
    /// Those at a gate or event with a capacity.
    fast_with_capacity: usize,
    /// Admissions and exits by the slow path.
    slow: usize,
    /// Scans outside the scope of their device, and admissions inside one that is not any.
    out_of_scope: usize,
    in_scope: usize,
    /// Decisions by their reason.
    reasons: BTreeMap<Reason, usize>,
}

pub(crate) async fn record_decides_every_attempt_as_decide_does(fixture: Fixture) {
    let seed = seed();
    let config = Config {
        cases: CASES,
        max_shrink_iters: MAX_SHRINK_STEPS,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let coverage = RefCell::new(Coverage::default());
    let result = tokio::task::block_in_place(|| {
        let runtime = tokio::runtime::Handle::current();
        let result = runner.run(&case::strategy(), |case| {
            runtime.block_on(check(&fixture, &case, &coverage))
        });
        result.map_err(|error| error.to_string())
    });
    let coverage = coverage.into_inner();
    report(&format!("VOELGOED_SCAN_RECORD_SEED={seed}: {coverage:?}"));
    if let Err(error) = result {
        panic!("VOELGOED_SCAN_RECORD_SEED={seed}: {error}");
    }
    if fixture.database.url.starts_with("postgres") {
        assert!(coverage.fast > 0, "the fast path admitted nothing");
        assert!(coverage.fast_with_capacity > 0, "never within a capacity");
    } else {
        assert_eq!(coverage.fast, 0, "SQLite has no fast path");
    }
    assert!(coverage.slow > 0, "the slow path admitted nothing");
    assert!(coverage.out_of_scope > 0, "no scan was outside a scope");
    assert!(coverage.in_scope > 0, "no admission was inside a scope");
    for reason in [Reason::GateFull, Reason::EventFull, Reason::AlreadyScanned] {
        assert!(coverage.reasons.contains_key(&reason), "no case of {reason}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only place where the test reads its seed"
)]
fn seed() -> u128 {
    std::env::var("VOELGOED_SCAN_RECORD_SEED").map_or_else(
        |_| Uuid::new_v4().as_u128(),
        |seed| seed.parse().expect("VOELGOED_SCAN_RECORD_SEED is a number"),
    )
}

#[expect(clippy::print_stderr, reason = "the seed of a run is for people")]
fn report(text: &str) {
    eprintln!("record: {text}");
}

/// Records the batch of a case in an organization of its own and compares every outcome and every row with the model.
async fn check(fixture: &Fixture, case: &Case, coverage: &RefCell<Coverage>) -> Result<(), TestCaseError> {
    let fixture = fixture.another().await;
    let setup = Setup::create(&fixture, case).await;
    let batch = setup.batch(&fixture, case).await;
    let mut model = Model::read(&fixture, &setup, &batch).await;

    let recorded = fixture.store.record(&batch, &RULES).await;
    let recorded = recorded.expect("the batch is recorded");
    prop_assert_eq!(recorded.len(), batch.len());

    // The attempts of a batch are concurrent scans. The fast path decides first, in one statement.
    let is_fast = |n: &usize| admitted_by_fast_path(&batch[*n], &recorded[*n]);
    let (fast, slow): (Vec<usize>, Vec<usize>) = (0..batch.len()).partition(is_fast);
    for (n, device_name) in
        (fast.iter().map(|n| (n, Some(CACHED_NAME)))).chain(slow.iter().map(|n| (n, None)))
    {
        let expected = model.apply(&batch[*n], device_name);
        let actual = Outcome::from(&recorded[*n]);
        prop_assert_eq!(&actual, &expected, "attempt {} of {:?}", n, fast);
    }
    cover(coverage, &batch, &recorded, &fast, &model);
    compare_rows(&fixture, &setup, &model, &recorded).await
}

fn admitted_by_fast_path(attempt: &Attempt, recorded: &Recorded) -> bool {
    let Recorded::Decided(decided) = recorded else {
        return false;
    };
    let ledger = decided.ticket.as_ref().map(|facts| &facts.ledger);
    ledger
        .and_then(|ledger| ledger.last_admission())
        .is_some_and(|seen| seen.scan_id == attempt.scan_id && seen.device_name == CACHED_NAME)
}

fn cover(
    coverage: &RefCell<Coverage>,
    batch: &[Attempt],
    recorded: &[Recorded],
    fast: &[usize],
    model: &Model,
) {
    let mut coverage = coverage.borrow_mut();
    coverage.fast += fast.len();
    coverage.fast_with_capacity += fast.iter().filter(|n| model.has_capacity(&batch[**n])).count();
    for (n, one) in recorded.iter().enumerate() {
        coverage.out_of_scope += usize::from(matches!(one, Recorded::OutOfScope));
        if let Recorded::Decided(decided) = one {
            let reason = decided.answer.reason;
            *coverage.reasons.entry(reason).or_default() += 1;
            let is_valid = reason.result() == voelgoed_scan_core::model::ScanResult::Valid;
            coverage.slow += usize::from(is_valid && !fast.contains(&n));
            coverage.in_scope += usize::from(is_valid && model.has_scope(&batch[n]));
        }
    }
}

/// Compares the tickets, counters, sessions and records in the database with the model.
async fn compare_rows(
    fixture: &Fixture,
    setup: &Setup,
    model: &Model,
    recorded: &[Recorded],
) -> Result<(), TestCaseError> {
    for code in &setup.codes {
        let stored = fixture.ticket_facts(*code).await;
        prop_assert_eq!(Some(&stored), model.ticket(*code));
    }
    let occupancy = fixture.occupancy().await;
    for gate in &occupancy.gates {
        let stored = (gate.count.entries, gate.count.exits);
        prop_assert_eq!(stored, model.counts(gate.id), "entries and exits at {}", gate.id);
    }
    prop_assert_eq!(occupancy.results, model.results());
    prop_assert_eq!(occupancy.scans_per_minute, model.decided(), "arrivals");
    for session in setup.sessions {
        let stored = fixture.store.session(fixture.organization, session.id).await;
        let stored = stored.expect("the read succeeds").expect("the session exists");
        prop_assert_eq!(stored.scan_count, model.session_scans(session.id));
    }
    let trail = fixture.audit_trail().await;
    for one in recorded {
        if let Recorded::Decided(decided) = one {
            let stored = trail.iter().find(|scan| scan.scan_id == decided.record.scan_id);
            prop_assert_eq!(stored, Some(&decided.record));
            prop_assert_eq!(decided.record.reason, decided.answer.reason);
        }
    }
    prop_assert!(trail.len() < usize::from(ALL.limit), "one page");
    Ok(())
}

/// The rows of a case.
pub(crate) struct Setup {
    /// The devices at the gates `Main` and `Side`.
    sessions: [TestSession; 2],
    /// The tickets of the event.
    codes: Vec<TicketCode>,
    /// A ticket of another event.
    code_of_other_event: TicketCode,
    other_event: EventId,
    /// Identities read before the change and after it, by device.
    cached: [[Option<AuthenticatedDevice>; 2]; 2],
}

impl Setup {
    async fn create(fixture: &Fixture, case: &Case) -> Self {
        let sessions = [fixture.main_session, fixture.side_session];
        let codes: Vec<_> = case.tickets.iter().map(|_| TicketCode::generate()).collect();
        let other_event = put_event(&*fixture.store, fixture.organization, &live()).await;
        let code_of_other_event = TicketCode::generate();
        let line = format!(r#"{{"code":"{code_of_other_event}"}}"#);
        let imported = fixture
            .store
            .import(
                fixture.organization,
                other_event,
                &numbered(&[&line]),
                START,
                None,
            )
            .await;
        imported
            .expect("the import is written")
            .expect("the event exists");
        // The gates serve the other event too, where they are closed and full. That concerns no scan.
        for session in &sessions {
            let put = r#"{"name":"Elsewhere","status":"closed","capacity":0,"ticket_classes":[]}"#;
            let put = serde_json::from_str(put).expect("a gate");
            let put = fixture
                .store
                .put_gate(
                    fixture.organization,
                    other_event,
                    session.gate,
                    &put,
                    START,
                    audit(),
                )
                .await;
            assert!(matches!(put, Ok(PutOutcome::Created(_))), "{put:?}");
        }
        create_tickets(fixture, case, &codes).await;
        // Capacities are relative to the people who are inside already.
        let (main, side, event) = fixture.inside().await;
        let inside = [main, side];
        fixture.change_event(|put| case.event.apply(put, event)).await;
        for (n, gate) in case.gates.iter().enumerate() {
            let put = |put: &mut _| gate.apply(put, inside[n]);
            fixture.change_gate(sessions[n].gate, put).await;
        }
        for (n, scope) in case.scopes.iter().enumerate() {
            set_scope(fixture, &sessions, n, *scope, other_event).await;
        }
        let before = identities(fixture, &sessions).await;
        match &case.change {
            Some(Change::Scope(n, scope)) => set_scope(fixture, &sessions, *n, *scope, other_event).await,
            Some(change) => apply_change(fixture, &sessions, change, event, inside).await,
            None => {}
        }
        let after = identities(fixture, &sessions).await;
        Self {
            sessions,
            codes,
            code_of_other_event,
            other_event,
            cached: [before, after],
        }
    }

    async fn batch(&self, fixture: &Fixture, case: &Case) -> Vec<Attempt> {
        let mut ticket_ids = HashMap::new();
        for code in &self.codes {
            ticket_ids.insert(*code, fixture.ticket_facts(*code).await.ticket.id);
        }
        let mut used_ids: Vec<_> = fixture
            .audit_trail()
            .await
            .iter()
            .map(|scan| scan.scan_id)
            .collect();
        let mut batch: Vec<Attempt> = Vec::new();
        for plan in &case.attempts {
            let session = &self.sessions[plan.device];
            let code = match plan.ticket {
                case::TicketRef::OfEvent(n) => self.codes[n % self.codes.len()],
                case::TicketRef::OfOtherEvent => self.code_of_other_event,
                case::TicketRef::Unknown => TicketCode::generate(),
            };
            let mut attempt = plan.attempt(session, code, ticket_ids.get(&code).copied(), self.other_event);
            let cached = match plan.identity {
                IdentityPlan::BeforeChange => self.cached[0][plan.device].as_ref(),
                IdentityPlan::AfterChange => self.cached[1][plan.device].as_ref(),
                IdentityPlan::None => None,
            };
            attempt.authenticated = cached.cloned().map(Arc::new);
            if let Some(n) = plan.repeated_id.filter(|_| !used_ids.is_empty()) {
                attempt.scan_id = used_ids[n % used_ids.len()];
            }
            used_ids.push(attempt.scan_id);
            batch.push(attempt);
        }
        batch
    }
}

/// Imports the tickets, records their history, and only then applies what could stand against that history.
async fn create_tickets(fixture: &Fixture, case: &Case, codes: &[TicketCode]) {
    let new: Vec<_> = case
        .tickets
        .iter()
        .zip(codes)
        .map(|(plan, code)| plan.new_line(*code))
        .collect();
    fixture
        .import(&new.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let (mut entries, mut exits, mut undone) = (Vec::new(), Vec::new(), Vec::new());
    for (plan, code) in case.tickets.iter().zip(codes) {
        let History::Entered { seconds_ago, then } = plan.history else {
            continue;
        };
        let entered = entry(&fixture.main_session, *code, -seconds_ago);
        match then {
            Then::Nothing => {}
            Then::Exit => exits.push(exit(&fixture.main_session, *code, 1 - seconds_ago)),
            Then::Undo => undone.push(entered.scan_id),
        }
        entries.push(entered);
    }
    fixture.record(&entries).await;
    fixture.record(&exits).await;
    for scan in undone {
        fixture
            .undo(scan, UndoPermission::Member, 0)
            .await
            .expect("the admission is undone");
    }
    let gates = [fixture.main_gate, fixture.side_gate];
    let changed: Vec<_> = case
        .tickets
        .iter()
        .zip(codes)
        .map(|(plan, code)| plan.changed_line(*code, gates))
        .collect();
    fixture
        .import(&changed.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
}

/// The identities that a node caches now, with [`CACHED_NAME`] as the devices' names.
async fn identities(fixture: &Fixture, sessions: &[TestSession; 2]) -> [Option<AuthenticatedDevice>; 2] {
    let attempts = sessions.map(|session| entry(&session, TicketCode::generate(), 0));
    let mut attempts = with_identities(&*fixture.store, &attempts).await.into_iter();
    sessions.map(|_| {
        let cached = attempts.next().and_then(|attempt| attempt.authenticated);
        cached.map(|cached| {
            let mut cached = Arc::unwrap_or_clone(cached);
            cached.device.name = name(CACHED_NAME);
            cached
        })
    })
}

/// Replaces the scope of a device.
async fn set_scope(
    fixture: &Fixture,
    sessions: &[TestSession; 2],
    n: usize,
    scope: ScopePlan,
    other_event: EventId,
) {
    let patch = patch(&scope.patch(&sessions[n], other_event, sessions[1 - n].gate));
    let put = fixture
        .store
        .patch_device(fixture.organization, sessions[n].device, &patch, START, audit())
        .await;
    assert!(matches!(put, Ok(PutOutcome::Replaced(_))), "{put:?}");
}

async fn apply_change(
    fixture: &Fixture,
    sessions: &[TestSession; 2],
    change: &Change,
    inside_event: i64,
    inside: [i64; 2],
) {
    let (store, organization) = (&fixture.store, fixture.organization);
    match change {
        Change::Event(event) => fixture.change_event(|put| event.apply(put, inside_event)).await,
        Change::Gate(n, gate) => {
            fixture
                .change_gate(sessions[*n].gate, |put| gate.apply(put, inside[*n]))
                .await;
        }
        Change::DeviceInactive(n) => {
            let patch = patch(r#"{"status":"inactive"}"#);
            let put = store
                .patch_device(organization, sessions[*n].device, &patch, START, audit())
                .await;
            put.expect("the write succeeds");
        }
        Change::DeviceRevoked(n) => {
            let revoked = store
                .revoke_device(organization, sessions[*n].device, START, audit())
                .await;
            assert!(revoked.expect("the write succeeds"), "the device exists");
        }
        Change::SessionEnded(n) => {
            let ended = store
                .end_session(organization, sessions[*n].id, after(0), None)
                .await;
            ended.expect("the write succeeds").expect("the session exists");
        }
        Change::Scope(..) => unreachable!("it is applied with the ids of the case"),
        Change::ApiKey => {
            let key = ApiKey {
                id: ApiKeyId::from_uuid(Uuid::new_v4()),
                organization_id: organization,
                name: name("Key"),
                role: Role::Staff,
                inserted_at: START,
            };
            let hash = token(&key.id.to_string());
            store
                .create_api_key(&key, &hash, audit())
                .await
                .expect("the write succeeds");
        }
    }
}
