//! Which test holds which number of the page.

use allod_protocol::ground::limits;
use std::{fs, path::Path};

const PAGE: &str = include_str!("../../../../protocol/README.md");

/// Words of the page, as they stand there, and the test that fails when the rule is another.
const HELD: &[(&str, &str)] = &[
    // Section 5
    ("a record of at most 65,536 bytes", "faulty_transactions_are_refused_before_any_state_is_asked"),
    ("no signer, or more than 16", "what_an_account_says_of_its_keys_has_its_form_at_the_bounds_and_not_beyond"),
    ("it weighs more than 200,000", "the_heaviest_that_fit_in_form_fit_in_a_block"),
    ("`expires` > block time + 3,600,000 ms", "a_transaction_lives_for_an_hour_at_the_most"),
    ("weighs at most 65,000 without its bytes and signatures", "the_heaviest_that_fit_in_form_fit_in_a_block"),
    ("may weigh at most 60,000", "a_proposal_that_would_do_too_much_at_once_is_refused"),
    // Section 6, form
    ("over 64 sponsors", "a_chain_of_sponsors_ends"),
    ("founding 1 to 256 lines", "what_founds_and_publishes_has_its_form_at_the_bounds_and_not_beyond"),
    ("1 to 32 stewards, none twice", "what_founds_and_publishes_has_its_form_at_the_bounds_and_not_beyond"),
    ("at most 16 grants, no zero", "what_founds_and_publishes_has_its_form_at_the_bounds_and_not_beyond"),
    ("vesting; at most 64 copies", "what_founds_and_publishes_has_its_form_at_the_bounds_and_not_beyond"),
    ("`committed` option of 32 bytes", "the_bytes_are_those_that_were_committed"),
    ("at most 16 parents, 64 data sets", "what_founds_and_publishes_has_its_form_at_the_bounds_and_not_beyond"),
    (
        "size at most 2^50 bytes, a file is 1 file, a collection 1 to 100,000",
        "what_founds_and_publishes_has_its_form_at_the_bounds_and_not_beyond",
    ),
    (
        "amount 1 to 2^40; or 0, sealed, in a round",
        "what_is_given_asked_and_answered_has_its_form_at_the_bounds_and_not_beyond",
    ),
    ("`empty_transfer` (0 units, or to itself)", "a_transfer_conserves_and_a_lost_or_invented_unit_shows"),
    ("title not blank; 1 to 16 actions", "what_is_given_asked_and_answered_has_its_form_at_the_bounds_and_not_beyond"),
    (
        "each choice once, no part 0, together 10,000",
        "what_is_given_asked_and_answered_has_its_form_at_the_bounds_and_not_beyond",
    ),
    (
        "`reason` | units above 0 | the holder",
        "what_is_given_asked_and_answered_has_its_form_at_the_bounds_and_not_beyond",
    ),
    (
        "`quota_used_up` (4,096 of the account stand",
        "incidents_and_attestations_of_one_account_are_so_many_until_some_are_settled_or_withdrawn",
    ),
    (
        "`salt` 32 bytes | amount 1 to 2^40",
        "what_is_given_asked_and_answered_has_its_form_at_the_bounds_and_not_beyond",
    ),
    (
        "units above 0 for a line and for nothing else",
        "what_is_given_asked_and_answered_has_its_form_at_the_bounds_and_not_beyond",
    ),
    ("not blank, at most 2,048 bytes", "what_is_given_asked_and_answered_has_its_form_at_the_bounds_and_not_beyond"),
    (
        "`quota_used_up` (4 of the account in this model",
        "incidents_and_attestations_of_one_account_are_so_many_until_some_are_settled_or_withdrawn",
    ),
    ("`too_many_named` (8)", "nobody_fills_an_incident_with_words_or_names"),
    (
        "`too_many_updates` (256, unless this one settles it)",
        "incidents_and_attestations_of_one_account_are_so_many_until_some_are_settled_or_withdrawn",
    ),
    (
        "its reporter has 4 others",
        "incidents_and_attestations_of_one_account_are_so_many_until_some_are_settled_or_withdrawn",
    ),
    (
        "at most 16 guardians, none twice, `needed` 1 to their number, delay 1,000 ms to 366 days",
        "what_an_account_says_of_its_keys_has_its_form_at_the_bounds_and_not_beyond",
    ),
    ("neither 24 nor 25", "a_request_for_approval_cannot_hold_another_one"),
    ("lifetime 1 ms to 30 days", "what_an_account_says_of_its_keys_has_its_form_at_the_bounds_and_not_beyond"),
    (
        "`too_many_approvals` (16), `too_many_approvals_of_key` (16 / the number of the account's keys)",
        "one_key_leaves_the_others_room_to_ask",
    ),
    (
        "(`issued` is more than 30 days before block time",
        "a_released_peer_is_forgotten_once_its_consent_is_too_old_to_be_used_again",
    ),
    ("`too_many_peers` (64)", "an_account_has_a_bounded_number_of_peers"),
    ("`too_many_calls` (32 of the sender open)", "a_caller_has_so_many_calls_open_and_no_more"),
    ("`too_many_ahead` (64)", "a_signature_given_ahead_binds_once"),
    ("`of` (0 any, 1 model)", "every_variant_has_a_vector_and_every_name_is_used_once"),
    ("`too_many_intakes` (256)", "an_account_has_so_much_open_and_no_more"),
    (
        "`issue` u64, `units` | units above 0",
        "what_is_given_asked_and_answered_has_its_form_at_the_bounds_and_not_beyond",
    ),
    (
        "`too_many_statements` (16 of one account as its reporter, and 16 as who is named)",
        "nobody_fills_an_incident_with_words_or_names",
    ),
    (
        "lifetime 1 ms to 90 days | any account",
        "what_is_asked_for_and_granted_has_its_form_at_the_bounds_and_not_beyond",
    ),
    ("licences to 16 other models", "an_account_asks_for_a_bounded_number_of_licences"),
    ("`for_ms` 1 to 36,600 days", "what_is_asked_for_and_granted_has_its_form_at_the_bounds_and_not_beyond"),
    // Section 6, effects
    (
        "at most 512 holders of all parents together",
        "founding_for_the_holders_of_other_models_weighs_what_it_can_write",
    ),
    (
        "the commitment counts for 31 days. Of one account for one model 16 are kept",
        "a_commitment_is_of_use_to_its_maker_alone_once_and_for_a_while",
    ),
    ("and 1 at the least", "as_many_stewards_countersign_as_the_policy_asks_for_and_the_giver_is_none_of_them"),
    ("with 14 days to speak", "silence_and_stewards_who_name_themselves_hold_nothing_up"),
    ("its clock is 2 D from now", "guardians_win_against_one_stolen_key"),
    ("(`Ahead`, 64 of an account at most)", "a_signature_given_ahead_binds_once"),
    (
        "the keys that it has, since 0",
        "keys_replaced_in_the_ordinary_course_change_nothing_and_small_steps_are_no_way_around",
    ),
    (
        "0 for none), and not before its line was opened",
        "what_was_before_the_rule_or_before_the_units_is_nobodys_business",
    ),
    (
        "duration 1 ms to 20 years, cliff at most the duration",
        "what_founds_and_publishes_has_its_form_at_the_bounds_and_not_beyond",
    ),
    ("above 2^62, what open rounds reserved included", "a_register_holds_as_many_units_as_the_bound_and_not_one_more"),
    ("At most 16 grants of a holder are not over", "a_holder_has_so_many_grants_under_vesting_and_no_more"),
    (
        "3 times at most (`stops_used_up`), each time no earlier than 90 days",
        "owners_lift_a_stop_by_the_short_path_and_it_does_not_come_back_at_once",
    ),
    ("no more than 16 of its stops of one model", "one_who_stops_everything_is_undone_by_one_decision"),
    ("at most 16 steps and 256 versions away", "a_long_lineage_is_followed_so_far_and_no_farther"),
    // The rest of sections 6 and 7
    ("`Office` from 0:", "every_variant_has_a_vector_and_every_name_is_used_once"),
    ("Small enums, variants from 0:", "every_variant_has_a_vector_and_every_name_is_used_once"),
    ("(`readers`: 0 public, 1 licensees, 2 holders;", "every_variant_has_a_vector_and_every_name_is_used_once"),
    (
        "the number of rounds opened by then and 1.",
        "who_leaves_an_amount_untold_gets_nothing_is_named_and_waits_out_the_next_round",
    ),
    ("floor(budget · `part` / 10,000)", "a_round_mints_its_budget_to_the_unit_under_its_cap"),
    (
        "Of one round a block handles at most 128 givers",
        "a_round_of_many_givers_closes_over_several_blocks_and_holds_nothing_up",
    ),
    ("A model has at most 16 rounds that are not over", "a_model_has_so_many_rounds_at_a_time_and_no_more"),
    (
        "`Choice`: 0 yes, 1 no, 2 abstain, 3 veto. Classes from 0:",
        "every_variant_has_a_vector_and_every_name_is_used_once",
    ),
    ("`parents` list | release | at most 16 |", "what_is_put_to_owners_has_its_form_at_the_bounds_and_not_beyond"),
    ("units above 0, vesting | `retired`", "what_is_put_to_owners_has_its_form_at_the_bounds_and_not_beyond"),
    (
        "units above 0 | `frozen`, `not_enough_shares`",
        "what_is_put_to_owners_has_its_form_at_the_bounds_and_not_beyond",
    ),
    ("units above 0 | `transfers_locked`", "what_is_put_to_owners_has_its_form_at_the_bounds_and_not_beyond"),
    ("| stewards | 1 to 32, none twice", "what_is_put_to_owners_has_its_form_at_the_bounds_and_not_beyond"),
    ("| validators | power 1 to 10^9", "what_is_put_to_owners_has_its_form_at_the_bounds_and_not_beyond"),
    ("| licence | at most 64 copies", "what_founds_and_publishes_has_its_form_at_the_bounds_and_not_beyond"),
    (
        "budget and cap above 0; 1 to 5 weights, no kind twice, each 1 to 10,000; periods 1,000 ms to 366 days",
        "what_is_put_to_owners_has_its_form_at_the_bounds_and_not_beyond",
    ),
    ("(the sender has 16 open or queued)", "an_account_has_so_much_open_and_no_more"),
    ("`empty_electorate` (the whole is 0)", "a_model_that_nobody_holds_decides_nothing"),
    ("units, 1, or the integer square root of the units; for the network 1", "heads_and_roots_count_as_the_rule_says"),
    ("the *last close* opening + 2 · `voting_period_ms`", "an_answer_changed_at_the_last_moment_does_not_decide"),
    ("their own weight is above 0", "a_number_of_holders_stops_a_decision_however_little_they_hold"),
    ("`vetoed` if veto > 0", "vetoes_count_against_and_enough_of_them_reject"),
    ("`not_enough_yes` if yes is 0", "the_bounds_are_exact_and_say_what_they_mean"),
    ("Verdicts from 0:", "every_variant_has_a_vector_and_every_name_is_used_once"),
    ("If `f` > 0, and not both", "a_failed_attestation_blocks_until_it_is_withdrawn_or_outvoted"),
    ("the first 200 bytes of its note at most", "what_is_cut_short_ends_between_characters"),
    ("is at most 60,000 (`decision_too_heavy`)", "a_proposal_that_would_do_too_much_at_once_is_refused"),
    ("Status from 0:", "every_variant_has_a_vector_and_every_name_is_used_once"),
    ("365 days or more after the last began", "decisions_add_no_more_than_the_policy_lets_them"),
    (
        "One thing has at most 16 disputes that are not over. Where there are 16",
        "sixteen_who_shield_a_line_by_challenging_it_give_way_to_one_who_binds_more",
    ),
    ("`bond` 0 for an appeal", "an_appeal_binds_nothing"),
    ("`lapses` that + 60 days", "a_dispute_that_nobody_rules_on_lapses_but_waits_for_a_resolution_under_way"),
    (
        "`until` is block time + 14 days",
        "an_appeal_is_in_time_until_the_ruling_stands_and_a_resolution_until_the_appeal_is_over",
    ),
    (
        "for \"at least p\", more than 1 − p; for \"more than p\", at least 1 − p",
        "no_resolution_takes_units_without_the_rule_of_ownership",
    ),
    ("`bar_ms` · 2^losses, at most 1,464 days", "losing_binds_the_bond_and_bars_twice_as_long_each_time"),
    ("more than the 128 allowed", "every_variant_has_a_vector_and_every_name_is_used_once"),
    ("this page is version 1", "a_build_that_the_network_outgrew_stops_before_the_height_and_says_what_to_install"),
];

