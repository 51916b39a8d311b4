//! The rules of ownership and decisions, held against the reference model by random histories, and by properties at
//! the bounds.
//!
//! A history is a list of blocks of requests ([`request`]); each request is made into actions that fit the world as it
//! then stands, or deliberately do not ([`resolve`]). Every block runs through the ledger and through the reference,
//! and everything is compared ([`compare`]); what must hold of any ledger is checked beside it, without the reference
//! ([`invariants`]). How often what happened is counted ([`coverage`]): a history in which nothing passes proves little.
//!
//! `cargo test --release --workspace --test it rules -- --nocapture` prints the counts; `-- --ignored rules::_slow_`
//! runs many more cases.

mod bounds;
mod compare;
mod coverage;
mod crowd;
mod history;
mod invariants;
mod policies;
mod regressions;
mod request;
mod resolve;

use coverage::Coverage;
use history::History;
use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestRunner},
};
use request::Story;
use std::{cell::RefCell, ops::Range};

/// Runs random histories of models with these policies, and counts what happened in them.
fn histories(cases: u32, policies: Range<u8>) -> Coverage {
    tell(cases, request::story(policies), |story: Story| {
        let mut history = History::begin(&story);
        for block in &story.blocks {
            history.block(block);
        }
        history
    })
}

/// Tells so many stories, each to its end, and counts what happened in them.
fn tell<S: Strategy>(cases: u32, stories: S, begin: impl Fn(S::Value) -> History) -> Coverage {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let coverage = RefCell::new(Coverage::default());
    let outcome = TestRunner::new(config).run(&stories, |story| {
        let mut history = begin(story);
        history.finish();
        coverage.borrow_mut().add(&history.coverage);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    coverage.into_inner()
}

#[test]
fn random_histories_agree_with_the_reference_model() {
    let coverage = histories(200, 0..policies::OWN);
    println!("{coverage}");
    coverage.require_every_action();
    coverage.require_every_end();
}

#[test]
fn random_histories_under_the_templates_agree_with_the_reference_model() {
    let coverage = histories(160, policies::OWN..policies::ALL);
    println!("{coverage}");
    coverage.require_every_action();
}

#[test]
#[ignore = "takes minutes"]
fn _slow_many_random_histories_agree_with_the_reference_model() {
    let coverage = histories(4_000, 0..policies::ALL);
    println!("{coverage}");
    coverage.require_every_action();
    coverage.require_every_end();
    coverage.require_every_decision();
}
