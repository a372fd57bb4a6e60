//! Makes a line of the import from the texts of a ticket.
//!
//! Invariant: what cannot be understood is passed on as it is, so that the server rejects it and says why.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use voelgoed_scan_core::model::{TicketCode, Timestamp};

use super::fields::{Field, Fields};

/// A ticket of another system.
#[derive(Debug, PartialEq)]
pub(super) enum Foreign {
    /// It is imported.
    Import(Fields),
    /// It is left out.
    LeftOut(LeftOut),
}

/// Why a ticket is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LeftOut {
    /// Its order is not paid.
    Unpaid,
    /// Its order is a test.
    TestMode,
}

/// The words of a status by which a ticket never admits.
const VOIDED: [&str; 9] = [
    "canceled",
    "cancelled",
    "void",
    "voided",
    "expired",
    "blocked",
    "deleted",
    "invalid",
    "revoked",
];

/// The words of a status by which a ticket admits.
const VALID: [&str; 13] = [
    "paid",
    "valid",
    "active",
    "confirmed",
    "completed",
    "complete",
    "checked in",
    "attending",
    "used",
    "scanned",
    "approved",
    "free",
    "sold",
];

/// The words of a status of an order that is not paid.
const UNPAID: [&str; 8] = [
    "pending",
    "unpaid",
    "reserved",
    "overdue",
    "approval pending",
    "on hold",
    "awaiting payment",
    "not paid",
];

/// Applies what a list of another system says of a ticket: it is left out, or never admits, or is valid.
///
/// A valid ticket gets no status, so that one that was voided here stays voided.
pub(super) fn check(mut fields: Fields) -> Result<Foreign, String> {
    let status = fields.remove(&Field::Status).unwrap_or_default();
    let word = status.trim().to_lowercase().replace(['_', '-'], " ");
    // A status may be followed by a remark: "canceled (paid fee)".
    let word = word.split('(').next().unwrap_or_default().trim().to_owned();
    let mut says = |field| fields.remove(&field).map(|text| is_yes(&text));
    let (paid, test_mode) = (says(Field::Paid), says(Field::TestMode));
    let is_voided = says(Field::Canceled) == Some(true)
        || says(Field::Blocked) == Some(true)
        || matches!(word.as_str(), "c" | "e")
        || VOIDED.contains(&word.as_str());
    let is_unpaid = paid == Some(false) || word == "n" || UNPAID.contains(&word.as_str());
    let is_known = word.is_empty() || word == "p" || word == "refunded" || VALID.contains(&word.as_str());
    if test_mode == Some(true) {
        return Ok(Foreign::LeftOut(LeftOut::TestMode));
    }
    if word == "refunded" {
        fields.insert(Field::Status, "refunded".to_owned());
    } else if is_voided {
        fields.insert(Field::Status, "voided".to_owned());
    } else if is_unpaid {
        return Ok(Foreign::LeftOut(LeftOut::Unpaid));
    } else if !is_known {
        return Err(format!("status: {:?} is not known", status.trim()));
    }
    let medium = fields.get(&Field::Barcode).or_else(|| fields.get(&Field::Nfc));
    match medium {
        None => Err("barcode: is empty".to_owned()),
        Some(text) if is_shortened_number(text.trim()) => {
            Err("barcode: is a number that a spreadsheet shortened: format the column as text".to_owned())
        }
        Some(_) => Ok(Foreign::Import(fields)),
    }
}

/// Whether a cell says yes. A reason, such as why a ticket is blocked, is a yes.
fn is_yes(text: &str) -> bool {
    !matches!(
        text.trim().to_lowercase().as_str(),
        "" | "no" | "false" | "0" | "n" | "-" | "[]"
    )
}

/// Whether a text is a number as spreadsheets show long ones: `4.00638E+12`.
fn is_shortened_number(text: &str) -> bool {
    let is_number =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b','));
    text.split_once("E+")
        .is_some_and(|(digits, exponent)| is_number(digits) && is_number(exponent))
}

