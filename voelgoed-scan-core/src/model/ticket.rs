//! Tickets: status, class, gates, validity, entry limit and history.

use serde::{Deserialize, Deserializer, Serialize};

use crate::model::text::string_enum;
use crate::model::{
    ClassName, EventId, GateId, HolderName, Ledger, Media, Note, OrderRef, OrganizationId, Reason, SeatPart,
    TicketCode, TicketId, Timestamp,
};

string_enum! {
    /// The status of a ticket.
    pub enum TicketStatus {
        /// It has no admission yet.
        Active = "active" @ 0,
        /// It has an admission.
        Scanned = "scanned" @ 1,
        /// An operator or the platform marked it as used, outside the gates.
        Used = "used" @ 2,
        /// It was cancelled.
        Voided = "voided" @ 3,
        /// It was cancelled and paid back.
        Refunded = "refunded" @ 4,
    }
}

impl TicketStatus {
    /// The status after a change of the number of admissions. `active` and `scanned` depend on it; the others do not.
    #[must_use]
    pub const fn after_admissions(self, admissions: u32) -> Self {
        match self {
            Self::Active | Self::Scanned if admissions == 0 => Self::Active,
            Self::Active | Self::Scanned => Self::Scanned,
            other => other,
        }
    }

    /// The reason of the denial of every ticket with this status. `None` if a ticket with it may be admitted.
    #[must_use]
    pub const fn denial(self) -> Option<Reason> {
        match self {
            Self::Active | Self::Scanned => None,
            Self::Used => Some(Reason::TicketUsed),
            Self::Voided => Some(Reason::TicketVoided),
            Self::Refunded => Some(Reason::TicketRefunded),
        }
    }

    /// The status for which tickets are denied with this reason.
    #[must_use]
    pub fn denied_with(reason: Reason) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|status| status.denial() == Some(reason))
    }
}

/// A seat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Seat {
    /// The block.
    #[serde(default)]
    pub block: Option<SeatPart>,
    /// The row.
    #[serde(default)]
    pub row: Option<SeatPart>,
    /// The number.
    #[serde(default)]
    pub number: Option<SeatPart>,
}

/// A ticket without personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ticket {
    /// The ticket.
    pub id: TicketId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its event.
    pub event_id: EventId,
    /// Its code, unique in the organization.
    pub code: TicketCode,
    /// Its status.
    pub status: TicketStatus,
    /// Its class, one of the event's.
    pub ticket_class: Option<ClassName>,
    /// The gates that admit it; null for all.
    pub gate_ids: Option<Vec<GateId>>,
    /// The seat.
    pub seat: Option<Seat>,
    /// The first moment at which it admits; null is open.
    pub valid_from: Option<Timestamp>,
    /// The last moment at which it admits; null is open.
    pub valid_until: Option<Timestamp>,
    /// The number of people that it admits.
    pub entry_limit: u8,
    /// The number of admissions that were not undone.
    pub scan_count: u32,
    /// A note for the steward.
    pub note: Option<Note>,
    /// When it was created.
    pub inserted_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The facts about a ticket that the rules need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketFacts {
    /// The ticket.
    pub ticket: Ticket,
    /// Its admissions and exits.
    pub ledger: Ledger,
    /// The version. Every admission, exit, undo, status change and import raises it.
    pub version: i64,
}

/// A ticket in the search. This is the only type with personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TicketListing {
    /// The ticket.
    #[serde(flatten)]
    pub ticket: Ticket,
    /// The holder's name.
    pub holder_name: Option<HolderName>,
    /// The reference of its order.
    pub order_ref: Option<OrderRef>,
    /// What the person may hold besides a code of ours. Null for callers that may not see it.
    #[serde(default)]
    pub media: Option<Media>,
}

/// A ticket with its media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TicketWithMedia {
    /// The ticket.
    #[serde(flatten)]
    pub ticket: Ticket,
    /// What the person may hold besides a code of ours. Null for callers that may not see it.
    pub media: Option<Media>,
}

/// The request of `PATCH ../tickets/{code}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TicketPatch {
    /// The new status. `active` becomes `scanned` if the ticket has admissions.
    pub status: SettableStatus,
}

string_enum! {
    /// A status that an organization member may set.
    pub enum SettableStatus {
        /// It admits.
        Active = "active",
        /// It is marked as used.
        Used = "used",
        /// It is cancelled.
        Voided = "voided",
        /// It is cancelled and paid back.
        Refunded = "refunded",
    }

    /// A status in a line of an import.
    pub enum ImportStatus {
        /// It admits.
        Active = "active",
        /// An exported list has it. The ticket keeps the status that it has, and a new one is active: only a scan admits.
        Scanned = "scanned",
        /// It is marked as used.
        Used = "used",
        /// It is cancelled.
        Voided = "voided",
        /// It is cancelled and paid back.
        Refunded = "refunded",
    }
}

impl ImportStatus {
    /// The resulting status of a ticket that has `status` and this number of admissions.
    #[must_use]
    pub const fn applied_to(self, status: TicketStatus, admissions: u32) -> TicketStatus {
        match self {
            Self::Active => TicketStatus::Active.after_admissions(admissions),
            Self::Scanned => status,
            Self::Used => TicketStatus::Used,
            Self::Voided => TicketStatus::Voided,
            Self::Refunded => TicketStatus::Refunded,
        }
    }
}

