//! Recovery as a game: an owner, a thief with one of the keys, and guardians, some of them the thief's; every order of
//! their moves, with time between them. States that differ in nothing but the date are one, so that the game is played
//! to its end and not to a depth.

use crate::common::{account, ledger, open, status, vote};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::AccountId,
        state::{Direction, page},
    },
    ledger::execute::{Executed, Outcome},
    rules::{
        account::{Account, KeyPolicy, RotateKeys, WeightedKey},
        action::Action,
        due::{Deadline, Due},
        event::Event,
        network::{ReinstateAccount, SuspendAccount},
        proposal::{Choice, NetworkAction, Question},
        recovery::{CancelRecovery, Clock, GuardianVote, RecoverAccount, Recovery, RecoveryPolicy, SetRecovery, Stage},
    },
};
use allod_tests::ledger::{TestLedger, key};
use std::collections::BTreeSet;

const DELAY_MS: u64 = 60_000;
/// Players move this often, and in any order within it.
const STEP_MS: u64 = DELAY_MS / 2;

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// Keys of which one is enough.
fn any_of(seeds: &[u8]) -> KeyPolicy {
    let keys = seeds.iter().map(|seed| WeightedKey { key: signing_key(*seed).public_key(), weight: 1 }).collect();
    KeyPolicy { threshold: 1, keys }
}

/// The owner's first key, which the thief has too, and the second one.
const STOLEN: u8 = 200;
const SAFE: u8 = 201;
/// Keys that the thief made.
const THIEF: [u8; 2] = [210, 211];
/// The key that honest guardians give.
const GIVEN: u8 = 220;

/// Who moves, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    /// The account's keys are replaced by the thief's, signed by every one it has.
    ThiefRotates,
    /// The thief names its own guardian.
    ThiefNames,
    /// The thief does without guardians.
    ThiefClears,
    /// The thief objects, or stops what it can.
    ThiefCancels,
    /// A guardian says that the account should get the honest keys.
    Says(u8),
    /// A guardian says that the account should get the thief's.
    Betrays(u8),
    /// The owner signs with both keys.
    OwnerCancels,
    OwnerRotates,
    OwnerNames,
    /// Half a delay goes by.
    Wait,
}

/// The account is the first, its guardians are the three after it, and two of them are needed.
#[derive(Clone)]
struct Game {
    ledger: TestLedger,
    id: AccountId,
    events: Vec<Event>,
}

impl Game {
    fn new(keys: &KeyPolicy) -> Self {
        let mut ledger = ledger();
        let id = account(&ledger, 0);
        ledger.must(0, Action::RotateKeys(RotateKeys { keys: keys.clone() }));
        let mut game = Self { ledger, id, events: Vec::new() };
        let policy = Some(game.guardians(&[1, 2, 3], 2));
        game.ask(&[STOLEN], Action::SetRecovery(SetRecovery { policy })).expect("guardians are named");
        game.ledger.accept_offers();
        game
    }

    fn guardians(&self, indices: &[u8], needed: u32) -> RecoveryPolicy {
        let guardians = indices.iter().map(|index| account(&self.ledger, *index)).collect();
        RecoveryPolicy { guardians, needed, delay_ms: DELAY_MS }
    }

    fn account(&self) -> Account {
        self.ledger.read(&self.id).expect("the account")
    }

    fn recovery(&self) -> Option<Recovery> {
        self.ledger.read(&self.id)
    }

