//! A replica in the state in which another process left its log.

use super::{
    LastSigned, LogEntry, LogRecord, LoggedBlock, Message, Output, Replica, ReplicaError, SignedProposal, Timeouts,
    core_timeout,
};
use crate::{
    agreement::bft::Bft,
    ground::{crypto::SigningKey, ids::BlockHash},
    ledger::block::{Block, Tip},
};
use arc_malachitebft_core_consensus::{Input as CoreInput, ProposedValue};
use arc_malachitebft_core_types::{Round, Validity, ValueOrigin};
use std::collections::BTreeMap;

impl Replica {
    /// A replica in the state of the log's writer, and the outputs that the writer may not have performed: perform them
    /// before any input. Entries of decided heights are skipped.
    ///
    /// # Errors
    /// When the log does not fit the tip or does not lead to the messages it records.
    pub fn recover(
        key: Option<SigningKey>,
        last_signed: LastSigned,
        tip: Tip,
        timeouts: Timeouts,
        log: &[LogEntry],
    ) -> Result<(Self, Vec<Output>), ReplicaError> {
        let mut replica = Self::new(key, last_signed, &tip);
        let height = tip.height.next();
        if let Some(entry) = log.iter().find(|entry| entry.height > height) {
            return Err(ReplicaError::LogAhead { entry: entry.height, tip: tip.height });
        }
        let inputs = core_inputs(log.iter().filter(|entry| entry.height == height))?;
        replica.effects.restore_last_signed(&inputs);
        replica.effects.replaying = true;
        replica.start(tip, timeouts)?;
        replica.core.record_recovered_own_precommit_extensions(inputs.iter());
        replica.core.index_wal_entries(inputs.iter());
        for input in inputs {
            replica.feed(input)?;
        }
        replica.core.reset_entries_index();
        replica.effects.replaying = false;
        replica.republish_own_proposals(log);
        // The core may get its blocks only now: before the end of the replay it would propose a block again that it had
        // already proposed.
        replica.give_blocks()?;
        replica.ask_for_checks();
        let outputs = std::mem::take(&mut replica.effects.outputs);
        Ok((replica, outputs))
    }

    /// The replay sends own votes again but not own proposals. A proposal that never left the machine would cost a
    /// round.
    fn republish_own_proposals(&mut self, log: &[LogEntry]) {
        let (height, round) = (self.height(), self.round());
        for entry in log.iter().filter(|entry| entry.height == height) {
            let LogRecord::Proposal { round: proposed, pol_round, proposer, block, signature } = &entry.record else {
                continue;
            };
            let block = match block {
                LoggedBlock::Whole(block) => Some(block.clone()),
                LoggedBlock::Earlier(hash) => self.effects.valid_block(hash),
            };
            if let Some(block) = block.filter(|_| *proposer == self.address && Some(*proposed) == round) {
                let (round, pol_round, proposer, signature) = (*proposed, *pol_round, *proposer, *signature);
                let proposal = SignedProposal { round, pol_round, proposer, block, signature };
                self.effects.outputs.push(Output::Republish(Message::Proposal(proposal)));
            }
        }
    }
}

/// The core's inputs that the entries record, with every block whole again.
fn core_inputs<'a>(log: impl Iterator<Item = &'a LogEntry>) -> Result<Vec<CoreInput<Bft>>, ReplicaError> {
    let mut blocks: BTreeMap<BlockHash, Block> = BTreeMap::new();
    let mut whole = |logged: &LoggedBlock| match logged {
        LoggedBlock::Whole(block) => {
            blocks.insert(block.hash(), block.clone());
            Ok(block.clone())
        }
        LoggedBlock::Earlier(hash) => blocks.get(hash).cloned().ok_or(ReplicaError::LogIncomplete(*hash)),
    };
    log.map(|entry| {
        Ok(match &entry.record {
            LogRecord::Vote(vote) => CoreInput::Vote(vote.to_core()),
            LogRecord::Proposal { round, pol_round, proposer, block, signature } => {
                let proposal = SignedProposal {
                    round: *round,
                    pol_round: *pol_round,
                    proposer: *proposer,
                    block: whole(block)?,
                    signature: *signature,
                };
                CoreInput::Proposal(proposal.to_core())
            }
            LogRecord::Polka(certificate) => CoreInput::PolkaCertificate(certificate.to_core()),
            LogRecord::Timeout { kind, round } => CoreInput::TimeoutElapsed(core_timeout(*kind, *round)),
            LogRecord::Verdict { round, pol_round, proposer, block, valid } => {
                let value = ProposedValue {
                    height: entry.height,
                    round: Round::new(*round),
                    valid_round: (*pol_round).into(),
                    proposer: *proposer,
                    value: whole(block)?,
                    validity: Validity::from_bool(*valid),
                };
                CoreInput::ProposedValue(value, ValueOrigin::Consensus)
            }
        })
    })
    .collect()
}
