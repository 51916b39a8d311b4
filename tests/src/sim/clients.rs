//! What clients ask of a simulated network: the requests of a random history, as they fit what was committed last, some
//! of them spoiled; and the decisions that change who the validators are.
//!
//! A client resolves a request on the newest state that anybody committed, which may be an old one by the time that the
//! transaction is in a block, if it ever is: peers lose what they took in, and refuse it. So it is the reference that says
//! what comes of each.

use super::{cheats, machine::Committed};
use crate::{
    histories::{
        History, Requests,
        keys::{FOUNDERS, MORE},
        policies,
    },
    ledger::{key, operates, parameters, percent},
};
use allod_protocol::rules::network::AdmitValidator;
use allod_protocol::rules::network::ReinstateAccount;
use allod_protocol::rules::network::RemoveValidator;
use allod_protocol::rules::network::ReweightValidator;
use allod_protocol::rules::proposal::NetworkAction;
use allod_protocol::{
    agreement::replica::Timeouts,
    ground::{
        crypto::SigningKey,
        ids::{AccountId, Handle, Power, ProposalId, PublicKey, Timestamp, TransactionId},
        limits,
    },
    ledger::{
        block::Tip,
        genesis::{Genesis, GenesisAccount, GenesisValidator},
    },
    rules::{
        account::KeyPolicy,
        action::Action,
        event::Event,
        parameters::Parameters,
        policy::{NetworkPolicy, Rule},
        proposal::{CastBallot, Choice, ExecuteProposal, OpenProposal, Question},
        transaction::Transaction,
    },
};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// Accounts at genesis, the operators of the first peers among them.
const ACCOUNTS: u8 = 8;
/// How long members vote, in milliseconds of block time.
const VOTING_PERIOD_MS: u64 = 1_000;
/// How long a decision about validators is waited for before it is asked for again, in milliseconds of block time.
const PATIENCE_MS: u64 = 2_500;
/// How often a decision about validators is asked for before it is given up.
const ATTEMPTS: u32 = 50;
/// How long what is asked may wait for its block, in milliseconds.
const LIFETIME_MS: u64 = 60_000;
/// How many requests are drawn for one that asks for something.
const DRAWS: usize = 20;
/// Of the heaviest kind of transaction, more than one sender can have in a block.
const HEAVY: usize = 6;

/// The consensus key that a peer begins with.
pub(super) fn consensus_key(peer: usize) -> SigningKey {
    SigningKey::from_seed(&[u8::try_from(peer).expect("few peers") + 101; 32])
}

/// A genesis with `validators` validators, of one account each.
pub(super) fn genesis(validators: usize, timeouts: Timeouts) -> Genesis {
    let founders = || FOUNDERS.into_iter().chain(MORE).map(|handle| Handle::new(handle).expect("a handle"));
    let account =
        |(index, handle): (u8, Handle)| GenesisAccount { handle, keys: KeyPolicy::single(key(index).public_key()) };
    let validator = |(peer, operator): (usize, Handle)| GenesisValidator {
        key: consensus_key(peer).public_key(),
        power: Power::new(1),
        operator,
    };
    let rule = Rule::new(percent(50), percent(66), VOTING_PERIOD_MS);
    let members = parameters().policy;
    let parameters = Parameters {
        propose_timeout_ms: timeouts.propose_ms,
        vote_timeout_ms: timeouts.vote_ms,
        timeout_delta_ms: timeouts.delta_ms,
        rebroadcast_ms: timeouts.rebroadcast_ms,
        heartbeat_ms: 1_000,
        policy: NetworkPolicy { allow: members.allow, dormancy: members.dormancy, ..NetworkPolicy::uniform(&rule) },
        ..parameters()
    };
    Genesis {
        name: "simulated".into(),
        time: Timestamp::new(super::machine::EPOCH_MS),
        parameters,
        accounts: (0..ACCOUNTS).zip(founders()).map(account).collect(),
        validators: (0..validators).zip(founders()).map(validator).collect(),
    }
}

