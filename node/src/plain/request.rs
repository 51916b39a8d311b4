//! What a transaction does, in words, for those who are to sign it.

use super::{Names, actions_of, licence_terms};
use allod_protocol::{
    ground::ids::Units,
    rules::{
        action::Action,
        dispute::DisputeTarget,
        intake::UnitsOf,
        office::Office,
        proposal::{BallotPart, Scope},
    },
};

/// What an action does, as the words that follow "to".
#[expect(clippy::too_many_lines, reason = "an arm for each action, so that a new one is put in words")]
pub(crate) fn action<N: Names, R, S>(names: &N, action: &Action<R, S>) -> Result<String, N::Error> {
    let account = |id| names.account(id);
    let model = |id| names.model(id);
    Ok(match action {
        Action::CreateAccount(it) => format!("admit the account {} with {} keys", it.handle, it.keys.keys.len()),
        Action::RotateKeys(it) => {
            let keys: Vec<String> = it.keys.keys.iter().map(|key| key.key.to_string()).collect();
            format!("replace the account's keys by {}, of which {} must sign", keys.join(", "), it.keys.threshold)
        }
        Action::CreateModel(it) => {
            let lines = it.founding.iter().map(|line| Ok(format!("{} for {}", line.units, account(line.account)?)));
            format!("found the model {}: {}", it.name, lines.collect::<Result<Vec<_>, N::Error>>()?.join(", "))
        }
        Action::PublishVersion(it) => {
            format!("publish {}@{}, artifact {}", model(it.model)?, it.label, it.artifact.address)
        }
        Action::TransferShares(it) => {
            format!("give {} units of {} to {}: {:?}", it.units, model(it.model)?, account(it.to)?, it.reason)
        }
        Action::BurnShares(it) => format!("burn {} units of {}: {:?}", it.units, model(it.model)?, it.reason),
        Action::TakeUp(it) => format!("take up {} units of issue {} of {}", it.units, it.issue, model(it.model)?),
        Action::OpenProposal(it) => {
            let does = actions_of(names, &it.question, None)?.join("; ");
            format!("ask {} to {does}, titled {:?}", whom(names, it.question.scope())?, it.title)
        }
        Action::CastBallot(it) => format!("answer proposal {} with {}", it.proposal, answer(&it.parts)),
        Action::Delegate(it) => match it.to {
            Some(to) => format!("let {} answer for it in {}", account(to)?, model(it.model)?),
            None => format!("answer for itself in {} again", model(it.model)?),
        },
        Action::CallOn(it) => format!("call on {} among {}", account(it.account)?, whom(names, it.scope)?),
        Action::Present(it) => format!("say that it is there, among {}", whom(names, it.scope)?),
        Action::AcceptOffice(it) => format!("accept to be {}", office(names, &it.office)?),
        Action::ResignOffice(it) => format!("resign as {}", office(names, &it.office)?),
        Action::RecordContribution(it) => {
            let amount = if it.sealed.is_some() { "a sealed amount".to_owned() } else { it.amount.to_string() };
            format!("record a contribution of {amount} of {} to {}", it.kind.name(), model(it.model)?)
        }
        Action::AcceptContribution(it) => format!("countersign contribution {}", it.contribution),
        Action::DeclineContribution(it) => format!("decline contribution {}: {:?}", it.contribution, it.reason),
        Action::RevealContribution(it) => format!("tell the amount {} of contribution {}", it.amount, it.contribution),
        Action::WithdrawProposal(it) => format!("take back proposal {}: {:?}", it.proposal, it.reason),
        Action::ExecuteProposal(it) => format!("execute proposal {}", it.proposal),
        Action::CancelProposal(it) => format!("stop proposal {}: {:?}", it.proposal, it.reason),
        Action::Attest(it) => format!("attest of {} that {} {}", it.artifact, it.statement, it.finding.name()),
        Action::OpenDispute(it) => {
            let bound = if it.bond > Units::ZERO { format!(", binding {} units", it.bond) } else { String::new() };
            format!("challenge {}{bound}: {:?}", target(names, &it.target)?, it.text)
        }
        Action::AnswerDispute(it) => format!("answer dispute {}: {:?}", it.dispute, it.text),
        Action::RuleDispute(it) => {
            format!("{} dispute {}: {:?}", if it.upholds { "uphold" } else { "lift" }, it.dispute, it.reasons)
        }
        Action::AppealDispute(it) => format!("take the ruling on dispute {} to the owners: {:?}", it.dispute, it.text),
        Action::WithdrawDispute(it) => format!("take back dispute {}", it.dispute),
        Action::ReportIncident(it) => format!("report of {}@{}: {:?}", model(it.model)?, it.label, it.text),
        Action::UpdateIncident(it) => format!("carry on incident {}: {:?}", it.incident, it.text),
        Action::SetRecovery(it) => match &it.policy {
            None => "do without guardians".into(),
            Some(policy) => {
                let guardians = policy.guardians.iter().map(|id| account(*id)).collect::<Result<Vec<_>, _>>()?;
                format!("have {} as guardians, of whom {} give it new keys", guardians.join(", "), policy.needed)
            }
        },
        Action::RecoverAccount(it) => format!("say which keys {} should get", account(it.account)?),
        Action::CancelRecovery(_) => "stop its recovery".into(),
        Action::BindPeer(it) => format!("have the peer {} read for it", it.peer),
        Action::ReleasePeer(it) => format!("let go of the peer {}", it.peer),
        Action::LeaveNetwork(_) => "leave the network's members".into(),
        Action::SetIntake(it) => {
            let of = match it.of {
                UnitsOf::Any => "any model".to_owned(),
                UnitsOf::Model(id) => model(id)?,
            };
            match it.takes {
                Some(true) => format!("take units of {of} that come unasked"),
                Some(false) => format!("refuse units of {of} that come unasked"),
                None => format!("say nothing any more of units of {of} that come unasked"),
            }
        }
        Action::AcceptTransfer(it) => {
            format!("{} the units of proposal {}", if it.accept { "accept" } else { "not accept" }, it.proposal)
        }
        Action::GiveConsent(it) => {
            let what = if it.agrees { "consent" } else { "no longer consent" };
            format!("{what} to the burn of its units by proposal {}", it.proposal)
        }
        Action::AskLicence(it) => match &it.wanted {
            Some(wanted) => {
                let terms = licence_terms(&wanted.terms);
                format!("ask for a licence to {}{terms}, and so agree to it", model(it.model)?)
            }
            None => format!("ask for a licence to {} no longer", model(it.model)?),
        },
        Action::AnswerLicence(it) => {
            let what = if it.accept { "accept" } else { "do without" };
            format!("{what} the licence to {} of decision {}", model(it.model)?, it.proposal)
        }
        Action::StopVersion(it) => {
            let what = if it.stops { "suspend" } else { "end its stop of" };
            format!("{what} {}@{}: {:?}", model(it.model)?, it.label, it.reason)
        }
        Action::AnswerIncident(it) => format!("say of incident {}: {:?}", it.incident, it.text),
        Action::CommitArtifact(it) => format!("commit to an artifact for {}", model(it.model)?),
        Action::RequestApproval(_) | Action::SignApproval(_) => action.name().replace('_', " "),
    })
}

