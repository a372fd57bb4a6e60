//! Where do random bits come from? The operating system, and nowhere else.

/// Fills `bytes` from the operating system's cryptographic random number generator.
///
/// # Panics
/// Panics where the operating system has no random bits to give: nothing that follows could be safe.
#[expect(
    clippy::expect_used,
    reason = "a gate without random numbers must stop, not go on with guessable ones"
)]
pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system provides random numbers");
}