/// A set of validators that is wished for from a height on.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) height: u64,
    /// Which peers, with which power.
    pub(super) powers: Vec<(usize, u64)>,
}

/// What an account, by its place, asks for.
type Asked = (usize, Action);

/// Everybody who asks for something.
pub(super) struct Clients {
    requests: Requests,
    /// The policies of the first two models, by their numbers.
    policies: [u8; 2],
    /// Whether both models are there, and all were told to accept their offices.
    has_opened: bool,
    /// What was asked before, to be asked again.
    told: Vec<Transaction>,
    wishes: Vec<Wish>,
    /// When the wish at the head was asked for, in block time, and how often.
    wished_at: Option<u64>,
    attempts: u32,
    /// The transactions that open what is wished for: everybody votes for it.
    wanted: BTreeSet<TransactionId>,
}

impl Clients {
    pub(super) fn new(rng: &mut ChaCha8Rng, wishes: Vec<Wish>) -> Self {
        Self {
            requests: Requests::new(&rng.random(), 0..policies::ALL),
            policies: rng.random::<[u8; 2]>().map(|number| number % policies::ALL),
            has_opened: false,
            told: Vec::new(),
            wishes,
            wished_at: None,
            attempts: 0,
            wanted: BTreeSet::new(),
        }
    }

    /// Whether every wish for validators is met.
    pub(super) fn are_content(&self) -> bool {
        self.wishes.is_empty()
    }

    /// Whether a wish for validators was asked for in vain so often that nobody waits for it any more.
    pub(super) fn have_given_up(&self) -> bool {
        self.attempts > ATTEMPTS
    }

    /// Something that somebody asks for, in as many transactions as it takes.
    pub(super) fn any(&mut self, rng: &mut ChaCha8Rng, history: &mut History, now_ms: u64) -> Vec<Transaction> {
        if !self.told.is_empty() && rng.random_bool(0.05) {
            return vec![self.told[rng.random_range(0..self.told.len())].clone()];
        }
        let actions = self.actions(rng, history);
        let expires = match rng.random_range(0..60) {
            0 => now_ms - LIFETIME_MS,
            1 => now_ms + limits::TRANSACTION_LIFETIME_MS + LIFETIME_MS,
            // It expires on its way, perhaps.
            2..5 => now_ms + rng.random_range(0..300),
            _ => now_ms + LIFETIME_MS,
        };
        let mut asked = Vec::new();
        for transaction in history.sign(Timestamp::new(expires), rng.random(), actions) {
            if let Some(other) = self.told.last().filter(|_| rng.random_bool(0.05)) {
                asked.push(cheats::spoiled(rng, transaction.clone(), other));
            }
            self.told.push(transaction.clone());
            asked.push(transaction);
        }
        asked
    }

    fn actions(&mut self, rng: &mut ChaCha8Rng, history: &mut History) -> Vec<(usize, Action)> {
        if !self.has_opened {
            self.has_opened = history.models.len() == self.policies.len();
            return history.opening(self.policies);
        }
        if rng.random_bool(0.01) {
            let (by, nothing) = (rng.random_range(0..history.accounts.len()), ProposalId::from_bytes([0; 32]));
            return vec![(by, Action::ExecuteProposal(ExecuteProposal { proposal: nothing })); HEAVY];
        }
        // Many ask for what there is not yet.
        (0..DRAWS)
            .map(|_| history.actions(&self.requests.draw()))
            .find(|actions| !actions.is_empty())
            .unwrap_or_default()
    }

    /// What is to be asked once a block is committed for the first time.
    pub(super) fn on_committed(&mut self, history: &mut History, committed: &Committed, tip: &Tip) -> Vec<Transaction> {
        let mut actions = Vec::new();
        for result in &committed.executed {
            if !self.wanted.remove(&result.id) {
                continue;
            }
            if let Some(Event::ProposalOpened { proposal, .. }) = result.events.first() {
                let vote = Action::CastBallot(CastBallot::whole(*proposal, Choice::Yes));
                actions.extend(members(history).map(|place| (place, vote.clone())));
            }
        }
        let expires = tip.time.plus_ms(LIFETIME_MS);
        let mut asked = history.sign(expires, 0, actions);
        let (proposal, accepted) = self.wish(history, tip);
        asked.extend(history.sign(expires, 0, accepted));
        for opening in history.sign(expires, 0, proposal.into_iter().collect()) {
            self.wanted.insert(opening.id());
            asked.push(opening);
        }
        asked
    }

