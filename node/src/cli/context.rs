//! What every command has at hand: the answer's form, the node, the keys.

use super::{Failure, Globals, client::Client};
use crate::{
    api::views::Page,
    config, json,
    keys::KeyStore,
    tokens::{self, Token},
};
use anyhow::Result;
use serde::Serialize;
use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// The host and port of a node's URL.
pub(super) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Whether a host and port are on this machine.
fn is_loopback(authority: &str) -> bool {
    let address = authority.parse::<SocketAddr>().map(|address| address.ip());
    let address = address.or_else(|_| authority.trim_matches(['[', ']']).parse::<IpAddr>());
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    address.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// Whether what is sent to a URL leaves this machine unencrypted.
fn is_readable_on_the_way(url: &str) -> bool {
    url.starts_with("http://") && !is_loopback(authority(url))
}

/// The options of every command, and what follows from them.
#[derive(Debug)]
pub(super) struct Context {
    json: bool,
    api: Vec<String>,
    keys: Option<PathBuf>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

impl Context {
    pub(super) fn new(globals: Globals) -> Result<Self> {
        let api = globals.api.iter().map(|url| url.trim_end_matches('/').to_owned()).collect::<Vec<_>>();
        let is_url = |url: &&String| url.starts_with("http://") || url.starts_with("https://");
        if let Some(wrong) = api.iter().find(|url| !is_url(url)) {
            return Err(Failure::usage(format!("--api {wrong} is not a URL such as http://127.0.0.1:7640")));
        }
        let Globals { json, keys, token_file, ca_file, .. } = globals;
        Ok(Self { json, api, keys, token_file, ca_file })
    }

    /// Whether to answer in JSON.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// The URL of the node to ask.
    pub(super) fn url(&self) -> Result<&str> {
        match self.api.as_slice() {
            [url] => Ok(url),
            urls => Err(Failure::usage(format!("--api names {} nodes; this command uses one", urls.len()))),
        }
    }

    /// The node to ask.
    pub(super) fn client(&self) -> Result<Client> {
        self.client_of(self.url()?)
    }

    /// All nodes given on the command line.
    pub(super) fn clients(&self) -> Result<Vec<Client>> {
        self.api.iter().map(|url| self.client_of(url)).collect()
    }

    fn client_of(&self, url: &str) -> Result<Client> {
        let token = self.token_for(url)?;
        if token.is_some() && is_readable_on_the_way(url) {
            let message = format!(
                "a token shown to {url} could be read on the way; use https:// (`allod init --tls` makes a certificate), or \
                 a tunnel to a port of this machine"
            );
            return Err(Failure::usage(message));
        }
        Client::new(url, token, self.ca_file.as_deref())
    }

    /// The token to show to a node: that of the file given, else the one kept beside the keys for its address, else, for
    /// a node of this machine, that of the data directory.
    fn token_for(&self, url: &str) -> Result<Option<Token>> {
        if let Some(file) = &self.token_file {
            return tokens::read(file).map(Some);
        }
        let authority = authority(url);
        let kept = self.keys().ok().map(|store| tokens::path_for(store.directory(), authority));
        let own = is_loopback(authority).then(config::default_data_dir).and_then(Result::ok);
        let own = own.map(|directory| directory.join(tokens::OPERATOR_FILE));
        // The operator's file is not for everybody who has an account on the machine.
        let is_readable = |path: &PathBuf| std::fs::File::open(path).is_ok();
        [kept, own].into_iter().flatten().find(is_readable).map(|path| tokens::read(&path)).transpose()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_node_is_its_host_and_port() {
        for (url, expected, local) in [
            ("http://127.0.0.1:7640", "127.0.0.1:7640", true),
            ("http://127.8.0.1:7640/", "127.8.0.1:7640", true),
            ("http://[::1]:7640/v1", "[::1]:7640", true),
            ("http://localhost:7640", "localhost:7640", true),
            ("http://LocalHost", "LocalHost", true),
            ("http://192.0.2.7:7640", "192.0.2.7:7640", false),
            ("http://localhost.example:7640", "localhost.example:7640", false),
            ("http://localhost:7640@192.0.2.7:80/", "192.0.2.7:80", false),
            ("http://192.0.2.7?@localhost", "192.0.2.7", false),
        ] {
            assert_eq!((authority(url), is_loopback(authority(url))), (expected, local), "{url}");
            assert_eq!(is_readable_on_the_way(url), !local);
            assert!(!is_readable_on_the_way(&url.replace("http:", "https:")));
        }
    }
}
