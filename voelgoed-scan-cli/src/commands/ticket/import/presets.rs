//! The presets: which columns of the lists of other systems hold what. `docs/import.md` lists them.

use clap::ValueEnum;

use super::fields::Field;

/// A system whose lists are read as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// pretix: the order data as JSON, its attendee lists and order positions as CSV
    Pretix,
    /// Lists of other systems, by common names of columns
    Attendees,
}

/// The columns that hold a field, in the order of preference.
pub(super) struct Choice {
    pub(super) field: Field,
    /// Each alternative is the names of columns whose texts are joined.
    pub(super) alternatives: &'static [&'static [&'static str]],
    pub(super) separator: &'static str,
}

const fn choice(field: Field, alternatives: &'static [&'static [&'static str]]) -> Choice {
    Choice {
        field,
        alternatives,
        separator: " ",
    }
}

const PRETIX: &[Choice] = &[
    choice(Field::Barcode, &[&["ticket secret"], &["secret"]]),
    Choice {
        field: Field::OrderRef,
        alternatives: &[
            &["order code", "position id"],
            &["order code"],
            &["order", "position id"],
            &["order"],
        ],
        separator: "-",
    },
    Choice {
        field: Field::TicketClass,
        alternatives: &[
            &["product", "variation"],
            &["product"],
            &["item", "variation"],
            &["item"],
        ],
        separator: " – ",
    },
    choice(Field::HolderName, &[&["attendee name"], &["name"]]),
    choice(Field::SeatBlock, &[&["seat zone"]]),
    choice(Field::SeatRow, &[&["seat row"]]),
    choice(
        Field::SeatNumber,
        &[&["seat number"], &["seat name"], &["seat id"]],
    ),
    choice(Field::ValidFrom, &[&["valid from"]]),
    choice(Field::ValidUntil, &[&["valid until"]]),
    choice(Field::Status, &[&["status"], &["order status"]]),
    choice(Field::Paid, &[&["paid"]]),
    choice(Field::TestMode, &[&["test mode"], &["testmode"]]),
    choice(Field::Canceled, &[&["canceled"], &["cancelled"]]),
    choice(Field::Blocked, &[&["blocked"]]),
];

/// What pretix exports besides. A column of a question that the organizer asked is unknown.
const PRETIX_BESIDES: &[&str] = &[
    "event slug",
    "position id",
    "email",
    "e mail",
    "phone number",
    "order date",
    "order time",
    "start date",
    "end date",
    "price",
    "tax rate",
    "tax rule",
    "tax value",
    "attendee email",
    "company",
    "address",
    "zip code",
    "city",
    "country",
    "state",
    "voucher",
    "voucher code",
    "voucher budget usage",
    "pseudonymization id",
    "seat id",
    "seat name",
    "seat zone",
    "seat row",
    "seat number",
    "order comment",
    "comment",
    "follow up date",
    "sales channel",
    "order locale",
    "e mail address verified",
    "email address verified",
    "external customer id",
    "check in lists",
    "position order link",
    "payment providers",
    "checked in",
    "checked out",
    "automatically checked in",
    "requires special attention",
    "check in text",
    "date",
    "add on to position id",
    "customer id",
    "product id",
    "variation id",
    "name",
    "item",
];

const ATTENDEES: &[Choice] = &[
    choice(
        Field::Barcode,
        &[
            &["barcode"],
            &["bar code"],
            &["barcode number"],
            &["barcode #"],
            &["ticket barcode"],
            &["ean"],
            &["ean13"],
            &["ean 13"],
            &["ean code"],
            &["gtin"],
            &["qr"],
            &["qr code"],
            &["qrcode"],
            &["qr data"],
            &["qr content"],
            &["ticket code"],
            &["ticket secret"],
            &["secret"],
            &["ticket number"],
            &["ticket no"],
            &["ticket #"],
            &["ticket id"],
            &["ticketnumber"],
            &["ticketcode"],
            &["code"],
            &["attendee #"],
            &["attendee id"],
        ],
    ),
    choice(
        Field::Nfc,
        &[
            &["nfc"],
            &["nfc id"],
            &["nfc uid"],
            &["rfid"],
            &["wristband"],
            &["wristband id"],
            &["card id"],
            &["chip id"],
            &["uid"],
        ],
    ),
    choice(
        Field::HolderName,
        &[
            &["name"],
            &["full name"],
            &["attendee name"],
            &["attendee"],
            &["holder name"],
            &["holder"],
            &["guest name"],
            &["guest"],
            &["participant"],
            &["first name", "last name"],
            &["first name", "surname"],
            &["attendee first name", "attendee last name"],
            &["firstname", "lastname"],
            &["given name", "family name"],
            &["last name"],
            &["first name"],
            &["customer name"],
            &["customer"],
            &["buyer name"],
        ],
    ),
    choice(
        Field::TicketClass,
        &[
            &["ticket type"],
            &["ticket class"],
            &["ticket category"],
            &["ticket name"],
            &["type"],
            &["class"],
            &["category"],
            &["product"],
            &["product name"],
            &["price category"],
            &["item"],
            &["ticket"],
        ],
    ),
    choice(
        Field::OrderRef,
        &[
            &["order ref"],
            &["order reference"],
            &["order code"],
            &["order number"],
            &["order no"],
            &["order #"],
            &["order id"],
            &["order"],
            &["booking reference"],
            &["booking number"],
            &["booking id"],
            &["booking"],
            &["reservation"],
        ],
    ),
    choice(
        Field::SeatBlock,
        &[
            &["seat block"],
            &["block"],
            &["section"],
            &["sector"],
            &["stand"],
            &["zone"],
            &["area"],
        ],
    ),
    choice(Field::SeatRow, &[&["seat row"], &["row"]]),
    choice(
        Field::SeatNumber,
        &[&["seat number"], &["seat no"], &["seat"], &["place"]],
    ),
    choice(Field::ValidFrom, &[&["valid from"]]),
    choice(Field::ValidUntil, &[&["valid until"], &["valid to"]]),
    choice(
        Field::EntryLimit,
        &[
            &["entry limit"],
            &["admits"],
            &["entries"],
            &["persons"],
            &["pax"],
        ],
    ),
    choice(
        Field::Note,
        &[
            &["note"],
            &["notes"],
            &["comment"],
            &["comments"],
            &["remark"],
            &["remarks"],
        ],
    ),
    choice(
        Field::Status,
        &[
            &["ticket status"],
            &["attendee status"],
            &["order status"],
            &["status"],
        ],
    ),
    choice(Field::Paid, &[&["paid"]]),
    choice(Field::Canceled, &[&["canceled"], &["cancelled"]]),
];

impl Preset {
    /// What holds each field.
    pub(super) const fn choices(self) -> &'static [Choice] {
        match self {
            Self::Pretix => PRETIX,
            Self::Attendees => ATTENDEES,
        }
    }

    /// The columns that are known and not read.
    pub(super) const fn known_besides(self) -> &'static [&'static str] {
        match self {
            Self::Pretix => PRETIX_BESIDES,
            Self::Attendees => &[],
        }
    }

