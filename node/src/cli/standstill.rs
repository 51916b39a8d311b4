//! Says on standard error that nothing is being decided, and by whom the node waits, while a command waits for a
//! transaction; and says it when that ends. A command that only hangs leaves its user to guess.

use super::{client::Client, units::show_duration};
use crate::api::views::StatusView;
use allod_protocol::ground::ids::Height;
use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

/// How often the node is asked.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long no block may come before that is told.
const QUIET: Duration = Duration::from_secs(3);
/// How long a node that names no reason may take before that is told.
const UNEXPLAINED: Duration = Duration::from_secs(15);

/// What was told so far.
pub(super) struct Standstill {
    since: Instant,
    height: Option<Height>,
    /// The codes of the reasons that were told, if it was told that nothing is decided.
    told: Option<Vec<String>>,
}

impl Standstill {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, height: None, told: None }
    }

    /// Watches a node, and tells what it finds. Never ends: it is to be dropped when the transaction is final.
    pub(super) async fn watch(&mut self, client: &Client) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            // A node that does not answer is told of by whoever waits for it.
            if let Ok(status) = client.status().await
                && let Some(line) = self.look(&status, Instant::now())
            {
                eprintln!("{line}");
            }
        }
    }

    /// The transaction is final: what is to be told of a standstill that this ends.
    pub(super) fn end(&mut self, height: Height) -> Option<String> {
        self.told.take().map(|_| format!("blocks are decided again: height {height}"))
    }

    /// What is to be told now.
    fn look(&mut self, status: &StatusView, now: Instant) -> Option<String> {
        if self.height.replace(status.height).is_some_and(|before| before != status.height) {
            self.since = now;
            return self.end(status.height);
        }
        let quiet = now.saturating_duration_since(self.since);
        let codes: Vec<String> = status.not_ready.iter().map(|reason| reason.code.clone()).collect();
        let is_explained = !codes.is_empty() && quiet >= QUIET;
        if !(is_explained || quiet >= UNEXPLAINED) || self.told.as_ref() == Some(&codes) {
            return None;
        }
        let reasons: Vec<&str> = status.not_ready.iter().map(|reason| reason.detail.as_str()).collect();
        let why = if reasons.is_empty() { "the node names no reason".into() } else { reasons.join("\n  ") };
        let seconds = show_duration(quiet.as_secs().saturating_mul(1_000));
        let line = format!("waiting: height {} has stood still for {seconds}\n  {why}", status.height);
        self.told = Some(codes);
        Some(line)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::api::views::{ReasonView, RoleView};
    use allod_protocol::{
        ground::ids::{BlockHash, NetworkId, Power, PublicKey, StateRoot, Timestamp, ValidatorAddress},
        proof::Checkpoint,
    };

    fn status(height: u64, codes: &[&str]) -> StatusView {
        let (height, block) = (Height::new(height), BlockHash::from_bytes([1; 32]));
        let not_ready: Vec<_> =
            codes.iter().map(|code| ReasonView { code: (*code).into(), detail: format!("why it is {code}") }).collect();
        StatusView {
            network: NetworkId::from_bytes([0; 32]),
            network_name: String::new(),
            version: String::new(),
            peer_id: String::new(),
            listen_addresses: Vec::new(),
            connected_peers: 0,
            uptime_seconds: 0,
            height,
            block,
            block_time: Timestamp::new(0),
            checkpoint: Checkpoint { height, block },
            state_root: StateRoot::from_bytes([0; 32]),
            round: 0,
            role: RoleView::Validator,
            validator: ValidatorAddress::from_bytes([0; 32]),
            validator_key: PublicKey::from_bytes([0; 32]),
            mempool_transactions: 1,
            mempool_size_bytes: 1,
            mempool_weight: 1,
            best_known_height: height,
            catching_up: false,
            listening_peers: 0,
            reached_power: Power::new(1),
            total_power: Power::new(4),
            cut_off: false,
            ready: not_ready.is_empty(),
            not_ready,
            clock_ahead_ms: None,
        }
    }

    #[test]
    fn a_standstill_is_told_once_with_its_reasons_and_so_is_its_end() {
        let start = Instant::now();
        let mut standstill = Standstill::new(start);
        let mut look = |seconds, status: &StatusView| standstill.look(status, start + Duration::from_secs(seconds));
        assert_eq!(look(1, &status(7, &["no_quorum"])), None, "it has only begun to wait");
        let told = look(4, &status(7, &["no_quorum"])).unwrap();
        assert_eq!(told, "waiting: height 7 has stood still for 4 s\n  why it is no_quorum");
        assert_eq!(look(5, &status(7, &["no_quorum"])), None);
        let more = look(20, &status(7, &["cut_off", "no_quorum"])).unwrap();
        assert!(more.contains("why it is cut_off\n  why it is no_quorum"), "another reason is news: {more}");
        assert_eq!(look(30, &status(8, &[])).unwrap(), "blocks are decided again: height 8");
        assert_eq!(look(31, &status(9, &["cut_off"])), None, "what was not told does not end");
        assert_eq!(look(45, &status(9, &[])), None);
        assert!(look(46, &status(9, &[])).unwrap().contains("names no reason"));
        assert_eq!(standstill.end(Height::new(10)).unwrap(), "blocks are decided again: height 10");
        assert_eq!(standstill.end(Height::new(10)), None);
    }
}