/// The line of the import. `zone` is that of the event, in which times without an offset are.
pub(super) fn to_line(fields: &Fields, zone: &TimeZone) -> String {
    let mut line = Map::new();
    let mut media: Vec<Value> = Vec::new();
    let mut seat = Map::new();
    for (field, text) in fields {
        let trimmed = text.trim();
        match field {
            Field::Code => {
                let code = TicketCode::parse_typed(trimmed).map(|code| code.to_string());
                line.insert(
                    "code".to_owned(),
                    json!(code.unwrap_or_else(|_| trimmed.to_owned())),
                );
            }
            Field::Id => drop(line.insert("id".to_owned(), json!(trimmed))),
            Field::Status => drop(line.insert("status".to_owned(), json!(trimmed.to_lowercase()))),
            Field::TicketClass => drop(line.insert("ticket_class".to_owned(), json!(text))),
            Field::GateIds => drop(line.insert("gate_ids".to_owned(), list(trimmed))),
            Field::Seat => match serde_json::from_str(trimmed) {
                Ok(Value::Object(parts)) => seat.extend(parts),
                _ => drop(seat.insert("number".to_owned(), json!(text))),
            },
            Field::SeatBlock => drop(seat.insert("block".to_owned(), json!(text))),
            Field::SeatRow => drop(seat.insert("row".to_owned(), json!(text))),
            Field::SeatNumber => drop(seat.insert("number".to_owned(), json!(text))),
            Field::ValidFrom => {
                line.insert(
                    "valid_from".to_owned(),
                    json!(time(trimmed, Time::midnight(), zone)),
                );
            }
            Field::ValidUntil => {
                line.insert("valid_until".to_owned(), json!(time(trimmed, Time::MAX, zone)));
            }
            Field::EntryLimit => {
                let number = trimmed
                    .parse::<u64>()
                    .map_or_else(|_| json!(trimmed), |number| json!(number));
                line.insert("entry_limit".to_owned(), number);
            }
            Field::Note => drop(line.insert("note".to_owned(), json!(text))),
            Field::HolderName => drop(line.insert("holder_name".to_owned(), json!(text))),
            Field::OrderRef => drop(line.insert("order_ref".to_owned(), json!(text))),
            Field::Media => match serde_json::from_str(trimmed) {
                Ok(Value::Array(all)) => media.extend(all),
                _ => media.push(json!(text)),
            },
            Field::Barcode => media.push(json!(format!("barcode:{text}"))),
            Field::Nfc => {
                let digits = trimmed.to_uppercase().replace([' ', ':', '-'], "");
                media.push(json!(format!("nfc:{digits}")));
            }
            // `check` takes them out.
            Field::Paid | Field::TestMode | Field::Canceled | Field::Blocked => {}
        }
    }
    if !seat.is_empty() {
        line.insert("seat".to_owned(), Value::Object(seat));
    }
    if !media.is_empty() {
        line.insert("media".to_owned(), Value::Array(media));
    }
    Value::Object(line).to_string()
}

/// A list: a JSON array, or texts with commas, semicolons or spaces between them.
fn list(text: &str) -> Value {
    if let Ok(Value::Array(all)) = serde_json::from_str(text) {
        return Value::Array(all);
    }
    let items = text.split([',', ';', '|', ' ']).filter(|item| !item.is_empty());
    items.map(|item| json!(item)).collect()
}

