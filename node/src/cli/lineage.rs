//! `allod lineage`: what a version was made from, and what was made from it.

use super::{
    args::VersionName,
    context::Context,
    output::{cut, who},
    words::concern_text,
};
use crate::api::views::{LineageVersion, LineageView};
use anyhow::Result;
use std::cmp::Ordering;

/// What a version was made from, and what was made from it.
#[derive(Debug, clap::Args)]
pub(super) struct Lineage {
    /// namespace/name@label
    version: VersionName,
    /// Only what it was made from
    #[arg(long, conflicts_with = "down")]
    up: bool,
    /// Only what was made from it
    #[arg(long)]
    down: bool,
    /// The maximum number of steps
    #[arg(long, value_name = "STEPS", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=32))]
    depth: u32,
}

impl Lineage {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let VersionName { model, label } = &self.version;
        let way = match (self.up, self.down) {
            (true, _) => "up",
            (_, true) => "down",
            _ => "both",
        };
        let path = format!("/v1/models/{model}/versions/{label}/lineage?way={way}&depth={}", self.depth);
        let view: LineageView = context.client()?.get(&path).await?;
        if view.truncated {
            context.note("there are more versions than shown");
        }
        context.answer(&view, show)
    }
}

/// One version per line, from its ancestors down to its descendants, each indented further than its parent.
fn show(view: &LineageView) -> String {
    let mut versions: Vec<&LineageVersion> = view.versions.iter().collect();
    versions.sort_by_key(|version| version.distance);
    let farthest = versions.first().map_or(0, |version| version.distance);
    let line = |version: &LineageVersion| {
        let steps = usize::try_from(version.distance.saturating_sub(farthest)).unwrap_or(0);
        let name = format!("{}@{}", who(version.model_name.as_ref(), version.model), version.label);
        let mark = if version.distance.cmp(&0) == Ordering::Equal { "  <--" } else { "" };
        format!("{:indent$}{name}{}{mark}\n", "", warning(version), indent = steps * 2)
    };
    versions.into_iter().map(line).collect()
}

fn warning(version: &LineageVersion) -> String {
    if version.concerns.is_empty() {
        return format!("  {}", version.status.name());
    }
    version.concerns.iter().map(|concern| format!("  {}", cut(&concern_text(concern), 60))).collect()
}
