//! Random bytes from the operating system.

use std::cell::RefCell;

/// Fills `bytes` from the operating system's cryptographic random number generator.
///
/// # Panics
/// Panics if the operating system cannot provide random bytes, because no secret would be safe.
#[expect(
    clippy::expect_used,
    reason = "without random bytes, secrets would be predictable"
)]
pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system provides random numbers");
}

/// The number of bytes that a thread fetches at once for [`fill_buffered`].
const BLOCK_LENGTH: usize = 512;

/// Fills `bytes` for identifiers. The bytes are as unpredictable as those of [`fill`]. Each thread fetches them in blocks,
/// which saves system calls. Do not use it for secrets: fetched bytes stay in memory until they are used.
pub fn fill_buffered(bytes: &mut [u8]) {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        for byte in bytes {
            if buffer.is_empty() {
                buffer.resize(BLOCK_LENGTH, 0);
                fill(buffer);
            }
            *byte = buffer.pop().unwrap_or_default();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffered_bytes_are_used_once_and_by_one_thread() {
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
        let mut long = [0; 3 * BLOCK_LENGTH];
        fill_buffered(&mut long);
        assert!(long.chunks(16).all(|piece| piece.iter().any(|byte| *byte != 0)));
    }
}
