//! A plain model of the server, written from `docs/results.md` alone. It shares no code with the core.
//!
//! It holds everything in vectors, keeps every scan of a ticket, and computes each answer from the whole history. It is
//! slow and simple on purpose: a rule that the server optimises is here one line.

use std::collections::BTreeMap;

/// The re-entry policy of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Never,
    AfterWindow,
    AfterExit,
}

/// The times of an event, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) starts: Option<i64>,
    pub(crate) ends: Option<i64>,
    pub(crate) doors_open: Option<i64>,
    pub(crate) doors_close: Option<i64>,
    pub(crate) rescheduled: Option<i64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) status: &'static str,
    pub(crate) times: Times,
    pub(crate) policy: Policy,
    pub(crate) allow_unsigned: bool,
    pub(crate) capacity: Option<i64>,
}

impl Event {
    /// Check 6.
    fn denial(&self, now: i64) -> Option<&'static str> {
        let times = self.times;
        match (self.status, times.rescheduled) {
            ("live", _) if times.doors_open.is_some_and(|open| now < open) => Some("doors_not_open"),
            ("live", _) if times.doors_close.is_some_and(|close| close < now) => Some("doors_closed"),
            ("live", _) => None,
            ("postponed", Some(start)) if start <= now => match (times.starts, times.ends) {
                (Some(starts), Some(ends)) if start + (ends - starts) < now => Some("event_not_live"),
                _ => None,
            },
            ("postponed", _) => Some("event_postponed"),
            ("cancelled", _) => Some("event_cancelled"),
            _ => Some("event_not_live"),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) event: usize,
    pub(crate) open: bool,
    pub(crate) capacity: Option<i64>,
    /// The names of the classes that it admits; `None` for all.
    pub(crate) classes: Option<Vec<&'static str>>,
}

/// What an operator set; `Active` is shown as `scanned` once there is an admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    Used,
    Voided,
    Refunded,
}

#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) event: usize,
    pub(crate) status: Status,
    pub(crate) limit: usize,
    pub(crate) class: Option<&'static str>,
    /// The gates that admit it; `None` for all.
    pub(crate) gates: Option<Vec<usize>>,
    pub(crate) valid_from: Option<i64>,
    pub(crate) valid_until: Option<i64>,
    /// Every valid scan in the order of recording, undone ones too.
    passages: Vec<Passage>,
}

impl Ticket {
    pub(crate) fn new(event: usize, limit: usize) -> Self {
        Self {
            event,
            status: Status::Active,
            limit,
            class: None,
            gates: None,
            valid_from: None,
            valid_until: None,
            passages: Vec::new(),
        }
    }
}

/// A valid scan of a ticket, with the rules that held at its time.
#[derive(Debug, Clone)]
struct Passage {
    scan_id: String,
    at: i64,
    gate: usize,
    kind: PassageKind,
    undone: bool,
    policy: Policy,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PassageKind {
    Entry,
    Forced,
    Exit,
}

#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// The gate of the active session.
    pub(crate) gate: Option<usize>,
    pub(crate) can_override: bool,
}

/// What the text that a device reads is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Malformed,
    UnknownKey,
    BadSignature,
    /// A code without a signature; `None` is nobody's.
    Bare(Option<usize>),
    /// A payload with a good signature.
    Signed(usize),
    /// The same, with a validity window of its own.
    SignedUntil(usize, Option<i64>, Option<i64>),
}

/// A scan on its way to a decision.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) device: usize,
    pub(crate) text: String,
    pub(crate) reading: Reading,
    pub(crate) exit: bool,
    pub(crate) scan_id: Option<String>,
    pub(crate) with_override: bool,
    pub(crate) dry_run: bool,
}

/// The answer to a scan or to an undo, as far as the rules determine it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Decision(Decision),
    Problem(u16, &'static str),
    /// The undo took place, or had taken place before.
    Undone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) reason: &'static str,
    pub(crate) result: &'static str,
    pub(crate) replayed: bool,
    /// The status and the number of admissions of the ticket, if the answer shows it.
    pub(crate) ticket: Option<(&'static str, usize)>,
    pub(crate) gate: Headcount,
    pub(crate) event: Headcount,
}

/// People inside, and the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headcount {
    pub(crate) inside: i64,
    pub(crate) capacity: Option<i64>,
}

/// Entries and exits at a gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) entries: i64,
    pub(crate) exits: i64,
}

/// A recorded scan.
#[derive(Debug, Clone)]
struct Record {
    attempt: Attempt,
    at: i64,
    gate: usize,
    ticket: Option<usize>,
    decision: Decision,
}

