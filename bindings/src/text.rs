//! The texts of the exported types: `repr` and `str` in Python, `toString` in Kotlin, `description` in Swift.
//!
//! Invariant: they show no secret and no personal data, because apps log them. A ticket code is a secret: of a code they
//! show the first four characters.

/// Lets the text of a type be that of its `Debug`.
macro_rules! shown_as_debug {
    ($($type:ident),+) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self, f)
            }
        }
    )+};
}

pub(crate) use shown_as_debug;
