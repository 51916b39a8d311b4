//! The ledger's agenda: what falls due by itself.
//!
//! Each entry is in a [`Lane`], that of its model, its account or the network, ordered by block time. At the start of
//! each block, the lanes in which something is due take turns, one entry each, those that have waited longest first,
//! until the weight that a block has for this is used up ([`limits::AGENDA_WEIGHT`]). The others follow in the next
//! blocks, before lanes that had a turn. So the many entries of one model delay that model and nobody else, and a heavy
//! entry delays no light one. An idle network makes a block when the next entry falls due.

use crate::{
    ground::{
        codec,
        ids::{AccountId, ApprovalId, DisputeId, ModelId, ProposalId, PublicKey, Timestamp},
        limits,
        state::{Direction, Family, KeyField, Overlay, Record, StateError, StateRead, prefix_end},
        weight::Weight,
    },
    rules::{
        access,
        account::Account,
        approval,
        context::Context,
        delegation,
        dispute::{self, Dispute},
        dormancy, emergency,
        event::Event,
        licence, load,
        proposal::{self, Proposal, Scope},
        recovery, round, share,
    },
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Something that falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// A proposal closes, or one that passed is executed or expires.
    Proposal(Scope, ProposalId),
    /// A delegation ends.
    Delegation {
        /// The model whose questions were delegated.
        model: ModelId,
        /// The account that delegated.
        from: AccountId,
    },
    /// A round closes, or continues to close.
    Round {
        /// The model.
        model: ModelId,
        /// Its number.
        number: u64,
    },
    /// A dispute lapses, a ruling takes effect, or the owners' time to answer an appeal is over.
    Dispute(ModelId, DisputeId),
    /// An account gets the keys that its guardians chose, or does not.
    Recovery(AccountId),
    /// A request has waited too long for signatures.
    Approval(AccountId, ApprovalId),
    /// An account that was called on and has not spoken becomes dormant.
    Silence {
        /// The scope in which it has a voice.
        scope: Scope,
        /// The account.
        account: AccountId,
    },
    /// The time to take up minted units is over.
    Issue {
        /// The model.
        model: ModelId,
        /// The issue's number.
        number: u64,
    },
    /// An emergency stop lapses.
    Stop {
        /// The model.
        model: ModelId,
        /// Its number.
        number: u64,
    },
    /// What fewer than all keys of an account asked about its guardians and keys is settled.
    Settling(AccountId),
    /// Ballots and consents of a proposal that is over are forgotten.
    Ballots(ProposalId),
    /// The consent of a peer that was released can no longer be used.
    Binding(PublicKey),
    /// An account's request for a licence ends.
    LicenceRequest {
        /// The account that asked.
        account: AccountId,
        /// The model whose owners it asked.
        model: ModelId,
    },
}

impl KeyField for Due {
    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Proposal(_, id) => {
                key.push(0);
                id.write(key);
            }
            Self::Delegation { model, from } => {
                key.push(1);
                (*model, *from).write(key);
            }
            Self::Round { model, number } => {
                key.push(2);
                (*model, *number).write(key);
            }
            Self::Dispute(_, id) => {
                key.push(3);
                id.write(key);
            }
            Self::Recovery(id) => {
                key.push(4);
                id.write(key);
            }
            Self::Approval(_, id) => {
                key.push(5);
                id.write(key);
            }
            Self::Silence { scope, account } => {
                key.push(6);
                (*scope, *account).write(key);
            }
            Self::Issue { model, number } => {
                key.push(7);
                (*model, *number).write(key);
            }
            Self::Stop { model, number } => {
                key.push(8);
                (*model, *number).write(key);
            }
            Self::Settling(id) => {
                key.push(9);
                id.write(key);
            }
            Self::Ballots(id) => {
                key.push(10);
                id.write(key);
            }
            Self::Binding(peer) => {
                key.push(11);
                peer.write(key);
            }
            Self::LicenceRequest { account, model } => {
                key.push(12);
                (*account, *model).write(key);
            }
        }
    }
}

/// The lane in which an entry takes its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// The network's own.
    Network,
    /// The entries of a model.
    Model(ModelId),
    /// The delegations of a model that end: there may be many, and they must not delay decisions.
    Ends(ModelId),
    /// The entries of an account.
    Account(AccountId),
    /// Everything that is to be forgotten.
    Tidying,
}

impl Lane {
    const fn of_scope(scope: Scope) -> Self {
        match scope {
            Scope::Network => Self::Network,
            Scope::Model(model) => Self::Model(model),
        }
    }
}

