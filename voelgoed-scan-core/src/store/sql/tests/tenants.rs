//! Checks that each statement reads and writes the rows of one organization: every table of a tenant is restricted by
//! `organization_id = $n`, also where it is joined, and every inserted row gets its organization from a parameter.
//!
//! Two reasons: no wrong join reaches the rows of another organization, and a distributed database can send each
//! statement to the one node that has the rows.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, ConflictTarget, Delete, Expr, FromTable, Insert, Join, JoinConstraint, JoinOperator,
    ObjectName, OnConflict, OnInsert, Select, SelectItem, SetExpr, Statement, TableFactor, TableObject,
    TableWithJoins, Update, UpdateTableFromKind, Value, Visit, Visitor,
};

use super::{files, parse, read, source_folder, statements};

/// Statements that may reach the rows of several organizations, each with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "migrations/create_table.postgres.sql",
        "makes the table of the applied migrations, which belongs to no organization",
    ),
    (
        "migrations/create_table.sqlite.sql",
        "makes the table of the applied migrations, which belongs to no organization",
    ),
    (
        "keys/find_organization.sql",
        "finds the organization by the hash of a key or a token",
    ),
    (
        "enrollments/count_try.sql",
        "finds the organization by a code, and counts the try in the same step",
    ),
    (
        "enrollments/find_organization.sql",
        "finds the organization by a code",
    ),
    (
        "audit/organizations_with_acts.sql",
        "finds the organizations whose audit logs have to be written",
    ),
    (
        "organizations/list_ids.sql",
        "checks the keys of all organizations when a node starts",
    ),
    (
        "background/feeds_ahead.sql",
        "finds the feeds of all organizations that a task has to read",
    ),
    (
        "retention/pending_deleted_events.sql",
        "finds what a task in the background has to delete; the deletion itself stays within one organization",
    ),
    (
        "retention/vacuum.sqlite.sql",
        "writes a file that one process uses anew, and changes no row",
    ),
    (
        "signals/open.sql",
        "reads the open signals of all organizations, which a task looks at",
    ),
    (
        "signals/positions.sql",
        "watches the signals of all organizations of a node",
    ),
    (
        "signals/working_devices.sql",
        "looks at the devices at work of all organizations",
    ),
    (
        "signals/waiting_devices.sql",
        "looks at the devices with waiting scans of all organizations",
    ),
    (
        "signals/live_events.sql",
        "looks at the live events of all organizations",
    ),
    (
        "signals/live_counts.sql",
        "looks at the people inside the live events of all organizations",
    ),
    (
        "signals/all_settings.sql",
        "reads the settings of all organizations for the task that finds signals",
    ),
    (
        "deliveries/due_webhooks.sql",
        "finds the webhooks of all organizations that a node has to serve",
    ),
    (
        "deliveries/count_pending.sql",
        "counts what waits in all organizations, for a metric",
    ),
    (
        "nodes/live_events.sql",
        "shows the live events of all organizations in the metrics",
    ),
    (
        "nodes/device_counts.sql",
        "counts the devices of all organizations for the metrics",
    ),
    (
        "organizations/change_counters.sql",
        "watches all organizations of a node",
    ),
    (
        "webhooks/feeds_ahead.postgres.sql",
        "looks for untold scans of all organizations; each join compares the organization",
    ),
    (
        "webhooks/feeds_ahead.sqlite.sql",
        "looks for untold scans of all organizations; each join compares the organization",
    ),
    (
        "webhooks/listening.sql",
        "reads which organizations have webhooks",
    ),
    (
        "webhooks/all.sql",
        "looks for webhooks of all organizations that need work",
    ),
];

/// A table that a statement uses, with the name by which the statement calls it.
struct UsedTable {
    table: String,
    alias: String,
}

/// Collects the uses of tenant tables that are not restricted.
struct Checker<'a> {
    tenant_tables: &'a [String],
    found: Vec<String>,
}

fn last_name(name: &ObjectName) -> String {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.map(|ident| ident.value.clone()).unwrap_or_default()
}

fn add_factor<'q>(factor: &'q TableFactor, tables: &mut Vec<UsedTable>, conditions: &mut Vec<&'q Expr>) {
    match factor {
        TableFactor::Table { name, alias, .. } => {
            let table = last_name(name);
            let alias = alias
                .as_ref()
                .map_or_else(|| table.clone(), |alias| alias.name.value.clone());
            tables.push(UsedTable { table, alias });
        }
        TableFactor::NestedJoin { table_with_joins, .. } => add_joined(table_with_joins, tables, conditions),
        _ => {}
    }
}

