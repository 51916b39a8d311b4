//! `allod status`: the state of the node.

use super::{
    context::Context,
    output::Fields,
    units::{now, show_count, show_duration, show_size, show_time},
};
use crate::api::views::{RoleView, StatusView};
use anyhow::Result;

/// The state of the node.
#[derive(Debug, clap::Args)]
pub(super) struct Status {}

impl Status {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        context.answer(&context.client()?.status().await?, show)
    }
}

fn show(status: &StatusView) -> String {
    let mut fields = Fields::default();
    let reasons: Vec<String> = status.not_ready.iter().map(|one| format!("{}: {}", one.code, one.detail)).collect();
    if status.ready {
        fields.add("ready", "yes");
    } else {
        fields.add("ready", format!("NO\n{}", reasons.join("\n")));
    }
    fields.add("network", format!("{}\n{}", status.network_name, status.network));
    fields.add("height", show_count(status.height.get()));
    let age = show_duration(now().get().saturating_sub(status.block_time.get()));
    fields.add("block", format!("{}\n{}, {age} ago", status.block, show_time(status.block_time)));
    fields.add("checkpoint", status.checkpoint);
    fields.add("state root", status.state_root);
    fields.add(
        "role",
        match status.role {
            RoleView::Validator => "validator",
            RoleView::Observer => "observer",
        },
    );
    fields.add("validator", status.validator);
    fields.add("validator key", status.validator_key);
    if status.catching_up {
        fields.add("catching up", format!("to height {}", show_count(status.best_known_height.get())));
    }
    let reached = format!("{} of {} of the power", status.reached_power, status.total_power);
    fields.add("heard by", format!("{reached}, {} peers", status.listening_peers));
    if let Some(ahead_ms) = status.clock_ahead_ms {
        let by = show_duration(ahead_ms.unsigned_abs());
        fields.add("clock", format!("{by} {} the validators'", if ahead_ms < 0 { "behind" } else { "ahead of" }));
    }
    if status.round > 0 {
        fields.add("round", status.round);
    }
    fields.add("peer id", &status.peer_id).add("peers", status.connected_peers);
    fields.add("listens on", status.listen_addresses.join("\n"));
    let (waiting, weight) = (show_count(status.mempool_transactions as u64), show_count(status.mempool_weight));
    let size = show_size(status.mempool_size_bytes as u64);
    fields.add("waiting", format!("{waiting} transactions, {size}, weight {weight}"));
    fields.add(
        "running",
        format!("{} (version {})", show_duration(status.uptime_seconds.saturating_mul(1_000)), status.version),
    );
    fields.show()
}