    fn note(&mut self, executed: Executed) -> Result<(), &'static str> {
        self.events.extend(executed.deadline_events);
        for result in executed.results {
            self.events.extend(result.events);
            if let Outcome::Rejected(rejection) = result.outcome {
                return Err(rejection.code());
            }
        }
        Ok(())
    }

    fn ask_as(&mut self, sender: AccountId, keys: &[SigningKey], action: Action) -> Result<(), &'static str> {
        let transaction = self.ledger.sign(sender, keys, action);
        let executed = self.ledger.block(0, vec![transaction]);
        self.note(executed)
    }

    /// The account asks, signed by these.
    fn ask(&mut self, seeds: &[u8], action: Action) -> Result<(), &'static str> {
        let keys: Vec<SigningKey> = seeds.iter().map(|seed| signing_key(*seed)).collect();
        self.ask_as(self.id, &keys, action)
    }

    fn say(&mut self, guardian: u8, keys: KeyPolicy) -> Result<(), &'static str> {
        let action = Action::RecoverAccount(RecoverAccount { account: self.id, keys });
        self.ask_as(account(&self.ledger, guardian), &[key(guardian)], action)
    }

    /// Those of the thief's keys that are the account's.
    fn thiefs(&self) -> Vec<u8> {
        let keys = self.account().keys;
        let seeds = [STOLEN, THIEF[0], THIEF[1]].into_iter();
        seeds.filter(|seed| keys.has(&signing_key(*seed).public_key())).collect()
    }

    fn wait(&mut self, later_ms: u64) {
        let executed = self.ledger.block(later_ms, vec![]);
        self.note(executed).expect("nothing was asked");
    }

    fn play(&mut self, step: Move) -> Result<(), &'static str> {
        let cancel = Action::CancelRecovery(CancelRecovery {});
        let name = |policy| Action::SetRecovery(SetRecovery { policy });
        let rotate = |seeds: &[u8]| Action::RotateKeys(RotateKeys { keys: any_of(seeds) });
        let (thiefs, own) = (self.thiefs(), [STOLEN, SAFE]);
        match step {
            Move::ThiefRotates => self.ask(&thiefs, rotate(&THIEF)),
            Move::ThiefNames => self.ask(&thiefs, name(Some(self.guardians(&[4], 1)))),
            Move::ThiefClears => self.ask(&thiefs, name(None)),
            Move::ThiefCancels => self.ask(&thiefs, cancel),
            Move::Says(guardian) => self.say(guardian, any_of(&[GIVEN])),
            Move::Betrays(guardian) => self.say(guardian, any_of(&THIEF)),
            Move::OwnerCancels => self.ask(&own, cancel),
            Move::OwnerRotates => self.ask(&own, rotate(&own)),
            Move::OwnerNames => self.ask(&own, name(Some(self.guardians(&[1, 2, 3], 2)))),
            Move::Wait => {
                self.wait(STEP_MS);
                Ok(())
            }
        }
    }

    /// Suspends the account by a decision of the other members, or reinstates it.
    fn suspend(&mut self) {
        let account = self.id;
        let action = match self.account().suspended {
            None => NetworkAction::SuspendAccount(SuspendAccount { account, reason: "a key was stolen".into() }),
            Some(_) => NetworkAction::ReinstateAccount(ReinstateAccount { account }),
        };
        let proposal = open(&mut self.ledger, 1, Question::of_network(vec![action]));
        (1..5).for_each(|voter| vote(&mut self.ledger, voter, proposal, Choice::Yes));
        self.wait(10_000);
        assert_eq!(status(&self.ledger, proposal).name(), "executed");
    }

    /// What tells one state of the game from another: everything but the date.
    fn position(&self) -> String {
        let now = self.ledger.tip.time.get();
        let left = |clock: Clock| match clock {
            // Each move takes a millisecond.
            Clock::Runs { ready } => (true, (ready.get() - now.min(ready.get()) + 5_000) / 10_000),
            Clock::Stands { left_ms } => (false, (left_ms + 5_000) / 10_000),
        };
        let account = self.account();
        let unsettled = account.unsettled.map(|waits| (waits.keys, waits.change, left(waits.clock)));
        let recovery = self.recovery().map(|recovery| (recovery.keys, recovery.stage, left(recovery.clock)));
        let votes: Vec<_> = (1..5).map(|index| self.vote(index)).collect();
        format!("{:?}", (account.keys, account.recovery, account.suspended.is_some(), unsettled, recovery, votes))
    }

    fn vote(&self, guardian: u8) -> Option<KeyPolicy> {
        self.ledger.read::<GuardianVote>(&(self.id, account(&self.ledger, guardian))).map(|vote| vote.0)
    }

    /// Each clock that runs stands on the agenda, and nothing else of the account does.
    fn check_agenda(&self) {
        let (agenda, _) =
            page::<Deadline>(&self.ledger.state, &(), None, Direction::Ascending, 1_000).expect("the agenda");
        let found = agenda.iter().filter(|due| matches!(due.0, Due::Recovery(_) | Due::Settling(_))).count();
        let runs = |clock: &Clock| matches!(clock, Clock::Runs { .. });
        let recovery = self.recovery().map(|recovery| recovery.clock).filter(runs);
        let unsettled = self.account().unsettled.map(|waits| waits.clock).filter(runs);
        for (clock, due) in [(recovery, Due::Recovery(self.id)), (unsettled, Due::Settling(self.id))] {
            if let Some(Clock::Runs { ready }) = clock {
                assert!(self.ledger.read::<Deadline>(&(ready, due)).is_some(), "{due:?} is not on the agenda");
            }
        }
        assert_eq!(found, usize::from(recovery.is_some()) + usize::from(unsettled.is_some()), "{agenda:?}");
        let account = self.account();
        assert!(account.recovery.is_some() || (recovery.is_none() && unsettled.is_none()), "{account:?}");
    }

    /// If nobody moves any more, everything ends.
    fn check_ends(&self) {
        let mut later = self.clone();
        if later.account().suspended.is_some() {
            later.suspend();
        }
        for _ in 0..8 {
            later.wait(STEP_MS);
        }
        assert!(later.recovery().is_none(), "it waits for ever: {:?}", later.recovery());
        assert!(later.account().unsettled.is_none(), "it waits for ever: {:?}", later.account().unsettled);
    }
}

