//! What the columns of a table and the keys of foreign JSON may hold.

use std::collections::BTreeMap;

/// A field of a ticket, or what a list of another system says about one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Code,
    Id,
    Status,
    TicketClass,
    GateIds,
    Seat,
    SeatBlock,
    SeatRow,
    SeatNumber,
    ValidFrom,
    ValidUntil,
    EntryLimit,
    Note,
    HolderName,
    OrderRef,
    Media,
    /// The text of a barcode, which becomes a medium.
    Barcode,
    /// The id of a wristband or a card, which becomes a medium.
    Nfc,
    /// Whether the order is paid.
    Paid,
    /// Whether the order is a test.
    TestMode,
    /// Whether the ticket was cancelled.
    Canceled,
    /// Whether the ticket is blocked.
    Blocked,
}

/// The names by which `--map` and the header of a table name fields.
pub(super) const NAMES: [(&str, Field); 18] = [
    ("code", Field::Code),
    ("id", Field::Id),
    ("status", Field::Status),
    ("ticket_class", Field::TicketClass),
    ("gate_ids", Field::GateIds),
    ("seat", Field::Seat),
    ("seat_block", Field::SeatBlock),
    ("seat_row", Field::SeatRow),
    ("seat_number", Field::SeatNumber),
    ("valid_from", Field::ValidFrom),
    ("valid_until", Field::ValidUntil),
    ("entry_limit", Field::EntryLimit),
    ("note", Field::Note),
    ("holder_name", Field::HolderName),
    ("order_ref", Field::OrderRef),
    ("media", Field::Media),
    ("barcode", Field::Barcode),
    ("nfc", Field::Nfc),
];

/// Columns that a table may have and that name no field, as headers are compared: what an exported ticket has besides, and the reasons in a file of
/// rejected lines.
pub(super) const KNOWN_BESIDES: [&str; 6] = [
    "organization id",
    "event id",
    "scan count",
    "inserted at",
    "updated at",
    "reason",
];

/// The texts of one ticket by field; absent where a cell is empty.
pub(super) type Fields = BTreeMap<Field, String>;

/// A name as headers are compared: in lower case, with one space between words.
pub(super) fn folded(name: &str) -> String {
    let is_separator = |one: char| one.is_whitespace() || matches!(one, '_' | '-' | '.' | ':');
    let lower = name.trim_start_matches('\u{feff}').to_lowercase();
    let words: Vec<_> = lower
        .split(is_separator)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// All names of fields, for messages.
pub(super) fn all_names() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}
