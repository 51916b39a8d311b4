//! What every command has at hand: the answer's form, the node, the keys.

use super::{Failure, Globals, client::Client};
use crate::{api::views::Page, config, json, keys::KeyStore};
use anyhow::Result;
use serde::Serialize;
use std::{io::Write as _, path::PathBuf};

/// The options of every command, and what follows from them.
#[derive(Debug)]
pub(super) struct Context {
    json: bool,
    api: Vec<String>,
    keys: Option<PathBuf>,
}

impl Context {
    pub(super) fn new(globals: Globals) -> Result<Self> {
        let api = globals.api.into_iter().map(|url| url.trim_end_matches('/').to_owned()).collect::<Vec<_>>();
        if let Some(wrong) = api.iter().find(|url| !url.starts_with("http://")) {
            return Err(Failure::usage(format!("--api {wrong} is not an http:// URL, such as http://127.0.0.1:7640")));
        }
        Ok(Self { json: globals.json, api, keys: globals.keys })
    }

    /// Whether to answer in JSON.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// The URLs of the nodes given on the command line.
    pub(super) fn urls(&self) -> &[String] {
        &self.api
    }

    /// The node to ask.
    pub(super) fn client(&self) -> Result<Client> {
        match self.api.as_slice() {
            [url] => Client::new(url),
            urls => Err(Failure::usage(format!("--api names {} nodes; this command uses one", urls.len()))),
        }
    }

    /// The client's keys.
    pub(super) fn keys(&self) -> Result<KeyStore> {
        let directory = match &self.keys {
            Some(directory) => directory.clone(),
            None => config::default_keys_dir()?,
        };
        Ok(KeyStore::new(directory))
    }

    /// Writes the answer: the value as JSON, or the text for people.
    pub(super) fn answer<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let mut answer = if self.json { json::to_string_pretty(value)? } else { text(value) };
        if !answer.ends_with('\n') {
            answer.push('\n');
        }
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(answer.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    /// Writes the part of a list that was read, as [`Self::answer`] does, and notes if there is more.
    pub(super) fn answer_list<T: Serialize>(&self, page: &Page<T>, text: impl FnOnce(&[T]) -> String) -> Result<()> {
        self.answer(&page.items, |items| text(items))?;
        self.note_more(page.next.is_some(), page.items.len(), "entries");
        Ok(())
    }

    /// Notes, outside the answer, that a list continues after what was shown, if it does.
    pub(super) fn note_more(&self, more: bool, shown: usize, what: &str) {
        if more {
            self.note(format!("these are the first {shown} {what}, and there are more: --limit NUMBER, or --all"));
        }
    }

    /// Writes one line of a streamed answer: the value as JSON, or the text for people.
    pub(super) fn line<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let line = if self.json { json::to_string(value)? } else { text(value) };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}")?;
        stdout.flush()?;
        Ok(())
    }

    /// Writes a note to standard error, outside the answer.
    pub(super) fn note(&self, text: impl std::fmt::Display) {
        eprintln!("{text}");
    }
}