impl SettableStatus {
    /// The resulting status of a ticket with this number of admissions.
    #[must_use]
    pub const fn with_admissions(self, admissions: u32) -> TicketStatus {
        match self {
            Self::Active => TicketStatus::Active.after_admissions(admissions),
            Self::Used => TicketStatus::Used,
            Self::Voided => TicketStatus::Voided,
            Self::Refunded => TicketStatus::Refunded,
        }
    }
}

/// The update of a field by an import line or a patch: an absent field keeps the value, null clears it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FieldUpdate<T> {
    /// The value stays.
    #[default]
    Keep,
    /// The value is cleared.
    Clear,
    /// The value is replaced.
    Set(T),
}

impl<T> FieldUpdate<T> {
    /// The new value of a field.
    pub fn apply(self, old: Option<T>) -> Option<T> {
        match self {
            Self::Keep => old,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Whether the value stays.
    #[must_use]
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The value to set.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

/// A field that stays is left out by its `skip_serializing_if`.
impl<T: Serialize> Serialize for FieldUpdate<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FieldUpdate<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

/// A line of a ticket import. A cleared `status` is `active`; a cleared `entry_limit` is 1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct TicketLine {
    /// The code. It is generated if absent.
    #[serde(default)]
    pub code: Option<TicketCode>,
    /// The id. It is generated if absent.
    #[serde(default)]
    pub id: Option<TicketId>,
    /// The status.
    #[serde(default)]
    pub status: FieldUpdate<ImportStatus>,
    /// The class. An unknown class is added to the event's list.
    #[serde(default)]
    pub ticket_class: FieldUpdate<ClassName>,
    /// The gates that admit it.
    #[serde(default)]
    pub gate_ids: FieldUpdate<Vec<GateId>>,
    /// The seat.
    #[serde(default)]
    pub seat: FieldUpdate<Seat>,
    /// The first moment at which it admits.
    #[serde(default)]
    pub valid_from: FieldUpdate<Timestamp>,
    /// The last moment at which it admits.
    #[serde(default)]
    pub valid_until: FieldUpdate<Timestamp>,
    /// The number of people that it admits, 1 to 255.
    #[serde(default)]
    pub entry_limit: FieldUpdate<std::num::NonZeroU8>,
    /// A note for the steward.
    #[serde(default)]
    pub note: FieldUpdate<Note>,
    /// The holder's name.
    #[serde(default)]
    pub holder_name: FieldUpdate<HolderName>,
    /// The reference of its order.
    #[serde(default)]
    pub order_ref: FieldUpdate<OrderRef>,
    /// The media, at most 8. A line without a code is the ticket of the event that has one of them.
    #[serde(default)]
    pub media: FieldUpdate<Media>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_can_be_imported() {
        assert_eq!(ImportStatus::STRINGS, TicketStatus::STRINGS);
    }

    #[test]
    fn a_reason_of_a_status_names_it() {
        for status in TicketStatus::ALL {
            if let Some(reason) = status.denial() {
                assert_eq!(TicketStatus::denied_with(reason), Some(*status));
            }
        }
        assert_eq!(TicketStatus::denied_with(Reason::Admitted), None);
    }

    #[test]
    fn every_status_but_scanned_can_be_set() {
        let settable: Vec<_> = TicketStatus::STRINGS
            .iter()
            .filter(|status| **status != "scanned")
            .collect();
        assert_eq!(settable, SettableStatus::STRINGS.iter().collect::<Vec<_>>());
    }

    #[test]
    fn an_absent_field_keeps_and_null_clears() {
        let line: TicketLine = serde_json::from_str(r#"{"note":null,"entry_limit":3}"#).expect("a line");
        assert_eq!(line.note, FieldUpdate::Clear);
        assert_eq!(line.ticket_class, FieldUpdate::Keep);
        assert_eq!(line.entry_limit.value().map(|limit| limit.get()), Some(3));
        for wrong in [
            r#"{"entry_limit":0}"#,
            r#"{"entry_limit":256}"#,
            r#"{"status":"new"}"#,
            r#"{"code":"x"}"#,
        ] {
            assert!(serde_json::from_str::<TicketLine>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_imported_status_scanned_keeps_the_status_of_the_ticket() {
        for status in [TicketStatus::Active, TicketStatus::Scanned, TicketStatus::Voided] {
            assert_eq!(ImportStatus::Scanned.applied_to(status, 1), status);
        }
        assert_eq!(
            ImportStatus::Active.applied_to(TicketStatus::Voided, 1),
            TicketStatus::Scanned
        );
        assert_eq!(
            ImportStatus::Used.applied_to(TicketStatus::Active, 0),
            TicketStatus::Used
        );
    }

    #[test]
    fn a_ticket_with_admissions_that_becomes_active_is_scanned() {
        assert_eq!(SettableStatus::Active.with_admissions(0), TicketStatus::Active);
        assert_eq!(SettableStatus::Active.with_admissions(1), TicketStatus::Scanned);
        assert_eq!(TicketStatus::Voided.after_admissions(0), TicketStatus::Voided);
        assert_eq!(TicketStatus::Scanned.after_admissions(0), TicketStatus::Active);
    }
}
