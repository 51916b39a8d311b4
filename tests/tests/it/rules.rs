//! The rules of ownership and decisions, held against the reference model by random histories
//! ([`allod_tests::histories`]), and by properties at the bounds.
//!
//! A story is a list of blocks of requests. Every block runs through a ledger without consensus and through the reference
//! ([`run`]); afterwards enough has to have happened ([`wanted`]).
//!
//! `cargo test --release --workspace --test it rules -- --nocapture` prints the counts; `-- --ignored rules::_slow_`
//! runs many more cases.

mod bounds;
mod crowd;
mod regressions;
mod run;
mod wanted;

use allod_protocol::{
    ground::{codec, ids::Units, state::Record as _},
    rules::share::Share,
};
use allod_tests::histories::{Coverage, Story, policies, story};
use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestRunner},
};
use run::Run;
use std::{
    cell::RefCell,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};
use wanted::{ACTIONS, DECISIONS, ENDS};

/// Runs random histories of models with these policies, and counts what happened in them.
fn histories(cases: u32, policies: Range<u8>) -> Coverage {
    tell(cases, story(policies), |story: Story| {
        let mut run = Run::begin(&story);
        story.blocks.iter().for_each(|block| run.tell(block));
        run
    })
}

/// Tells so many stories, each to its end, and counts what happened in them.
fn tell<S: Strategy>(cases: u32, stories: S, begin: impl Fn(S::Value) -> Run) -> Coverage {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let coverage = RefCell::new(Coverage::default());
    let outcome = TestRunner::new(config).run(&stories, |story| {
        let mut run = begin(story);
        run.finish();
        coverage.borrow_mut().add(&run.history.coverage);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    coverage.into_inner()
}

#[test]
fn a_unit_that_nobody_gave_is_noticed() {
    let mut run = Run::of_many(0);
    let line = (run.history.models[0], run.history.accounts[0]);
    let share: Share = run.ledger.read(&line).expect("a line");
    let more = Share { units: Units::new(share.units.get() + 1), ..share };
    run.ledger.state.0.insert(Share::key_bytes(&line), codec::encode(&more));
    let (history, ledger) = (&run.history, run.ledger.view());
    let noticed = catch_unwind(AssertUnwindSafe(|| history.compare(ledger, ledger)));
    assert!(noticed.is_err(), "the ledger and the reference part by a unit");
}

#[test]
fn random_histories_agree_with_the_reference_model() {
    let coverage = histories(200, 0..policies::OWN);
    println!("{coverage}");
    coverage.require_all(&ACTIONS);
    coverage.require_all(&ENDS);
}

#[test]
fn random_histories_under_the_templates_agree_with_the_reference_model() {
    let coverage = histories(160, policies::OWN..policies::ALL);
    println!("{coverage}");
    coverage.require_all(&ACTIONS);
}

#[test]
#[ignore = "takes minutes"]
fn _slow_many_random_histories_agree_with_the_reference_model() {
    let coverage = histories(4_000, 0..policies::ALL);
    println!("{coverage}");
    coverage.require_all(&ACTIONS);
    coverage.require_all(&ENDS);
    coverage.require_all(&DECISIONS);
}
