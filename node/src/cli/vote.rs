//! `allod vote`: an answer to a proposal.

use super::{
    args::IdArg,
    context::Context,
    signing::{Receipt, Signing},
    units::{self, show_count},
    words::show_answer,
};
use allod_protocol::{
    ground::ids::BasisPoints,
    rules::{
        action::Action,
        event::Event,
        proposal::{BallotPart, CastBallot, Choice},
    },
};
use anyhow::Result;
use serde::Serialize;
use std::str::FromStr;

/// Answer a proposal, or change the answer.
#[derive(Debug, clap::Args)]
pub(super) struct Vote {
    /// The proposal's id, or the start of it
    proposal: IdArg,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct How {
    /// The answer
    #[arg(value_enum)]
    answer: Option<Answer>,
    /// An answer split into parts of the weight, in per cent, such as yes=60,no=40
    #[arg(long, value_name = "PARTS")]
    split: Option<Split>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Answer {
    Yes,
    No,
    Abstain,
    /// No, and for rejecting it whatever the others say, if the rule has such a right
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

/// A split answer. The ledger checks that the parts add up to the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Split(Vec<BallotPart>);

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |text: &str| {
            let (answer, part) = text.split_once('=').ok_or_else(|| format!("{text:?} is not ANSWER=PERCENT"))?;
            let answer = <Answer as clap::ValueEnum>::from_str(answer, false)
                .map_err(|_| format!("{answer:?} is not an answer; there are yes, no, abstain and veto"))?;
            Ok(BallotPart { choice: answer.into(), part: units::percent(part)? })
        };
        text.split(',').map(part).collect::<Result<_, String>>().map(Self)
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
        let proposal = self.proposal.proposal(&sender.client).await?;
        let whole = |answer: Answer| vec![BallotPart { choice: answer.into(), part: BasisPoints::WHOLE }];
        let split = self.how.split.map(|Split(parts)| parts);
        let parts = split.or(self.how.answer.map(whole)).unwrap_or_default();
        let receipt = sender.submit(Action::CastBallot(CastBallot { proposal, parts })).await?.with(|events| {
            events.iter().find_map(|event| match event {
                Event::BallotCast { parts, weight, .. } => Some(BallotCast { parts: parts.clone(), weight: *weight }),
                _ => None,
            })
        })?;
        context.answer(&receipt, |receipt: &Receipt<BallotCast>| {
            let (answer, weight) = (show_answer(&receipt.made.parts), show_count(receipt.made.weight));
            format!(
                "{} answers {answer} with weight {weight} to {proposal}\n{}",
                sender.account.handle,
                receipt.place()
            )
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_answer_can_be_split_into_parts_of_the_weight() {
        let Split(parts) = "yes=60,no=39.5,veto=0.5".parse().unwrap();
        let shown: Vec<_> = parts.iter().map(|part| (part.choice, part.part.get())).collect();
        assert_eq!(shown, [(Choice::Yes, 6_000), (Choice::No, 3_950), (Choice::Veto, 50)]);
        assert!("yes".parse::<Split>().is_err());
        assert!("maybe=100".parse::<Split>().unwrap_err().contains("abstain"));
        assert!("yes=101".parse::<Split>().is_err());
    }
}
