//! A history on a ledger without consensus, block by block.

use allod_protocol::{ground::ids::Timestamp, rules::action::Action};
use allod_tests::{
    histories::{
        History, Story, StoryBlock,
        keys::{FOUNDERS, MORE},
    },
    ledger::TestLedger,
    reference::Account,
};

const TWO_MONTHS_MS: u64 = 61 * 24 * 60 * 60 * 1_000;

/// How long what is asked may wait for its block.
const LIFETIME_MS: u64 = 60_000;

pub(crate) struct Run {
    pub(crate) ledger: TestLedger,
    pub(crate) history: History,
}

impl Run {
    pub(crate) fn begin(story: &Story) -> Self {
        let mut run = Self::of(&FOUNDERS, story.is_huge);
        for _ in 0..3 {
            run.block(1_000, 0, run.history.opening(story.policies));
        }
        run
    }

    /// A model in which more accounts hold the same than can challenge one thing.
    pub(crate) fn of_many(policy: u8) -> Self {
        let founders: Vec<&str> = FOUNDERS.into_iter().chain(MORE).collect();
        let mut run = Self::of(&founders, false);
        let units = [12; FOUNDERS.len() + MORE.len()];
        run.block(1_000, 0, run.history.founding("one", policy, &units, Vec::new()));
        run.block(1_000, 0, run.history.accept_offers(u32::MAX));
        run
    }

    fn of(founders: &[&str], is_huge: bool) -> Self {
        let ledger = TestLedger::new(founders);
        let history = History::new(&ledger.genesis, is_huge);
        Self { ledger, history }
    }

    /// Runs a block of a story.
    pub(crate) fn tell(&mut self, block: &StoryBlock) {
        // What is asked lives until its block.
        let actions = if block.later_ms < LIFETIME_MS { self.history.actions_of(block) } else { Vec::new() };
        self.block(block.later_ms, block.hands, actions);
    }

    /// Lets everything run out, and looks at the whole history once more.
    pub(crate) fn finish(&mut self) {
        let moments = [30_000, 30_000, 30_000, TWO_MONTHS_MS, TWO_MONTHS_MS, 1, 1, 1, 1, 1, 1];
        for later_ms in moments {
            self.block(later_ms, 0, Vec::new());
        }
        let world = &self.history.world;
        assert!(world.proposals.values().all(|proposal| proposal.status.is_final()), "everything is over");
        assert!(world.disputes.values().all(|dispute| dispute.status.is_final()), "nothing is frozen for ever");
        let settled = |account: &Account| account.suspended || account.unsettled.is_none();
        assert!(world.accounts.values().all(settled), "everything is settled");
        self.history.check_ends(self.ledger.view());
        self.history.coverage.count_ends(&self.history.world);
    }

    /// Runs a block through the ledger and through the reference, and compares everything.
    pub(crate) fn block(&mut self, later_ms: u64, hands: u64, actions: Vec<(usize, Action)>) {
        let expires = Timestamp::new(self.ledger.tip.time.get() + LIFETIME_MS);
        let transactions = self.history.sign(expires, hands, actions);
        let before = self.ledger.clone();
        let executed = self.ledger.block(later_ms, transactions.clone());
        let (before, after) = (before.view(), self.ledger.view());
        let (height, time) = (after.tip.height.get(), after.tip.time);
        self.history.follow(height, time, &transactions, (&executed).into());
        self.history.compare(before, after);
        self.history.check(before, after, (&executed).into());
    }
}
