//! Random cases: the rows of an event, what a node caches of them, and a batch of attempts.
//!
//! Most attempts are plain first admissions, so that the fast path takes them and capacities are reached within a batch.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;
use voelgoed_scan_core::model::{
    Attempt, Claims, ClassName, DecidedBy, Denial, Direction, EventId, EventPut, EventStatus, Format, GateId,
    GatePut, GateStatus, OrganizationId, Override, Reason, Reentry, SettableStatus, TicketCode, TicketId,
    Timestamp, Verification, Window,
};

use crate::attempts::entry;
use crate::fixture::{START, TestSession, reason_text};

const CLASSES: [&str; 2] = ["Standing", "Seated"];

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) event: EventPlan,
    /// The gates `Main` and `Side`.
    pub(crate) gates: [GatePlan; 2],
    /// The scopes of the devices at `Main` and `Side`.
    pub(crate) scopes: [ScopePlan; 2],
    pub(crate) tickets: Vec<TicketPlan>,
    /// A change after the first reading of the identities.
    pub(crate) change: Option<Change>,
    pub(crate) attempts: Vec<AttemptPlan>,
}

#[derive(Debug, Clone)]
pub(crate) struct EventPlan {
    status: EventStatus,
    /// Milliseconds after the start.
    doors_open: Option<i64>,
    doors_close: Option<i64>,
    rescheduled: Option<i64>,
    /// The length of the event, which a postponed one keeps.
    length: Option<i64>,
    /// The capacity that is left; negative where more people are inside than it allows.
    capacity_left: Option<i64>,
    reentry: Reentry,
    allow_unsigned: bool,
    allow_media: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct GatePlan {
    status: GateStatus,
    capacity_left: Option<i64>,
    /// Indexes into [`CLASSES`].
    classes: Option<Vec<usize>>,
}

/// Where a device may work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScopePlan {
    Any,
    /// At the event and the gate of its session.
    Here,
    /// At another event that the gate serves.
    OtherEvent,
    /// At another gate of the event.
    OtherGate,
    Nowhere,
}

#[derive(Debug, Clone)]
pub(crate) struct TicketPlan {
    status: SettableStatus,
    class: Option<usize>,
    gates: Option<Vec<usize>>,
    /// Milliseconds after the start.
    valid_from: Option<i64>,
    valid_until: Option<i64>,
    entry_limit: u8,
    pub(crate) history: History,
}

/// What happened to a ticket before the batch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum History {
    None,
    Entered { seconds_ago: i64, then: Then },
}

/// What happened to the admission of a ticket.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    Nothing,
    Exit,
    Undo,
}

#[derive(Debug, Clone)]
pub(crate) enum Change {
    Event(EventPlan),
    Gate(usize, GatePlan),
    DeviceInactive(usize),
    DeviceRevoked(usize),
    SessionEnded(usize),
    Scope(usize, ScopePlan),
    /// Raises the change counter without affecting any scan.
    ApiKey,
}

#[derive(Debug, Clone)]
pub(crate) struct AttemptPlan {
    pub(crate) ticket: TicketRef,
    /// The index of the device and its gate.
    pub(crate) device: usize,
    direction: Direction,
    is_overriding: bool,
    claims: ClaimsPlan,
    /// The format of the reading, if it is not a signed payload's.
    unsigned: Option<Format>,
    /// Whether a medium was named outright.
    is_outright: bool,
    pub(crate) identity: IdentityPlan,
    has_metadata: bool,
    /// Milliseconds after the start.
    at: i64,
    /// Reuses the scan id of an earlier scan.
    pub(crate) repeated_id: Option<usize>,
    /// The signature did not verify.
    is_denied: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum TicketRef {
    OfEvent(usize),
    OfOtherEvent,
    Unknown,
}

#[derive(Debug, Clone, Copy)]
enum ClaimsPlan {
    Code,
    CodeAndId,
    CodeAndOtherId,
    Id,
    Organization,
    OtherOrganization,
    Event,
    OtherEvent,
    /// A window from so many milliseconds before the scan to so many after it.
    Window(i64, i64),
}

/// Which identity of the device an attempt carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IdentityPlan {
    BeforeChange,
    AfterChange,
    None,
}

