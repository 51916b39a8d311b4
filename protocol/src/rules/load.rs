//! What a transaction costs every peer, known from its bytes alone: before it is executed, voted on, or put in a
//! mempool.
//!
//! The load of a transaction is its bytes, its signatures, and the most that its action can read, write and put on the
//! agenda, whatever the state: [`Load`]. Its weight is the sum of these, each multiplied by its unit cost. A block has
//! a maximum weight, in total and per sender; so has a mempool. No rule depends on what a transaction really read: two
//! peers that read differently must not diverge, and a proposer must know the weight before the block is executed.
//!
//! Tests check that the loads are true. The overlay counts what is read and written ([`Work`]), and every test that
//! executes a block compares the count with the load. A rule that starts to read or write more must say so here.
//!
//! What falls due by itself is weighed in the same way, by `ENTRY`, `of_proposal`, `of_keys`, `of_dispute` and
//! `of_round`.

#![allow(clippy::arithmetic_side_effects, reason = "constants of a few hundred each")]

use crate::{
    ground::{
        limits,
        state::PAGE_SIZE_BYTES,
        weight::{Load, Weight},
    },
    rules::{
        account::CreateAccount,
        action::Action,
        approval::OfApproval,
        model::{CreateModel, PublishVersion},
        policy::ModelPolicy,
        proposal::{ModelAction, NetworkAction, OpenProposal, ProposalGate, Question},
        transaction::Transaction,
    },
};

/// The load of a transaction.
pub fn load_of(transaction: &Transaction) -> Load {
    let body = &transaction.body;
    let own =
        Load { bytes: count(transaction.encode().len()), signatures: count(transaction.signatures.len()), ..ADMISSION };
    own.plus(of_action(&body.action))
}

