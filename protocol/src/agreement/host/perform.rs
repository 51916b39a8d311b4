//! Performs what the replica asks for: every output, in order, before the next input.
//!
//! Whatever leaves the machine, begins a round or decides a block waits until the log and the last-signed record that
//! it depends on are durable. A failure here ends the process.

use super::{Channel, Host, HostError, HostEvent, Machine, failed};
use crate::{
    agreement::replica::{Input, Message, Output, Timeouts},
    ground::{codec, state::read},
    ledger::{
        block::{Block, DecidedBlock},
        execute::execute,
    },
    rules::{due, network::Network as NetworkRecord},
};
use std::collections::VecDeque;

/// Maximum transactions that this peer proposes in one block. Larger blocks do not increase throughput, but make each
/// transaction wait longer: for its own block, and for the one before.
const BLOCK_TRANSACTIONS: usize = 500;

impl<M: Machine> Host<M> {
    /// Feeds one input, and everything that follows from it on this machine.
    pub(super) fn drive(&mut self, input: Input) -> Result<(), HostError> {
        self.drive_all(VecDeque::from([input]))
    }

    /// As [`Host::drive`], for several inputs.
    fn drive_all(&mut self, mut inputs: VecDeque<Input>) -> Result<(), HostError> {
        while let Some(input) = inputs.pop_front() {
            for output in self.replica.step(input)? {
                self.perform(output, &mut inputs)?;
            }
        }
        Ok(())
    }

    /// Performs outputs, and all that follows from them.
    pub(super) fn perform_all(&mut self, outputs: Vec<Output>) -> Result<(), HostError> {
        let mut answers = VecDeque::new();
        for output in outputs {
            self.perform(output, &mut answers)?;
        }
        self.drive_all(answers)
    }

    /// Begins the height after the tip.
    pub(super) fn start_height(&mut self) -> Result<(), HostError> {
        let height = self.tip.height.next();
        self.machine.reset_log(height).map_err(failed("the consensus log cannot be emptied"))?;
        self.timers.cancel_all();
        self.drive(Input::Start { tip: self.tip.clone(), timeouts: Timeouts::from(&self.parameters) })
    }

    /// Performs one output. Its answers go to `answers`.
    fn perform(&mut self, output: Output, answers: &mut VecDeque<Input>) -> Result<(), HostError> {
        match output {
            Output::Signed(last) => self.unguarded = Some(last),
            Output::Log(entry) => {
                let appended = self.machine.append_log(entry.height, &entry.encode());
                appended.map_err(failed("the consensus log cannot be written"))?;
            }
            Output::Publish(message) => self.publish(&message)?,
            Output::Republish(message) => {
                self.publish(&message)?;
                // Repeating means that messages were lost: perhaps the others have already decided.
                self.ask_for_blocks();
            }
            Output::Schedule(timer, after) => self.timers.schedule(timer, self.machine.now(), after),
            Output::Cancel(timer) => self.timers.cancel(timer),
            Output::CancelAll => self.timers.cancel_all(),
            Output::StartedRound { height, round, proposer } => {
                self.make_durable()?;
                self.machine.report(HostEvent::Round { height, round, proposer });
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
                self.make_durable()?;
                self.push(&decided);
                self.commit(&decided)?;
            }
            Output::Finalized { height: _, evidence } => {
                for twice in &evidence {
                    self.machine.report(HostEvent::DoubleSign(twice));
                }
            }
            Output::SyncRejected { height: _, reason } => self.refused_block = Some(reason),
            Output::Warning(warning) => self.machine.report(HostEvent::Warning(&warning)),
        }
        Ok(())
    }

    /// Makes durable what must precede the next outputs: first the log, from which what was signed can be derived
    /// again, then the record that forbids signing anything else.
    fn make_durable(&mut self) -> Result<(), HostError> {
        self.machine.sync_log().map_err(failed("the consensus log cannot be made durable"))?;
        if let Some(last) = self.unguarded.take() {
            let kept = self.machine.keep_last_signed(&codec::encode(&last));
            kept.map_err(failed("the last-signed record cannot be written"))?;
        }
        Ok(())
    }

    /// Sends a consensus message, once it is durable what forbids to sign another one.
    fn publish(&mut self, message: &Message) -> Result<(), HostError> {
        self.make_durable()?;
        self.machine.publish(Channel::Consensus, message.encode());
        // Whoever sends it back brings nothing new.
        self.seen.take(&message.head(), self.repetition_memory(), self.machine.now());
        Ok(())
    }

    fn build(&mut self) -> Block {
        let per_sender = usize::try_from(self.parameters.transactions_per_account_per_block).unwrap_or(usize::MAX);
        self.mempool.expire(self.judging_time());
        let batch = self.mempool.batch(per_sender, BLOCK_TRANSACTIONS);
        Block::following(&self.tip, self.replica.address(), self.machine.block_time(), batch)
    }

    fn check(&mut self, block: &Block, certified: bool) -> bool {
        let clock = (!certified).then(|| (self.machine.block_time(), self.parameters.clock_drift_ms));
        if !certified {
            let header = block.header();
            self.machine.report(HostEvent::Proposed { proposer: header.proposer, time: header.time });
        }
        match block.check(&self.tip, clock, &|transaction| self.mempool.holds(transaction)) {
            Ok(()) => true,
            Err(reason) => {
                let (height, reason) = (block.header().height, reason.to_string());
                self.machine.report(HostEvent::InvalidProposal { height, reason });
                false
            }
        }
    }

    /// Executes a decided block and makes it durable, then notifies everybody on this machine.
    pub(super) fn commit(&mut self, decided: &DecidedBlock) -> Result<(), HostError> {
        let begun = self.machine.now();
        let executed = execute(&self.machine.snapshot(), &decided.block)?;
        let execution = self.machine.now().since(begun);
        self.tip = self.machine.commit(decided, &executed).map_err(failed("the block cannot be committed"))?;
        let now = self.machine.now();
        let commit = now.since(begun).saturating_sub(execution);
        self.decided_elsewhere.clear();
        self.seen.forget_below(self.tip.height);
        self.unsealed = self.tip.state_root != decided.block.header().state_root;

        let snapshot = self.machine.snapshot();
        self.deadline = due::next(&snapshot)?;
        let network = read::<NetworkRecord>(&snapshot, &())?.ok_or(HostError::NoNetwork)?;
        self.parameters = network.parameters.clone();
        self.pace.on_block(executed.results.len(), now);
        self.mempool.remove(executed.results.iter().map(|result| &result.id));
        self.catch_up.heard_of(self.tip.height, now);
        self.machine.report(HostEvent::Committed { decided, executed, execution, commit });
        // The last block that this build may execute is durable and announced: stop here.
        Ok(network.require_current(self.tip.height.next())?)
    }
}
