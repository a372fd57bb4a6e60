//! Exported scans as CSV (RFC 4180), in the form that `replay` reads back: objects are JSON, a null is an empty cell.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::ResultStream;

/// The columns, in the order of the scan record. Fields that a newer server adds follow in the order of their names.
const COLUMNS: [&str; 23] = [
    "scan_id",
    "scanned_at",
    "event_id",
    "gate_id",
    "device_id",
    "direction",
    "result",
    "reason",
    "would_have_been",
    "ticket_code",
    "ticket_id",
    "scan_session_id",
    "device_scanned_at",
    "received_at",
    "source",
    "decided_by",
    "override",
    "undone",
    "local_result",
    "metadata",
    "organization_id",
    "api_key_id",
    "qr",
];

type Fields = BTreeMap<String, Value>;

/// The rows of a stream of NDJSON. The first row has the names of the columns, also where no scan follows.
pub(super) fn rows(lines: ResultStream<String>) -> ResultStream<Bytes> {
    let mut columns: Option<Vec<String>> = None;
    let rows = lines.map(move |line| {
        let line = line?;
        let fields: Fields =
            serde_json::from_str(&line).map_err(|error| Failure::invalid("the export", error))?;
        let mut text = Vec::new();
        let names = columns.get_or_insert_with(|| {
            let names = column_names(&fields);
            text = record(&names);
            names
        });
        let cells: Vec<_> = names.iter().map(|name| cell(fields.get(name))).collect();
        text.extend(record(&cells));
        Ok(Bytes::from(text))
    });
    // Without a line nothing was written: the names of the columns are all that there is.
    let mut is_empty = true;
    let rows = rows.map(Some).chain(stream::once(async { None }));
    Box::pin(rows.filter_map(move |row| {
        let row = match row {
            Some(row) => {
                is_empty = false;
                Some(row)
            }
            None => is_empty.then(|| Ok(Bytes::from(record(&COLUMNS)))),
        };
        async move { row }
    }))
}

fn column_names(fields: &Fields) -> Vec<String> {
    let others = fields.keys().map(String::as_str);
    let others = others.filter(|name| !COLUMNS.contains(name));
    COLUMNS.into_iter().chain(others).map(str::to_owned).collect()
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn record<T: AsRef<[u8]>>(cells: &[T]) -> Vec<u8> {
    let mut row = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = row.write_record(cells);
    row.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    async fn csv(lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| Ok((*line).to_owned())).collect();
        let rows: Vec<Bytes> = rows(Box::pin(stream::iter(lines)))
            .try_collect()
            .await
            .expect("rows");
        String::from_utf8(rows.concat()).expect("text")
    }

    #[tokio::test]
    async fn objects_are_json_nulls_are_empty_and_new_fields_follow() {
        let text = csv(&[
            r#"{"scan_id":"1","override":{"reason":"says \"yes\", twice"},"undone":null,"zeta":3,"qr":"VG1.a"}"#,
            r#"{"scan_id":"2","zeta":null,"qr":null}"#,
        ])
        .await;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().expect("columns").clone();
        assert_eq!(names.get(0), Some("scan_id"));
        assert_eq!(names.get(names.len() - 1), Some("zeta"));
        let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
        let at = |row: usize, name: &str| {
            let index = names.iter().position(|one| one == name).expect("a column");
            rows[row].get(index).expect("a cell").to_owned()
        };
        assert_eq!(rows.len(), 2);
        assert_eq!(at(0, "override"), r#"{"reason":"says \"yes\", twice"}"#);
        assert_eq!(
            (at(0, "undone"), at(0, "zeta"), at(0, "qr")),
            (String::new(), "3".to_owned(), "VG1.a".to_owned())
        );
        assert_eq!((at(1, "scan_id"), at(1, "zeta")), ("2".to_owned(), String::new()));
    }

    #[tokio::test]
    async fn an_empty_export_has_the_columns() {
        assert_eq!(csv(&[]).await, format!("{}\r\n", COLUMNS.join(",")));
    }
}