fn join_constraint(join: &Join) -> Option<&JoinConstraint> {
    match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

fn add_joined<'q>(from: &'q TableWithJoins, tables: &mut Vec<UsedTable>, conditions: &mut Vec<&'q Expr>) {
    add_factor(&from.relation, tables, conditions);
    for join in &from.joins {
        let first = tables.len();
        add_factor(&join.relation, tables, conditions);
        let Some(JoinConstraint::On(condition)) = join_constraint(join) else {
            continue;
        };
        let mut of_join = Vec::new();
        add_conditions(condition, &mut of_join);
        if matches!(
            join.join_operator,
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_)
        ) {
            // The condition of a left join restricts only the table on its right.
            let joined = tables.get(first..).unwrap_or_default();
            of_join.retain(|condition| joined.iter().any(|used| restricts_alias(condition, &used.alias)));
        }
        conditions.extend(of_join);
    }
}

/// Adds the parts of a condition that all have to hold.
fn add_conditions<'q>(condition: &'q Expr, conditions: &mut Vec<&'q Expr>) {
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            add_conditions(left, conditions);
            add_conditions(right, conditions);
        }
        Expr::Nested(inner) => add_conditions(inner, conditions),
        other => conditions.push(other),
    }
}

fn is_parameter(value: &Expr) -> bool {
    match value {
        Expr::Value(value) => matches!(value.value, Value::Placeholder(_)),
        Expr::Cast { expr, .. } => is_parameter(expr),
        _ => false,
    }
}

/// Whether the left side of a comparison is a column of the table.
fn restricts_alias(condition: &Expr, alias: &str) -> bool {
    let Expr::BinaryOp { left, .. } = condition else {
        return false;
    };
    matches!(left.as_ref(), Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|table| table.value == alias))
}

/// Whether a condition is `alias.column = $n`, or `column = $n` where no other table is used.
fn restricts(condition: &Expr, alias: &str, column: &str, is_only_table: bool) -> bool {
    let Expr::BinaryOp {
        left,
        op: BinaryOperator::Eq,
        right,
    } = condition
    else {
        return false;
    };
    let is_column = match left.as_ref() {
        Expr::CompoundIdentifier(parts) => {
            matches!(parts.as_slice(), [table, name] if table.value == alias && name.value == column)
        }
        Expr::Identifier(name) => is_only_table && name.value == column,
        _ => false,
    };
    is_column && is_parameter(right)
}

impl Checker<'_> {
    fn is_tenant_table(&self, name: &str) -> bool {
        self.tenant_tables.iter().any(|table| table == name)
    }

    fn check(&mut self, tables: &[UsedTable], conditions: &[&Expr]) {
        for used in tables {
            if !self.is_tenant_table(&used.table) {
                continue;
            }
            let column = if used.table == "organizations" {
                "id"
            } else {
                "organization_id"
            };
            let is_restricted = conditions
                .iter()
                .any(|condition| restricts(condition, &used.alias, column, tables.len() == 1));
            if !is_restricted {
                self.found.push(format!("{} {}", used.table, used.alias));
            }
        }
    }

    fn check_select(&mut self, select: &Select) {
        let (mut tables, mut conditions) = (Vec::new(), Vec::new());
        for from in &select.from {
            add_joined(from, &mut tables, &mut conditions);
        }
        if let Some(condition) = &select.selection {
            add_conditions(condition, &mut conditions);
        }
        self.check(&tables, &conditions);
    }

    fn check_update(&mut self, update: &Update) {
        let (mut tables, mut conditions) = (Vec::new(), Vec::new());
        add_joined(&update.table, &mut tables, &mut conditions);
        if let Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) = &update.from
        {
            for from in from {
                add_joined(from, &mut tables, &mut conditions);
            }
        }
        if let Some(condition) = &update.selection {
            add_conditions(condition, &mut conditions);
        }
        self.check(&tables, &conditions);
    }

    fn check_delete(&mut self, delete: &Delete) {
        let (mut tables, mut conditions) = (Vec::new(), Vec::new());
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        for from in from.iter().chain(delete.using.iter().flatten()) {
            add_joined(from, &mut tables, &mut conditions);
        }
        if let Some(condition) = &delete.selection {
            add_conditions(condition, &mut conditions);
        }
        self.check(&tables, &conditions);
    }

    fn check_insert(&mut self, insert: &Insert) {
        let TableObject::TableName(name) = &insert.table else {
            return;
        };
        let table = last_name(name);
        if !self.is_tenant_table(&table) {
            return;
        }
        let column = if table == "organizations" {
            "id"
        } else {
            "organization_id"
        };
        let position = insert.columns.iter().position(|name| last_name(name) == column);
        let source = insert.source.as_deref().map(|query| query.body.as_ref());
        let from_parameter = position.is_some_and(|position| match source {
            Some(SetExpr::Values(values)) => values
                .rows
                .iter()
                .all(|row| row.content.get(position).is_some_and(is_parameter)),
            Some(SetExpr::Select(select)) => match select.projection.get(position) {
                Some(SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }) => {
                    is_parameter(value)
                }
                _ => false,
            },
            _ => false,
        });
        if !from_parameter {
            self.found.push(format!("insert into {table}"));
        }
        if let Some(OnInsert::OnConflict(OnConflict {
            conflict_target: Some(target),
            ..
        })) = &insert.on
            && !matches!(target, ConflictTarget::Columns { columns, .. } if columns.first().is_some_and(|name| name.value == column))
        {
            self.found.push(format!("conflict in {table}"));
        }
    }
}