/// Plays every order of these moves from here, until nothing new comes of them, and looks at each position once.
/// `reply` is what those do who play by a plan, after each move; the positions it ends in go on if it says so.
fn play_all(game: Game, moves: &[Move], mut reply: impl FnMut(&mut Game, Move) -> bool) -> usize {
    let mut seen = BTreeSet::from([game.position()]);
    let mut open = vec![game];
    while let Some(game) = open.pop() {
        for step in moves {
            let mut next = Game { events: Vec::new(), ..game.clone() };
            // A move that the rules refuse is no move.
            if next.play(*step).is_err() && *step != Move::Wait {
                continue;
            }
            if reply(&mut next, *step) && seen.insert(next.position()) {
                open.push(next);
            }
        }
        assert!(seen.len() < 50_000, "the game does not end");
    }
    seen.len()
}

const THIEFS_MOVES: [Move; 4] = [Move::ThiefRotates, Move::ThiefNames, Move::ThiefClears, Move::ThiefCancels];

fn is_given(game: &Game) -> bool {
    game.account().keys == any_of(&[GIVEN])
}

/// Two honest guardians say the same whenever they are heard, each half delay; the third helps the thief. How many half
/// delays go by at most until the account has the keys that they chose, over all moves of the thief in between?
fn longest(game: &Game, moves: &[Move], steps: u32, seen: &mut BTreeSet<(u32, String)>) -> u32 {
    if is_given(game) {
        return steps;
    }
    assert!(steps < 9, "the guardians do not win: {}", game.position());
    let mut longest_yet = steps;
    // The thief moves before the guardians, between them, and after them, as often as it likes.
    let mut ways = vec![(game.clone(), 0u8)];
    while let Some((game, said)) = ways.pop() {
        if !seen.insert((steps * 4 + u32::from(said), game.position())) {
            continue;
        }
        for step in moves {
            let mut next = game.clone();
            if next.play(*step).is_ok() {
                ways.push((next, said));
            }
        }
        let mut next = game.clone();
        if said < 2 {
            let _ = next.play(Move::Says(1 + said));
            ways.push((next, said + 1));
        } else {
            next.wait(STEP_MS);
            next.check_agenda();
            longest_yet = longest_yet.max(longest(&next, moves, steps + 1, seen));
        }
    }
    longest_yet
}

