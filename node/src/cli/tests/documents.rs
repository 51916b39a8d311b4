//! What the documents show is what the program takes: every settings file, every setting, every command line.

use super::super::{Cli, args::ConsentArg};
use crate::config::{SETTINGS, Sources};
use allod_protocol::{
    ground::ids::{PublicKey, Signature, Timestamp},
    rules::access::BindPeer,
};
use clap::{Parser as _, error::ErrorKind};

const DOCUMENTS: [(&str, &str); 3] = [
    ("README.md", include_str!("../../../../README.md")),
    ("node/README.md", include_str!("../../../README.md")),
    ("testnet/README.md", include_str!("../../../../testnet/README.md")),
];

/// The fenced blocks of a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.strip_prefix("```") == Some(language) {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(block.join("\n"));
        } else if line.starts_with("```") {
            lines.by_ref().take_while(|line| *line != "```").for_each(drop);
        }
    }
    blocks
}

/// What stands between single backquotes outside of fenced blocks, with line breaks as spaces.
fn spans(document: &str) -> Vec<String> {
    let prose: String = document.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// A peer's consent, in words.
fn consent() -> String {
    let (peer, consent) = (PublicKey::from_bytes([1; 32]), Signature::from_bytes([0; 64]));
    ConsentArg(BindPeer { peer, issued: Timestamp::new(1), consent }).to_string()
}

/// Something for a word in capitals, which stands for what a reader puts there.
fn filled(word: &str) -> Vec<String> {
    let id = "ab".repeat(32);
    let text = match word {
        "ID" | "PROPOSAL" | "KEY" => &id,
        "NS/NAME" => "northfield/digits",
        "NS/NAME@V" => "northfield/digits@1.0",
        "ACCOUNT" | "MEMBER" => "northfield",
        "ACCOUNT=UNITS" => "northfield=100",
        "NAME" | "DIR" | "DURATION" => "digits",
        "COMMAND" => "status",
        "CONSENT" => return vec![consent()],
        "APIS" => return ["--api", "http://127.0.0.1:7640", "--api", "http://127.0.0.1:7650"].map(Into::into).into(),
        word => return vec![word.strip_suffix(":HASH").map_or_else(|| word.to_owned(), |at| format!("{at}:{id}"))],
    };
    vec![text.to_owned()]
}

/// The commands of a line of shell that run `allod`, each in its words.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut words, mut word, mut quote) = (vec![Vec::new()], None::<String>, None);
    let end_word = |word: &mut Option<String>, words: &mut Vec<Vec<String>>| {
        if let (Some(word), Some(command)) = (word.take(), words.last_mut()) {
            command.push(word);
        }
    };
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (';' | '|', None) => {
                end_word(&mut word, &mut words);
                words.push(Vec::new());
            }
            (c, None) if c.is_whitespace() => end_word(&mut word, &mut words),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    end_word(&mut word, &mut words);
    words.retain(|command| command.first().is_some_and(|first| first == "allod" || first.ends_with("/allod")));
    words
}

fn parse(command: &[String]) -> Result<(), clap::Error> {
    match Cli::try_parse_from(command.iter().flat_map(|word| filled(word))) {
        Err(error) if error.kind() != ErrorKind::DisplayHelp => Err(error),
        _ => Ok(()),
    }
}

#[test]
fn every_command_line_in_the_documents_is_understood() {
    let (mut whole, mut named) = (0, 0);
    for (name, document) in DOCUMENTS {
        for block in blocks(document, "sh") {
            for line in block.replace("\\\n", " ").lines() {
                for command in commands(line) {
                    whole += 1;
                    parse(&command).unwrap_or_else(|error| panic!("{name}: {line}\n{error}"));
                }
            }
        }
        for span in spans(document).iter().filter(|span| span.starts_with("allod ")) {
            for command in commands(span) {
                named += 1;
                // In a sentence a command may be named without all that it needs; what is there must be right.
                let unfinished = [
                    ErrorKind::MissingRequiredArgument,
                    ErrorKind::MissingSubcommand,
                    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                ];
                match parse(&command) {
                    Err(error) if !unfinished.contains(&error.kind()) => panic!("{name}: {span}\n{error}"),
                    _ => {}
                }
            }
        }
    }
    assert!(whole > 10 && named > 40, "{whole} in blocks, {named} in sentences");
}

fn load(file: &str) -> Result<crate::config::Loaded, String> {
    Sources { file: Some(file.to_owned()), ..Sources::default() }.load().map_err(|error| format!("{error:#}"))
}

#[test]
fn every_settings_file_in_the_documents_is_taken() {
    let mut files = 0;
    for (name, document) in DOCUMENTS {
        for file in blocks(document, "toml") {
            load(&file).unwrap_or_else(|error| panic!("{name}: {error}\n{file}"));
            files += 1;
        }
        // And what sentences say of one setting, such as `relay = false`.
        for span in spans(document) {
            let key = span.split_once(" = ").map(|(key, _)| key);
            if key.is_some_and(|key| SETTINGS.iter().any(|setting| setting.name == key)) {
                load(&span).unwrap_or_else(|error| panic!("{name}: {error}"));
                files += 1;
            }
        }
    }
    assert!(files > 2, "{files}");
}

/// The texts between backquotes in a cell of a table.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_table_of_settings_is_true_and_whole() {
    let (_, document) = DOCUMENTS[1];
    let section = document.split("## Settings").nth(1).expect("a section on settings");
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let mut told = Vec::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [keys, default, is] = cells[..] else { panic!("{row}") };
        let (keys, shown) = (quoted(keys), quoted(default));
        for (place, key) in keys.iter().enumerate() {
            let setting = SETTINGS.iter().find(|setting| setting.name == *key).unwrap_or_else(|| panic!("{row}"));
            let loaded = load("").expect("defaults");
            let texts = &loaded.values[key].texts;
            // Several keys of one row have one default, or one each.
            let shown = if keys.len() == shown.len() { &shown[place..=place] } else { &shown[..] };
            assert_eq!(texts, shown, "{row}");
            for example in quoted(is).into_iter().filter(|_| is.contains("such as `")) {
                if !SETTINGS.iter().any(|setting| setting.name == example) {
                    load(&format!("{key} = {}", crate::config::toml_value(&[example.to_owned()], setting.many)))
                        .unwrap_or_else(|error| panic!("{row}\n{error}"));
                }
            }
            told.push(*key);
        }
    }
    told.sort_unstable();
    let mut known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    known.sort_unstable();
    assert_eq!(told, known);
}
