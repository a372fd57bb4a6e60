//! The configuration of the server program by environment variables.

use voelgoed_scan_suite::Client;
use voelgoed_scan_suite::program::Launch;

/// Every variable of the server: those of its help, and the two that hold secrets.
const VARIABLES: &[&str] = &[
    "VOELGOED_SCAN_CORS_ORIGIN",
    "VOELGOED_SCAN_METRICS_TOKEN_FILE",
    "VOELGOED_SCAN_OTLP_ENDPOINT",
    "VOELGOED_SCAN_MIN_APP_VERSION",
    "VOELGOED_SCAN_LISTEN",
    "VOELGOED_SCAN_DATABASE_URL",
    "VOELGOED_SCAN_DATABASE_POOLER",
    "VOELGOED_SCAN_REDIS_URL",
    "VOELGOED_SCAN_REDIS_KEYS",
    "VOELGOED_SCAN_REDIS_CA",
    "VOELGOED_SCAN_SECRET_KEY_FILE",
    "VOELGOED_SCAN_SECRET_KEY",
    "VOELGOED_SCAN_PHOENIX_SECRET_KEY_BASE_FILE",
    "VOELGOED_SCAN_PHOENIX_SECRET_KEY_BASE",
    "VOELGOED_SCAN_PHOENIX_SALT",
    "VOELGOED_SCAN_PHOENIX_KEY_ITERATIONS",
    "VOELGOED_SCAN_PHOENIX_KEY_LENGTH",
    "VOELGOED_SCAN_PHOENIX_KEY_DIGEST",
    "VOELGOED_SCAN_DEDUP_WINDOW",
    "VOELGOED_SCAN_RATE_LIMIT",
    "VOELGOED_SCAN_PUBLIC_URL",
    "VOELGOED_SCAN_TLS_CERT",
    "VOELGOED_SCAN_TLS_KEY",
    "VOELGOED_SCAN_TRUSTED_PROXY",
    "VOELGOED_SCAN_MAX_CONNECTIONS",
    "VOELGOED_SCAN_MAX_CONNECTIONS_PER_ADDRESS",
    "VOELGOED_SCAN_DRAIN_DELAY",
    "VOELGOED_SCAN_WEBHOOK_ALLOW_PRIVATE",
    "VOELGOED_SCAN_WEBHOOK_TLS_CA",
    "VOELGOED_SCAN_LOG",
    "VOELGOED_SCAN_LOG_FORMAT",
    "VOELGOED_SCAN_NO_MIGRATE",
    "VOELGOED_SCAN_CREATE",
];

#[tokio::test]
async fn an_empty_variable_of_the_server_is_unset_and_a_switch_takes_true_1_false_and_0() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = |name: &str| format!("sqlite://{}", directory.path().join(name).display());
    let mut launch = Launch::new(&url("empty.db"));
    for name in VARIABLES {
        launch = launch.variable(name, "");
    }
    let program = launch.start().await;
    Client::new(program.address()).get("/readyz").await.expect(200);
    for (value, migrates) in [("false", true), ("0", true), ("true", false), ("1", false)] {
        let launch = Launch::new(&url(&format!("{value}.db"))).variable("VOELGOED_SCAN_NO_MIGRATE", value);
        if migrates {
            let program = launch.start().await;
            Client::new(program.address()).get("/readyz").await.expect(200);
        } else {
            // A new file would have to be migrated.
            drop(launch.fail());
        }
    }
    for value in ["false", "0", "true", "1"] {
        let name = format!("create-{value}.db");
        let secret = directory.path().join(format!("{name}.secret"));
        std::fs::write(&secret, "5e".repeat(32)).expect("written");
        let launch = Launch::new(&url(&name)).variable("VOELGOED_SCAN_CREATE", value);
        if ["true", "1"].contains(&value) {
            drop(launch.start().await);
        } else {
            drop(launch.fail());
        }
    }
}

#[test]
fn the_list_of_variables_is_complete_and_documented() {
    let help = Launch::help();
    let documentation = include_str!("../../docs/operations.md");
    let mut found = 0;
    for word in help.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_') {
        if word.starts_with("VOELGOED_SCAN_") {
            assert!(VARIABLES.contains(&word), "{word} is not in the test");
            assert!(
                documentation.contains(word),
                "{word} is not in docs/operations.md"
            );
            found += 1;
        }
    }
    assert!(found >= 20, "{help}");
}
