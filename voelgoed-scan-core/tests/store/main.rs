//! What must every store do? One list of rules, stamped on each database; a rule gets a database of its own.

mod admission;
mod database;
mod world;

/// A test for every rule, on one database.
macro_rules! rules {
    ($database:ident: $($subject:ident { $($rule:ident,)+ })+) => {
        mod $database {$($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let database = crate::database::$database().await;
                crate::$subject::$rule(crate::world::World::new(&database).await).await;
            }
        )+)+}
    };
}

/// The list, for one database.
macro_rules! every_rule_on {
    ($database:ident) => {
        rules! { $database:
            admission {
                a_ticket_admits_once,
            }
        }
    };
}

#[cfg(feature = "sqlite")]
every_rule_on!(sqlite);