#[test]
fn guardians_win_against_one_stolen_key() {
    let moves = [THIEFS_MOVES.as_slice(), &[Move::Betrays(3), Move::Says(3)]].concat();
    let alone = any_of(&[STOLEN]);
    let one_of_two = any_of(&[STOLEN, SAFE]);
    // A key that speaks alone, and a colder one that does not: together they are all.
    let mut with_cold = KeyPolicy { threshold: 2, ..one_of_two.clone() };
    with_cold.keys[0].weight = 2;
    for keys in [alone, one_of_two, with_cold] {
        // Who moves each half delay objects half a delay after the agreement at the latest; then it is twice the delay.
        let longest = longest(&Game::new(&keys), &moves, 0, &mut BTreeSet::new());
        assert_eq!(longest, 5, "{keys:?}");
    }
}

#[test]
fn guardians_win_who_begin_before_what_the_thief_did_is_settled() {
    for first in THIEFS_MOVES {
        for then in THIEFS_MOVES {
            let mut game = Game::new(&any_of(&[STOLEN]));
            let _ = game.play(first);
            let _ = game.play(then);
            // One step before the delay of the first move is over.
            game.wait(DELAY_MS - 1_000);
            let longest = longest(&game, &THIEFS_MOVES, 0, &mut BTreeSet::new());
            assert!(longest <= 6, "{first:?} {then:?}: {longest}");
        }
    }
}

#[test]
fn an_owner_with_all_keys_keeps_the_account_from_all_guardians_and_a_thief() {
    let own = any_of(&[STOLEN, SAFE]);
    let betrayals = [1, 2, 3].map(Move::Betrays);
    let moves = [THIEFS_MOVES.as_slice(), &betrayals, &[Move::Says(1), Move::Says(2), Move::Wait]].concat();
    let mut waited = 0;
    let positions = play_all(Game::new(&own), &moves, |game, step| {
        assert!(!game.events.contains(&Event::AccountRecovered { account: game.id }), "{}", game.position());
        assert_eq!(game.account().settled_keys(), &own, "the owner's keys are still all of them");
        if step == Move::Wait {
            waited += 1;
            // The owner looks once in half a delay, and undoes what others began.
            if game.recovery().is_some() {
                game.play(Move::OwnerCancels).expect("all keys stop it");
            }
            if game.account().unsettled.is_some() {
                game.play(Move::OwnerRotates).expect("all keys have the last word");
                assert_eq!(game.account().keys, own);
                assert!(game.account().unsettled.is_none());
            }
        }
        game.check_agenda();
        game.account().recovery.is_some()
    });
    assert!(positions > 100 && waited > 20, "{positions} positions");
}

#[test]
fn fewer_guardians_than_are_needed_change_nothing() {
    let keys = any_of(&[STOLEN, SAFE]);
    let moves = [Move::Says(1), Move::Betrays(1), Move::OwnerCancels, Move::Wait];
    let positions = play_all(Game::new(&keys), &moves, |game, _| {
        assert!(game.recovery().is_none());
        assert_eq!(game.account().keys, keys);
        true
    });
    assert!(positions >= 3, "{positions} positions");
}

