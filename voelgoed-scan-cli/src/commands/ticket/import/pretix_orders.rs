//! The orders of pretix as JSON: the export "Order data", or a page of the orders of its REST API.
//!
//! The documentation of the shape: <https://docs.pretix.eu/dev/api/resources/orders.html>.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::{Field, Fields};

/// A file of orders.
#[derive(Deserialize)]
struct Document {
    /// What the export "Order data" wraps everything into.
    event: Option<Box<EventData>>,
    items: Option<Vec<Item>>,
    orders: Option<Vec<Order>>,
    /// What the REST API wraps the orders into.
    results: Option<Vec<Order>>,
}

#[derive(Deserialize)]
struct EventData {
    #[serde(default)]
    items: Vec<Item>,
    orders: Option<Vec<Order>>,
}

/// A product.
#[derive(Deserialize)]
struct Item {
    id: u64,
    name: Value,
    #[serde(default)]
    variations: Vec<Variation>,
}

#[derive(Deserialize)]
struct Variation {
    id: u64,
    #[serde(alias = "value")]
    name: Value,
}

#[derive(Deserialize)]
struct Order {
    code: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    testmode: bool,
    /// Whether the tickets of an unpaid order are valid.
    #[serde(default)]
    valid_if_pending: Option<bool>,
    invoice_address: Option<Address>,
    #[serde(default)]
    positions: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Address {
    name: Option<String>,
}

/// A ticket of an order.
#[derive(Deserialize)]
struct Position {
    id: Option<u64>,
    positionid: Option<u64>,
    item: Value,
    variation: Option<Value>,
    attendee_name: Option<String>,
    secret: Option<String>,
    addon_to: Option<u64>,
    #[serde(default)]
    canceled: bool,
    blocked: Option<Value>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    seat: Option<Value>,
}

/// The orders of a file.
pub(super) struct PretixOrders {
    names: Names,
    orders: Vec<Order>,
}

/// The names of products and variations, by their ids.
#[derive(Default)]
struct Names {
    items: HashMap<u64, String>,
    variations: HashMap<u64, String>,
}

/// A ticket of pretix as the lists of other systems have it, with its order and its text as it was.
pub(super) struct PretixTicket {
    pub(super) order: String,
    pub(super) text: String,
    pub(super) fields: Result<Fields, String>,
}

impl PretixOrders {
    /// Parses a file. Fails with what is wrong as the rest of a sentence.
    pub(super) fn parse(reader: impl std::io::Read) -> Result<Self, String> {
        let not_pretix = |error: serde_json::Error| format!("is not pretix's order data: {error}");
        let value: Box<RawValue> = serde_json::from_reader(reader).map_err(not_pretix)?;
        let (mut items, orders) = if value.get().starts_with('[') {
            (
                Vec::new(),
                Some(serde_json::from_str(value.get()).map_err(not_pretix)?),
            )
        } else {
            let document: Document = serde_json::from_str(value.get()).map_err(not_pretix)?;
            let mut items = document.items.unwrap_or_default();
            let of_event = document.event.and_then(|event| {
                items.extend(event.items);
                event.orders
            });
            (items, of_event.or(document.orders).or(document.results))
        };
        let orders = orders.ok_or(
            "holds no orders: expected the export \"Order data\" of pretix, or the orders of its API",
        )?;
        let mut names = Names::default();
        for Item { id, name, variations } in items.drain(..) {
            names.items.insert(id, text_of(&name));
            let of_item = variations.into_iter().map(|one| (one.id, text_of(&one.name)));
            names.variations.extend(of_item);
        }
        Ok(Self { names, orders })
    }

