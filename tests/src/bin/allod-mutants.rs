//! Shows that the tests bite: puts each defect of `tests/mutants` into the product and says what catches it.
//!
//! `allod-mutants [--target-dir DIR] [NAME ...]` runs the mutants whose names contain one of these, or all. The tree is
//! copied below `target/mutants` and built there once, see [`allod_tests::mutants`]. First the named checks run without
//! any defect and must pass. Then, with each defect, its own check runs, and every suite if that notices nothing. The
//! exit status is 1 if a defect is caught by none.

use allod_tests::mutants::{self, CRATES, Check, Mutant, Suite, VARIABLE};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

/// What is no part of the tree.
const LEFT_OUT: [&str; 4] = [".git", "target", "node_modules", "run"];
/// What no run needs: tests that run for hours, and those that look at the texts of the tree itself.
const SKIPPED: [&str; 2] = ["_slow_", "mutants::"];
/// How long a run takes at the most, beside ten times what it takes without a defect.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a check may take without a defect.
const CONTROL: Duration = Duration::from_secs(1_800);

fn main() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no root")?;
    let (mut target, mut names) = (root.join("target/mutants/target"), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--target-dir" => target = arguments.next().context("--target-dir needs a directory")?.into(),
            name => names.push(name.to_owned()),
        }
    }
    let list = mutants::list(&root.join("tests/mutants"))?;
    let is_chosen = |mutant: &Mutant| names.is_empty() || names.iter().any(|name| mutant.name.contains(name.as_str()));
    let chosen: Vec<&(String, Mutant)> = list.iter().filter(|(_, mutant)| is_chosen(mutant)).collect();
    ensure!(!chosen.is_empty(), "no mutant has such a name");

    let tree = root.join("target/mutants/tree");
    copy(root, &tree, &mutants::write_in(&list, &mutants::sources(root)?)?)?;
    let mut runner = Runner { binaries: build(&tree, &target)?, tree, controls: BTreeMap::new() };
    for (_, mutant) in &chosen {
        runner.control(&Check::parse(&mutant.check)?)?;
    }
    println!("without a defect, {} checks pass", runner.controls.len());
    let mut survivors = Vec::new();
    println!("| family | defect | what it would cost | caught by | seconds |\n|---|---|---|---|---|");
    for (family, mutant) in &chosen {
        let begun = Instant::now();
        let caught = runner.hunt(mutant)?;
        let by = caught.as_deref().unwrap_or("NOTHING");
        println!("| {family} | {} | {} | {by} | {:.0} |", mutant.name, mutant.loses, begun.elapsed().as_secs_f64());
        if caught.is_none() {
            survivors.push(mutant.name.as_str());
        }
    }
    println!("{} of {} defects are caught", chosen.len() - survivors.len(), chosen.len());
    if survivors.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("survivors: {}", survivors.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Copies the tree, with other texts for some files. Files that are the same already are left, so that only what changed
/// is built again; files that are no longer there go.
fn copy(root: &Path, tree: &Path, changed: &BTreeMap<PathBuf, String>) -> Result<()> {
    let mut kept = BTreeSet::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        fs::create_dir_all(tree.join(&directory))?;
        for entry in fs::read_dir(root.join(&directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            if LEFT_OUT.iter().any(|name| entry.file_name() == *name) && entry.file_type()?.is_dir() {
                continue;
            }
            kept.insert(path.clone());
            if entry.file_type()?.is_dir() {
                directories.push(path);
            } else if entry.file_type()?.is_file() {
                let bytes = match changed.get(&path) {
                    Some(text) => text.clone().into_bytes(),
                    None => fs::read(entry.path())?,
                };
                let copy = tree.join(&path);
                if fs::read(&copy).ok().as_ref() != Some(&bytes) {
                    fs::write(&copy, bytes)?;
                    fs::set_permissions(&copy, entry.metadata()?.permissions())?;
                }
            }
        }
    }
    remove_others(tree, Path::new(""), &kept)
}

fn remove_others(tree: &Path, directory: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(tree.join(directory))? {
        let entry = entry?;
        let path = directory.join(entry.file_name());
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        match (kept.contains(&path), entry.file_type()?.is_dir()) {
            (true, true) => remove_others(tree, &path, kept)?,
            (true, false) => {}
            (false, true) => fs::remove_dir_all(entry.path())?,
            (false, false) => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Builds the suites; gives their binaries.
fn build(tree: &Path, target: &Path) -> Result<BTreeMap<Suite, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // With other packages selected, features would change and RocksDB be compiled again.
    command.args(["test", "--release", "--workspace", "--lib", "--test", "it", "--no-run", "--message-format=json"]);
    // Nothing here asks how fast the node is.
    command.args(["--config", "profile.release.package.allod.opt-level=0"]);
    command.arg("--target-dir").arg(target).current_dir(tree).stdout(Stdio::piped());
    eprintln!("building {}", tree.display());
    let mut child = command.spawn().context("cargo cannot be started")?;
    let mut binaries = BTreeMap::new();
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(&line?) else { continue };
        if message["reason"] == "compiler-message" && message["message"]["level"] == "error" {
            eprintln!("{}", message["message"]["rendered"].as_str().unwrap_or_default());
        }
        let Some(binary) = message["executable"].as_str() else { continue };
        let manifest = message["manifest_path"].as_str().unwrap_or_default();
        let is_of_library = message["target"]["kind"][0] != "test";
        let suite = Suite::ALL.into_iter().find(|suite| {
            Path::new(manifest) == tree.join(suite.directory()).join("Cargo.toml")
                && suite.is_of_library() == is_of_library
        });
        if let Some(suite) = suite.filter(|_| message["profile"]["test"] == true) {
            binaries.insert(suite, PathBuf::from(binary));
        }
    }
    ensure!(child.wait()?.success(), "the mutated tree does not build: one of {CRATES:?} has a mutant that is no Rust");
    for suite in Suite::ALL {
        ensure!(binaries.contains_key(&suite), "cargo built no binary of {}", suite.name());
    }
    Ok(binaries)
}

/// What became of a run.
enum Ran {
    /// So many tests passed.
    Passed(u64),
    /// This one failed first, or the process ended.
    Failed(String),
    /// It did not end in time.
    Hung,
}

struct Runner {
    tree: PathBuf,
    binaries: BTreeMap<Suite, PathBuf>,
    /// How long a check takes without a defect.
    controls: BTreeMap<Check, Duration>,
}

impl Runner {
    /// Runs a check without a defect, unless that was done before: it must pass. Gives how long it took.
    fn control(&mut self, check: &Check) -> Result<Duration> {
        if let Some(took) = self.controls.get(check) {
            return Ok(*took);
        }
        let begun = Instant::now();
        match self.run(check, None, CONTROL)? {
            Ran::Passed(0) => bail!("the check `{check}` has no tests"),
            Ran::Passed(_) => {}
            Ran::Failed(test) => bail!("the check `{check}` fails without any defect: {test}"),
            Ran::Hung => bail!("the check `{check}` takes more than half an hour"),
        }
        self.controls.insert(check.clone(), begun.elapsed());
        Ok(begun.elapsed())
    }

    /// What catches a mutant; none if nothing does. A suite that cannot pass on this machine is left out.
    fn hunt(&mut self, mutant: &Mutant) -> Result<Option<String>> {
        let own = Check::parse(&mutant.check)?;
        let whole = Suite::ALL.into_iter().map(|suite| Check { suite, filters: Vec::new() });
        for check in [own].into_iter().chain(whole) {
            let took = match self.control(&check) {
                Ok(took) => took,
                Err(error) => {
                    eprintln!("left out: {error}");
                    continue;
                }
            };
            match self.run(&check, Some(&mutant.name), took * 10 + PATIENCE)? {
                Ran::Passed(_) => eprintln!("{}: `{check}` notices nothing", mutant.name),
                Ran::Failed(test) => return Ok(Some(format!("`{} {test}`", check.suite.name()))),
                Ran::Hung => return Ok(Some(format!("`{check}`, which does not end"))),
            }
        }
        Ok(None)
    }

    fn run(&self, check: &Check, mutant: Option<&str>, limit: Duration) -> Result<Ran> {
        let binary = self.binaries.get(&check.suite).context("no binary")?;
        let directory = self.tree.join(check.suite.directory());
        let mut command = Command::new(binary);
        command.args(&check.filters).args(SKIPPED.iter().flat_map(|name| ["--skip", name]));
        command.env("CARGO_MANIFEST_DIR", &directory).env("RUST_BACKTRACE", "0").env_remove(VARIABLE);
        command.envs(mutant.map(|name| (VARIABLE, name)));
        let mut child = command.current_dir(&directory).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut output = child.stdout.take().context("no output")?;
        let (sender, receiver) = sync_channel(1);
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = output.read_to_end(&mut bytes);
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        let text = match receiver.recv_timeout(limit) {
            Ok(text) => text,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                child.kill()?;
                child.wait()?;
                return Ok(Ran::Hung);
            }
        };
        reader.join().ok().context("the reader ended")?;
        if child.wait()?.success() {
            return Ok(Ran::Passed(passed(&text)));
        }
        let failed = text.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
        Ok(Ran::Failed(failed.unwrap_or("whose process ended").to_owned()))
    }
}

/// How many tests passed, by the summary.
fn passed(text: &str) -> u64 {
    let summary = text.lines().find_map(|line| line.strip_prefix("test result: ok. "));
    summary.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}
