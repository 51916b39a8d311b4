//! `allod vote`: an answer to a proposal.

use super::{
    args::ProposalName,
    context::Context,
    signing::{Receipt, Signing},
    units::show_count,
};
use allod_protocol::{
    event::Event,
    proposal::{CastBallot, Choice},
    transaction::Action,
};
use anyhow::Result;
use serde::Serialize;

/// Answer a proposal, or change the answer.
#[derive(Debug, clap::Args)]
pub(super) struct Vote {
    /// The proposal's id, or the start of it
    proposal: ProposalName,
    /// The answer
    #[arg(value_enum)]
    answer: Answer,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Answer {
    Yes,
    No,
    Abstain,
}

impl From<Answer> for Choice {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::Yes,
            Answer::No => Self::No,
            Answer::Abstain => Self::Abstain,
        }
    }
}

#[derive(Debug, Serialize)]
struct BallotCast {
    choice: Choice,
    weight: u64,
}

impl Vote {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let sender = self.signing.sender(context).await?;
        let proposal = self.proposal.resolve(&sender.client).await?;
        let action = CastBallot { proposal, choice: self.answer.into() };
        let receipt = sender.submit(Action::CastBallot(action)).await?.with(|events| {
            events.iter().find_map(|event| match event {
                Event::BallotCast { choice, weight, .. } => Some(BallotCast { choice: *choice, weight: *weight }),
                _ => None,
            })
        })?;
        context.answer(&receipt, |receipt: &Receipt<BallotCast>| {
            let (answer, weight) = (choice_name(receipt.made.choice), show_count(receipt.made.weight));
            format!("{} answers {answer} with weight {weight}\n{}", sender.account.handle, receipt.place())
        })
    }
}

/// An answer in one word.
pub(super) const fn choice_name(choice: Choice) -> &'static str {
    match choice {
        Choice::Yes => "yes",
        Choice::No => "no",
        Choice::Abstain => "abstain",
    }
}
