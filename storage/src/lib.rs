//! stub

pub mod artifacts;
