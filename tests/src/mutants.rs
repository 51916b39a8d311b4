//! Small, plausible defects of the product, to see that something catches each: `tests/run --mutants` runs them.
//!
//! A *mutant* is one piece of the product's text and what a mistake would have made of it. The list is in
//! `tests/mutants`, one file a family. Building the product once for each would take hours, so all mutants are written
//! into one copy of the tree: where the text was, it now says `if crate::mutated("name") { mistake } else { text }`, and
//! the environment variable [`VARIABLE`] chooses one mutant, or none. The product itself knows nothing of this.
//!
//! An old text that does not occur exactly once is an error, so that the list cannot rot in silence: `it mutants::`.

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The environment variable that names the mutant at work.
pub const VARIABLE: &str = "ALLOD_MUTANT";
/// The directories of the product's crates, whose code mutants may change.
pub const CRATES: [&str; 3] = ["protocol", "storage", "node"];

/// What is added to each crate.
const SWITCH: &str = r#"
/// Whether this mutant is the one at work.
pub(crate) fn mutated(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("ALLOD_MUTANT").ok()).as_deref() == Some(name)
}
"#;

/// One defect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Its name, of lower-case words joined by hyphens.
    pub name: String,
    /// What a user would lose by it, in a sentence.
    pub loses: String,
    /// The end of the path of the file: its name, and as many folders as tell it from others that hold the text.
    pub file: String,
    /// The text as it is: a whole expression, or whole statements. It occurs exactly once, line breaks and the spaces
    /// that begin lines left aside.
    pub old: String,
    /// What the mistake makes of it.
    pub new: String,
    /// A check that catches it: a suite (see [`Suite`]), then what the names of its tests contain.
    pub check: String,
}

#[derive(Deserialize)]
struct Family {
    mutant: Vec<Mutant>,
}

/// The binaries that can catch a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// `protocol`: the tests beside the code.
    Protocol,
    /// `storage`: the tests beside the code.
    Storage,
    /// `storage/it`: those of the ledger and the log as a whole.
    StorageIt,
    /// `node`: the tests beside the code.
    Node,
    /// `it`: this crate's: rules, random histories, the simulator.
    It,
}

impl Suite {
    /// All of them, those that catch most first.
    pub const ALL: [Self; 5] = [Self::It, Self::Protocol, Self::Storage, Self::StorageIt, Self::Node];

    /// As the list calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Storage => "storage",
            Self::StorageIt => "storage/it",
            Self::Node => "node",
            Self::It => "it",
        }
    }

    /// The directory of its package.
    pub const fn directory(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Storage | Self::StorageIt => "storage",
            Self::Node => "node",
            Self::It => "tests",
        }
    }

    /// Whether it is the binary of a library's own tests.
    pub const fn is_of_library(self) -> bool {
        matches!(self, Self::Protocol | Self::Storage | Self::Node)
    }
}

/// A suite, and which of its tests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Check {
    /// The binary.
    pub suite: Suite,
    /// Its tests whose names contain one of these; all if there is none.
    pub filters: Vec<String>,
}

impl Check {
    /// Reads a check as the list has it.
    ///
    /// # Errors
    /// When there is no such suite.
    pub fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let suite = words.next().unwrap_or_default();
        let suite = Suite::ALL.into_iter().find(|known| known.name() == suite);
        let suite = suite.with_context(|| format!("{text:?} names no suite"))?;
        Ok(Self { suite, filters: words.map(ToOwned::to_owned).collect() })
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.suite.name(), self.filters.join(" "))
    }
}

/// The list, in the order of its files.
///
/// # Errors
/// When a file cannot be read, a name stands twice, or a check names no suite.
pub fn list(directory: &Path) -> Result<Vec<(String, Mutant)>> {
    let files = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut files: Vec<PathBuf> = files.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let (mut mutants, mut names) = (Vec::new(), BTreeSet::new());
    for path in files {
        let text = fs::read_to_string(&path)?;
        let family: Family = toml::from_str(&text).with_context(|| format!("{} is no list", path.display()))?;
        let title = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for mutant in family.mutant {
            ensure!(names.insert(mutant.name.clone()), "{} stands in the list twice", mutant.name);
            Check::parse(&mutant.check).with_context(|| mutant.name.clone())?;
            mutants.push((title.clone(), mutant));
        }
    }
    Ok(mutants)
}

/// The product's source files under a root, by path from there, with their texts.
///
/// # Errors
/// When one cannot be read.
pub fn sources(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    for name in CRATES {
        found.append(&mut rust_files(root, &root.join(name).join("src"))?);
    }
    Ok(found)
}

/// The Rust files of a directory and all below it, by path from the root, with their texts.
///
/// # Errors
/// When one cannot be read.
pub fn rust_files(root: &Path, directory: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.strip_prefix(root)?.to_owned(), fs::read_to_string(&path)?);
            }
        }
    }
    Ok(found)
}

/// Where a mutant's old text stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, from the root.
    pub file: PathBuf,
    /// The byte at which the text begins.
    pub start: usize,
    /// The byte behind its end.
    pub end: usize,
}