/// A rule that the model breaks on purpose, to show that the test notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokenRule {
    /// A ticket admits one more than its limit.
    LimitOffByOne,
    /// A closed gate is checked after the status of the ticket.
    GateAfterStatus,
    /// An exit is counted at the gate where it took place.
    ExitAtItsOwnGate,
    /// A retry is decided anew.
    RetryIsNew,
    /// An undone admission still counts against the limit.
    UndoneCounts,
    /// The re-entry window starts again with each denial.
    DenialExtendsWindow,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// The re-entry window in milliseconds.
    pub(crate) window: i64,
    pub(crate) events: Vec<Event>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) devices: Vec<Device>,
    records: BTreeMap<String, Record>,
    pub(crate) broken: Option<BrokenRule>,
}

/// How long a device may undo its own admission.
const UNDO_MILLIS: i64 = 15 * 60_000;

/// The result of a reason, as the table of the documentation has it.
fn result_of(reason: &str) -> &'static str {
    match reason {
        "admitted" | "readmitted" | "exited" | "overridden" => "valid",
        "already_scanned" | "entry_limit_reached" | "already_inside" => "duplicate",
        "malformed"
        | "unknown_key"
        | "unsigned_not_allowed"
        | "bad_signature"
        | "token_expired"
        | "token_not_yet_valid"
        | "ticket_not_found" => "invalid_token",
        "other_event" => "wrong_event",
        "gate_not_allowed" => "wrong_gate",
        _ => "refused",
    }
}

/// An admission that nobody has ended yet.
struct OpenEntry {
    scan_id: String,
    gate: usize,
}

/// The state of a ticket after its history.
#[derive(Default)]
struct Folded {
    admissions: usize,
    open: Vec<OpenEntry>,
    counts: BTreeMap<usize, Count>,
}

impl Model {
    pub(crate) fn new(window: i64) -> Self {
        Self {
            window,
            events: Vec::new(),
            gates: Vec::new(),
            tickets: Vec::new(),
            devices: Vec::new(),
            records: BTreeMap::new(),
            broken: None,
        }
    }

    fn breaks(&self, rule: BrokenRule) -> bool {
        self.broken == Some(rule)
    }

    /// Answers a scan at this time. `assigned_id` is the id that the server gave it, if the attempt has none.
    pub(crate) fn scan(&mut self, attempt: &Attempt, now: i64, assigned_id: Option<&str>) -> Answer {
        let known = attempt.scan_id.as_ref().and_then(|id| self.records.get(id));
        if let Some(record) = known.filter(|_| !self.breaks(BrokenRule::RetryIsNew)) {
            return self.replay(attempt, record);
        }
        if attempt.with_override && !self.devices[attempt.device].can_override {
            return Answer::Problem(403, "forbidden");
        }
        let Some(gate) = self.devices[attempt.device].gate else {
            return Answer::Problem(409, "no_active_session");
        };
        let (reason, ticket) = self.decide(attempt, gate, now);
        let overridable = matches!(result_of(reason), "duplicate" | "refused") && !attempt.exit;
        let reason = if overridable && attempt.with_override {
            "overridden"
        } else {
            reason
        };
        if !attempt.dry_run {
            self.record_passage(attempt, gate, ticket, reason, now, assigned_id);
        }
        let decision = self.decision(reason, gate, ticket);
        if let Some(id) = attempt
            .scan_id
            .as_deref()
            .or(assigned_id)
            .filter(|_| !attempt.dry_run)
        {
            let record = Record {
                attempt: attempt.clone(),
                at: now,
                gate,
                ticket,
                decision: decision.clone(),
            };
            self.records.insert(id.to_owned(), record);
        }
        Answer::Decision(decision)
    }

    fn replay(&self, attempt: &Attempt, record: &Record) -> Answer {
        let first = &record.attempt;
        if first.device != attempt.device || first.text != attempt.text || first.exit != attempt.exit {
            return Answer::Problem(409, "scan_id_reused");
        }
        if self.is_undone(attempt.scan_id.as_deref().unwrap_or_default(), record) {
            return Answer::Problem(409, "scan_undone");
        }
        Answer::Decision(Decision {
            replayed: true,
            gate: self.gate_headcount(record.gate),
            event: self.event_headcount(self.gates[record.gate].event),
            ..record.decision.clone()
        })
    }

    fn is_undone(&self, scan_id: &str, record: &Record) -> bool {
        record.ticket.is_some_and(|ticket| {
            let passages = &self.tickets[ticket].passages;
            passages
                .iter()
                .any(|passage| passage.scan_id == scan_id && passage.undone)
        })
    }