impl EventPlan {
    pub(crate) fn apply(&self, put: &mut EventPut, inside: i64) {
        let time = |millis: Option<i64>| millis.map(|millis| START.plus_millis(millis));
        put.status = self.status;
        put.doors_open_at = time(self.doors_open);
        put.doors_close_at = time(self.doors_close);
        put.rescheduled_at = time(self.rescheduled);
        put.starts_at = time(Some(0));
        put.ends_at = time(self.length);
        put.capacity = capacity(self.capacity_left, inside);
        put.reentry = self.reentry;
        put.allow_unsigned = self.allow_unsigned;
        put.allow_media = self.allow_media;
    }
}

impl GatePlan {
    pub(crate) fn apply(&self, put: &mut GatePut, inside: i64) {
        put.status = self.status;
        put.capacity = capacity(self.capacity_left, inside);
        put.ticket_classes = self.classes.as_ref().map(|classes| {
            let class = |n: &usize| CLASSES[*n].parse::<ClassName>().expect("a class");
            classes.iter().map(class).collect()
        });
    }
}

impl ScopePlan {
    /// The patch that gives a device this scope.
    pub(crate) fn patch(self, session: &TestSession, other_event: EventId, other_gate: GateId) -> String {
        let scope = match self {
            Self::Any => serde_json::json!({}),
            Self::Here => serde_json::json!({ "event_ids": [session.event], "gate_ids": [session.gate] }),
            Self::OtherEvent => serde_json::json!({ "event_ids": [other_event], "gate_ids": [session.gate] }),
            Self::OtherGate => serde_json::json!({ "event_ids": [session.event], "gate_ids": [other_gate] }),
            Self::Nowhere => serde_json::json!({ "gate_ids": [] }),
        };
        serde_json::json!({ "scope": scope }).to_string()
    }
}

fn capacity(left: Option<i64>, inside: i64) -> Option<u32> {
    left.map(|left| u32::try_from((inside + left).max(0)).expect("a small number"))
}