/// Finds a mutant's old text.
///
/// # Errors
/// When it does not occur exactly once.
pub fn find(mutant: &Mutant, sources: &BTreeMap<PathBuf, String>) -> Result<Place> {
    let named = |path: &Path| path.ends_with(&mutant.file);
    let mut places = Vec::new();
    for (file, text) in sources.iter().filter(|(path, _)| named(path)) {
        places.extend(occurrences(text, &mutant.old).into_iter().map(|(start, end)| Place {
            file: file.clone(),
            start,
            end,
        }));
    }
    match (places.pop(), places.len()) {
        (Some(place), 0) => Ok(place),
        (None, _) => bail!("{}: its old text is in no file {}; has the code changed?", mutant.name, mutant.file),
        (Some(_), others) => bail!("{}: its old text occurs {} times in {}", mutant.name, others + 1, mutant.file),
    }
}

/// Where `wanted` occurs in `text`, whatever the line breaks and the spaces at the beginnings of lines.
fn occurrences(text: &str, wanted: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = wanted.trim().lines().map(str::trim).collect();
    let Some((first, rest)) = lines.split_first() else { return Vec::new() };
    let mut found = Vec::new();
    for (start, _) in text.match_indices(first) {
        let mut end = start + first.len();
        let whole = rest.iter().all(|line| {
            let behind = &text[end..];
            let skipped = behind.len() - behind.trim_start().len();
            end += skipped + line.len();
            behind.trim_start().starts_with(line)
        });
        if whole {
            found.push((start, end));
        }
    }
    found
}

/// The files that change when all mutants are written in, with their new texts.
///
/// # Errors
/// When an old text does not occur exactly once, or two overlap without being the same.
pub fn write_in(
    mutants: &[(String, Mutant)],
    sources: &BTreeMap<PathBuf, String>,
) -> Result<BTreeMap<PathBuf, String>> {
    let mut at: BTreeMap<Place, Vec<&Mutant>> = BTreeMap::new();
    for (_, mutant) in mutants {
        at.entry(find(mutant, sources)?).or_default().push(mutant);
    }
    let mut changed: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut before: Option<(&Place, &Mutant)> = None;
    // From the last to the first, so that the places of those before stay as they are.
    for (place, here) in at.iter().rev() {
        if let Some((next, other)) = before.filter(|(next, _)| next.file == place.file && place.end > next.start) {
            bail!("{} and {} overlap in {}", here[0].name, other.name, next.file.display());
        }
        before = Some((place, here[0]));
        let text = changed.entry(place.file.clone()).or_insert_with(|| sources[&place.file].clone());
        let old = text[place.start..place.end].to_owned();
        text.replace_range(place.start..place.end, &switched(&old, here));
    }
    for name in CRATES {
        let file = PathBuf::from(name).join("src/lib.rs");
        let text = changed.entry(file.clone()).or_insert_with(|| sources[&file].clone());
        text.push_str(SWITCH);
    }
    Ok(changed)
}

/// The old text, or what a mutant makes of it. An expression stays one: its operators bind as before.
fn switched(old: &str, mutants: &[&Mutant]) -> String {
    let mut text = String::new();
    for mutant in mutants {
        text.push_str(&format!("if crate::mutated({:?}) {{ {} }} else ", mutant.name, mutant.new.trim()));
    }
    text.push_str(&format!("{{ {old} }}"));
    if old.ends_with([';', '}']) { text } else { format!("({text})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(old: &str, new: &str) -> Mutant {
        let [name, loses, file] = ["a", "all", "lib.rs"].map(ToOwned::to_owned);
        Mutant { name, loses, file, old: old.into(), new: new.into(), check: "it".into() }
    }

    fn of(text: &str) -> BTreeMap<PathBuf, String> {
        let other = ["storage/src/lib.rs", "node/src/lib.rs"].map(|path| (path.into(), String::new()));
        BTreeMap::from_iter([("protocol/src/lib.rs".into(), text.to_owned())].into_iter().chain(other))
    }

    fn written(text: &str, mutants: &[Mutant]) -> Result<String> {
        let mutants: Vec<_> = mutants.iter().map(|mutant| (String::new(), mutant.clone())).collect();
        Ok(write_in(&mutants, &of(text))?[Path::new("protocol/src/lib.rs")].replace(SWITCH, ""))
    }

    #[test]
    fn an_expression_and_a_statement_become_a_choice() {
        let expression = written("let more = 2 * part > whole;", &[mutant("2 * part", "part")]).expect("written");
        assert_eq!(expression, r#"let more = (if crate::mutated("a") { part } else { 2 * part }) > whole;"#);
        let statement = written("a();\n    b();\n    c();", &[mutant("b();\nc();", "")]).expect("written");
        assert_eq!(statement, "a();\n    if crate::mutated(\"a\") {  } else { b();\n    c(); }");
    }

    #[test]
    fn several_mutants_of_one_text_are_a_chain() {
        let two = [mutant("x > 1", "x > 0"), Mutant { name: "b".into(), ..mutant("x > 1", "true") }];
        let text = written("if x > 1 {}", &two).expect("written");
        assert_eq!(
            text,
            r#"if (if crate::mutated("a") { x > 0 } else if crate::mutated("b") { true } else { x > 1 }) {}"#
        );
    }

    #[test]
    fn a_stale_or_doubtful_text_is_refused() {
        let refused = |text: &str, mutants: &[Mutant]| written(text, mutants).expect_err("refused").to_string();
        assert!(refused("one", &[mutant("two", "")]).contains("has the code changed"));
        assert!(refused("one one", &[mutant("one", "")]).contains("occurs 2 times"));
        let two = [mutant("one two", ""), Mutant { name: "b".into(), ..mutant("two three", "") }];
        assert!(refused("one two three", &two).contains("overlap"));
    }
}