    fn record_passage(
        &mut self,
        attempt: &Attempt,
        gate: usize,
        ticket: Option<usize>,
        reason: &str,
        now: i64,
        assigned_id: Option<&str>,
    ) {
        let kind = match reason {
            "admitted" | "readmitted" => PassageKind::Entry,
            "overridden" => PassageKind::Forced,
            "exited" => PassageKind::Exit,
            _ => {
                if let (Some(ticket), true) = (ticket, self.breaks(BrokenRule::DenialExtendsWindow)) {
                    self.tickets[ticket]
                        .passages
                        .iter_mut()
                        .for_each(|passage| passage.at = now);
                }
                return;
            }
        };
        let Some(ticket) = ticket else { return };
        let policy = self.events[self.tickets[ticket].event].policy;
        let ticket = &mut self.tickets[ticket];
        let scan_id = attempt.scan_id.as_deref().or(assigned_id).unwrap_or_default();
        ticket.passages.push(Passage {
            scan_id: scan_id.to_owned(),
            at: now,
            gate,
            kind,
            undone: false,
            policy,
            limit: ticket.limit,
        });
    }

    /// The checks in their order. Returns the ticket if the answer may show it.
    fn decide(&self, attempt: &Attempt, gate: usize, now: i64) -> (&'static str, Option<usize>) {
        let event = self.gates[gate].event;
        // Checks 1 to 4.
        let ticket = match attempt.reading {
            Reading::Malformed => return ("malformed", None),
            Reading::UnknownKey => return ("unknown_key", None),
            Reading::BadSignature => return ("bad_signature", None),
            Reading::Bare(_) if !self.events[event].allow_unsigned => return ("unsigned_not_allowed", None),
            Reading::Bare(None) => return ("ticket_not_found", None),
            Reading::SignedUntil(_, Some(from), _) if now < from && !attempt.exit => {
                return ("token_not_yet_valid", None);
            }
            Reading::SignedUntil(_, _, Some(until)) if now > until && !attempt.exit => {
                return ("token_expired", None);
            }
            Reading::Bare(Some(ticket)) | Reading::Signed(ticket) | Reading::SignedUntil(ticket, _, _) => {
                ticket
            }
        };
        // Check 5.
        if self.tickets[ticket].event != event {
            return ("other_event", None);
        }
        let reason = if attempt.exit {
            self.decide_exit(ticket)
        } else {
            // A device can be tried before the event.
            let is_trial = attempt.dry_run && self.events[event].status == "published";
            let denial = self.events[event].denial(now).filter(|_| !is_trial);
            denial.unwrap_or_else(|| self.decide_entry(ticket, event, gate, now))
        };
        (reason, Some(ticket))
    }