impl TicketPlan {
    /// The import line that creates the ticket: only what its history needs.
    pub(crate) fn new_line(&self, code: TicketCode) -> String {
        format!(r#"{{"code":"{code}","entry_limit":{}}}"#, self.entry_limit)
    }

    /// The import line that applies the rest.
    pub(crate) fn changed_line(&self, code: TicketCode, gates: [GateId; 2]) -> String {
        let time = |millis: Option<i64>| millis.map(|millis| START.plus_millis(millis));
        let line = serde_json::json!({
            "code": code,
            "status": self.status,
            "ticket_class": self.class.map(|n| CLASSES[n]),
            "gate_ids": self.gates.as_ref().map(|list| list.iter().map(|n| gates[*n]).collect::<Vec<_>>()),
            "valid_from": time(self.valid_from),
            "valid_until": time(self.valid_until),
        });
        line.to_string()
    }
}

impl AttemptPlan {
    /// `id` is the ticket's id; `None` where the event has no such ticket.
    pub(crate) fn attempt(
        &self,
        session: &TestSession,
        code: TicketCode,
        id: Option<TicketId>,
        other_event: EventId,
    ) -> Attempt {
        let mut attempt = entry(session, code, 0);
        attempt.now = START.plus_millis(self.at);
        attempt.direction = self.direction;
        if self.is_overriding {
            attempt.override_ = Some(Override {
                reason: reason_text("the promoter says so"),
            });
        }
        if let Some(format) = self.unsigned {
            attempt.fingerprint.format = Some(format);
            let is_read = attempt.fingerprint.is_medium() && !self.is_outright;
            attempt.fingerprint.other_sha256 = is_read.then_some([7; 32]);
        }
        if self.has_metadata {
            attempt.metadata = Some(serde_json::from_str(r#"{"lane":"\u0000 ü"}"#).expect("metadata"));
        }
        attempt.verification = if self.is_denied {
            Verification::Denied(Box::new(Denial {
                reason: Reason::BadSignature,
                decided_by: DecidedBy::Token,
                claims: None,
                ticket: None,
                previous_scan: None,
            }))
        } else {
            Verification::Verified(self.claims(session, code, id, other_event, attempt.now))
        };
        attempt
    }

    fn claims(
        &self,
        session: &TestSession,
        code: TicketCode,
        id: Option<TicketId>,
        other_event: EventId,
        now: Timestamp,
    ) -> Claims {
        let known_id = id.unwrap_or_else(|| TicketId::from_uuid(Uuid::new_v4()));
        let by_code = Claims {
            ticket_code: Some(code),
            ..Claims::default()
        };
        match self.claims {
            ClaimsPlan::Code => by_code,
            ClaimsPlan::CodeAndId => Claims {
                ticket_id: Some(known_id),
                ..by_code
            },
            ClaimsPlan::CodeAndOtherId => Claims {
                ticket_id: Some(TicketId::from_uuid(Uuid::new_v4())),
                ..by_code
            },
            ClaimsPlan::Id => Claims {
                ticket_id: Some(known_id),
                ..Claims::default()
            },
            ClaimsPlan::Organization => Claims {
                organization_id: Some(session.organization),
                ..by_code
            },
            ClaimsPlan::OtherOrganization => Claims {
                organization_id: Some(OrganizationId::from_uuid(Uuid::new_v4())),
                ..by_code
            },
            ClaimsPlan::Event => Claims {
                event_id: Some(session.event),
                ..by_code
            },
            ClaimsPlan::OtherEvent => Claims {
                event_id: Some(other_event),
                ..by_code
            },
            ClaimsPlan::Window(before, after) => {
                let window = Window::new(Some(now.plus_millis(-before)), Some(now.plus_millis(after)));
                Claims { window, ..by_code }
            }
        }
    }
}

/// The strategy of a case.
pub(crate) fn strategy() -> impl Strategy<Value = Case> {
    let gates = (gate(), gate()).prop_map(|(main, side)| [main, side]);
    let tickets = vec(ticket(), 1..9);
    let scopes = (scope(), scope()).prop_map(|(main, side)| [main, side]);
    let change = weighted(0.3, change());
    (event(), gates, scopes, tickets, change, vec(attempt(), 1..12)).prop_map(
        |(event, gates, scopes, tickets, change, attempts)| Case {
            event,
            gates,
            scopes,
            tickets,
            change,
            attempts,
        },
    )
}

fn is_rare() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.05)
}

fn capacity_left() -> impl Strategy<Value = Option<i64>> {
    weighted(0.5, select(vec![-1, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6]))
}

fn event() -> impl Strategy<Value = EventPlan> {
    let status = prop_oneof![
        14 => Just(EventStatus::Live),
        2 => Just(EventStatus::Postponed),
        1 => select(EventStatus::ALL),
    ];
    let time = || weighted(0.2, select(vec![-5_000, 0, 3_000, 9_000]));
    let duration = weighted(0.2, select(vec![0, 3_000, 60_000]));
    let rescheduled = weighted(0.8, select(vec![-3_000, 0, 3_000]));
    let length = weighted(0.8, select(vec![0, 3_000, 6_000]));
    let times = (time(), duration, rescheduled, length);
    (
        status,
        times,
        capacity_left(),
        select(Reentry::ALL),
        (any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(
                status,
                (doors_open, duration, rescheduled, length),
                capacity_left,
                reentry,
                (allow_unsigned, allow_media),
            )| {
                EventPlan {
                    status,
                    doors_open,
                    doors_close: duration.map(|duration| doors_open.unwrap_or(0) + duration),
                    rescheduled,
                    length,
                    capacity_left,
                    reentry,
                    allow_unsigned,
                    allow_media,
                }
            },
        )
}

fn gate() -> impl Strategy<Value = GatePlan> {
    let status = prop_oneof![14 => Just(GateStatus::Open), 1 => Just(GateStatus::Closed)];
    (status, capacity_left(), weighted(0.2, subset())).prop_map(|(status, capacity_left, classes)| GatePlan {
        status,
        capacity_left,
        classes,
    })
}

fn scope() -> impl Strategy<Value = ScopePlan> {
    use ScopePlan::{Any, Here, Nowhere, OtherEvent, OtherGate};
    prop_oneof![
        12 => Just(Any),
        4 => Just(Here),
        1 => select(vec![OtherEvent, OtherGate, Nowhere]),
    ]
}

/// Some of two things.
fn subset() -> impl Strategy<Value = Vec<usize>> {
    select(vec![vec![], vec![0], vec![1], vec![0, 1], vec![0], vec![0, 1]])
}

fn ticket() -> impl Strategy<Value = TicketPlan> {
    let status = prop_oneof![10 => Just(SettableStatus::Active), 1 => select(SettableStatus::ALL)];
    let valid_from = weighted(0.2, select(vec![-5_000, 3_000, 9_000]));
    let duration = weighted(0.2, select(vec![0, 2_000, 60_000]));
    let history = prop_oneof![
        7 => Just(History::None),
        1 => entered(Then::Nothing),
        1 => entered(Then::Exit),
        1 => entered(Then::Undo),
    ];
    let class = weighted(0.7, 0..CLASSES.len());
    (
        status,
        class,
        weighted(0.15, subset()),
        valid_from,
        duration,
        1..4_u8,
        history,
    )
        .prop_map(
            |(status, class, gates, valid_from, duration, entry_limit, history)| TicketPlan {
                status,
                class,
                gates,
                valid_from,
                valid_until: duration.map(|duration| valid_from.unwrap_or(1_000) + duration),
                entry_limit,
                history,
            },
        )
}

/// An admission within the deduplication window or before it.
fn entered(then: Then) -> impl Strategy<Value = History> {
    select(vec![100, 1_000]).prop_map(move |seconds_ago| History::Entered { seconds_ago, then })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => event().prop_map(Change::Event),
        2 => (0..2_usize, gate()).prop_map(|(n, gate)| Change::Gate(n, gate)),
        1 => (0..2_usize).prop_map(Change::DeviceInactive),
        1 => (0..2_usize).prop_map(Change::DeviceRevoked),
        1 => (0..2_usize).prop_map(Change::SessionEnded),
        2 => (0..2_usize, any_scope()).prop_map(|(n, scope)| Change::Scope(n, scope)),
        1 => Just(Change::ApiKey),
    ]
}

/// Every scope as often as any other.
fn any_scope() -> impl Strategy<Value = ScopePlan> {
    use ScopePlan::{Any, Here, Nowhere, OtherEvent, OtherGate};
    select(vec![Any, Here, OtherEvent, OtherGate, Nowhere])
}

fn attempt() -> impl Strategy<Value = AttemptPlan> {
    let ticket = prop_oneof![
        38 => (0..64_usize).prop_map(TicketRef::OfEvent),
        1 => Just(TicketRef::OfOtherEvent),
        1 => Just(TicketRef::Unknown),
    ];
    let direction = prop_oneof![9 => Just(Direction::Entry), 1 => Just(Direction::Exit)];
    let identity = prop_oneof![
        6 => Just(IdentityPlan::BeforeChange),
        6 => Just(IdentityPlan::AfterChange),
        1 => Just(IdentityPlan::None),
    ];
    let at = select(vec![0, 1, 2_999, 3_000, 3_001, 9_000]);
    let unsigned = weighted(0.15, select(vec![Format::Bare, Format::Barcode, Format::Nfc]));
    let unsigned = (unsigned, any::<bool>());
    let flags = (is_rare(), unsigned, any::<bool>(), prop::bool::weighted(0.03));
    (
        ticket,
        0..2_usize,
        direction,
        claims(),
        identity,
        at,
        weighted(0.05, 0..64_usize),
        flags,
    )
        .prop_map(
            |(ticket, device, direction, claims, identity, at, repeated_id, flags)| {
                let (is_overriding, (unsigned, is_outright), has_metadata, is_denied) = flags;
                AttemptPlan {
                    ticket,
                    device,
                    direction,
                    is_overriding,
                    claims,
                    unsigned,
                    is_outright,
                    identity,
                    has_metadata,
                    at,
                    repeated_id,
                    is_denied,
                }
            },
        )
}

fn claims() -> impl Strategy<Value = ClaimsPlan> {
    let end = select(vec![-1, 0, 1, 1_000]);
    prop_oneof![
        30 => Just(ClaimsPlan::Code),
        1 => Just(ClaimsPlan::CodeAndId),
        1 => Just(ClaimsPlan::CodeAndOtherId),
        1 => Just(ClaimsPlan::Id),
        2 => Just(ClaimsPlan::Organization),
        1 => Just(ClaimsPlan::OtherOrganization),
        2 => Just(ClaimsPlan::Event),
        1 => Just(ClaimsPlan::OtherEvent),
        2 => (end.clone(), end).prop_map(|(before, after)| ClaimsPlan::Window(before, after)),
    ]
}
