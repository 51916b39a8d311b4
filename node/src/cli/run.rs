//! `allod run`: runs a node until it is stopped.

use crate::config::{self, Config, Flags, LogFormat, Sources};
use anyhow::{Context as _, Result, anyhow};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Run a node.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The node's data directory, made by `allod init` [default: ~/.local/share/allod]
    #[arg(long, value_name = "DIR", env = "ALLOD_HOME")]
    data: Option<PathBuf>,
    #[command(flatten)]
    settings: Flags,
}

impl Run {
    pub(super) async fn execute(self) -> Result<()> {
        let data_dir = match self.data {
            Some(directory) => directory,
            None => config::default_data_dir()?,
        };
        if !config::is_nodes(&data_dir)? {
            let directory = data_dir.display();
            return Err(anyhow!(
                "{directory} is not a node's directory; make it: allod init --genesis FILE --data {directory}"
            ));
        }
        let config = Sources::of_process(data_dir, self.settings)?.load()?.config;
        start_log(&config)?;
        crate::run::run(config).await
    }
}

/// Libraries that log every vote and every packet: only their warnings are logged unless the filter names them.
const TALKATIVE: &str = "arc_malachitebft_core_consensus=warn,libp2p_swarm=warn";

/// Which log lines are written.
fn filter(log_level: &str) -> Result<EnvFilter> {
    // If two directives name one target, the later one counts.
    EnvFilter::try_new(format!("{TALKATIVE},{log_level}"))
        .with_context(|| format!("log_level = {log_level:?} is not a filter; write error, warn, info, debug or trace"))
}

/// Log lines go to standard error.
fn start_log(config: &Config) -> Result<()> {
    let filter = filter(&config.log_level)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| anyhow!("the log cannot start: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn talkative_parts_are_quiet_unless_they_are_named() {
        let quiet = filter("debug").unwrap().to_string();
        assert!(quiet.contains("arc_malachitebft_core_consensus=warn") && quiet.contains("debug"), "{quiet}");
        let named = filter("info,arc_malachitebft_core_consensus=debug").unwrap().to_string();
        assert!(named.contains("arc_malachitebft_core_consensus=debug"), "{named}");
        assert!(!named.contains("arc_malachitebft_core_consensus=warn"), "{named}");
        assert!(filter("info,=").is_err());
    }
}
