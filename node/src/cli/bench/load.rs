//! Under load: posting prepared requests on time, and seeing their transactions come back in blocks.

use super::prepare::Batch;
use crate::{
    api::views::{BlockView, GapView, Problem},
    cli::client::{Client, Notices, Notified},
};
use allod_protocol::{
    ground::{
        codec,
        ids::{Height, TransactionId},
        limits,
    },
    ledger::execute::{Outcome, TransactionResult},
    rules::transaction::Transaction,
};
use anyhow::{Result, anyhow, bail};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// Requests in flight to each node. Without a rate, a few keep it busy; with one, requests that are due must not wait
/// for those that a busy node has not answered.
const SENDERS_FLAT_OUT: usize = 4;
const SENDERS_AT_RATE: usize = 16;
/// How long transactions in flight may take to come back after sending has ended.
const DRAIN: Duration = Duration::from_secs(30);
/// How long to wait before asking a full node again.
const BACK_OFF: Duration = Duration::from_millis(50);

/// What is sent, and how fast.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) rate: Option<u64>,
    pub(super) duration: Duration,
    pub(super) batch: u64,
    pub(super) in_flight: u32,
}

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) sent: u64,
    /// Number applied before sending ended.
    pub(super) applied_in_time: u64,
    pub(super) applied: u64,
    /// How long sending took.
    pub(super) sending: Duration,
    /// Latency of everything applied, in microseconds: from when its request was due, or without a rate from when the
    /// node accepted it, to its block.
    pub(super) latencies_us: Vec<u64>,
    /// Number rejected by the ledger, by code.
    pub(super) rejected: BTreeMap<String, u64>,
    /// Number finally refused by a node, by code.
    pub(super) refused: BTreeMap<String, u64>,
    /// Number refused for lack of room and sent again.
    pub(super) sent_again: u64,
    /// Number never seen in a block.
    pub(super) lost: u64,
    pub(super) blocks: u64,
    pub(super) largest_block: u64,
    /// The block being reported, and how many of its transactions were ours so far.
    block: (Height, u64),
}

