//! What does a person hold? A ticket: which event, which gates, how often, and what became of it so far.

use serde::{Deserialize, Deserializer, Serialize};

use crate::model::text::string_enum;
use crate::model::{
    ClassName, EventId, GateId, HolderName, Ledger, Note, OrderRef, OrganizationId, SeatPart, TicketCode,
    TicketId, Timestamp,
};

string_enum! {
    /// What became of a ticket.
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
    /// The status after a change of the number of admissions: `active` and `scanned` follow it, the others stay.
    #[must_use]
    pub const fn after_admissions(self, admissions: u32) -> Self {
        match self {
            Self::Active | Self::Scanned if admissions == 0 => Self::Active,
            Self::Active | Self::Scanned => Self::Scanned,
            other => other,
        }
    }
}

/// Where a holder sits.
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

/// A ticket as every API but the search shows it: no personal data.
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
    /// What became of it.
    pub status: TicketStatus,
    /// Its class, one of the event's.
    pub ticket_class: Option<ClassName>,
    /// The gates that let it in; null for all.
    pub gate_ids: Option<Vec<GateId>>,
    /// Where its holder sits.
    pub seat: Option<Seat>,
    /// It admits from here on; null is open.
    pub valid_from: Option<Timestamp>,
    /// It admits until here; null is open.
    pub valid_until: Option<Timestamp>,
    /// How many people it admits.
    pub entry_limit: u8,
    /// How many admissions it has had that were not undone.
    pub scan_count: u32,
    /// A note for the steward.
    pub note: Option<Note>,
    /// When it was first put here.
    pub inserted_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A ticket with all that the rules need: its history and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketFacts {
    /// The ticket.
    pub ticket: Ticket,
    /// Its admissions and exits.
    pub ledger: Ledger,
    /// Raised by every admission, exit, undo, status change and import.
    pub version: i64,
}

/// A ticket in a search: the one place where personal data appear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TicketListing {
    /// The ticket.
    #[serde(flatten)]
    pub ticket: Ticket,
    /// Who holds it.
    pub holder_name: Option<HolderName>,
    /// The order it was sold in.
    pub order_ref: Option<OrderRef>,
}

/// What `PATCH ../tickets/{code}` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TicketPatch {
    /// The new status; `active` lifts the others, and with admissions left it reads `scanned`.
    pub status: SettableStatus,
}

string_enum! {
    /// A status that an import or an organization member may give a ticket.
    pub enum SettableStatus {
        /// Admits (again).
        Active = "active",
        /// Used up by hand.
        Used = "used",
        /// Taken back.
        Voided = "voided",
        /// Taken back against money.
        Refunded = "refunded",
    }
}

impl SettableStatus {
    /// The status that a ticket with so many admissions then has.
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

/// A field of an import line: absent keeps what is there, null clears it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Keep.
    #[default]
    Keep,
    /// Clear.
    Clear,
    /// Set.
    Set(T),
}

impl<T> Field<T> {
    /// The new value of a field that may be empty.
    pub fn onto(self, old: Option<T>) -> Option<T> {
        match self {
            Self::Keep => old,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The value that the line gives, if it gives one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

/// A line of a ticket import. Cleared, `status` is `active` and `entry_limit` is 1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct TicketLine {
    /// The code; made where it is missing.
    #[serde(default)]
    pub code: Option<TicketCode>,
    /// The ticket; made where it is missing.
    #[serde(default)]
    pub id: Option<TicketId>,
    /// What becomes of it.
    #[serde(default)]
    pub status: Field<SettableStatus>,
    /// Its class; an unknown one joins the event's list.
    #[serde(default)]
    pub ticket_class: Field<ClassName>,
    /// The gates that let it in.
    #[serde(default)]
    pub gate_ids: Field<Vec<GateId>>,
    /// Where its holder sits.
    #[serde(default)]
    pub seat: Field<Seat>,
    /// It admits from here on.
    #[serde(default)]
    pub valid_from: Field<Timestamp>,
    /// It admits until here.
    #[serde(default)]
    pub valid_until: Field<Timestamp>,
    /// How many people it admits, 1 to 255.
    #[serde(default)]
    pub entry_limit: Field<std::num::NonZeroU8>,
    /// A note for the steward.
    #[serde(default)]
    pub note: Field<Note>,
    /// Who holds it.
    #[serde(default)]
    pub holder_name: Field<HolderName>,
    /// The order it was sold in.
    #[serde(default)]
    pub order_ref: Field<OrderRef>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_field_keeps_and_null_clears() {
        let line: TicketLine = serde_json::from_str(r#"{"note":null,"entry_limit":3}"#).expect("a line");
        assert_eq!(line.note, Field::Clear);
        assert_eq!(line.ticket_class, Field::Keep);
        assert_eq!(line.entry_limit.value().map(|limit| limit.get()), Some(3));
        for wrong in [
            r#"{"entry_limit":0}"#,
            r#"{"entry_limit":256}"#,
            r#"{"status":"scanned"}"#,
            r#"{"code":"x"}"#,
        ] {
            assert!(serde_json::from_str::<TicketLine>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lifting_a_status_reads_scanned_where_admissions_are_left() {
        assert_eq!(SettableStatus::Active.with_admissions(0), TicketStatus::Active);
        assert_eq!(SettableStatus::Active.with_admissions(1), TicketStatus::Scanned);
        assert_eq!(TicketStatus::Voided.after_admissions(0), TicketStatus::Voided);
        assert_eq!(TicketStatus::Scanned.after_admissions(0), TicketStatus::Active);
    }
}