/// The weight of a transaction.
pub fn of(transaction: &Transaction) -> Weight {
    load_of(transaction).weight()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Pages of a record as large as a whole transaction, with what the ledger adds.
const LARGEST: u64 = count_pages(limits::TRANSACTION_SIZE_BYTES).saturating_add(1);

/// Pages of a model: its policy, its stewards, and its founder's words.
const MODEL: u64 = 6;

/// Pages of a proposal: what it decides, its text, and the gates of its opening.
const PROPOSAL: u64 = 10;

/// Pages of a record with texts.
const TEXT: u64 = 5;

/// Pages of a dispute: what the parties say, and the reasons of all who may come to sit on it.
const DISPUTE: u64 = 42;

const fn count_pages(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(PAGE_SIZE_BYTES)
}

/// Checking whether it was executed before, reading its sender, and remembering it.
const ADMISSION: Load = Load::of(3, 1, 0);

/// A signature that is checked when the transaction is executed.
const PROOF: Load = Load { signatures: 1, ..Load::of(0, 0, 0) };

/// Moving one agenda entry.
const MOVING: Load = Load::of(6, 5, 0);

/// What speaking in a scope ends: a call on the sender, its dormancy.
const SPEAKING: Load = Load::of(8, 5, 0).plus(MOVING);

/// Changing one line of a register, with what follows from that.
const LINE: Load = Load::of(12, 9, 0);

/// Checking whether the owners of a model have accepted a holder's keys: the model, and the holder's control.
const CONTROL: Load = Load::of(4 + MODEL, 0, 0);

/// One account named for an office, or no longer named.
const NAMING: Load = Load::of(4, 2, 0);

/// One line of a new model's register: nothing follows from it yet.
const FOUNDING_LINE: Load = Load::of(7, 4, 0);

/// One holder of a parent that is granted units.
const GRANTED_LINE: Load = Load::of(6, 3, 0);

/// Maximum number of accounts that a model names: its stewards, its arbiters and their stand-ins, its guardian, and
/// those in its roles.
const NAMES: u64 = (limits::STEWARDS + 2 * limits::ROLE_ACCOUNTS + 1 + limits::ROLES * limits::ROLE_ACCOUNTS) as u64;

/// Finding who sits on a dispute: for each account that may, its office, what it holds, and whether it is suspended.
const SITTING: Load = Load::of(TEXT, 0, 0).plus(Load::of(3, 0, 0).times(2 * limits::ROLE_ACCOUNTS as u64));

/// The end of a dispute, and of `moot` others that it makes moot.
const fn of_dispute_end(moot: u64) -> Load {
    Load::of(20 + 4 * DISPUTE + 2 * MODEL + 3 * TEXT, 20 + 2 * DISPUTE + MODEL + 2 * TEXT, 1)
        .plus(LINE)
        .plus(MOVING.times(4))
        .plus(SITTING.times(2))
        .plus(Load::of(8 + DISPUTE, 8 + DISPUTE, 0).plus(MOVING.times(2)).times(moot))
}

/// Maximum number of others that one dispute can make moot.
const MOOT: usize = limits::DISPUTES_PER_TARGET - 1;

/// The most work that one decision causes: see [`of_decision`].
const DECISION: Load = Load::of(limits::DECISION_WEIGHT.get().div_ceil(limits::WEIGHT_OF_READ), 0, 0);

/// The most work that a request does once it has its signatures.
const REQUESTED: Load = Load::of(limits::REQUESTED_WEIGHT.get().div_ceil(limits::WEIGHT_OF_READ), 0, 0);

/// Making a request that waits for signatures.
pub(crate) const REQUESTING: Load =
    Load::of(6 + limits::OPEN_APPROVALS_PER_ACCOUNT as u64, 3 + LARGEST, 1).plus(MOVING);
/// Signing it, or opposing it, whatever it asks for.
pub(crate) const SIGNING: Load = Load::of(4 + LARGEST, 3 + LARGEST, 0).plus(MOVING).plus(REQUESTED);

/// The load of an action, in addition to the transaction's own.
pub(crate) fn of_action<Request: OfApproval, Sign: OfApproval>(action: &Action<Request, Sign>) -> Load {
    match action {
        Action::CreateModel(action) => of_founding(action),
        Action::PublishVersion(action) => of_publishing(action),
        Action::OpenProposal(action) => of_opening(action),
        Action::RequestApproval(action) => action.load(),
        Action::SignApproval(action) => action.load(),
        Action::CastBallot(_) => {
            Load::of(20 + 2 * PROPOSAL, 5 + PROPOSAL, 2).plus(MOVING.times(2)).plus(SPEAKING).plus(CONTROL)
        }
        // The decision is not known from the bytes, so this is the most that one decision can do.
        Action::ExecuteProposal(_) => Load::of(PROPOSAL, PROPOSAL, 0).plus(DECISION),
        Action::WithdrawProposal(_) | Action::CancelProposal(_) => {
            Load::of(3 + PROPOSAL, 2 + PROPOSAL, 1).plus(MOVING.times(4))
        }
        Action::AcceptTransfer(_) => Load::of(4 + PROPOSAL, 2, 0),
        Action::GiveConsent(_) => Load::of(4 + PROPOSAL, 2, 0).plus(CONTROL),
        Action::TransferShares(_) => Load::of(10 + MODEL, 1, 0).plus(LINE.times(2)).plus(SPEAKING).plus(CONTROL),
        Action::BurnShares(_) => Load::of(6 + MODEL, 2, 0).plus(LINE).plus(SPEAKING),
        Action::TakeUp(_) => Load::of(14 + MODEL, 4, 0).plus(LINE).plus(SPEAKING),
        Action::Delegate(_) => Load::of(18 + MODEL, 10, 1).plus(MOVING.times(2)).plus(SPEAKING),
        Action::CallOn(_) => Load::of(14 + MODEL, 4, 1).plus(MOVING),
        Action::Present(_) => SPEAKING,
        Action::RecordContribution(_) => Load::of(14 + MODEL, 7 + TEXT, 0),
        // What former stewards said is forgotten.
        Action::AcceptContribution(_) | Action::DeclineContribution(_) => {
            Load::of(8 + MODEL + TEXT + STEWARDS, 4 + TEXT, 0)
        }
        Action::RevealContribution(_) => Load::of(8 + MODEL + TEXT, 4 + TEXT, 0),
        // Each dispute about the same thing is read, to find one of the same challenger and the one that binds least,
        // which may be ended.
        Action::OpenDispute(_) => {
            let others = Load::of(DISPUTE, 0, 0).times(count(limits::DISPUTES_PER_TARGET));
            let outbid = Load::of(3 + DISPUTE, 3 + DISPUTE, 0).plus(MOVING);
            Load::of(20 + 2 * MODEL + 2 * TEXT + STEWARDS, 14 + 2 * TEXT, 1).plus(MOVING).plus(others).plus(outbid)
        }
        Action::AnswerDispute(_) => Load::of(2 + DISPUTE, DISPUTE, 0),
        Action::RuleDispute(_) => SITTING.times(2).plus(Load::of(2 + DISPUTE, DISPUTE, 1)).plus(MOVING.times(2)),
        Action::WithdrawDispute(_) => Load::of(20 + DISPUTE + TEXT, 14 + DISPUTE, 0).plus(MOVING.times(2)),
        Action::AppealDispute(_) => Load::of(2 + DISPUTE, DISPUTE, 1).plus(MOVING.times(2)),
        Action::Attest(_) => Load::of(2 + TEXT, 1 + TEXT, 0),
        Action::StopVersion(_) => Load::of(6 + MODEL + TEXT, 5 + TEXT, 1).plus(MOVING),
        Action::ReportIncident(_) => Load::of(3 + MODEL + TEXT, 3 + TEXT, 0),
        Action::UpdateIncident(_) => Load::of(8 + MODEL + TEXT, 2 + 2 * TEXT, 0).plus(NAMING.times(2)),
        Action::AnswerIncident(_) => Load::of(2 + TEXT, 1 + 2 * TEXT, 0),
        // Its other requests are read too, to count them.
        Action::AskLicence(_) => {
            let open = TEXT.saturating_mul(count(limits::LICENCE_REQUESTS_PER_ACCOUNT));
            Load::of(6 + MODEL + TEXT + open, 6 + TEXT, 1).plus(MOVING.times(2))
        }
        Action::AnswerLicence(_) => Load::of(4 + TEXT, 2 + 2 * TEXT, 0),
        Action::CommitArtifact(_) => Load::of(4 + MODEL, 2, 0),
        // The chain of its sponsors is followed up to a founding account.
        Action::CreateAccount(CreateAccount { .. }) => Load::of(4 + count(limits::SPONSOR_CHAIN), 5, 0),
        // Every waiting request forgets the previous keys.
        Action::RotateKeys(_) => of_new_keys(limits::OPEN_APPROVALS_PER_ACCOUNT),
        Action::SetRecovery(_) | Action::CancelRecovery(_) => of_recovery(),
        Action::RecoverAccount(_) => Load::of(8 + 2 * GUARDIANS, 4, 1).plus(MOVING.times(2)),
        Action::BindPeer(_) => Load::of(4 + count(limits::PEERS_PER_ACCOUNT), 4, 0).plus(PROOF),
        Action::ReleasePeer(_) => Load::of(2, 2, 1).plus(MOVING),
        Action::AcceptOffice(_) => {
            Load::of(6 + MODEL + TEXT + count(limits::OFFICES_AHEAD_PER_ACCOUNT), 2, 0).plus(PROOF)
        }
        Action::ResignOffice(_) => Load::of(8, 6, 0).plus(NAMING),
        Action::SetIntake(_) => Load::of(4 + MODEL + count(limits::INTAKES_PER_ACCOUNT), 1, 0),
        Action::LeaveNetwork(_) => Load::of(4, 4, 0).plus(SPEAKING),
    }
}

const STEWARDS: u64 = limits::STEWARDS as u64;

const GUARDIANS: u64 = limits::GUARDIANS as u64;

/// What guardians said, who they are from now on, and what waited to be settled.
const fn of_recovery() -> Load {
    Load::of(6 + 2 * GUARDIANS, 4 + 3 * GUARDIANS, 1).plus(NAMING.times(2 * GUARDIANS)).plus(MOVING.times(3))
}

/// Replacing an account's keys: what the old ones were to guardians, to `requests` waiting requests, and to its
/// control.
const fn of_new_keys(requests: u32) -> Load {
    let one = Load::of(2 * LARGEST, LARGEST, 0).plus(MOVING);
    of_recovery().plus(one.times(requests as u64)).plus(Load::of(1, 1, 0))
}

fn of_founding(action: &CreateModel) -> Load {
    let lines = FOUNDING_LINE.times(count(action.founding.len()));
    // The holders of the parents are not known from the bytes, so this is the maximum number that may be served.
    let holders = if action.grants.is_empty() { 0 } else { count(limits::PARENT_GRANT_HOLDERS).saturating_add(1) };
    let grants = Load::of(MODEL, 0, 0).times(count(action.grants.len())).plus(GRANTED_LINE.times(holders));
    let names = names_in(&action.policy).saturating_add(count(action.stewards.len()));
    Load::of(2, 3 + MODEL, 0).plus(lines).plus(grants).plus(NAMING.times(names))
}

fn of_publishing(action: &PublishVersion) -> Load {
    let parents = Load::of(TEXT, 1, 0).times(count(action.parents.len()));
    Load::of(10 + MODEL, 5 + TEXT, 0).plus(parents)
}

fn of_opening(opening: &OpenProposal) -> Load {
    // Validators that must agree are looked up, and so is what a resolution ends.
    let each = |count: usize| Load::of(6, 0, 0).times(self::count(count));
    let actions = match &opening.question {
        Question::Model { .. } if opening.question.resolution().is_some() => {
            Load::of(4 + 3 * DISPUTE + MODEL, DISPUTE, 0).plus(SITTING.times(3))
        }
        Question::Model { actions, .. } => each(actions.len()),
        Question::Network { actions } => each(actions.len()),
    };
    Load::of(16 + 2 * MODEL, 5 + PROPOSAL, 1).plus(actions).plus(MOVING).plus(SPEAKING)
}

/// Number of accounts that a policy names.
fn names_in(policy: &ModelPolicy) -> u64 {
    let arbiters = policy.arbiters.iter().flat_map(|arbiters| arbiters.accounts.iter().chain(&arbiters.stand_ins));
    let in_roles = policy.roles.iter().flat_map(|role| &role.accounts);
    let for_emergencies = policy.emergency.iter().flat_map(|emergency| &emergency.accounts);
    count(policy.guardian.iter().chain(arbiters).chain(in_roles).chain(for_emergencies).count())
}

/// The most work of a decision when it is executed: all of its actions, what they wait for, and ending the proposal.
pub(crate) fn of_proposed(question: &Question, gates: &[ProposalGate]) -> Load {
    of_decision(question, attesters_of(gates), MOOT)
}

/// Handling a proposal that is due, if the dispute that it would end would make `moot` others moot.
pub(crate) fn of_proposal(question: &Question, gates: &[ProposalGate], moot: usize) -> Weight {
    of_decision(question, attesters_of(gates), moot).weight()
}

fn attesters_of(gates: &[ProposalGate]) -> usize {
    gates.iter().map(|gate| gate.accounts.len()).sum()
}

fn of_decision(question: &Question, attesters: usize, moot: usize) -> Load {
    let proposal = Load::of(4 + PROPOSAL, 3 + 2 * PROPOSAL, 1).plus(MOVING.times(5));
    let of_model = |action| of_decided_by_owners(action, count(attesters), count(moot));
    match question {
        Question::Model { actions, .. } => actions.iter().map(of_model).fold(proposal, Load::plus),
        Question::Network { actions } => actions.iter().map(of_decided_by_members).fold(proposal, Load::plus),
    }
}

fn of_decided_by_owners(action: &ModelAction, attesters: u64, moot: u64) -> Load {
    match action {
        // A gate reads what each of its accounts said, and whether it holds the office.
        ModelAction::ReleaseVersion(_) => {
            Load::of(6 + MODEL + 4 * TEXT, MODEL + TEXT, 0).plus(Load::of(TEXT, 0, 0).times(attesters))
        }
        ModelAction::ClaimLineage(action) => {
            Load::of(2 + MODEL + TEXT, TEXT, 0).plus(Load::of(TEXT, 1, 0).times(count(action.parents.len())))
        }
        ModelAction::ResolveDispute(_) => of_dispute_end(moot),
        ModelAction::SetPolicy(action) => of_naming(names_in(&action.policy)),
        ModelAction::SetStewards(action) => of_naming(count(action.stewards.len())),
        // Its rounds no longer record.
        ModelAction::Retire(_) => {
            ANY_DECIDED.plus(Load::of(1, 1, 1).plus(MOVING.times(2)).times(count(limits::OPEN_ROUNDS)))
        }
        ModelAction::DeprecateVersion(_)
        | ModelAction::WithdrawVersion(_)
        | ModelAction::SuspendVersion(_)
        | ModelAction::LiftSuspension(_)
        | ModelAction::SetLicence(_)
        | ModelAction::GrantLicence(_)
        | ModelAction::RevokeLicence(_)
        | ModelAction::SetDistribution(_)
        | ModelAction::MintShares(_)
        | ModelAction::BurnShares(_)
        | ModelAction::Expropriate(_)
        | ModelAction::ApproveTransfer(_)
        | ModelAction::AcceptControl(_)
        | ModelAction::OpenRound(_)
        | ModelAction::Statement => ANY_DECIDED,
    }
}

const fn of_decided_by_members(action: &NetworkAction) -> Load {
    match action {
        NetworkAction::AdmitValidator(_)
        | NetworkAction::ReweightValidator(_)
        | NetworkAction::RemoveValidator(_)
        | NetworkAction::AdmitMember(_)
        | NetworkAction::RemoveMember(_)
        | NetworkAction::GrantQuota(_)
        | NetworkAction::SuspendAccount(_)
        | NetworkAction::ReinstateAccount(_)
        | NetworkAction::SetParameters(_)
        | NetworkAction::Upgrade(_)
        | NetworkAction::Statement => ANY_DECIDED,
    }
}

const ANY_DECIDED: Load =
    Load::of(16 + 2 * MODEL + 3 * TEXT, 8 + MODEL + 3 * TEXT, 1).plus(LINE.times(2)).plus(MOVING.times(2));

/// Replacing all the names that a model has.
fn of_naming(names: u64) -> Load {
    Load::of(2 * MODEL, MODEL, 0).plus(NAMING.times(NAMES.saturating_add(names)))
}

/// Handling an agenda entry that needs nothing but its own record.
pub(crate) const ENTRY: Weight =
    Load::of(30 + 2 * MODEL + 3 * TEXT, 20 + MODEL + 3 * TEXT, 1).plus(LINE).plus(MOVING.times(3)).weight();
/// Handling a recovery, or what was to be settled, of an account with `requests` waiting requests.
pub(crate) const fn of_keys(requests: u32) -> Weight {
    of_new_keys(requests).plus(MOVING.times(2)).weight()
}

/// Handling a dispute that would make `moot` others moot.
pub(crate) fn of_dispute(moot: usize) -> Weight {
    of_dispute_end(count(moot)).plus(MOVING).weight()
}

/// The maximum weight of a turn of a round with `givers` givers. If some of them share a cap, the groups are found
/// through their sponsors.
pub(crate) fn of_round(givers: u64, is_grouped: bool) -> Weight {
    let sponsors = if is_grouped { count(limits::SPONSOR_CHAIN) } else { 0 };
    let giver = Load::of(8_u64.saturating_add(sponsors), 6, 0).plus(LINE);
    let at_once = givers.min(count(limits::ROUND_GIVERS_PER_TURN)).saturating_add(1);
    Load::of(12 + MODEL, 6, 1).plus(MOVING.times(2)).plus(giver.times(at_once)).weight()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ground::{
            fraction::{Fraction, Portion},
            ids::{AccountId, ModelId, ProposalId, Units},
        },
        rules::{
            dormancy::{CallOn, Present},
            model::{ClaimLineage, ReleaseVersion, Retire, SetPolicy, VersionRef},
            policy::Rule,
            proposal::{CastBallot, Choice, ExecuteProposal, Scope},
            share::TransferShares,
        },
    };

    const PAGE: &str = include_str!("../../README.md");

    fn says(row: &str) {
        assert!(PAGE.contains(row), "README.md does not say: {row}");
    }

    fn thousands(number: u64) -> String {
        if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
    }

    #[test]
    fn the_specification_names_the_loads_of_actions() {
        let model = ModelId::from_bytes([1; 32]);
        let (proposal, account) = (ProposalId::from_bytes([2; 32]), AccountId::from_bytes([3; 32]));
        let (to, units, scope) = (account, Units::new(1), Scope::Model(model));
        let one = |action: Action| of_action(&action);
        let parts = |load: Load| (thousands(load.reads), thousands(load.writes), load.agenda);
        let row = |name: &str, load: Load| {
            let (reads, writes, agenda) = parts(load);
            says(&format!("| {name} | {reads} | {writes} | {agenda} |"));
        };
        row("`cast_ballot`", one(Action::CastBallot(CastBallot::whole(proposal, Choice::Yes))));
        row("`execute_proposal`", one(Action::ExecuteProposal(ExecuteProposal { proposal })));
        row("`rotate_keys`", of_new_keys(limits::OPEN_APPROVALS_PER_ACCOUNT));
        row("`set_recovery`, `cancel_recovery`", of_recovery());
        let transfer = one(Action::TransferShares(TransferShares { model, to, units, reason: String::new() }));
        let (reads, writes, _) = parts(transfer);
        says(&format!("| `transfer_shares`; `burn_shares`; `take_up` | {reads}; 38; 46 | {writes}; 21; 23 | 0 |"));
        let (call, present) = (one(Action::CallOn(CallOn { scope, account })), one(Action::Present(Present { scope })));
        let rows =
            format!("50; {}; {} | 30; {}; {} | 1; 1; 0 |", call.reads, present.reads, call.writes, present.writes);
        says(&format!("| `delegate`; `call_on`; `present` | {rows}"));
        let (asks, signs) = (parts(REQUESTING), parts(SIGNING));
        let rows = format!("{}; {} | {}; {} | 1; 0 |", asks.0, signs.0, asks.1, signs.1);
        says(&format!("| `request_approval`; `sign_approval` | {rows}"));
    }

    #[test]
    fn the_specification_names_the_weights_of_what_is_decided_and_due() {
        let model = ModelId::from_bytes([1; 32]);
        let weight = |question: Question, attesters| of_decision(&question, attesters, MOOT).weight();
        let plain = weight(Question::of_model(model, vec![]), 0);
        let of = |action, attesters| weight(Question::of_model(model, vec![action]), attesters).minus(plain);
        let label = crate::ground::ids::VersionLabel::new("1.0").expect("a label");
        let release =
            |attesters| of(ModelAction::ReleaseVersion(ReleaseVersion { label: label.clone() }), attesters).get();
        let claim = |count| {
            let parents = vec![VersionRef { model, label: label.clone() }; count];
            of(ModelAction::ClaimLineage(ClaimLineage { label: label.clone(), parents }), 0).get()
        };
        let rule = Rule::new(Portion::MAJORITY, Portion::at_least(Fraction::WHOLE), 10_000);
        let policy = Box::new(ModelPolicy::uniform(&rule));
        let page = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
        let actions = format!(
            "weighs {}, and for each action: `release_version` {} and {} for each account of its gates; `claim_lineage` {} and {} a \
             parent; `resolve_dispute` {}; `set_policy` and `set_stewards` {} and {} for each account that they name; `retire` {}; any other {}",
            thousands(plain.get()),
            release(0),
            release(1) - release(0),
            claim(0),
            claim(1) - claim(0),
            thousands(of_dispute_end(count(MOOT)).weight().get()),
            thousands(of(ModelAction::SetPolicy(SetPolicy { policy }), 0).get()),
            NAMING.weight(),
            thousands(of(ModelAction::Retire(Retire { reason: String::new() }), 0).get()),
            thousands(of(ModelAction::Statement, 0).get()),
        );
        let by_members = weight(Question::of_network(vec![NetworkAction::Statement]), 0).minus(plain);
        assert_eq!(by_members, of(ModelAction::Statement, 0));
        let due = format!("An entry weighs {};", thousands(ENTRY.get()));
        let (keys, request) = (of_keys(0), of_keys(1).minus(of_keys(0)).get());
        let keys = thousands(keys.get());
        let kept =
            format!("`recovery` and `settling` {keys}, and {request} for each request of the account that waits;");
        let giver = |grouped| of_round(1, grouped).minus(of_round(0, grouped)).get();
        let (base, plain, grouped) = (of_round(0, false).get() - giver(false), giver(false), giver(true));
        let round = format!("one of a round {base}, and {plain}, or {grouped} where a cap is shared, for each of its");
        let alike = of_dispute(1).minus(of_dispute(0)).get();
        let of_one = thousands(of_dispute(0).get());
        let disputed = format!("a dispute {of_one}, and {} for each that it would make moot;", thousands(alike));
        for sentence in [actions, due, kept, disputed, round] {
            assert!(page.contains(&sentence), "README.md does not say: {sentence}");
        }
    }

    #[test]
    fn the_heaviest_that_fit_in_form_fit_in_a_block() {
        // The most holders of parents, founding lines and names that one transaction can have.
        let lines = FOUNDING_LINE.times(count(limits::FOUNDING_LINES));
        let grants = GRANTED_LINE.times(count(limits::PARENT_GRANT_HOLDERS) + 1).plus(Load::of(MODEL, 0, 0).times(16));
        let bytes = Load { bytes: count(limits::TRANSACTION_SIZE_BYTES), signatures: 16, ..ADMISSION };
        let founding = Load::of(2, 3 + MODEL, 0).plus(lines).plus(grants).plus(NAMING.times(NAMES)).plus(bytes);
        assert!(founding.weight() <= limits::SENDER_WEIGHT, "{}", founding.weight());
        assert!(SIGNING.plus(bytes).weight() <= limits::SENDER_WEIGHT);
        assert!(of_round(u64::MAX, true) <= limits::AGENDA_WEIGHT);
        assert!(of_keys(limits::OPEN_APPROVALS_PER_ACCOUNT) <= limits::AGENDA_WEIGHT);
        // Grants to holders of parents can also be requested through several keys.
        let grants = grants.plus(FOUNDING_LINE).plus(Load::of(2, 3 + MODEL, 0)).plus(NAMING);
        assert!(grants.weight() <= limits::REQUESTED_WEIGHT, "{}", grants.weight());
    }
}