/// State shared by the senders and the follower.
struct Flight {
    under_way: Mutex<HashMap<TransactionId, Instant>>,
    measured: Mutex<Measured>,
    /// Bounds what is in flight when there is no rate.
    room: Semaphore,
    next_batch: AtomicU64,
    sent_again: AtomicU64,
    ended: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends everything and waits until it has come back.
pub(super) async fn run(clients: &[Client], batches: Vec<Batch>, plan: &Plan) -> Result<Measured> {
    let first = clients.first().ok_or_else(|| anyhow!("there is no node to send to"))?;
    let flight = Arc::new(Flight {
        under_way: Mutex::default(),
        measured: Mutex::default(),
        room: Semaphore::new(plan.in_flight as usize),
        next_batch: AtomicU64::new(0),
        sent_again: AtomicU64::new(0),
        ended: AtomicBool::new(false),
    });
    let batches = Arc::new(batches);
    let follower = tokio::spawn(follow(first.follow(None).await?, first.clone(), flight.clone()));
    let start = Instant::now();
    let clock = tokio::spawn(end_at(flight.clone(), start + plan.duration));
    let senders: Vec<_> = (0..if plan.rate.is_some() { SENDERS_AT_RATE } else { SENDERS_FLAT_OUT })
        .flat_map(|_| clients)
        .map(|client| tokio::spawn(send(client.clone(), flight.clone(), batches.clone(), plan.clone(), start)))
        .collect();
    for sender in senders {
        sender.await??;
    }
    clock.abort();
    flight.ended.store(true, Ordering::Relaxed);
    let sending = start.elapsed().min(plan.duration);
    let deadline = Instant::now() + DRAIN;
    while !locked(&flight.under_way).is_empty() && Instant::now() < deadline && !follower.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if follower.is_finished() {
        follower.await??;
        bail!("the stream of blocks ended before the load did");
    }
    follower.abort();
    let mut measured = std::mem::take(&mut *locked(&flight.measured));
    measured.sending = sending;
    measured.sent_again = flight.sent_again.load(Ordering::Relaxed);
    measured.lost = locked(&flight.under_way).len() as u64;
    Ok(measured)
}

/// What is applied after this moment no longer counts for the throughput.
async fn end_at(flight: Arc<Flight>, end: Instant) {
    tokio::time::sleep_until(end).await;
    flight.ended.store(true, Ordering::Relaxed);
}

/// Takes the next batch, waits for its time, posts it.
async fn send(client: Client, flight: Arc<Flight>, batches: Arc<Vec<Batch>>, plan: Plan, start: Instant) -> Result<()> {
    let end = start + plan.duration;
    loop {
        let number = flight.next_batch.fetch_add(1, Ordering::Relaxed);
        let Some(batch) = usize::try_from(number).ok().and_then(|number| batches.get(number)) else { return Ok(()) };
        let due = match plan.rate {
            Some(rate) => {
                let due = start + slot(number, plan.batch, rate);
                tokio::time::sleep_until(due).await;
                // Late or not, what was due is sent, and its latency runs from its due time.
                Some(due)
            }
            None => {
                let room = u32::try_from(batch.ids.len())?;
                let Ok(acquired) = tokio::time::timeout_at(end, flight.room.acquire_many(room)).await else {
                    return Ok(());
                };
                acquired?.forget();
                if Instant::now() >= end {
                    return Ok(());
                }
                None
            }
        };
        if Instant::now() >= end + DRAIN {
            return Ok(());
        }
        post(&client, &flight, batch, due, end).await?;
    }
}

/// When a batch is due: the first at once, each later one after the time that the batches before it take at the rate.
fn slot(number: u64, batch: u64, rate: u64) -> Duration {
    let microseconds = u128::from(number) * u128::from(batch) * 1_000_000 / u128::from(rate.max(1));
    Duration::from_micros(u64::try_from(microseconds).unwrap_or(u64::MAX))
}

/// Posts a batch, and posts again what found no room, until `deadline`. A transaction without a due time is in flight
/// from when the node accepted it, so one that is asked to wait does not count meanwhile.
async fn post(client: &Client, flight: &Flight, batch: &Batch, due: Option<Instant>, deadline: Instant) -> Result<()> {
    locked(&flight.measured).sent += batch.ids.len() as u64;
    let (mut ids, mut body) = (batch.ids.clone(), batch.body.clone());
    loop {
        let since = due.unwrap_or_else(Instant::now);
        locked(&flight.under_way).extend(ids.iter().map(|id| (*id, since)));
        let answer = client.submit_batch(body.clone()).await;
        let refused: Vec<(usize, Problem)> = match answer {
            Ok(response) => response.refused.into_iter().map(|refusal| (refusal.index, refusal.problem)).collect(),
            Err(error) => match error.downcast::<Problem>() {
                Ok(problem) => (0..ids.len()).map(|index| (index, problem.clone())).collect(),
                Err(error) => return Err(error),
            },
        };
        let (no_room, for_good): (Vec<_>, Vec<_>) = refused.into_iter().partition(|(_, problem)| is_no_room(problem));
        for (index, problem) in for_good {
            give_up(flight, ids.get(index), problem.code);
        }
        if no_room.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            for (index, problem) in no_room {
                give_up(flight, ids.get(index), problem.code);
            }
            return Ok(());
        }
        flight.sent_again.fetch_add(no_room.len() as u64, Ordering::Relaxed);
        (ids, body) = pick(&body, &no_room)?;
        tokio::time::sleep(BACK_OFF).await;
    }
}

fn is_no_room(problem: &Problem) -> bool {
    matches!(problem.status, 429 | 503)
}

fn give_up(flight: &Flight, id: Option<&TransactionId>, code: String) {
    // If it came back in a block meanwhile, another node accepted it.
    if id.is_some_and(|id| locked(&flight.under_way).remove(id).is_some()) {
        *locked(&flight.measured).refused.entry(code).or_default() += 1;
        flight.room.add_permits(1);
    }
}

/// The transactions of a batch that found no room.
fn pick(body: &[u8], chosen: &[(usize, Problem)]) -> Result<(Vec<TransactionId>, Vec<u8>)> {
    let all: Vec<Transaction> = codec::decode(body, limits::RECORD_SIZE_BYTES)?;
    let is_chosen = |index: usize| chosen.iter().any(|(chosen, _)| *chosen == index);
    let picked: Vec<Transaction> = all
        .into_iter()
        .enumerate()
        .filter(|(index, _)| is_chosen(*index))
        .map(|(_, transaction)| transaction)
        .collect();
    Ok((picked.iter().map(Transaction::id).collect(), codec::encode(&picked)))
}

