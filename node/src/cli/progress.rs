//! The progress of long work: a bar on a terminal, otherwise a line now and then; never on standard output.

use super::units::show_size;
use crate::api::views::ProgressView;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

/// How often a line is written if there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Work on bytes in progress.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    /// `what` is the work in one word, such as `fetching`.
    pub(super) fn new(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let template = "{prefix} [{bar:30}] {binary_bytes}/{binary_total_bytes} {msg} {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(what);
            bar
        });
        Self { what, bar, last_line: Instant::now() }
    }

    /// Shows how far the work has come.
    pub(super) fn show(&mut self, progress: &ProgressView) {
        let rate = format!("{}/s", show_size(progress.bytes_per_second));
        match &self.bar {
            Some(bar) => {
                bar.set_length(progress.total_bytes);
                bar.set_position(progress.done_bytes);
                bar.set_message(rate);
            }
            None if self.last_line.elapsed() >= LINE_INTERVAL => {
                self.last_line = Instant::now();
                let (done, total) = (show_size(progress.done_bytes), show_size(progress.total_bytes));
                eprintln!("{} {done} of {total}, {rate}", self.what);
            }
            None => {}
        }
    }

    /// Writes a note without breaking the bar.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
