//! The rooms of `protocol`: each uses those before it, and never one after it.

use std::{fs, path::Path};

/// The rooms in their order, as `protocol/src/lib.rs` lists them. Proofs and agreement do not know each other.
const ROOMS: &[(&str, &[&str])] = &[
    ("ground", &[]),
    ("rules", &["ground"]),
    ("ledger", &["ground", "rules"]),
    ("proof", &["ground", "rules", "ledger"]),
    ("agreement", &["ground", "rules", "ledger"]),
];

#[test]
fn no_room_of_the_protocol_uses_one_that_comes_after_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/src");
    let mut seen = 0;
    for (room, allowed) in ROOMS {
        let mut text = String::new();
        read(&source.join(room), &mut text);
        text.push_str(&fs::read_to_string(source.join(format!("{room}.rs"))).expect("a room has a page"));
        for used in rooms_used(&text) {
            seen += 1;
            assert!(used == *room || allowed.contains(&used), "`{room}` uses `{used}`, which comes after it");
        }
    }
    assert!(seen > 100, "the sources name only {seen} rooms: has the way they are written changed?");
}

#[test]
fn a_use_of_a_later_room_would_be_seen() {
    assert_eq!(rooms_used("use crate::{\n    ground::{codec, limits},\n    rules::load,\n};"), ["ground", "rules"]);
    assert_eq!(
        rooms_used("use crate::ledger::block::Tip;\nlet a = crate::agreement::host::X;"),
        ["ledger", "agreement"]
    );
    assert!(rooms_used("/// See [`crate::agreement::host`].\nuse std::fmt;").is_empty());
}

/// The rooms that a source names, comments aside.
fn rooms_used(source: &str) -> Vec<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut used = Vec::new();
    let mut in_group = false;
    for line in code {
        // Of a group over several lines, rustfmt indents the rooms by four.
        if in_group {
            in_group = line != "};";
            let first = line.strip_prefix("    ").filter(|rest| !rest.starts_with([' ', '}']));
            used.extend(first.map(first_word));
            continue;
        }
        for (at, prefix) in line.match_indices("crate::") {
            let rest = &line[at + prefix.len()..];
            match rest.strip_prefix('{') {
                None => used.push(first_word(rest)),
                Some("") => in_group = true,
                Some(group) => used.extend(parts(group).into_iter().map(first_word)),
            }
        }
    }
    used.into_iter().filter(|word| ROOMS.iter().any(|(room, _)| room == word)).collect()
}

/// The parts of a group that stands on one line, at its outermost level.
fn parts(group: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let ends_part = |c: char| {
        depth = match c {
            '{' => depth + 1,
            '}' => depth.saturating_sub(1),
            _ => depth,
        };
        c == ',' && depth == 0
    };
    group.split(ends_part).map(str::trim_start).collect()
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(text)
}

fn read(directory: &Path, text: &mut String) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.expect("a readable directory").path()) {
        if path.is_dir() {
            read(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("a readable source"));
            text.push('\n');
        }
    }
}