impl KeyField for Lane {
    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Network => key.push(0),
            Self::Model(model) => {
                key.push(1);
                model.write(key);
            }
            Self::Ends(model) => {
                key.push(2);
                model.write(key);
            }
            Self::Account(account) => {
                key.push(3);
                account.write(key);
            }
            Self::Tidying => key.push(4),
        }
    }
}

impl Due {
    /// Whether it only tidies up: nobody waits for it, and no list of upcoming entries shows it.
    const fn is_tidying(&self) -> bool {
        matches!(self, Self::Ballots(..) | Self::Binding(..))
    }

    /// The lane of the entry.
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Proposal(scope, _) | Self::Silence { scope, .. } => Lane::of_scope(*scope),
            Self::Delegation { model, .. } => Lane::Ends(*model),
            Self::Round { model, .. } | Self::Issue { model, .. } | Self::Stop { model, .. } => Lane::Model(*model),
            Self::Dispute(model, _) => Lane::Model(*model),
            Self::Recovery(account) | Self::Settling(account) | Self::Approval(account, _) => Lane::Account(*account),
            Self::LicenceRequest { account, .. } => Lane::Account(*account),
            Self::Ballots(..) | Self::Binding(..) => Lane::Tidying,
        }
    }
}

/// An entry of the agenda, by block time. Entries that only tidy up are not included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline(pub Due);

impl Record for Deadline {
    type Key = (Timestamp, Due);
    const FAMILY: Family = Family::Deadline;
}

/// The same entry in its lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InLane {
    /// When it is due.
    pub time: Timestamp,
    /// What is due.
    pub due: Due,
}

impl Record for InLane {
    type Key = (Lane, Timestamp, Due);
    const FAMILY: Family = Family::InLane;
}

/// The turn of a lane: its place among the lanes. An empty lane has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn(pub Lane);

impl Record for Turn {
    type Key = (Timestamp, Lane);
    const FAMILY: Family = Family::Turn;
}

/// The block time of a lane's turn: when its first entry falls due, or, if that has been waiting since the lane's last
/// turn, the time of that turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnOf(pub Timestamp);

impl Record for TurnOf {
    type Key = Lane;
    const FAMILY: Family = Family::TurnOf;
}

/// Puts an entry on the agenda.
pub(crate) fn set(state: &mut Overlay<'_>, time: Timestamp, due: Due) {
    state.note_agenda_entry();
    let lane = due.lane();
    if !due.is_tidying() {
        state.write(&(time, due), &Deadline(due));
    }
    state.write(&(lane, time, due), &InLane { time, due });
    if state.read::<TurnOf>(&lane).is_none_or(|turn| time < turn.0) {
        move_turn(state, lane, Some(time));
    }
}

/// Removes an entry from the agenda.
pub(crate) fn clear(state: &mut Overlay<'_>, time: Timestamp, due: Due) {
    let lane = due.lane();
    if state.read::<InLane>(&(lane, time, due)).is_none() {
        return;
    }
    take(state, time, due);
    let first = first_of(state, lane);
    let turn = state.read::<TurnOf>(&lane).map_or(Timestamp::ZERO, |turn| turn.0);
    move_turn(state, lane, first.map(|first| first.time.max(turn)));
}

fn take(state: &mut Overlay<'_>, time: Timestamp, due: Due) {
    if !due.is_tidying() {
        state.remove::<Deadline>(&(time, due));
    }
    state.remove::<InLane>(&(due.lane(), time, due));
}

/// The entry of a lane that falls due first.
fn first_of(state: &Overlay<'_>, lane: Lane) -> Option<InLane> {
    let from = InLane::key_bytes(&lane);
    let first = state.entries(&from, &prefix_end(&from), 1);
    first.first().and_then(|(_, value)| codec::decode_trusted(value).ok())
}

/// Whether something in a lane should have been handled by a block time and was not.
pub(crate) fn is_behind(state: &Overlay<'_>, lane: Lane, time: Timestamp) -> bool {
    first_of(state, lane).is_some_and(|first| first.time <= time)
}

/// Moves a lane's turn to another time, or removes it.
fn move_turn(state: &mut Overlay<'_>, lane: Lane, time: Option<Timestamp>) {
    let before = state.read::<TurnOf>(&lane).map(|turn| turn.0);
    if before == time {
        return;
    }
    if let Some(before) = before {
        state.remove::<Turn>(&(before, lane));
    }
    match time {
        Some(time) => {
            state.write(&(time, lane), &Turn(lane));
            state.write(&lane, &TurnOf(time));
        }
        None => state.remove::<TurnOf>(&lane),
    }
}

