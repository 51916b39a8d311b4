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

    /// Whether the answer is JSON.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// The URLs of the nodes that are named.
    pub(super) fn urls(&self) -> &[String] {
        &self.api
    }

    /// The node to ask.
    pub(super) fn client(&self) -> Result<Client> {
        match self.api.as_slice() {
            [url] => Client::new(url),
            urls => Err(Failure::usage(format!("{} nodes are named by --api; this command asks one", urls.len()))),
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

    /// Writes what was read of a list, as [`Self::answer`] does, and says beside it if there is more.
    pub(super) fn answer_list<T: Serialize>(&self, page: &Page<T>, text: impl FnOnce(&[T]) -> String) -> Result<()> {
        self.answer(&page.items, |items| text(items))?;
        self.note_more(page.next.is_some(), page.items.len(), "entries");
        Ok(())
    }

    /// Says beside an answer that a list goes on after what was shown of it, if it does.
    pub(super) fn note_more(&self, more: bool, shown: usize, what: &str) {
        if more {
            self.note(format!("these are the first {shown} {what}, and there are more: --limit NUMBER, or --all"));
        }
    }

    /// Writes one line of an answer that comes in lines: the value as JSON, or the text for people.
    pub(super) fn line<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let line = if self.json { json::to_string(value)? } else { text(value) };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}")?;
        stdout.flush()?;
        Ok(())
    }

    /// Says something beside the answer.
    pub(super) fn note(&self, text: impl std::fmt::Display) {
        eprintln!("{text}");
    }
}