    /// The tickets, in the order of the file.
    pub(super) fn into_tickets(self) -> impl Iterator<Item = PretixTicket> {
        let Self { names, orders } = self;
        orders.into_iter().flat_map(move |mut order| {
            let raw = std::mem::take(&mut order.positions);
            let parsed: Vec<Result<Position, String>> = raw
                .iter()
                .map(|text| {
                    serde_json::from_str(text.get()).map_err(|error| format!("is not a position: {error}"))
                })
                .collect();
            let holders: HashMap<u64, String> =
                parsed.iter().flatten().filter_map(Position::holder).collect();
            let tickets = raw.iter().zip(parsed).map(|(text, position)| PretixTicket {
                order: order.code.clone(),
                text: text.get().to_owned(),
                fields: position.map(|position| names.fields(&order, position, &holders)),
            });
            tickets.collect::<Vec<_>>()
        })
    }
}

impl Position {
    /// The id and the name of the person.
    fn holder(&self) -> Option<(u64, String)> {
        Some((
            self.id?,
            self.attendee_name
                .clone()
                .filter(|name| !name.trim().is_empty())?,
        ))
    }
}

impl Names {
    fn fields(&self, order: &Order, position: Position, holders: &HashMap<u64, String>) -> Fields {
        let holder = position.holder().map(|(_, name)| name);
        let of_addon = || position.addon_to.and_then(|id| holders.get(&id).cloned());
        let of_invoice = || {
            order
                .invoice_address
                .as_ref()
                .and_then(|address| address.name.clone())
        };
        let is_valid_unpaid = order.status == "n" && order.valid_if_pending == Some(true);
        let reference = position
            .positionid
            .map_or_else(|| order.code.clone(), |number| format!("{}-{number}", order.code));
        let class = join_class(
            name_of(&position.item, &self.items),
            position
                .variation
                .as_ref()
                .and_then(|variation| name_of(variation, &self.variations)),
        );
        let yes = |truth: bool| truth.then(|| "yes".to_owned());
        let is_blocked = position.blocked.as_ref().is_some_and(|blocked| match blocked {
            Value::Null | Value::Bool(false) => false,
            Value::Array(reasons) => !reasons.is_empty(),
            _ => true,
        });
        let status = if is_valid_unpaid { "p" } else { &order.status };
        let texts = [
            (Field::Barcode, position.secret),
            (Field::OrderRef, Some(reference)),
            (Field::TicketClass, class),
            (Field::HolderName, holder.or_else(of_addon).or_else(of_invoice)),
            (Field::ValidFrom, position.valid_from),
            (Field::ValidUntil, position.valid_until),
            (Field::Status, Some(status.to_owned())),
            (Field::TestMode, yes(order.testmode)),
            (Field::Canceled, yes(position.canceled)),
            (Field::Blocked, yes(is_blocked)),
        ];
        let mut fields: Fields = texts
            .into_iter()
            .filter_map(|(field, text)| Some((field, text.filter(|text| !text.trim().is_empty())?)))
            .collect();
        fields.extend(position.seat.iter().flat_map(seat));
        fields
    }
}

/// The class of a ticket: the product, and its variation where there is one.
fn join_class(product: Option<String>, variation: Option<String>) -> Option<String> {
    match (product, variation) {
        (Some(product), Some(variation)) => Some(format!("{product} – {variation}")),
        (product, variation) => product.or(variation),
    }
}

/// The name of a product or a variation, which is given by its id, by its name or as an object.
fn name_of(value: &Value, names: &HashMap<u64, String>) -> Option<String> {
    match value {
        Value::Number(id) => names.get(&id.as_u64()?).cloned(),
        Value::String(name) => Some(name.clone()),
        Value::Object(object) => object.get("name").or_else(|| object.get("value")).map(text_of),
        _ => None,
    }
}

/// A text, or one in several languages: the English one, or else the first.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(languages) => {
            let text = languages.get("en").or_else(|| languages.values().next());
            text.and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

/// The parts of a seat, which is given as an object or by its identifier.
fn seat(value: &Value) -> Vec<(Field, String)> {
    if let Value::String(identifier) = value {
        return vec![(Field::SeatNumber, identifier.clone())];
    }
    let part = |field, names: &[&str]| {
        let text = names
            .iter()
            .find_map(|name| value.get(name)?.as_str().filter(|text| !text.is_empty()))?;
        Some((field, text.to_owned()))
    };
    [
        part(Field::SeatBlock, &["zone_name"]),
        part(Field::SeatRow, &["row_name"]),
        part(Field::SeatNumber, &["seat_number", "name", "seat_guid"]),
    ]
    .into_iter()
    .flatten()
    .collect()
}
