//! Catching up: decided blocks from other peers, each proven by its certificate, verified in order.
//!
//! One request is under way at a time, to one peer, chosen at random among those connected; one that does not answer
//! in time, or serves a block that proves nothing, is passed over, and the range is asked elsewhere. What another peer
//! claims of its height counts only beside blocks that prove themselves, and holds nothing up.

use crate::{
    event_loop::EventLoop,
    network::{NetworkHandle, SyncChannel, SyncError, SyncRequest, SyncResponse},
};
use allod_protocol::{
    block::DecidedBlock,
    ids::Height,
    limits,
    replica::{Input, Replica},
};
use allod_storage::Ledger;
use libp2p::PeerId;
use std::time::Duration;
use tokio::time::Instant;

/// How long a peer has to answer before another one is asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a peer at rest asks another one whether it missed something.
const LOOK_AROUND: Duration = Duration::from_secs(10);
/// How long a hint of a greater height counts without a block to show for it.
const HINT_LIFETIME: Duration = Duration::from_secs(10);

/// Where catching up stands.
#[derive(Debug)]
pub(crate) struct CatchUp {
    asked: Option<(PeerId, Instant)>,
    answered_at: Instant,
    best_known: Height,
    hinted_at: Instant,
    peers: Vec<PeerId>,
    next_peer: usize,
}

impl CatchUp {
    pub(crate) fn new(height: Height) -> Self {
        let now = Instant::now();
        Self { asked: None, answered_at: now, best_known: height, hinted_at: now, peers: Vec::new(), next_peer: 0 }
    }

    /// A peer that served blocks which proved themselves says how far it is.
    pub(crate) fn heard_of(&mut self, height: Height) {
        if height > self.best_known {
            self.best_known = height;
            self.hinted_at = Instant::now();
        }
    }

    /// This peer has executed a height.
    pub(crate) fn reached(&mut self, height: Height) {
        self.best_known = self.best_known.max(height);
        self.hinted_at = Instant::now();
    }

    pub(crate) const fn best_known(&self) -> Height {
        self.best_known
    }

    /// Whether others are ahead, as far as is known.
    pub(crate) fn is_behind(&self, height: Height) -> bool {
        self.best_known > height && self.hinted_at.elapsed() < HINT_LIFETIME
    }

    /// A peer is gone.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.peers.retain(|known| known != peer);
        if self.asked.is_some_and(|(asked, _)| asked == *peer) {
            self.asked = None;
        }
    }

    fn add(&mut self, peer: PeerId) {
        if !self.peers.contains(&peer) {
            self.peers.push(peer);
        }
    }

    fn choose(&mut self) -> Option<PeerId> {
        self.next_peer = self.next_peer.wrapping_add(1);
        self.peers.get(self.next_peer.checked_rem(self.peers.len())?).copied()
    }
}

impl EventLoop {
    /// Asks a peer for the blocks after the tip, unless a request is under way. A peer that is named is remembered.
    pub(crate) fn ask_for_blocks(&mut self, peer: Option<PeerId>) {
        if let Some(peer) = peer {
            self.catch_up.add(peer);
        }
        if self.catch_up.asked.is_some_and(|(_, at)| at.elapsed() < PATIENCE) {
            return;
        }
        let Some(peer) = peer.or_else(|| self.catch_up.choose()) else { return };
        let max_blocks = u32::try_from(limits::SYNC_BLOCKS).unwrap_or(u32::MAX);
        self.catch_up.asked = Some((peer, Instant::now()));
        self.network.request_blocks(peer, SyncRequest { from: self.next_height(), max_blocks });
    }

    /// Asks now and then even if nothing points to it: the last message of a busy time may have been lost.
    pub(crate) fn look_for_blocks(&mut self) {
        let quiet = self.catch_up.answered_at.elapsed() >= LOOK_AROUND;
        if quiet || self.catch_up.is_behind(self.tip.height) {
            self.ask_for_blocks(None);
        }
    }

    pub(crate) fn on_sync_answered(
        &mut self,
        peer: PeerId,
        result: Result<SyncResponse, SyncError>,
    ) -> anyhow::Result<()> {
        if self.catch_up.asked.is_some_and(|(asked, _)| asked == peer) {
            self.catch_up.asked = None;
        }
        self.catch_up.answered_at = Instant::now();
        let response = match result {
            Ok(response) => response,
            Err(reason) => {
                tracing::debug!(%peer, %reason, "no blocks");
                return Ok(());
            }
        };
        let before = self.tip.height;
        for decided in &response.blocks {
            if decided.block.header().height != self.next_height() {
                continue;
            }
            if let Err(reason) = self.take_block(decided)? {
                tracing::warn!(%peer, height = %self.next_height(), reason, "a fetched block was refused");
                self.network.block_peer(peer, &reason);
                self.catch_up.forget(&peer);
                break;
            }
        }
        if self.tip.height > before {
            let taken = self.tip.height.get().saturating_sub(before.get());
            self.metrics.on_sync_blocks(usize::try_from(taken).unwrap_or(usize::MAX));
            tracing::info!(from = %before, to = %self.tip.height, %peer, "caught up");
            self.catch_up.heard_of(response.tip);
            if response.tip > self.tip.height {
                self.ask_for_blocks(None);
            }
        }
        Ok(())
    }

    /// Takes one decided block: through the replica if it is at work on that height, else directly.
    fn take_block(&mut self, decided: &DecidedBlock) -> anyhow::Result<Result<(), String>> {
        let height = self.next_height();
        if self.is_deciding(height) {
            self.drive(Input::Synced(decided.clone()))?;
            let taken = self.tip.height == height;
            return Ok(if taken { Ok(()) } else { Err("it does not prove its height".into()) });
        }
        if let Err(reason) = self.verify(decided) {
            return Ok(Err(reason));
        }
        self.commit(decided)?;
        // The replica waits at an older height: put it behind this one.
        let last_signed = self.replica.last_signed().clone();
        self.replica = Replica::new(Some(self.key.clone()), last_signed, &self.tip);
        self.timers.cancel_all();
        Ok(Ok(()))
    }

    fn verify(&self, decided: &DecidedBlock) -> Result<(), String> {
        let DecidedBlock { block, certificate } = decided;
        if certificate.block != block.hash() || certificate.height != block.header().height {
            return Err("its certificate is for another block".into());
        }
        certificate.verify(self.tip.network, &self.tip.validators).map_err(|error| error.to_string())?;
        block.check(&self.tip, None, &|transaction| self.mempool.holds(transaction)).map_err(|error| error.to_string())
    }

    /// The replica refused a fetched block; who sent it is known where it was fed.
    pub(crate) fn on_bad_block(&mut self, reason: &str) {
        self.metrics.on_refused("bad_block");
        tracing::debug!(reason, "bad block");
    }
}

/// Answers another peer's request from the ledger.
pub(crate) fn answer(ledger: &Ledger, network: &NetworkHandle, request: SyncRequest, channel: SyncChannel) {
    let max_blocks = usize::try_from(request.max_blocks).unwrap_or(usize::MAX).min(limits::SYNC_BLOCKS);
    // Room for the response's own fields.
    let max_bytes = limits::SYNC_RESPONSE_SIZE_BYTES.saturating_sub(1_024);
    match ledger.blocks(request.from, max_blocks, max_bytes) {
        Ok(blocks) => network.respond_blocks(channel, SyncResponse { tip: ledger.tip().height, blocks }),
        // The event loop meets the same failure at its next commit and ends the process.
        Err(error) => tracing::error!(%error, "the ledger cannot be read"),
    }
}