/// The block time at which the next entry falls due.
///
/// # Errors
/// When the storage fails.
pub fn next(state: &impl StateRead) -> Result<Option<Timestamp>, StateError> {
    let from = Deadline::key_bytes(&());
    let first = state.range(&from, &prefix_end(&from), Direction::Ascending, 1)?;
    let bytes = first.first().and_then(|(key, _)| key.get(1..9)?.try_into().ok());
    Ok(bytes.map(|bytes| Timestamp::new(u64::from_be_bytes(bytes))))
}

/// Handles what is due at the context's block time.
pub(crate) fn handle(state: &mut Overlay<'_>, context: &mut Context) -> Vec<Event> {
    let from = Turn::key_bytes(&());
    let to = Turn::key_bytes(&context.time.plus_ms(1));
    let turns = state.entries(&from, &to, limits::LANES_PER_BLOCK);
    let mut lanes: VecDeque<Lane> =
        turns.iter().filter_map(|(_, value)| codec::decode_trusted::<Turn>(value).ok()).map(|turn| turn.0).collect();
    let mut left = limits::AGENDA_WEIGHT;
    let mut events = Vec::new();
    while let Some(lane) = lanes.pop_front() {
        let Some(InLane { time, due }) = first_of(state, lane).filter(|first| first.time <= context.time) else {
            continue;
        };
        let weight = weight_of(state, due);
        // It keeps its turn, and so is first in the next block, where all of the weight is available for it.
        if weight > left {
            continue;
        }
        left = left.minus(weight);
        take(state, time, due);
        events.extend(handle_one(state, context, due));
        let first = first_of(state, lane);
        move_turn(state, lane, first.as_ref().map(|first| first.time.max(context.time)));
        state.keep();
        if first.is_some_and(|first| first.time <= context.time) {
            lanes.push_back(lane);
        }
    }
    events
}

/// The maximum weight of handling an entry.
fn weight_of(state: &Overlay<'_>, due: Due) -> Weight {
    match due {
        Due::Proposal(_, id) => {
            state.read::<Proposal>(&id).map_or(load::ENTRY, |proposal| weight_of_proposal(state, &proposal))
        }
        Due::Round { model, number } => {
            let round = state.read::<round::Round>(&(model, number));
            round.map_or(load::ENTRY, |round| round.weight_of_turn())
        }
        Due::Recovery(id) | Due::Settling(id) => {
            load::of_keys(state.read::<Account>(&id).map_or(0, |account| account.open_approvals))
        }
        Due::Dispute(_, id) => {
            state.read::<Dispute>(&id).map_or(load::ENTRY, |dispute| load::of_dispute(dispute.would_make_moot(state)))
        }
        Due::Delegation { .. }
        | Due::Approval(..)
        | Due::Silence { .. }
        | Due::Issue { .. }
        | Due::Stop { .. }
        | Due::Ballots(_)
        | Due::Binding(_)
        | Due::LicenceRequest { .. } => load::ENTRY,
    }
}

fn weight_of_proposal(state: &Overlay<'_>, proposal: &Proposal) -> Weight {
    let resolved = proposal.question.resolution().and_then(|it| state.read::<Dispute>(&it.dispute));
    let moot = resolved.map_or(0, |dispute| dispute.would_make_moot(state));
    load::of_proposal(&proposal.question, &proposal.gates, moot)
}

fn handle_one(state: &mut Overlay<'_>, context: &mut Context, due: Due) -> Vec<Event> {
    match due {
        Due::Proposal(_, id) => proposal::closing::on_due(state, context, id),
        Due::Delegation { model, from } => delegation::expire(state, context, model, from),
        Due::Round { model, number } => round::on_due(state, context, model, number, limits::ROUND_GIVERS_PER_TURN),
        Due::Dispute(_, id) => dispute::ending::on_due(state, context, id),
        Due::Recovery(id) => recovery::on_due(state, context, id),
        Due::Approval(_, id) => approval::expire(state, id),
        Due::Silence { scope, account } => dormancy::on_due(state, context, scope, account),
        Due::Issue { model, number } => share::issue::on_due(state, context, model, number),
        Due::Stop { model, number } => emergency::lapse(state, context, (model, number)),
        Due::Settling(id) => recovery::settling::on_due(state, context, id),
        Due::Ballots(id) => {
            proposal::closing::forget_ballots(state, context, id);
            Vec::new()
        }
        Due::Binding(peer) => {
            access::forget_binding(state, context, peer);
            Vec::new()
        }
        Due::LicenceRequest { account, model } => licence::lapse(state, account, model),
    }
}
