//! How a webhook delivery is signed and when it is tried again. The module is pure: the caller passes the time and the
//! random number.

mod retry;
mod signature;

pub use retry::{MAX_ATTEMPTS, next_wait, parse_retry_after};
pub use signature::{FORMER_SECRET_SIGNS_FOR, signature_header};