/// A time: with an offset, or in the time zone of the event. A date without a time is that day from or until `time`.
fn time(text: &str, time: Time, zone: &TimeZone) -> String {
    if text.parse::<Timestamp>().is_ok() {
        return text.to_owned();
    }
    let has_time = text.contains(':');
    let local = if has_time {
        text.parse::<DateTime>().ok()
    } else {
        text.parse::<Date>().ok().map(|date| date.to_datetime(time))
    };
    let zoned = local.and_then(|local| zone.to_ambiguous_zoned(local).compatible().ok());
    zoned.map_or_else(
        || text.to_owned(),
        |zoned| Timestamp::from_millis(zoned.timestamp().as_millisecond()).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use voelgoed_scan_core::model::TimeZoneName;

    use super::*;

    fn fields(texts: &[(Field, &str)]) -> Fields {
        texts
            .iter()
            .map(|(field, text)| (*field, (*text).to_owned()))
            .collect()
    }

    fn line(texts: &[(Field, &str)]) -> Value {
        let zone: TimeZoneName = "Africa/Johannesburg".parse().expect("a name");
        let line = to_line(&fields(texts), &zone.zone().expect("a zone"));
        serde_json::from_str(&line).expect("a line of JSON")
    }

    #[test]
    fn texts_become_the_values_of_a_line() {
        let read = line(&[
            (Field::Code, "3KQR-7F92-4M1X-aB0z"),
            (Field::Status, "VOIDED"),
            (Field::GateIds, "a; b"),
            (Field::SeatRow, "7"),
            (Field::SeatNumber, "12"),
            (Field::ValidFrom, "2026-11-29 19:00"),
            (Field::ValidUntil, "2026-11-30"),
            (Field::EntryLimit, "2"),
            (Field::Media, r#"["barcode:a,b"]"#),
            (Field::Barcode, "4006381333931"),
            (Field::Nfc, "04:a1:b2:c3"),
        ]);
        assert_eq!(
            read,
            json!({
                "code": "3KQR7F924M1XaB0z", "status": "voided", "gate_ids": ["a", "b"],
                "seat": { "row": "7", "number": "12" }, "valid_from": "2026-11-29T17:00:00.000Z",
                "valid_until": "2026-11-30T21:59:59.999Z", "entry_limit": 2,
                "media": ["barcode:a,b", "barcode:4006381333931", "nfc:04A1B2C3"],
            })
        );
        let odd = line(&[
            (Field::Code, "x"),
            (Field::EntryLimit, "two"),
            (Field::ValidFrom, "soon"),
            (Field::ValidUntil, "2026-11-29T19:00:00+02:00"),
            (Field::Seat, "A12"),
        ]);
        assert_eq!(
            odd,
            json!({
                "code": "x", "entry_limit": "two", "valid_from": "soon",
                "valid_until": "2026-11-29T19:00:00+02:00", "seat": { "number": "A12" },
            })
        );
    }

    #[test]
    fn a_list_of_another_system_says_who_never_admits_and_who_is_left_out() {
        let judged = |texts: &[(Field, &str)]| {
            let mut all = fields(texts);
            all.insert(Field::Barcode, "b1".to_owned());
            check(all)
        };
        let status = |word: &str| match judged(&[(Field::Status, word)]) {
            Ok(Foreign::Import(fields)) => fields.get(&Field::Status).cloned(),
            other => Some(format!("{other:?}")),
        };
        for word in ["", "p", "paid", "Confirmed", "checked-in", "Valid"] {
            assert_eq!(status(word), None, "{word}");
        }
        for word in [
            "c",
            "e",
            "Canceled",
            "cancelled",
            "canceled (paid fee)",
            "Expired",
        ] {
            assert_eq!(status(word).as_deref(), Some("voided"), "{word}");
        }
        assert_eq!(status("Refunded").as_deref(), Some("refunded"));
        for texts in [
            [(Field::Status, "n")],
            [(Field::Status, "pending (overdue)")],
            [(Field::Paid, "No")],
        ] {
            assert_eq!(judged(&texts), Ok(Foreign::LeftOut(LeftOut::Unpaid)), "{texts:?}");
        }
        let test = judged(&[(Field::TestMode, "Yes"), (Field::Status, "c")]);
        assert_eq!(test, Ok(Foreign::LeftOut(LeftOut::TestMode)));
        for field in [Field::Canceled, Field::Blocked] {
            let voided = judged(&[(field, "Yes"), (Field::Status, "paid")]);
            assert!(matches!(&voided, Ok(Foreign::Import(fields)) if fields[&Field::Status] == "voided"));
            assert!(matches!(judged(&[(field, "No")]), Ok(Foreign::Import(_))));
        }
        assert!(judged(&[(Field::Status, "maybe")]).is_err());
        assert!(check(fields(&[(Field::HolderName, "Ada")])).is_err());
        let shortened = check(fields(&[(Field::Barcode, "4.00638E+12")]));
        assert!(shortened.is_err_and(|why| why.contains("spreadsheet")));
    }
}
