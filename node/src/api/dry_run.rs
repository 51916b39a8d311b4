//! What a proposal would do if it stood now, and who could stop it.

use super::{
    Shared, effect,
    extract::Json as JsonBody,
    proposals::gates,
    reader::{Json, Reader, json},
    records,
    views::{BlockingView, DryRunOutcome, DryRunRequest, DryRunView, Problem, RecordChange, RefusalView, WeightView},
};
use crate::plain;
use allod_protocol::{
    agreement::mempool::Refused,
    ground::{
        ids::{ModelId, PublicKey, Signature},
        state::{ChangeSet, Direction, StateRead as _, page},
    },
    rules::{
        account::Account,
        action::Action,
        proposal::{
            OpenProposal, Proposal, Scope,
            dry_run::{DryRun, dry_run},
        },
        share::{Register, Share, Weights},
        transaction::{Transaction, TransactionBody},
    },
};
use axum::extract::State;

/// Holders that a list names at most.
const NAMED: usize = 100;
/// Lines of a register that are read at a time.
const LINES: usize = 500;

/// What a proposal would do if it stood now: every record that it would change, before and after. Nothing is kept.
#[utoipa::path(post, path = "/v1/proposals/dry-run", tag = "proposals",
    request_body(content = DryRunRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "What would come of it.", body = DryRunView),
        (status = 422, description = "It could not even be opened; `code` names the rule.", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Another problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn try_out(
    State(api): State<Shared>,
    JsonBody(request): JsonBody<DryRunRequest>,
) -> Result<Json<DryRunView>, Problem> {
    json(&api, move |reader| {
        let sender = reader.account(&request.sender)?;
        check_form(reader, &sender, &request.proposal)?;
        let height = reader.state.height();
        let time = reader.now()?;
        let tried = dry_run(&reader.state, reader.node.network_id, height.next(), time, sender.id, &request.proposal)?;
        match tried {
            Ok(tried) => view(reader, tried),
            Err(rejection) => {
                let problem = Problem::from(Refused::Rejected(rejection));
                Err(Problem { detail: plain::with_names(reader, &problem.detail)?, ..problem })
            }
        }
    })
    .await
}

/// The rules of form are those of the transaction that would carry the question, which nobody has signed yet.
fn check_form(reader: &Reader, sender: &Account, question: &OpenProposal) -> Result<(), Problem> {
    let signers: Vec<PublicKey> = sender.keys.keys.first().map(|key| key.key).into_iter().collect();
    let signatures = signers.iter().map(|_| Signature::from_bytes([0; 64])).collect();
    let body = TransactionBody {
        network: reader.node.network_id,
        sender: sender.id,
        nonce: 0,
        expires: reader.now()?,
        action: Action::OpenProposal(question.clone()),
        signers,
    };
    Ok(Transaction { body, signatures }.check_form(reader.node.network_id)?)
}

fn view(reader: &Reader, tried: DryRun) -> Result<DryRunView, Problem> {
    let DryRun { proposal, electorate, outcome, changes } = tried;
    Ok(DryRunView {
        height: proposal.snapshot,
        class: proposal.class.name().to_owned(),
        rule_text: proposal.rule_text(),
        does: plain::actions(reader, &proposal)?,
        attested: gates(reader, &proposal)?,
        closes: proposal.closes,
        electorate,
        blocking: blocking(reader, &proposal, electorate)?,
        outcome: match outcome {
            Ok(events) => DryRunOutcome::Done(events),
            Err(rejection) => DryRunOutcome::Refused(RefusalView {
                code: rejection.code().to_owned(),
                detail: plain::with_names(reader, &rejection.to_string())?,
            }),
        },
        effect: match proposal.scope() {
            Scope::Model(model) => effect::on_register(reader, model, &changes)?,
            Scope::Network => None,
        },
        changes: differences(reader, changes)?,
        rule: proposal.rule,
    })
}

fn differences(reader: &Reader, changes: ChangeSet) -> Result<Vec<RecordChange>, Problem> {
    let change = |(bytes, after): (Vec<u8>, Option<Vec<u8>>)| {
        let (family, key) = records::key(&bytes);
        let before = reader.state.get(&bytes)?.map(|before| records::value(&bytes, &before));
        let after = after.map(|after| records::value(&bytes, &after));
        Ok(RecordChange { family, key, before, after })
    };
    changes.into_iter().map(change).collect()
}

/// Who could keep the decision from passing, with all others for it.
fn blocking(reader: &Reader, proposal: &Proposal, electorate: u64) -> Result<BlockingView, Problem> {
    let weight = proposal.rule.blocking_weight(electorate);
    let mut view = BlockingView { weight, alone: Vec::new(), smallest_group: Vec::new(), smallest_group_size: None };
    match proposal.scope() {
        // One voice each: any group of that size.
        Scope::Network => view.smallest_group_size = Some(weight),
        Scope::Model(model) => {
            let holders = reader.find::<Register>(&model)?.map_or(0, |register| register.holders);
            if holders <= effect::HOLDERS {
                let weights = weights(reader, model, proposal)?;
                let group = smallest_group(&weights, weight);
                view.smallest_group_size = Some(group.len() as u64);
                view.smallest_group = group.iter().take(NAMED).cloned().collect();
                view.alone = weights.into_iter().take_while(|holder| holder.weight >= weight).take(NAMED).collect();
            }
        }
    }
    for holder in view.alone.iter_mut().chain(&mut view.smallest_group) {
        holder.handle = reader.handle(holder.account)?;
    }
    Ok(view)
}

/// What each holder would count with, the heaviest first.
fn weights(reader: &Reader, model: ModelId, proposal: &Proposal) -> Result<Vec<WeightView>, Problem> {
    let (mut all, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let (shares, next) = page::<Share>(&reader.state, &model, after.as_deref(), Direction::Ascending, LINES)?;
        all.extend(shares.into_iter().map(|share| WeightView {
            account: share.account,
            handle: None,
            weight: Weights::of(share.units).by(proposal.rule.electorate),
        }));
        after = next;
        if after.is_none() {
            break;
        }
    }
    all.sort_by_key(|holder| (std::cmp::Reverse(holder.weight), holder.account));
    Ok(all)
}

/// The fewest holders that together reach a weight.
fn smallest_group(heaviest_first: &[WeightView], weight: u64) -> &[WeightView] {
    let mut sum = 0u64;
    let enough = heaviest_first.iter().position(|holder| {
        sum = sum.saturating_add(holder.weight);
        sum >= weight
    });
    let count = enough.map_or(heaviest_first.len(), |last| last.saturating_add(1));
    heaviest_first.get(..count).unwrap_or(heaviest_first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use allod_protocol::ground::ids::AccountId;

    #[test]
    fn the_fewest_holders_that_reach_a_weight_are_the_heaviest() {
        let holders: Vec<WeightView> = [40, 30, 20, 10]
            .into_iter()
            .map(|weight| WeightView { account: AccountId::from_bytes([1; 32]), handle: None, weight })
            .collect();
        let size = |weight| smallest_group(&holders, weight).len();
        assert_eq!([1, 40, 41, 70, 71, 100, 101].map(size), [1, 1, 2, 2, 3, 4, 4]);
    }
}
