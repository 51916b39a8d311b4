//! Lists and short ids on the command line, over a list longer than a page of the API.

use super::{account, model, text_of, turn};
use allod_tests::processes::{Processes, text};
use std::collections::BTreeMap;

/// Contributions, which is more than the client asks for at a time.
const GIFTS: usize = 620;

#[test]
fn lists_say_that_they_go_on_and_short_ids_are_found_behind_their_ends() {
    let _turn = turn();
    let net = Processes::start(1, 19_300);
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let give = |first: usize| {
            let (net, model, owner) = (&net, &model, &owner);
            move || -> Vec<String> {
                let give = |_| {
                    let made = net.must(0, &["contribute", model, "--as", owner, "--kind", "code", "--amount", "1"]);
                    text_of(&made, "contribution").to_owned()
                };
                (first..GIFTS).step_by(8).map(give).collect()
            }
        };
        let threads: Vec<_> = (0..8).map(|first| scope.spawn(give(first))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("given")).collect()
    });

    let list = |more: &[&str]| net.client(0, &[&["contribute", "list", model.as_str()], more].concat());
    let ends_early = |more: &[&str]| text(&list(more)).contains("there are more");
    assert!(ends_early(&[]) && ends_early(&["--limit", "250"]));
    assert!(!ends_early(&["--all"]) && !ends_early(&["--limit", &GIFTS.to_string()]), "all of it is no part");
    let all = net.must(0, &["contribute", "list", &model, "--all"]);
    assert_eq!(all.as_array().map(Vec::len), Some(GIFTS));

    let mut alike: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for id in &ids {
        alike.entry(id.get(..4).expect("digits")).or_default().push(id);
    }
    for (digits, ids) in alike.iter().step_by(20) {
        let shown = net.client(0, &["contribute", "show", digits]);
        assert!(ids.len() > 1 || text(&shown).contains(ids.first().expect("an id").as_str()), "{}", text(&shown));
    }
    if let Some((digits, ids)) = alike.iter().find(|(_, ids)| ids.len() > 1) {
        let refused = net.client(0, &["contribute", "accept", digits, "--as", &owner]);
        assert!(!refused.status.success() && ids.iter().all(|id| text(&refused).contains(id.as_str())));
    }
}
