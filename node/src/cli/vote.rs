//! `allod vote`: an answer to a proposal.

use super::{
    args::ProposalName,
    context::Context,
    signing::{Receipt, Signing},
    units::show_count,
    words::show_answer,
};
use allod_protocol::{
    event::Event,
    ids::BasisPoints,
    proposal::{BallotPart, CastBallot, Choice},
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
    Veto,
}

impl From<Answer> for Choice {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::Yes,
            Answer::No => Self::No,
            Answer::Abstain => Self::Abstain,
            Answer::Veto => Self::Veto,
        }
    }
}

#[derive(Debug, Serialize)]
struct BallotCast {
    parts: Vec<BallotPart>,
    weight: u64,
}

impl Vote {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let sender = self.signing.sender(context).await?;
        let proposal = self.proposal.resolve(&sender.client).await?;
        let action = CastBallot { proposal, parts: vec![whole(self.answer.into())] };
        let receipt = sender.submit(Action::CastBallot(action)).await?.with(|events| {
            events.iter().find_map(|event| match event {
                Event::BallotCast { parts, weight, .. } => Some(BallotCast { parts: parts.clone(), weight: *weight }),
                _ => None,
            })
        })?;
        context.answer(&receipt, |receipt: &Receipt<BallotCast>| {
            let (answer, weight) = (show_answer(&receipt.made.parts), show_count(receipt.made.weight));
            format!("{} answers {answer} with weight {weight}\n{}", sender.account.handle, receipt.place())
        })
    }
}

/// All of the weight with one answer.
const fn whole(choice: Choice) -> BallotPart {
    BallotPart { choice, part: BasisPoints::WHOLE }
}
