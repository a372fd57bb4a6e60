//! The result of an import: the server's counts, with what was rejected or left out before the upload.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ticket_line::LeftOut;
use crate::output::{TextStyle, styled};

/// How many rejected lines are listed in JSON.
const MAX_ERRORS: usize = 1000;

/// How many kinds of errors are told apart.
const MAX_KINDS: usize = 1000;

/// How many lines of a kind are named.
const MAX_NAMED_LINES: usize = 5;

/// A rejected line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LineError {
    pub(super) line: u64,
    pub(super) message: String,
}

/// The counts of an import, as the server answers them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ImportCounts {
    #[serde(default)]
    pub(super) dry_run: bool,
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) unchanged: u64,
    pub(super) rejected: u64,
    #[serde(default)]
    pub(super) errors: Vec<LineError>,
    #[serde(default)]
    pub(super) new_classes: Vec<String>,
    #[serde(default)]
    pub(super) ignored_fields: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) updated_fields: Option<BTreeMap<String, u64>>,
}

/// The result of an import.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    #[serde(flatten)]
    pub(super) counts: ImportCounts,
    /// The orders and tickets that were left out, where a preset is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) left_out: Option<LeftOutCounts>,
    #[serde(skip)]
    pub(super) rejected: RejectedLines,
}

/// What was left out, by its reason.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct LeftOutCounts {
    unpaid: OrderCount,
    test_mode: OrderCount,
}

#[derive(Debug, Clone, Default, Serialize)]
struct OrderCount {
    orders: usize,
    tickets: u64,
    #[serde(skip)]
    codes: BTreeSet<String>,
}

impl LeftOutCounts {
    /// Counts a ticket.
    pub(super) fn add(&mut self, why: LeftOut, order: String) {
        let count = match why {
            LeftOut::Unpaid => &mut self.unpaid,
            LeftOut::TestMode => &mut self.test_mode,
        };
        count.tickets += 1;
        count.codes.insert(order);
        count.orders = count.codes.len();
    }
}

/// The rejected lines, by kind.
#[derive(Debug, Clone, Default)]
pub(super) struct RejectedLines {
    pub(super) total: u64,
    /// The first ones.
    first: Vec<LineError>,
    kinds: BTreeMap<String, Kind>,
    /// Lines of further kinds.
    others: u64,
}

/// Lines that were rejected for one reason.
#[derive(Debug, Clone, Default)]
struct Kind {
    count: u64,
    lines: Vec<u64>,
}

impl RejectedLines {
    /// Adds a line.
    pub(super) fn add(&mut self, error: LineError) {
        self.total += 1;
        if !self.kinds.contains_key(&error.message) && self.kinds.len() >= MAX_KINDS {
            self.others += 1;
        } else {
            let kind = self.kinds.entry(error.message.clone()).or_default();
            kind.count += 1;
            if kind.lines.len() < MAX_NAMED_LINES {
                kind.lines.push(error.line);
            }
        }
        if self.first.len() < MAX_ERRORS {
            self.first.push(error);
        }
    }

    /// Adds other lines. The first ones of both together are kept.
    pub(super) fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.others += other.others;
        self.first.extend(other.first);
        self.first.sort_by_key(|error| error.line);
        self.first.truncate(MAX_ERRORS);
        for (message, of_other) in other.kinds {
            let kind = self.kinds.entry(message).or_default();
            kind.count += of_other.count;
            kind.lines.extend(of_other.lines);
            kind.lines.sort_unstable();
            kind.lines.truncate(MAX_NAMED_LINES);
        }
    }
}

