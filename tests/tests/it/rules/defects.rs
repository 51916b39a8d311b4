//! What the rules should do and do not yet.
