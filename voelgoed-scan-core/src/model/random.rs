//! Where do random bits come from? The operating system, and nowhere else.

use std::cell::RefCell;

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

/// How many bytes a thread fetches at once for [`fill_buffered`].
const FETCHED: usize = 512;

/// Fills `bytes` for identifiers: as unguessable as those of [`fill`], fetched many at a time, and not for secrets,
/// because what is fetched lies in memory until it is used.
pub fn fill_buffered(bytes: &mut [u8]) {
    thread_local! {
        static FETCHED_BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    FETCHED_BYTES.with_borrow_mut(|fetched| {
        for byte in bytes {
            if fetched.is_empty() {
                fetched.resize(FETCHED, 0);
                fill(fetched);
            }
            *byte = fetched.pop().unwrap_or_default();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_many_at_a_time_comes_once_and_to_one_thread() {
        let draw = || {
            let drawn: Vec<[u8; 16]> = (0..100)
                .map(|_| {
                    let mut bytes = [0; 16];
                    fill_buffered(&mut bytes);
                    bytes
                })
                .collect();
            drawn
        };
        let mut all = draw();
        all.extend(std::thread::spawn(draw).join().expect("no panic"));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 200);
        let mut long = [0; 3 * FETCHED];
        fill_buffered(&mut long);
        assert!(long.chunks(16).all(|piece| piece.iter().any(|byte| *byte != 0)));
    }
}
