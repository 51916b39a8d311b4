//! Performs what the replica asks for: every output, in order, before the next input.
//!
//! Whatever leaves the machine, begins a round or decides a block waits until the log and the last-signed record that
//! it follows from are durable. A failure here ends the process.

use crate::event_loop::{EventLoop, clock};
use crate::handle::Notice;
use allod_protocol::{
    block::{Block, DecidedBlock},
    codec, due,
    execute::{Executed, execute},
    ids::Height,
    network::Network as NetworkRecord,
    replica::{Input, Output},
    state::read,
};
use anyhow::Context as _;
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// Transactions that this peer proposes in one block. Larger blocks bring no more of them a second and make each wait
/// longer: for its own block, and for the one before.
const BLOCK_TRANSACTIONS: usize = 500;

impl EventLoop {
    /// Feeds one input and everything that follows from it on this machine.
    pub(crate) fn drive(&mut self, input: Input) -> anyhow::Result<()> {
        self.drive_all(VecDeque::from([input]))
    }

    /// The same for several inputs.
    pub(crate) fn drive_all(&mut self, mut inputs: VecDeque<Input>) -> anyhow::Result<()> {
        while let Some(input) = inputs.pop_front() {
            for output in self.replica.step(input)? {
                self.perform(output, &mut inputs)?;
            }
        }
        Ok(())
    }

    /// Performs one output; what it answers goes to `answers`.
    pub(crate) fn perform(&mut self, output: Output, answers: &mut VecDeque<Input>) -> anyhow::Result<()> {
        match output {
            Output::Signed(last) => self.unguarded = Some(last),
            Output::Log(entry) => {
                self.log.append(entry.height, &entry.encode()).context("the consensus log cannot be written")?;
            }
            Output::Publish(message) => {
                self.sync_log()?;
                self.publish(&message, false);
            }
            Output::Republish(message) => {
                self.sync_log()?;
                self.publish(&message, true);
                // Repeating means that messages were lost: perhaps the others have decided already.
                self.ask_for_blocks(None);
            }
            Output::Schedule(timer, after) => self.timers.schedule(timer, after),
            Output::Cancel(timer) => self.timers.cancel(timer),
            Output::CancelAll => self.timers.cancel_all(),
            Output::StartedRound { height, round, proposer } => {
                self.sync_log()?;
                self.metrics.set_round(round);
                if round > 0 {
                    tracing::info!(%height, round, %proposer, "another round");
                }
            }
            Output::Build { height, round } => {
                let block = self.build();
                answers.push_back(Input::Built { height, round, block });
            }
            Output::Check { height, block, certified } => {
                let valid = self.check(&block, certified);
                answers.push_back(Input::Checked { height, block: block.hash(), certified, valid });
            }
            Output::Decided(decided) => {
                self.sync_log()?;
                self.commit(&decided)?;
            }
            Output::Finalized { height, evidence } => {
                for twice in evidence {
                    tracing::error!(%height, validator = %twice.validator(), "a validator signed twice");
                    self.metrics.on_double_sign();
                }
            }
            Output::SyncRejected { height, reason } => {
                tracing::warn!(%height, reason, "a fetched block was refused");
                self.on_bad_block(&reason);
            }
            Output::Warning(warning) => tracing::warn!("{warning}"),
        }
        Ok(())
    }

    /// Makes durable what the outputs so far must not outlive: the log first, from which what was signed can be derived
    /// again, then the record that forbids to sign anything else.
    fn sync_log(&mut self) -> anyhow::Result<()> {
        self.log.sync().context("the consensus log cannot be made durable")?;
        if let Some(last) = self.unguarded.take() {
            self.guard.store(&codec::encode(&last)).context("the last-signed record cannot be written")?;
        }
        Ok(())
    }

    fn build(&mut self) -> Block {
        let per_sender = usize::try_from(self.parameters.transactions_per_account_per_block).unwrap_or(usize::MAX);
        self.mempool.expire(clock().max(self.tip.time));
        let batch = self.mempool.batch(per_sender, BLOCK_TRANSACTIONS);
        Block::following(&self.tip, self.replica.address(), clock(), batch)
    }

    fn check(&self, block: &Block, certified: bool) -> bool {
        let clock = (!certified).then(|| (clock(), self.parameters.clock_drift_ms));
        match block.check(&self.tip, clock, &|transaction| self.mempool.holds(transaction)) {
            Ok(()) => true,
            Err(reason) => {
                tracing::warn!(height = %block.header().height, %reason, "a proposed block breaks a rule");
                false
            }
        }
    }

    /// Executes a decided block and makes it durable, then tells everybody here.
    pub(crate) fn commit(&mut self, decided: &DecidedBlock) -> anyhow::Result<()> {
        let begun = Instant::now();
        let snapshot = self.ledger.snapshot();
        let executed = execute(&snapshot, &decided.block)?;
        let execution = begun.elapsed();
        let tip = self.ledger.commit(decided, &executed).context("the block cannot be committed")?;
        let commit = begun.elapsed().saturating_sub(execution);
        self.unsealed = tip.state_root != decided.block.header().state_root;
        self.tip = tip;
        self.after_commit(decided, executed, (execution, commit))
    }

    fn after_commit(
        &mut self,
        decided: &DecidedBlock,
        executed: Executed,
        (execution, commit): (std::time::Duration, std::time::Duration),
    ) -> anyhow::Result<()> {
        let snapshot = self.ledger.snapshot();
        self.deadline = due::next(&snapshot)?;
        let network = read::<NetworkRecord>(&snapshot, &())?.context("no network record")?;
        self.parameters = network.parameters.clone();
        self.pace.on_block(executed.results.len(), Instant::now());
        self.mempool.remove(executed.results.iter().map(|result| &result.id));
        let notice = Notice {
            height: self.tip.height,
            block: self.tip.hash,
            time: self.tip.time,
            deadline_events: executed.deadline_events,
            results: executed.results,
        };
        self.metrics.on_block(&decided.block, &notice, execution, commit);
        tracing::debug!(height = %notice.height, transactions = notice.results.len(), "block committed");
        // Nobody may be listening.
        let _ = self.notices.send(Arc::new(notice));
        self.catch_up.reached(self.tip.height);
        self.put_off_rest();
        // The last block that this build may execute is durable and told: here it stops.
        network.require_current(self.tip.height.next())?;
        Ok(())
    }

    /// Whether the replica is at work on the height after the tip.
    pub(crate) fn is_deciding(&self, height: Height) -> bool {
        self.replica.height() == height && !self.replica.is_finalized()
    }
}
