//! How does one value look to people? A field a line, in the order in which it is sent.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::paint::{Tone, paint, tone};
use crate::failure::Failure;

/// An object's fields in their order.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// The fields of a JSON object, a line each.
pub(crate) fn card(json: &str) -> Result<String, Failure> {
    let Fields(fields) = serde_json::from_str(json).map_err(|error| Failure::unfit("the answer", error))?;
    let width = fields
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let lines: Vec<_> = fields
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => tone(text).map_or_else(|| text.clone(), |tone| paint(tone, text)),
                Value::Null => paint(Tone::Faint, "-"),
                other => other.to_string(),
            };
            format!("{}  {value}", paint(Tone::Faint, &format!("{name:<width$}")))
        })
        .collect();
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_the_order_in_which_they_are_sent() {
        let text = card(r#"{"name":"Main","capacity":null,"a":[1,2]}"#).expect("a card");
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "name      Main\ncapacity  -\na         [1,2]");
    }
}
