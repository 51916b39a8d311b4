//! `allod peers`: the peers that the node is connected to.

use super::{context::Context, output::Table, units::show_duration};
use crate::api::views::PeerView;
use anyhow::Result;

/// The peers that the node is connected to.
#[derive(Debug, clap::Args)]
pub(super) struct Peers {}

impl Peers {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let peers: Vec<PeerView> = context.client()?.get("/v1/peers").await?;
        context.answer(&peers, |peers| show(peers))
    }
}

fn show(peers: &[PeerView]) -> String {
    let mut table = Table::new(&["PEER", "DIALLED", ">RTT", ">CONNECTED"]);
    for peer in peers {
        let round_trip = peer.round_trip_ms.map(|time| format!("{time} ms")).unwrap_or_default();
        let connected = show_duration(peer.connected_seconds.saturating_mul(1_000));
        table.row([peer.peer_id.clone(), peer.direction.clone(), round_trip, connected]);
    }
    table.show("no peers: is the network up, and is --peer right? (allod config show)")
}