/// Reads the stream of blocks, and fetches separately the blocks that the stream omitted.
async fn follow(mut notices: Notices, client: Client, flight: Arc<Flight>) -> Result<()> {
    loop {
        match notices.next().await? {
            Some(Notified::Block(notice)) => count(&flight, notice.height, notice.results),
            Some(Notified::Gap(GapView { from, to })) => {
                for height in (from.get()..=to.get()).map(Height::new) {
                    let block: BlockView = client.get(&format!("/v1/blocks/{height}")).await?;
                    let results = block.transactions.into_iter().map(|transaction| transaction.result);
                    count(&flight, height, results.collect());
                }
            }
            None => bail!("the node at {} closed the stream of blocks", client.base()),
        }
    }
}

fn count(flight: &Flight, height: Height, results: Vec<TransactionResult>) {
    let now = Instant::now();
    let in_time = !flight.ended.load(Ordering::Relaxed);
    let mut under_way = locked(&flight.under_way);
    let mut measured = locked(&flight.measured);
    let mut own = 0u64;
    for result in results {
        let Some(sent) = under_way.remove(&result.id) else { continue };
        own += 1;
        match result.outcome {
            Outcome::Applied => {
                measured.applied += 1;
                measured.applied_in_time += u64::from(in_time);
                let latency = now.saturating_duration_since(sent).as_micros();
                measured.latencies_us.push(u64::try_from(latency).unwrap_or(u64::MAX));
            }
            Outcome::Rejected(rejection) => *measured.rejected.entry(rejection.code().to_owned()).or_default() += 1,
        }
    }
    if own > 0 {
        measured.count_block(height, own);
        flight.room.add_permits(usize::try_from(own).unwrap_or(0));
    }
}

impl Measured {
    /// Counts transactions in a block, which may be reported in several parts.
    fn count_block(&mut self, height: Height, own: u64) {
        if self.block.0 != height {
            self.blocks += 1;
            self.block = (height, 0);
        }
        self.block.1 += own;
        self.largest_block = self.largest_block.max(self.block.1);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use allod_protocol::{
        ground::{
            crypto::SigningKey,
            ids::{AccountId, NetworkId, Timestamp},
        },
        rules::{
            account::{KeyPolicy, RotateKeys},
            action::Action,
            transaction::TransactionBody,
        },
    };

    fn problem(status: u16) -> Problem {
        let (kind, title, detail) = (String::new(), String::new(), String::new());
        Problem { kind, title, status, detail, code: "full".into(), candidates: None, reasons: None }
    }

    #[test]
    fn only_what_found_no_room_is_sent_again() {
        let key = SigningKey::from_seed(&[1; 32]);
        let transaction = |nonce| {
            let keys = KeyPolicy::single(key.public_key());
            let (network, sender) = (NetworkId::from_bytes([1; 32]), AccountId::from_bytes([2; 32]));
            let action = Action::RotateKeys(RotateKeys { keys });
            TransactionBody { network, sender, nonce, expires: Timestamp::new(1), action, signers: Vec::new() }
                .sign(std::slice::from_ref(&key))
        };
        let all: Vec<Transaction> = (0..3).map(transaction).collect();
        let (ids, body) = pick(&codec::encode(&all), &[(1, problem(503)), (2, problem(503))]).unwrap();
        let rest = all.get(1..).unwrap();
        assert_eq!(ids, rest.iter().map(Transaction::id).collect::<Vec<_>>());
        assert_eq!(body, codec::encode(rest));
        assert!(is_no_room(&problem(429)) && !is_no_room(&problem(422)));
    }

    #[test]
    fn batches_are_due_at_the_rate() {
        assert_eq!(slot(0, 10, 1_000), Duration::ZERO);
        assert_eq!(slot(100, 10, 1_000), Duration::from_secs(1));
        assert_eq!(slot(7, 250, 500), Duration::from_millis(3_500));
    }
}
