//! What was decided, held against the reference model and against what must hold of any ledger: see
//! [`crate::histories`].
//!
//! The reference is given each decided block as soon as the first peer committed it. What every transaction comes to is
//! compared at once; the whole state in some heights, and in the last one. Other peers' states need no comparison of their
//! own: their roots are the same. Clients ask for nothing that the reference leaves out.

use super::{
    machine::Committed,
    store::{Store, StoreSnapshot},
};
use crate::{
    histories::{Coverage, Done, History},
    ledger::View,
};
use allod_protocol::{
    ground::ids::Height,
    ledger::{block::Tip, genesis::Genesis},
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// The whole state is compared at each height that this divides.
const COMPARE_EVERY: u64 = 4;

/// What knows what each decided block is to come to: a history that the reference model runs through as well.
pub(super) struct Oracle {
    pub(super) history: History,
    /// Where the ledger stood when the last block was told.
    tip: Option<Tip>,
}

impl Oracle {
    /// A history that begins with a genesis. Units may be near the bound.
    pub(super) fn new(genesis: &Genesis, is_huge: bool) -> Self {
        Self { history: History::new(genesis, is_huge), tip: None }
    }

    /// A block was committed for the first time, and is in this ledger. Says what does not hold.
    pub(super) fn on_decided(&mut self, ledger: &Store, committed: &Committed) -> Result<(), String> {
        let Committed { before, decided, after, executed, deadline_events } = committed;
        let done = Done { results: executed, deadline_events };
        let earlier = snapshot(ledger, before.height)?;
        let state = snapshot(ledger, after.height)?;
        let (earlier, now) = (View { state: &earlier, tip: before }, View { state: &state, tip: after });
        self.tip = Some(after.clone());
        let history = &mut self.history;
        held(|| {
            history.follow(after.height.get(), after.time, decided.block.transactions(), done);
            history.check(earlier, now, done);
            if after.height.get().is_multiple_of(COMPARE_EVERY) {
                history.compare(earlier, now);
            }
        })
    }

    /// The run is over: says what happened in it, or what does not hold of a ledger that has all of it.
    pub(super) fn end(self, ledger: &Store) -> Result<Coverage, String> {
        let Self { mut history, tip } = self;
        let Some(tip) = tip else { return Ok(history.coverage) };
        let state = snapshot(ledger, tip.height)?;
        let now = View { state: &state, tip: &tip };
        held(|| {
            history.compare(now, now);
            history.check_ends(now);
            history.coverage.count_ends(&history.world);
        })?;
        Ok(history.coverage)
    }
}

fn snapshot(ledger: &Store, height: Height) -> Result<StoreSnapshot, String> {
    ledger.snapshot_at(height).map_err(|error| error.to_string())
}

/// What does not hold is an assertion that fails.
fn held(law: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(law)).map_err(panic_text)
}

/// What a panic said.
pub(super) fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