/// Parts of the page that are held as a whole: from these words to those.
const PARTS: &[(&str, &str, &str)] = &[
    ("**Weight.**", "No rule counts what was really read", "the_specification_names_the_loads_of_actions"),
    ("It weighs 1,184,", "any other 1,608.", "the_specification_names_the_weights_of_what_is_decided_and_due"),
];

/// The sections, their headings left out and their lines joined.
fn sections() -> String {
    let from = PAGE.find("\n## 5. ").expect("section 5");
    let to = PAGE.find("\n## 8. ").expect("section 8");
    let lines = PAGE[from..to].lines().filter(|line| !line.starts_with("## "));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// Where words stand.
fn places(text: &str, words: &str) -> Vec<(usize, usize)> {
    text.match_indices(words).map(|(at, found)| (at, at + found.len())).collect()
}

/// Numbers that name a variant, a section or a type, which no rule is about: vectors hold the first of them.
fn is_name(text: &str, (from, to): (usize, usize)) -> bool {
    let (before, after) = (&text[..from], &text[to..]);
    let is_part = before.chars().next_back().is_some_and(|last| last.is_alphanumeric() || "_.`^".contains(last));
    let is_row = before.ends_with("| ") && after.starts_with(" | `");
    let is_section = ["section ", "sections ", "family ", "families "].iter().any(|word| before.ends_with(word));
    is_part || after.starts_with(" `") || is_row || is_section
}

/// Every number, with where it stands.
fn numbers(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(start) = text[rest..].find(|c: char| c.is_ascii_digit()).map(|at| rest + at) {
        let tail = &text[start..];
        let length = tail.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(tail.len());
        let number = tail[..length].trim_end_matches(',');
        found.push((start, start + number.len()));
        rest = start + length;
    }
    found
}

#[test]
fn every_number_of_the_page_is_held_by_a_test() {
    let text = sections();
    let mut held: Vec<(usize, usize)> = Vec::new();
    for (words, _) in HELD {
        let found = places(&text, words);
        assert!(!found.is_empty(), "the page does not say: {words}");
        held.extend(found);
    }
    for (from, to, _) in PARTS {
        let from = text.find(from).unwrap_or_else(|| panic!("the page does not say: {from}"));
        let length = text[from..].find(to).unwrap_or_else(|| panic!("the page does not say: {to}"));
        held.push((from, from + length + to.len()));
    }
    let is_held = |at: &(usize, usize)| held.iter().any(|(from, to)| *from <= at.0 && at.1 <= *to);
    let loose: Vec<&str> = numbers(&text)
        .into_iter()
        .filter(|at| !is_held(at) && !is_name(&text, *at))
        .map(|(from, to)| {
            let from = text.floor_char_boundary(from.saturating_sub(60));
            &text[from..text.ceil_char_boundary(to + 40)]
        })
        .collect();
    assert!(loose.is_empty(), "no test is named for:\n{}", loose.join("\n"));
}

/// Every function of the tests, of the two crates that have them.
fn functions(directory: &Path, found: &mut String) {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}

#[test]
fn every_test_that_is_named_for_a_number_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut source = String::new();
    functions(&here.join("tests/it"), &mut source);
    functions(&here.join("../protocol/src"), &mut source);
    let named = HELD.iter().map(|(_, test)| test).chain(PARTS.iter().map(|(_, _, test)| test));
    for test in named {
        assert!(source.contains(&format!("fn {test}(")), "there is no test {test}");
    }
}

