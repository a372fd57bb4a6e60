//! Rules about network addresses. The module is pure: it opens no connection and looks up no name.

mod public_address;

pub use public_address::is_globally_reachable;
