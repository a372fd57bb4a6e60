//! The spans of the steps of a scan, for traces. `docs/tracing.md` lists them.
//!
//! Invariants: they have the target [`SPAN_TARGET`] and the level `trace`, so that a subscriber takes them only if it asks for
//! them. A node without one pays a check for each span. They contain ids and numbers, and never a code, a token or a name.

/// The target of all spans.
pub const SPAN_TARGET: &str = "voelgoed_scan::span";

/// Makes a span of a step.
macro_rules! span {
    ($($part:tt)*) => {
        tracing::trace_span!(target: $crate::spans::SPAN_TARGET, $($part)*)
    };
}

pub(crate) use span;