    /// Asks for the validators that are wished for by now, unless they are there or were asked for lately: a proposal, and
    /// that operators accept.
    fn wish(&mut self, history: &History, tip: &Tip) -> (Option<Asked>, Vec<Asked>) {
        let (height, now_ms) = (tip.height.get(), tip.time.get());
        let Some(wish) = self.wishes.first().filter(|wish| wish.height <= height) else { return (None, Vec::new()) };
        let mut actions = changes(history, wish, tip);
        if actions.is_empty() {
            self.wishes.remove(0);
            (self.wished_at, self.attempts) = (None, 0);
            return (None, Vec::new());
        }
        if self.wished_at.is_some_and(|at| now_ms < at + PATIENCE_MS) {
            return (None, Vec::new());
        }
        self.wished_at = Some(now_ms);
        self.attempts += 1;
        let has_begun = |peer: &usize| {
            let address = consensus_key(*peer).public_key().validator_address();
            tip.next_validators.by_address(&address).is_some()
        };
        let begins = wish.powers.iter().map(|(peer, _)| *peer).filter(|peer| !has_begun(peer));
        let accepts = |peer: usize| (peer, operates(tip.network, history.accounts[peer], &consensus_key(peer)));
        let accepted = begins.map(accepts).collect();
        // Who is suspended accepts nothing.
        let is_suspended = |account: &AccountId| history.world.accounts[account].suspended;
        let operators = wish.powers.iter().map(|(peer, _)| history.accounts[*peer]);
        if let Some(account) = operators.into_iter().find(is_suspended) {
            actions = vec![NetworkAction::ReinstateAccount(ReinstateAccount { account })];
        }
        let (title, text) = ("Other validators".into(), String::new());
        let proposal = OpenProposal { question: Question::of_network(actions), title, text };
        // Somebody else each time: whoever asked first may have too much open.
        let by = members(history).cycle().nth(self.attempts as usize);
        (by.map(|by| (by, Action::OpenProposal(proposal))), accepted)
    }
}

/// The places of the members who may ask for something.
fn members(history: &History) -> impl Iterator<Item = usize> + Clone {
    let may = |id: &AccountId| {
        let account = &history.world.accounts[id];
        account.member_since.is_some() && !account.suspended
    };
    history.accounts.iter().enumerate().filter(move |(_, id)| may(id)).map(|(place, _)| place)
}

/// What makes the validators those that are wished for; nothing if they are.
fn changes(history: &History, wish: &Wish, tip: &Tip) -> Vec<NetworkAction> {
    let wanted = |(peer, power): &(usize, u64)| (*peer, consensus_key(*peer).public_key(), Power::new(*power));
    let wanted: Vec<(usize, PublicKey, Power)> = wish.powers.iter().map(wanted).collect();
    let present = |key: &PublicKey| tip.next_validators.by_address(&key.validator_address()).map(|one| one.power);
    let mut actions = Vec::new();
    for (peer, key, power) in &wanted {
        match present(key) {
            Some(found) if found == *power => {}
            Some(_) => actions.push(NetworkAction::ReweightValidator(ReweightValidator { key: *key, power: *power })),
            None => {
                let operator = history.accounts[*peer];
                actions.push(NetworkAction::AdmitValidator(AdmitValidator { key: *key, power: *power, operator }));
            }
        }
    }
    for one in tip.next_validators.iter().filter(|one| wanted.iter().all(|(_, key, _)| *key != one.key)) {
        actions.push(NetworkAction::RemoveValidator(RemoveValidator { key: one.key }));
    }
    actions
}
