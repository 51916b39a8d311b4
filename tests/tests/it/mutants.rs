//! That the list of mutants is sound: that each finds its text in the tree, so that none is left out in silence. What
//! catches them is another matter: `tests/run --mutants`.

use allod_tests::mutants::{list, sources, write_in};
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

#[test]
fn the_page_names_every_mutant_and_no_other() {
    let mutants = list(&root().join("tests/mutants")).expect("the list");
    let page = fs::read_to_string(root().join("tests/README.md")).expect("the page");
    let (_, section) = page.split_once("\n## Mutants\n").expect("a section on mutants");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1));
    let named: BTreeSet<&str> = rows.skip(1).collect();
    assert_eq!(named, mutants.iter().map(|(_, mutant)| mutant.name.as_str()).collect());
}
