//! Changes of the rules between scans, uploads and undos: what was answered and counted stays so.

use super::*;
use crate::model::Source;
use crate::rules::{ScanDay, fold};

/// What happens at a time.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// The server answers a scan.
    Online(Step),
    /// A device uploads a scan.
    Upload(Step),
    Policy(Reentry),
    Days(&'static str),
    Limit(usize, u8),
    /// Undoes one of the scans before.
    Undo(u128),
}

/// Times at which days may begin: before the first scan, and during the scans, which begin at 19:00.
fn days() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["00:00", "19:17", "19:20", "19:25", "19:40"])
}

fn happenings() -> impl Strategy<Value = Vec<(i64, Happening)>> {
    let happening = prop_oneof![
        4 => step().prop_map(Happening::Online),
        4 => step().prop_map(Happening::Upload),
        1 => prop::sample::select(Reentry::ALL).prop_map(Happening::Policy),
        1 => days().prop_map(Happening::Days),
        2 => (0..2_usize, 1..4_u8).prop_map(|(ticket, limit)| Happening::Limit(ticket, limit)),
        1 => (0..20_u128).prop_map(Happening::Undo),
    ];
    let gap = prop::sample::select(vec![0_i64, 1, 60, 200, 310]);
    prop::collection::vec((gap, happening), 1..24)
}

impl TestDatabase {
    /// When a change of the rules begins, as the store dates it.
    fn begin_of_change(&self, seconds: i64) -> Timestamp {
        let now = NOW.plus_millis(seconds * 1000);
        let last = self
            .scans
            .values()
            .map(|(state, _)| state.record.scanned_at)
            .max();
        last.map_or(now, |last| now.max(last.plus_millis(1)))
    }

    fn change_policy(&mut self, reentry: Reentry, seconds: i64) {
        self.change_rules(seconds, |event| event.reentry = reentry);
    }

    /// Days begin at another time, in Berlin.
    fn change_days(&mut self, day_starts_at: &str, seconds: i64) {
        let starts_at = day_starts_at.parse().expect("a time of day");
        self.change_rules(seconds, |event| event.day_starts_at = starts_at);
    }

    fn change_rules(&mut self, seconds: i64, change: impl FnOnce(&mut Event)) {
        let former = self.event.clone();
        change(&mut self.event);
        if former.rules() == self.event.rules() {
            return;
        }
        let begin = self.begin_of_change(seconds);
        let last = begin.plus_millis(-1);
        let day = ScanDay::new(former.day(last), self.rules_since, self.counted_since);
        let kept = self.former_rules.events.entry(self.event.id).or_default();
        if kept.last().is_none_or(|(until, _)| *until < begin) {
            kept.push((begin, former.rules()));
        }
        if self.rules_since < begin {
            (self.rules_since, self.counted_since) = (begin, day.counted_since);
        }
    }

    fn change_limit(&mut self, ticket: usize, limit: u8, seconds: i64) {
        let begin = self.begin_of_change(seconds);
        let ticket = tickets(1)[ticket].ticket.id;
        let facts = self.tickets.get_mut(&ticket).expect("a ticket");
        let former = std::mem::replace(&mut facts.ticket.entry_limit, limit);
        let kept = self.former_rules.entry_limits.entry(ticket).or_default();
        if former != limit && kept.last().is_none_or(|(until, _)| *until < begin) {
            kept.push((begin, former));
        }
    }

    fn happen(&mut self, happening: Happening, seconds: i64) {
        match happening {
            Happening::Online(step) => self.decide_online(&step),
            Happening::Upload(step) => drop(self.sync(step.device, &[step], seconds)),
            Happening::Policy(reentry) => self.change_policy(reentry, seconds),
            Happening::Days(starts_at) => self.change_days(starts_at, seconds),
            Happening::Limit(ticket, limit) => self.change_limit(ticket, limit, seconds),
            Happening::Undo(index) => self.undo(id(1000 + index)),
        }
    }

    /// Checks that the counters are those of the people, that each ledger is that of its records, and that an answered
    /// admission lost only against a scan that the server did not know, or that has got its right since, because an earlier
    /// admission of the ticket was undone. `order` numbers the scans as they were recorded, and `undone` says how many there
    /// were at the last undo of each ticket.
    fn check(
        &self,
        order: &HashMap<ScanId, usize>,
        undone: &HashMap<TicketId, usize>,
    ) -> Result<(), TestCaseError> {
        let (on_tickets, inside) = self.people();
        prop_assert_eq!(i64::try_from(on_tickets).ok(), Some(inside));
        prop_assert!(self.counts.values().all(|count| count.entries >= count.exits));
        for facts in self.tickets.values() {
            let of_ticket = || {
                let states = self.scans.values().map(|(state, _)| state);
                states.filter(|state| state.record.ticket_id == Some(facts.ticket.id))
            };
            let past: Vec<_> = of_ticket().filter_map(ScanState::past).collect();
            let folded = fold(&past, &self.rules_of(facts));
            prop_assert_eq!(&folded.ledger, &facts.ledger);
            for loser in of_ticket().filter(|state| state.history_kind.is_none() && state.conflict.is_some())
            {
                let lost = (loser.record.scanned_at, order[&loser.record.scan_id]);
                let right_may_be_new = undone.get(&facts.ticket.id).is_some_and(|count| *count > lost.1);
                let was_unknown = |other: &ScanState| {
                    other.history_kind.is_some()
                        && other.record.scanned_at <= lost.0
                        && (right_may_be_new || order[&other.record.scan_id] > lost.1)
                };
                prop_assert!(of_ticket().any(was_unknown), "{:?}", loser.record);
            }
        }
        Ok(())
    }
}

