//! What challengers, respondents and arbiters ask for.

use super::{choose, wrap};
use crate::{
    histories::{
        History,
        request::{Amount, Pick, Request, Target},
    },
    reference::{DisputeStatus, VersionStatus},
};
use allod_protocol::rules::dispute::ResolveDispute;
use allod_protocol::rules::proposal::ModelAction;
use allod_protocol::{
    ground::ids::{AccountId, DisputeId, ModelId, Units},
    rules::{
        action::Action,
        dispute::{AnswerDispute, AppealDispute, DisputeTarget, OpenDispute, RuleDispute, WithdrawDispute},
        proposal::Question,
    },
};

impl History {
    pub(super) fn of_disputant(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Challenge { model, by, target, amount } => {
                let (model, target, units) = self.target(*model, *target, *amount)?;
                let by = self.by(*by, |account| self.world.held(model, account) > 0);
                let bond = match amount {
                    Amount::Few(number) => self.scaled(u64::from(number % 4)),
                    _ => Units::ZERO,
                };
                Some((
                    by,
                    Action::OpenDispute(OpenDispute { target, units, text: String::new(), evidence: None, bond }),
                ))
            }
            Request::Plead { dispute, by } => {
                let id = self.open_dispute(*dispute)?;
                let by = self.by(*by, |account| self.world.disputes[&id].respondent == account);
                Some((by, Action::AnswerDispute(AnswerDispute { dispute: id, text: String::new(), evidence: None })))
            }
            Request::Rule { dispute, by, upholds } => {
                let id = self.open_dispute(*dispute)?;
                let panel = self.world.panel(&self.world.disputes[&id]);
                let by = self.by(*by, |account| panel.contains(&account));
                Some((by, rule(id, *upholds)))
            }
            Request::TakeBack { dispute, by } => {
                let id = self.open_dispute(*dispute)?;
                let by = self.by(*by, |account| self.world.disputes[&id].challenger == account);
                Some((by, Action::WithdrawDispute(WithdrawDispute { dispute: id })))
            }
            Request::AppealRuling { dispute, by } => {
                let is_ruled = |id: &DisputeId| matches!(self.world.disputes[id].status, DisputeStatus::Ruled(_));
                let id = choose(&self.disputes, *dispute, is_ruled)?;
                let dispute = &self.world.disputes[&id];
                let party = match dispute.status {
                    DisputeStatus::Ruled(false) => dispute.challenger,
                    _ => dispute.respondent,
                };
                let by = self.by(*by, |account| account == party);
                Some((by, Action::AppealDispute(AppealDispute { dispute: id, text: String::new() })))
            }
            _ => None,
        }
    }

    /// The respondent answers. Then all who sit rule alike; where they are too few, a steward asks the owners.
    pub(super) fn settle(&self, pick: Pick, upholds: bool) -> Option<Vec<(usize, Action)>> {
        let id = self.open_dispute(pick)?;
        let dispute = &self.world.disputes[&id];
        let model = &self.world.models[&dispute.model];
        let answer = Action::AnswerDispute(AnswerDispute { dispute: id, text: String::new(), evidence: None });
        let mut actions = vec![(self.place(dispute.respondent), answer)];
        let is_for_owners = matches!(dispute.status, DisputeStatus::Appealed(_)) || !self.world.rules(dispute);
        if is_for_owners {
            let resolve = ModelAction::ResolveDispute(ResolveDispute { dispute: id, upholds });
            let (by, action) =
                self.open(wrap(&model.stewards, pick.place)?, Question::of_model(dispute.model, vec![resolve]))?;
            actions.push((self.place(by), action));
        } else {
            let panel = self.world.panel(dispute).into_iter();
            actions.extend(panel.map(|arbiter| (self.place(arbiter), rule(id, upholds))));
        }
        Some(actions)
    }

    fn open_dispute(&self, pick: Pick) -> Option<DisputeId> {
        choose(&self.disputes, pick, |id| !self.world.disputes[id].status.is_final())
    }

    fn target(&self, model: u8, target: Target, amount: Amount) -> Option<(ModelId, DisputeTarget, Units)> {
        let (model, _) = self.model(model);
        match target {
            Target::Line(place) => {
                let holds = Pick { fits: true, place };
                let account = self.by(holds, |account| self.world.held(model, account) > 0);
                let units = self.units(amount, self.world.held(model, account));
                Some((model, DisputeTarget::Line { model, account }, units))
            }
            Target::Version(pick) => {
                let label = self.version(model, pick, VersionStatus::Published)?;
                Some((model, DisputeTarget::Version { model, label }, Units::ZERO))
            }
            Target::Contribution(pick) => {
                let id = choose(&self.contributions, pick, |id| {
                    let contribution = &self.world.contributions[id];
                    let round = contribution.round.map(|number| number as usize);
                    let rounds = &self.world.models[&contribution.model].rounds;
                    round.is_none_or(|number| rounds[number].closes > self.world.time)
                })?;
                let model = self.world.contributions[&id].model;
                Some((model, DisputeTarget::Contribution(id), Units::ZERO))
            }
        }
    }
}

fn rule(dispute: DisputeId, upholds: bool) -> Action {
    Action::RuleDispute(RuleDispute { dispute, upholds, reasons: "so it is".into() })
}