impl Visitor for Checker<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.check_select(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Insert(insert) => self.check_insert(insert),
            Statement::Update(update) => self.check_update(update),
            Statement::Delete(delete) => self.check_delete(delete),
            Statement::Query(_) | Statement::Pragma { .. } => {}
            other => self.found.push(format!("unknown: {other}")),
        }
        ControlFlow::Continue(())
    }
}

/// The tables that the migrations make, with a column that names the organization.
fn tenant_tables() -> Vec<String> {
    let folder = source_folder().join("../../../migrations/postgres");
    let mut tables = vec!["organizations".to_owned()];
    for path in files(&folder, "sql") {
        let text = read(&path);
        for part in text.split("create table ").skip(1) {
            let name = part.split_whitespace().next().unwrap_or_default();
            let columns = part.split(';').next().unwrap_or_default();
            if columns.contains("organization_id") {
                tables.push(name.to_owned());
            }
        }
    }
    tables
}

/// The uses of tenant tables in a statement that are not restricted. Panics if the statement cannot be parsed.
fn unrestricted(name: &str, text: &str, tenant_tables: &[String]) -> Vec<String> {
    let parsed = parse(name, text);
    assert_eq!(parsed.len(), 1, "{name} is one statement");
    let mut checker = Checker {
        tenant_tables,
        found: Vec::new(),
    };
    let _ = parsed.visit(&mut checker);
    checker.found
}

#[test]
fn every_statement_stays_within_one_organization() {
    let tables = tenant_tables();
    assert!(tables.len() > 10, "the migrations are read");
    let mut wrong = Vec::new();
    for (name, text) in statements() {
        let found = unrestricted(&name, &text, &tables);
        let is_exception = EXCEPTIONS.iter().any(|(exception, _)| *exception == name);
        if is_exception && found.is_empty() {
            wrong.push(format!("{name} is no exception any more"));
        } else if !is_exception && !found.is_empty() {
            wrong.push(format!("{name}: {}", found.join(", ")));
        }
    }
    for (exception, _) in EXCEPTIONS {
        if !statements().iter().any(|(name, _)| name == exception) {
            wrong.push(format!("{exception} does not exist"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn an_unrestricted_table_is_found() {
    let tables = tenant_tables();
    for (text, expected) in [
        ("select id from tickets where organization_id = $1", ""),
        ("select id from tickets where code = $1", "tickets tickets"),
        (
            "select id from tickets where organization_id = $1 or code = $2",
            "tickets tickets",
        ),
        (
            "select t.id from tickets t join events e on e.id = t.event_id where t.organization_id = $1",
            "events e",
        ),
        (
            "select t.id from tickets t where t.organization_id = $1 and exists (select 1 from scans x where \
             x.ticket_id = t.id)",
            "scans x",
        ),
        (
            "update tickets t set note = r.n from scans r where t.organization_id = $1",
            "scans r",
        ),
        ("delete from tickets where id = $1", "tickets tickets"),
        (
            "insert into tickets (organization_id, id) select r.o, r.i from x r",
            "insert into tickets",
        ),
        ("insert into tickets (id, organization_id) values ($1, $2)", ""),
        (
            "insert into tickets (organization_id, id) values ($1, $2) on conflict (id) do nothing",
            "conflict in tickets",
        ),
        (
            "select t.id from tickets t left join scans x on t.organization_id = $1 and x.organization_id = $1",
            "tickets t",
        ),
        (
            "select t.id from tickets t, lateral (select x.id from scans x where x.ticket_id = t.id) y \
             where t.organization_id = $1",
            "scans x",
        ),
        ("truncate tickets", "unknown: TRUNCATE tickets"),
        (
            "with a as (update tickets set note = $1 returning id) select id from a",
            "tickets tickets",
        ),
    ] {
        assert_eq!(
            unrestricted("x.sql", text, &tables).join(", "),
            expected,
            "{text}"
        );
    }
}