    /// The fields of which a list needs one each.
    pub(super) const fn needed(self) -> &'static [&'static [Field]] {
        match self {
            Self::Pretix => &[&[Field::Barcode], &[Field::OrderRef]],
            Self::Attendees => &[&[Field::Barcode, Field::Nfc]],
        }
    }

    /// A header that suffices, for messages.
    pub(super) const fn expected_header(self) -> &'static str {
        match self {
            Self::Pretix => "Order code, Product, Attendee name, Secret",
            Self::Attendees => "Barcode, Name, Ticket type, Order",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::folded;
    use super::*;

    #[test]
    fn the_names_of_columns_are_written_as_headers_are_compared() {
        for preset in [Preset::Pretix, Preset::Attendees] {
            let names = preset
                .choices()
                .iter()
                .flat_map(|choice| choice.alternatives)
                .copied()
                .flatten();
            for name in names.chain(preset.known_besides()) {
                assert_eq!(folded(name), *name);
            }
        }
    }

    #[test]
    fn the_guide_lists_every_column_of_the_presets() {
        let guide = include_str!("../../../../../docs/import.md");
        for preset in [Preset::Pretix, Preset::Attendees] {
            for name in preset
                .choices()
                .iter()
                .flat_map(|choice| choice.alternatives)
                .copied()
                .flatten()
            {
                assert!(guide.contains(&format!("`{name}`")), "{name}");
            }
        }
    }
}
