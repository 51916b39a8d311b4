//! `allod config show`: a node's settings, and where each comes from.

use super::context::Context;
use crate::config::{self, Flags, SETTINGS, Sources};
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;

/// Print a node's settings and where each comes from.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the effective settings
    Show {
        /// The node's data directory [default: ~/.local/share/allod]
        #[arg(long, value_name = "DIR", env = "ALLOD_HOME")]
        data: Option<PathBuf>,
        #[command(flatten)]
        settings: Box<Flags>,
    },
}

#[derive(Debug, Serialize)]
struct SettingView {
    name: &'static str,
    value: Vec<String>,
    origin: String,
}

#[derive(Debug, Serialize)]
struct ConfigView {
    data_dir: PathBuf,
    settings: Vec<SettingView>,
}

impl ConfigCommand {
    pub(super) fn execute(self, context: &Context) -> Result<()> {
        let Self::Show { data, settings } = self;
        let data_dir = match data {
            Some(directory) => directory,
            None => config::default_data_dir()?,
        };
        let loaded = Sources::of_process(data_dir, *settings)?.load()?;
        let settings = SETTINGS.iter().filter_map(|setting| {
            let value = loaded.values.get(setting.name)?;
            Some(SettingView { name: setting.name, value: value.texts.clone(), origin: value.origin.to_string() })
        });
        let view = ConfigView { settings: settings.collect(), data_dir: loaded.config.data_dir };
        context.answer(&view, |view| {
            let mut text = format!("# data directory: {}\n", view.data_dir.display());
            for setting in &view.settings {
                let many = SETTINGS.iter().any(|known| known.name == setting.name && known.many);
                let value = config::toml_value(&setting.value, many);
                text.push_str(&format!("\n# {}\n{} = {value}\n", setting.origin, setting.name));
            }
            text
        })
    }
}
