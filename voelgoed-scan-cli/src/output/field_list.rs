//! Shows one JSON object to people: a field a line, in the order of the JSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::style::{TextStyle, status_style, styled};
use crate::failure::Failure;

/// The fields of a JSON object in their order, which `serde_json::Map` does not keep.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
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

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// The fields of a JSON object, one a line.
pub(crate) fn field_list(json: &str) -> Result<String, Failure> {
    let Fields(fields) = serde_json::from_str(json).map_err(|error| Failure::invalid("the answer", error))?;
    let width = fields
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let lines: Vec<_> = fields
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => {
                    status_style(text).map_or_else(|| text.clone(), |style| styled(style, text))
                }
                Value::Null => styled(TextStyle::Dim, "-"),
                other => other.to_string(),
            };
            format!("{}  {value}", styled(TextStyle::Dim, &format!("{name:<width$}")))
        })
        .collect();
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_the_order_of_the_json() {
        let text = field_list(r#"{"name":"Main","capacity":null,"a":[1,2]}"#).expect("a field list");
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "name      Main\ncapacity  -\na         [1,2]");
    }
}