    fn decide_exit(&self, ticket: usize) -> &'static str {
        if self.fold(ticket).open.is_empty() {
            "not_inside"
        } else {
            "exited"
        }
    }

    /// Checks 7 to 12.
    fn decide_entry(&self, ticket: usize, event: usize, gate: usize, now: i64) -> &'static str {
        let at_gate = &self.gates[gate];
        let held = &self.tickets[ticket];
        if !at_gate.open && !self.breaks(BrokenRule::GateAfterStatus) {
            return "gate_closed";
        }
        let by_ticket = held.gates.as_ref().is_none_or(|gates| gates.contains(&gate));
        let by_class = at_gate
            .classes
            .as_ref()
            .is_none_or(|classes| held.class.is_some_and(|class| classes.contains(&class)));
        if !(by_ticket && by_class) {
            return "gate_not_allowed";
        }
        match held.status {
            Status::Active => {}
            Status::Used => return "ticket_used",
            Status::Voided => return "ticket_voided",
            Status::Refunded => return "ticket_refunded",
        }
        if !at_gate.open {
            return "gate_closed";
        }
        if held.valid_from.is_some_and(|from| now < from) {
            return "ticket_not_yet_valid";
        }
        if held.valid_until.is_some_and(|until| now > until) {
            return "ticket_expired";
        }
        let folded = self.fold(ticket);
        let policy = self.events[event].policy;
        let counted = match policy {
            Policy::Never => self.admissions(ticket, None),
            Policy::AfterWindow => self.admissions(ticket, Some(now - self.window)),
            Policy::AfterExit => folded.open.len(),
        };
        let limit = held.limit + usize::from(self.breaks(BrokenRule::LimitOffByOne));
        if counted >= limit {
            return match (held.limit, policy) {
                (1, Policy::AfterExit) => "already_inside",
                (1, _) => "already_scanned",
                _ => "entry_limit_reached",
            };
        }
        let readmission = folded.admissions >= held.limit;
        // Capacities restrict only scans that add a person. A holder who was not seen leaving is inside already.
        let adds_person = !(readmission && folded.open.len() >= held.limit);
        if adds_person {
            if is_full(self.gate_headcount(gate)) {
                return "gate_full";
            }
            if is_full(self.event_headcount(event)) {
                return "event_full";
            }
        }
        if readmission { "readmitted" } else { "admitted" }
    }

    /// The admissions of a ticket that count, since a time if one is given.
    fn admissions(&self, ticket: usize, since: Option<i64>) -> usize {
        let counts = |passage: &&Passage| {
            passage.kind != PassageKind::Exit
                && (!passage.undone || self.breaks(BrokenRule::UndoneCounts))
                && since.is_none_or(|since| passage.at >= since)
        };
        self.tickets[ticket].passages.iter().filter(counts).count()
    }

    /// The state of a ticket after all its scans that are not undone.
    fn fold(&self, ticket: usize) -> Folded {
        let mut folded = Folded::default();
        for passage in self.tickets[ticket].passages.iter().filter(|one| !one.undone) {
            if passage.kind == PassageKind::Exit {
                let own_gate = folded.open.iter().rposition(|open| open.gate == passage.gate);
                if let Some(index) = own_gate.or(folded.open.len().checked_sub(1)) {
                    let ended = folded.open.remove(index);
                    let gate = if self.breaks(BrokenRule::ExitAtItsOwnGate) {
                        passage.gate
                    } else {
                        ended.gate
                    };
                    folded.counts.entry(gate).or_default().exits += 1;
                }
                continue;
            }
            // A holder who comes back without having been seen leaving is counted out at the old gate first.
            let returns = passage.kind == PassageKind::Entry
                && passage.policy == Policy::AfterWindow
                && folded.admissions >= passage.limit
                && folded.open.len() >= passage.limit;
            if returns {
                let ended = folded.open.remove(0);
                folded.counts.entry(ended.gate).or_default().exits += 1;
            }
            folded.admissions += 1;
            folded.counts.entry(passage.gate).or_default().entries += 1;
            folded.open.push(OpenEntry {
                scan_id: passage.scan_id.clone(),
                gate: passage.gate,
            });
        }
        folded
    }

    /// Undoes a scan for a device, or for staff without a device.
    pub(crate) fn undo(&mut self, scan_id: &str, device: Option<usize>, now: i64) -> Answer {
        let Some(record) = self.records.get(scan_id) else {
            return Answer::Problem(404, "not_found");
        };
        if let Some(device) = device
            && (record.attempt.device != device || now - record.at > UNDO_MILLIS)
        {
            return Answer::Problem(403, "forbidden");
        }
        if self.is_undone(scan_id, record) {
            return Answer::Undone;
        }
        let Some(ticket) = record.ticket else {
            return Answer::Problem(409, "conflict");
        };
        if !self.fold(ticket).open.iter().any(|open| open.scan_id == scan_id) {
            return Answer::Problem(409, "conflict");
        }
        for passage in &mut self.tickets[ticket].passages {
            passage.undone |= passage.scan_id == scan_id;
        }
        Answer::Undone
    }

    /// Whether a scan is recorded, and undone.
    pub(crate) fn was_undone(&self, scan_id: &str) -> bool {
        self.records
            .get(scan_id)
            .is_some_and(|record| self.is_undone(scan_id, record))
    }

    fn decision(&self, reason: &'static str, gate: usize, ticket: Option<usize>) -> Decision {
        Decision {
            reason,
            result: result_of(reason),
            replayed: false,
            ticket: ticket.map(|ticket| self.shown(ticket)),
            gate: self.gate_headcount(gate),
            event: self.event_headcount(self.gates[gate].event),
        }
    }

    /// The status and the number of admissions of a ticket, as an answer shows them.
    pub(crate) fn shown(&self, ticket: usize) -> (&'static str, usize) {
        let admissions = self.fold(ticket).admissions;
        let status = match self.tickets[ticket].status {
            Status::Active if admissions > 0 => "scanned",
            Status::Active => "active",
            Status::Used => "used",
            Status::Voided => "voided",
            Status::Refunded => "refunded",
        };
        (status, admissions)
    }

    /// Entries and exits at a gate.
    pub(crate) fn count(&self, gate: usize) -> Count {
        let mut total = Count::default();
        for ticket in 0..self.tickets.len() {
            if let Some(count) = self.fold(ticket).counts.get(&gate) {
                total.entries += count.entries;
                total.exits += count.exits;
            }
        }
        total
    }

    fn gate_headcount(&self, gate: usize) -> Headcount {
        let count = self.count(gate);
        Headcount {
            inside: count.entries - count.exits,
            capacity: self.gates[gate].capacity,
        }
    }

    fn event_headcount(&self, event: usize) -> Headcount {
        let gates = (0..self.gates.len()).filter(|gate| self.gates[*gate].event == event);
        Headcount {
            inside: gates.map(|gate| self.gate_headcount(gate).inside).sum(),
            capacity: self.events[event].capacity,
        }
    }
}

fn is_full(headcount: Headcount) -> bool {
    headcount
        .capacity
        .is_some_and(|capacity| headcount.inside >= capacity)
}
