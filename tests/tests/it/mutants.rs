//! That the list of mutants is sound: that each finds its text in the tree, and names tests that exist. What catches
//! them is another matter: `tests/run --mutants`.

use allod_tests::mutants::{Check, Suite, list, rust_files, sources, write_in};
use std::{collections::BTreeSet, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a root")
}

#[test]
fn every_old_text_occurs_exactly_once() {
    let mutants = list(&root().join("tests/mutants")).expect("the list");
    assert!(mutants.len() >= 50, "{} mutants", mutants.len());
    write_in(&mutants, &sources(root()).expect("the sources")).expect("every text is found");
}

/// The last word of a check's filter is part of a test's name, or of a module's; by the text, as nothing is built here.
#[test]
fn every_check_names_tests_that_exist() {
    let texts = |suite: Suite| -> Vec<String> {
        let directory = root().join(suite.directory()).join(if suite.is_of_library() { "src" } else { "tests/it" });
        rust_files(root(), &directory).expect("its files").into_values().collect()
    };
    let suites: Vec<(Suite, Vec<String>)> = Suite::ALL.into_iter().map(|suite| (suite, texts(suite))).collect();
    for (_, mutant) in list(&root().join("tests/mutants")).expect("the list") {
        let check = Check::parse(&mutant.check).expect("a check");
        let (_, texts) = suites.iter().find(|(suite, _)| *suite == check.suite).expect("every suite");
        for filter in &check.filters {
            let last = filter.trim_end_matches(':').rsplit("::").next().expect("a word");
            let names = |line: &str| {
                let line = line.trim_start();
                ["fn ", "mod "].iter().any(|word| line.strip_prefix(word).is_some_and(|rest| rest.contains(last)))
            };
            assert!(
                texts.iter().any(|text| text.lines().any(names)),
                "{}: {} names no test",
                mutant.name,
                mutant.check
            );
        }
    }
}

#[test]
fn the_page_names_every_mutant_and_no_other() {
    let mutants = list(&root().join("tests/mutants")).expect("the list");
    let page = fs::read_to_string(root().join("tests/README.md")).expect("the page");
    let (_, section) = page.split_once("\n## Mutants\n").expect("a section on mutants");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1));
    let named: BTreeSet<&str> = rows.skip(1).collect();
    assert_eq!(named, mutants.iter().map(|(_, mutant)| mutant.name.as_str()).collect());
}