#[test]
fn nothing_waits_for_ever() {
    let mut stages = BTreeSet::new();
    let guardians = [Move::Says(1), Move::Says(2), Move::Betrays(1), Move::Betrays(3)];
    let owner = [Move::OwnerCancels, Move::OwnerRotates, Move::OwnerNames, Move::Wait];
    let moves = [THIEFS_MOVES.as_slice(), &guardians, &owner].concat();
    let positions = play_all(Game::new(&any_of(&[STOLEN, SAFE])), &moves, |game, _| {
        game.check_agenda();
        game.check_ends();
        stages.insert(game.recovery().map(|recovery| recovery.stage as u8));
        // Once the account has other guardians or keys for good, it is another game.
        game.account().recovery == Some(game.guardians(&[1, 2, 3], 2)) && !is_given(game)
    });
    assert_eq!(stages.len(), 4, "every stage was reached");
    assert!(positions > 100, "{positions} positions");
}

#[test]
fn suspension_holds_every_clock() {
    for suspend_at in 0..5 {
        let mut game = Game::new(&any_of(&[STOLEN]));
        game.play(Move::ThiefClears).unwrap();
        game.play(Move::ThiefRotates).unwrap();
        let mut reached = 0;
        let mut suspend = |game: &mut Game| {
            if reached == suspend_at {
                let before = (game.recovery().map(|recovery| recovery.stage), game.account().unsettled);
                game.suspend();
                game.check_agenda();
                let held = game.position();
                game.wait(20 * DELAY_MS);
                assert_eq!(game.position(), held, "nothing went on");
                // The keys object all the same: suspension takes no defence away.
                if before.0 == Some(Stage::Sought) {
                    game.clone().play(Move::ThiefCancels).unwrap();
                }
                game.suspend();
                assert_eq!(game.recovery().map(|recovery| recovery.stage), before.0);
                game.check_agenda();
            }
            reached += 1;
        };
        suspend(&mut game);
        game.play(Move::Says(1)).unwrap();
        game.play(Move::Says(2)).unwrap();
        suspend(&mut game);
        game.play(Move::ThiefCancels).unwrap();
        suspend(&mut game);
        assert_eq!(game.play(Move::ThiefCancels), Err("contested_already"));
        assert_eq!(game.play(Move::Betrays(1)), Err("other_keys_contested"));
        game.play(Move::Says(1)).unwrap();
        game.play(Move::Says(2)).unwrap();
        suspend(&mut game);
        assert_eq!(game.play(Move::Says(3)), Err("recovery_pending"));
        game.wait(DELAY_MS);
        suspend(&mut game);
        assert!(!is_given(&game), "it has twice the delay from the objection");
        game.wait(DELAY_MS);
        assert!(is_given(&game), "suspended at {suspend_at}");
        assert!(
            game.account().recovery.is_some() && game.account().unsettled.is_none(),
            "what the thief asked is void"
        );
    }
}

#[test]
fn what_waits_is_told() {
    let mut game = Game::new(&any_of(&[STOLEN, SAFE]));
    let account = game.id;
    let at = |game: &Game, later_ms| Clock::Runs { ready: game.ledger.tip.time.plus_ms(later_ms) };
    game.play(Move::ThiefClears).unwrap();
    assert!(game.events.contains(&Event::GuardiansAsked { account, ready: Some(at(&game, DELAY_MS)) }));
    game.play(Move::ThiefRotates).unwrap();
    game.play(Move::Says(1)).unwrap();
    game.play(Move::Says(2)).unwrap();
    let guardian = crate::common::account(&game.ledger, 2);
    assert!(game.events.contains(&Event::RecoverySought { account, guardian, ready: Some(at(&game, DELAY_MS)) }));
    // The thief signs with both of its keys, which are all present ones, and not the settled ones.
    game.play(Move::ThiefCancels).unwrap();
    assert!(game.events.contains(&Event::RecoveryContested { account, ready: at(&game, 2 * DELAY_MS) }));
    game.wait(2 * DELAY_MS);
    assert!(game.events.contains(&Event::RecoveryLapsed { account }));
    let waits = game.account().unsettled.expect("what fewer asked begins anew");
    assert_eq!(waits.clock, at(&game, DELAY_MS));
    game.wait(DELAY_MS);
    assert!(game.events.contains(&Event::KeysSettled { account }));
    assert_eq!(game.account().recovery, None);
}