/// Days begin earlier after the second entry, so that the third one has a day with the second and without the first. The
/// server admits it, because the second one has no right. An undo of the first one gives it the right.
#[test]
fn an_undo_may_give_an_entry_its_right_and_an_answered_one_keeps_its_answer() {
    let mut database = TestDatabase::new(Reentry::Daily, 1);
    let step = |number, seconds| Step {
        number,
        device: 70,
        gate: 3,
        ticket: 0,
        seconds,
        direction: Direction::Entry,
        report: Report::Admitted,
        online: false,
        overrides: false,
        undone: false,
    };
    database.happen(Happening::Upload(step(1001, 0)), 2000);
    database.happen(Happening::Upload(step(1002, 200)), 2000);
    database.happen(Happening::Days("19:02"), 2000);
    database.happen(Happening::Online(step(1003, 2100)), 2100);
    let found = |database: &TestDatabase| {
        [1001, 1002, 1003].map(|number| {
            let (state, _) = &database.scans[&id(number)];
            (state.record.reason, state.conflict.is_some())
        })
    };
    assert_eq!(
        found(&database),
        [
            (Reason::Admitted, false),
            (Reason::AlreadyScanned, true),
            (Reason::Readmitted, false)
        ]
    );
    database.undo(id(1001));
    assert_eq!(
        found(&database)[1..],
        [(Reason::Admitted, false), (Reason::Readmitted, true)]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_was_answered_and_counted_stays_after_any_change_of_the_rules(
        happenings in happenings(),
        entry_limit in 1..4_u8,
        reentry in prop::sample::select(Reentry::ALL),
    ) {
        let mut database = TestDatabase::new(reentry, entry_limit);
        let (mut order, mut undone, mut answers) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut seconds = 1000;
        for (number, (gap, happening)) in (1000..).zip(happenings) {
            seconds += gap;
            let happening = match happening {
                Happening::Online(step) => Happening::Online(Step { number, seconds, ..step }),
                // The scan is up to 15 minutes old.
                Happening::Upload(step) => Happening::Upload(Step { number, seconds: seconds - step.seconds, ..step }),
                other => other,
            };
            if let Happening::Undo(index) = happening
                && let Some((state, _)) = database.scans.get(&id(1000 + index))
                && let Some(ticket) = state.record.ticket_id
            {
                undone.insert(ticket, order.len());
            }
            database.happen(happening, seconds);
            if let Some((state, _)) = database.scans.get(&id(number)) {
                order.insert(id(number), order.len());
                if state.record.source == Source::Online {
                    answers.insert(state.record.scan_id, state.record.reason);
                }
            }
            database.check(&order, &undone)?;
            for (scan, answer) in &answers {
                prop_assert_eq!(database.scans[scan].0.record.reason, *answer);
            }
        }
    }

    #[test]
    fn uploads_before_and_after_changes_of_the_rules_give_the_same_state(
        steps in steps(),
        changes in prop::collection::vec(
            (0..2000_i64, prop::sample::select(Reentry::ALL), 0..2_usize, 1..4_u8, days()), 0..5,
        ),
        entry_limit in 1..4_u8,
        one in prop::collection::vec(0..2000_i64, 14),
        other in prop::collection::vec(0..2000_i64, 14),
    ) {
        let run = |arrivals: &[i64]| {
            let mut history = Vec::new();
            for (index, (seconds, reentry, ticket, limit, starts_at)) in changes.iter().enumerate() {
                // Before the scans of the same second.
                history.push((*seconds, 0, index, Happening::Policy(*reentry)));
                history.push((*seconds, 1, index, Happening::Limit(*ticket, *limit)));
                history.push((*seconds, 1, index, Happening::Days(starts_at)));
            }
            for (index, (step, arrival)) in steps.iter().zip(arrivals).enumerate() {
                if step.online {
                    history.push((step.seconds, 2, index, Happening::Online(*step)));
                }
                // After the scans that the server answered, so that it answers the same.
                history.push((900 + arrival, 3, index, Happening::Upload(*step)));
            }
            history.sort_by_key(|(seconds, kind, index, _)| (*seconds, *kind, *index));
            let mut database = TestDatabase::new(Reentry::Never, entry_limit);
            for (seconds, _, _, happening) in history {
                database.happen(happening, seconds);
            }
            for step in steps.iter().filter(|step| step.undone) {
                database.undo(id(step.number));
            }
            database
        };
        prop_assert_eq!(run(&one).state(), run(&other).state());
    }
}