impl Summary {
    /// The result: the server's counts with the lines that it rejected, and what was rejected or left out before.
    pub(super) fn new(
        mut counts: ImportCounts,
        mut rejected: RejectedLines,
        local: RejectedLines,
        ignored_columns: &[String],
        left_out: Option<LeftOutCounts>,
    ) -> Self {
        counts.rejected += local.total;
        rejected.merge(local);
        counts.errors.clone_from(&rejected.first);
        for column in ignored_columns {
            if !counts.ignored_fields.contains(column) {
                counts.ignored_fields.push(column.clone());
            }
        }
        Self {
            counts,
            left_out,
            rejected,
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ImportCounts {
            dry_run,
            inserted,
            updated,
            unchanged,
            rejected,
            new_classes,
            ignored_fields,
            updated_fields,
            ..
        } = &self.counts;
        let mark = if *rejected == 0 {
            styled(TextStyle::Success, "✔")
        } else {
            styled(TextStyle::Error, "✘")
        };
        let kind = if *dry_run {
            "dry run, nothing was changed: "
        } else {
            ""
        };
        write!(
            f,
            "{mark} {kind}{inserted} inserted, {updated} updated, {unchanged} unchanged, {rejected} rejected"
        )?;
        if let Some(fields) = updated_fields.as_ref().filter(|fields| !fields.is_empty()) {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            write!(f, "\n  updated fields: {}", fields.join(", "))?;
        }
        write!(f, "{}", self.rejected)?;
        let unlisted = rejected.saturating_sub(self.rejected.total);
        if unlisted > 0 {
            write!(f, "\n  and {unlisted} more")?;
        }
        if !new_classes.is_empty() {
            let text = format!("new ticket classes: {}", new_classes.join(", "));
            write!(f, "\n  {}", styled(TextStyle::Info, &text))?;
        }
        if !ignored_fields.is_empty() {
            let text = format!("ignored columns and fields: {}", ignored_fields.join(", "));
            write!(f, "\n  {}", styled(TextStyle::Warning, &text))?;
        }
        let left_out = self.left_out.iter();
        let left_out =
            left_out.flat_map(|counts| [(&counts.unpaid, "unpaid"), (&counts.test_mode, "test-mode")]);
        for (count, why) in left_out.filter(|(count, _)| count.tickets > 0) {
            let (orders, tickets) = (count.orders, count.tickets);
            let text = format!("left out: {orders} {why} orders with {tickets} tickets");
            write!(f, "\n  {}", styled(TextStyle::Warning, &text))?;
        }
        Ok(())
    }
}

/// One line a kind, the most frequent kind first.
impl std::fmt::Display for RejectedLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, kind)| (std::cmp::Reverse(kind.count), kind.lines.first().copied()));
        for (message, Kind { count, lines }) in kinds {
            let numbers: Vec<_> = lines.iter().map(u64::to_string).collect();
            let numbers = numbers.join(", ");
            match count {
                1 => write!(f, "\n  line {numbers}: {message}")?,
                few if *few <= lines.len() as u64 => write!(f, "\n  {count} lines ({numbers}): {message}")?,
                _ => write!(f, "\n  {count} lines ({numbers}, …): {message}")?,
            }
        }
        match self.others {
            0 => Ok(()),
            others => write!(f, "\n  {others} lines for other reasons"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: u64, message: &str) -> LineError {
        LineError {
            line,
            message: message.to_owned(),
        }
    }

    #[test]
    fn errors_of_one_kind_are_one_line_with_a_count_and_five_line_numbers() {
        let mut server = RejectedLines::default();
        for line in 1..=2000 {
            server.add(error(2 * line, "is not JSON"));
        }
        server.add(error(9, "code: is wrong"));
        let mut local = RejectedLines::default();
        local.add(error(3, "is not JSON"));
        local.add(error(5, "has 1 cells"));
        local.add(error(7, "has 1 cells"));
        let counts = ImportCounts {
            rejected: 2001,
            ..ImportCounts::default()
        };
        let columns = ["Price".to_owned()];
        let summary = Summary::new(counts, server, local, &columns, None);
        assert_eq!(summary.counts.rejected, 2004);
        let numbers: Vec<_> = summary.counts.errors.iter().map(|error| error.line).collect();
        assert_eq!((numbers.len(), &numbers[..5]), (1000, &[2, 3, 4, 5, 6][..]));
        let text = anstream::adapter::strip_str(&summary.to_string()).to_string();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "✘ 0 inserted, 0 updated, 0 unchanged, 2004 rejected",
                "2001 lines (2, 3, 4, 6, 8, …): is not JSON",
                "2 lines (5, 7): has 1 cells",
                "line 9: code: is wrong",
                "ignored columns and fields: Price",
            ]
        );
    }

    #[test]
    fn what_was_left_out_is_counted_and_said() {
        let mut left_out = LeftOutCounts::default();
        for (why, order) in [
            (LeftOut::Unpaid, "A1"),
            (LeftOut::Unpaid, "A1"),
            (LeftOut::Unpaid, "A2"),
            (LeftOut::TestMode, "A3"),
        ] {
            left_out.add(why, order.to_owned());
        }
        let none = RejectedLines::default();
        let summary = Summary::new(ImportCounts::default(), none.clone(), none, &[], Some(left_out));
        let json = serde_json::to_value(&summary).expect("JSON");
        let expected = serde_json::json!({ "unpaid": { "orders": 2, "tickets": 3 }, "test_mode": { "orders": 1, "tickets": 1 } });
        assert_eq!(json["left_out"], expected);
        let text = anstream::adapter::strip_str(&summary.to_string()).to_string();
        assert!(
            text.contains("left out: 2 unpaid orders with 3 tickets"),
            "{text}"
        );
    }
}