/// Who decides.
fn whom<N: Names>(names: &N, scope: Scope) -> Result<String, N::Error> {
    match scope {
        Scope::Network => Ok("the members of the network".into()),
        Scope::Model(id) => Ok(format!("the owners of {}", names.model(id)?)),
    }
}

/// A ballot's answer, with its parts if it is split.
fn answer(parts: &[BallotPart]) -> String {
    match parts {
        [whole] => whole.choice.name().to_owned(),
        parts => {
            parts.iter().map(|part| format!("{} {}", part.part, part.choice.name())).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The office that somebody is to hold.
fn office<N: Names>(names: &N, office: &Office) -> Result<String, N::Error> {
    Ok(match office {
        Office::Steward(id) => format!("steward of {}", names.model(*id)?),
        Office::Arbiter(id) => format!("arbiter of {}", names.model(*id)?),
        Office::Guardian(id) => format!("guardian of {}", names.model(*id)?),
        Office::Attester { model, role } => format!("{role} of {}", names.model(*model)?),
        Office::KeyGuardian(id) => format!("guardian of {}'s keys", names.account(*id)?),
        Office::Responsible(id) => format!("responsible for incident {id}"),
        Office::Operator(key) => format!("operator of validator {key}"),
    })
}

/// What is disputed.
fn target<N: Names>(names: &N, target: &DisputeTarget) -> Result<String, N::Error> {
    Ok(match target {
        DisputeTarget::Line { model, account } => {
            format!("the units of {} in {}", names.account(*account)?, names.model(*model)?)
        }
        DisputeTarget::Version { model, label } => format!("{}@{label}", names.model(*model)?),
        DisputeTarget::Contribution(id) => format!("contribution {id}"),
        DisputeTarget::Appeal(id) => format!("that contribution {id} does not count"),
    })
}