/// The tests above reckon with the limits by their names: these are the numbers that the page has for them.
#[test]
fn the_limits_are_those_of_the_page() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    let text = sections();
    let says = |words: &str| assert!(text.contains(words), "the page does not say: {words}");
    says(&format!("over {} sponsors", limits::SPONSOR_CHAIN));
    says(&format!("`too_many_named` ({})", limits::INCIDENT_NAMED));
    says(&format!("`too_many_updates` ({},", limits::INCIDENT_UPDATES));
    says(&format!("its reporter has {} others", limits::OPEN_INCIDENTS_PER_REPORTER));
    says(&format!("with {} days to speak", limits::INCIDENT_ANSWER_MS / DAY_MS));
    says(&format!("`too_many_statements` ({} of", limits::INCIDENT_STATEMENTS));
    says(&format!("more than {} days before block time", limits::CONSENT_MS / DAY_MS));
    says(&format!("`too_many_peers` ({})", limits::PEERS_PER_ACCOUNT));
    says(&format!("`too_many_ahead` ({})", limits::OFFICES_AHEAD_PER_ACCOUNT));
    says(&format!("at most {} holders of all parents", limits::PARENT_GRANT_HOLDERS));
    says(&format!("the commitment counts for {} days", limits::COMMITMENT_MS / DAY_MS));
    says(&format!("for one model {} are kept", limits::COMMITMENTS));
    says(&format!("At most {} grants of a holder", limits::VESTING_GRANTS));
    says(&format!("{} times at most (`stops_used_up`)", limits::EMERGENCY_STOPS));
    says(&format!("no earlier than {} days", limits::EMERGENCY_REST_MS / DAY_MS));
    says(&format!("no more than {} of its stops", limits::EMERGENCY_STOPS_AT_ONCE));
    says(&format!("at most {} givers", limits::ROUND_GIVERS_PER_TURN));
    says(&format!("at most {} rounds that are not over", limits::OPEN_ROUNDS));
    says(&format!("{} days or more after the last began", limits::DILUTION_YEAR_MS / DAY_MS));
    says(&format!("lifetime 1 ms to {} days | any account", limits::LICENCE_REQUEST_MS / DAY_MS));
    says(&format!("licences to {} other models", limits::LICENCE_REQUESTS_PER_ACCOUNT));
    says(&format!("`for_ms` 1 to {} days", thousands(limits::LICENCE_MS / DAY_MS)));
    says(&format!("`lapses` that + {} days", limits::DISPUTE_MS / DAY_MS));
    says(&format!("`until` is block time + {} days", limits::APPEAL_MS / DAY_MS));
    says(&format!("`quota_used_up` ({} of the account stand", thousands(limits::ATTESTATIONS_PER_ACCOUNT.into())));
    says(&format!("at most {} days, and the bond", thousands(limits::BAR_MS / DAY_MS)));
    says(&format!("it weighs more than {}", thousands(limits::SENDER_WEIGHT.get())));
    says(&format!("weighs at most {} without", thousands(limits::REQUESTED_WEIGHT.get())));
    says(&format!("is at most {} (`decision_too_heavy`)", thousands(limits::DECISION_WEIGHT.get())));
    assert_eq!(limits::MODEL_UNITS, 1 << 62);
    assert_eq!(limits::PROTOCOL_VERSION, 1);
    assert_eq!(limits::VALIDATORS, 128);
}

fn thousands(number: u64) -> String {
    format!("{},{:03}", number / 1_000, number % 1_000)
}
