//! Checks that no condition of a statement that writes calls a volatile function. Citus refuses such a statement, because each
//! copy of a table would decide by a value of its own.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Delete, Expr, Insert, OnConflict, OnConflictAction, OnInsert, Statement, Update, visit_expressions,
    visit_statements,
};

use super::{parse, statements};

const VOLATILE: [&str; 3] = ["clock_timestamp", "random", "gen_random_uuid"];

/// The condition that selects what a statement changes.
fn condition(statement: &Statement) -> Option<&Expr> {
    match statement {
        Statement::Update(Update { selection, .. }) | Statement::Delete(Delete { selection, .. }) => {
            selection.as_ref()
        }
        Statement::Insert(Insert {
            on:
                Some(OnInsert::OnConflict(OnConflict {
                    action: OnConflictAction::DoUpdate(update),
                    ..
                })),
            ..
        }) => update.selection.as_ref(),
        _ => None,
    }
}

/// The volatile functions that the conditions of a statement call.
fn volatile_conditions(name: &str, sql: &str) -> Vec<String> {
    let parsed = parse(name, sql);
    let mut found = Vec::new();
    let _ = visit_statements(&parsed, |statement| {
        if let Some(condition) = condition(statement) {
            let _ = visit_expressions(condition, |expression| {
                if let Expr::Function(function) = expression {
                    let name = function.name.to_string();
                    if VOLATILE.contains(&name.as_str()) {
                        found.push(name);
                    }
                }
                ControlFlow::<()>::Continue(())
            });
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

#[test]
fn no_condition_of_a_change_calls_a_volatile_function() {
    for (name, sql) in statements() {
        if !name.ends_with(".sqlite.sql") {
            assert_eq!(volatile_conditions(&name, &sql), [] as [&str; 0], "{name}");
        }
    }
}

#[test]
fn a_volatile_condition_is_found() {
    for (sql, expected) in [
        (
            "delete from a where b < clock_timestamp()",
            vec!["clock_timestamp"],
        ),
        (
            "update a set b = 1 where c in (select d from e where d < random())",
            vec!["random"],
        ),
        (
            "with gone as (delete from a where b < clock_timestamp()) insert into a (b) values ($1)",
            vec!["clock_timestamp"],
        ),
        (
            "insert into a (b) values ($1) on conflict (b) do update set c = 1 where a.d < clock_timestamp()",
            vec!["clock_timestamp"],
        ),
        ("insert into a (b) values (clock_timestamp())", vec![]),
        ("select b from a where b < clock_timestamp()", vec![]),
        ("delete from a where b < statement_timestamp()", vec![]),
    ] {
        assert_eq!(volatile_conditions("an example", sql), expected, "{sql}");
    }
}
