//! Checks the statement files.

#[cfg(feature = "sqlite")]
mod plans;
mod retention;
mod tenants;
mod volatile;

use std::fs;
use std::path::{Path, PathBuf};

use sqlparser::ast::Statement;
use sqlparser::dialect::{Dialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store")
}

/// All files below a folder that have the extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the file can be read")
}

/// Every statement file with its path below `statements/`.
fn statements() -> Vec<(String, String)> {
    let folder = source_folder().join("sql/statements");
    let found: Vec<_> = files(&folder, "sql")
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&folder).expect("below the folder");
            (name.to_string_lossy().replace('\\', "/"), read(path))
        })
        .collect();
    assert!(!found.is_empty(), "the statements are there");
    found
}

/// The lines that are not comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("--"))
}

/// Parses a statement, whose name says for which database it is.
fn parse(name: &str, text: &str) -> Vec<Statement> {
    let dialect: &dyn Dialect = if name.ends_with(".sqlite.sql") {
        &SQLiteDialect {}
    } else {
        &PostgreSqlDialect {}
    };
    // The parser knows neither these locks nor a condition of a `cross join`.
    let code = code(text).collect::<Vec<_>>().join("\n");
    let code = code
        .replace("for key share", "for share")
        .replace("for no key update", "for update")
        .replace("cross join", "join");
    let parsed = Parser::parse_sql(dialect, &code);
    parsed.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_statement_file_is_used() {
    let sources: String = files(&source_folder(), "rs")
        .iter()
        .map(|path| read(path))
        .collect();
    for (name, _) in statements() {
        assert!(sources.contains(&format!("statement!(\"{name}\")")), "{name}");
    }
}

#[test]
fn a_statement_file_holds_one_statement_after_a_comment() {
    for (name, text) in statements() {
        assert!(text.starts_with("-- "), "{name} starts with a comment");
        assert!(!text.contains(';'), "{name} holds no semicolon");
        assert!(
            code(&text).any(|line| !line.trim().is_empty()),
            "{name} holds a statement"
        );
    }
}

#[test]
fn a_statement_names_every_parameter_up_to_its_last_one() {
    for (name, text) in statements() {
        let code: String = code(&text).collect::<Vec<_>>().join("\n");
        let numbers: Vec<u32> = code
            .split('$')
            .skip(1)
            .filter_map(|rest| {
                let end = rest.find(|one: char| !one.is_ascii_digit()).unwrap_or(rest.len());
                rest.get(..end)?.parse().ok()
            })
            .collect();
        let last = numbers.iter().copied().max().unwrap_or(0);
        for number in 1..=last {
            assert!(numbers.contains(&number), "{name}: ${number}");
        }
    }
}

#[test]
fn every_statement_of_sqlite_has_a_counterpart_for_postgresql() {
    let names: Vec<String> = statements().into_iter().map(|(name, _)| name).collect();
    // SQLite writes only at the top of a statement. PostgreSQL does this in `feed/append.postgres.sql`.
    let second_step = "feed/insert_batches.sqlite.sql";
    assert!(names.iter().any(|name| name == second_step));
    let of_sqlite = names.iter().filter(|name| name.ends_with(".sqlite.sql"));
    // PostgreSQL's server looks after its files itself.
    let is_of_file = |name: &str| {
        let text = statements().into_iter().find(|(other, _)| other == name);
        text.is_some_and(|(_, text)| {
            code(&text).any(|line| {
                ["pragma", "sqlite_dbpage", "vacuum"]
                    .iter()
                    .any(|word| line.contains(word))
            })
        })
    };
    for name in of_sqlite.filter(|name| *name != second_step && !is_of_file(name)) {
        let other = name.replace(".sqlite.sql", ".postgres.sql");
        assert!(names.contains(&other), "{other}");
    }
}
