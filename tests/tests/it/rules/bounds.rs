//! Rounding and overflow at the bounds.
