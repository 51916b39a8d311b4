//! Makes runs of the simulator again: `allod-sim --help` says how.

use allod_tests::sim::{
    Plan, Report,
    minimise::{self, Edits},
    plans::{self, Named},
};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

/// As in `allod`; runs of many peers in one process spend a tenth of their time in allocating.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const HELP: &str = "\
allod-sim                            the names of the plans
allod-sim NAME SEED [CHANGES]        one run, and all that happens in it
allod-sim NAME FROM..TO [CHANGES]    which of many fail, and how fast they go
allod-sim --minimise NAME SEED       the same failing run, as short as it fails
allod-sim --long MINUTES             fresh seeds of all plans on all cores, and which of them fail

CHANGES, as --minimise prints them:
  --without PART,PART    leaves out a part of the plan: loss, crashes, behaviours, ...
  --heights N            ends at this height
  --faults N,N           of the numbered faults of the seed, these alone happen
  --quiet                only what came of the run";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            for plan in plans::ALL {
                println!("{} (tests run {}..{})", plan.name, plan.seeds.start, plan.seeds.end);
            }
            Ok(true)
        }
        ["--help" | "-h"] => {
            println!("{HELP}");
            Ok(true)
        }
        ["--minimise", name, seed] => run_minimise(name, seed),
        ["--long", minutes] => run_long(minutes),
        [name, seeds, ref changes @ ..] => run(name, seeds, changes),
        _ => Err("what is to be run?".into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn named(name: &str) -> Result<&'static Named, String> {
    plans::named(name).ok_or_else(|| format!("there is no plan {name}"))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

/// What is changed in the plan, and whether the run is quiet.
fn parse_changes(changes: &[&str]) -> Result<(Edits, bool), String> {
    let (mut edits, mut quiet, mut rest) = (Edits::default(), false, changes.iter());
    while let Some(change) = rest.next() {
        if *change == "--quiet" {
            quiet = true;
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{change} lacks a value"))?;
        let mut items = value.split(',').filter(|item| !item.is_empty());
        match *change {
            "--without" => edits.without = items.map(String::from).collect(),
            "--heights" => edits.heights = Some(number(value)?),
            "--faults" => edits.faults = Some(items.try_fold(Default::default(), with_number)?),
            _ => return Err(format!("{change} is no change")),
        }
    }
    Ok((edits, quiet))
}

fn with_number(
    mut numbers: std::collections::BTreeSet<u64>,
    text: &str,
) -> Result<std::collections::BTreeSet<u64>, String> {
    numbers.insert(number(text)?);
    Ok(numbers)
}

fn run(name: &str, seeds: &str, changes: &[&str]) -> Result<bool, String> {
    let (plan, (edits, quiet)) = (named(name)?, parse_changes(changes)?);
    // That the parts exist.
    edits.apply(plan.of(0))?;
    if let Some((from, to)) = seeds.split_once("..") {
        let begun = Instant::now();
        let reports = plan.with_seeds(number(from)?..number(to)?).run_all(&edits);
        return Ok(say_failures(plan.name, &reports, begun.elapsed()));
    }
    let plan = Plan { verbose: !quiet, ..edits.apply(plan.of(number(seeds)?))? };
    let report = plan.run();
    println!("{report:#?}");
    Ok(report.is_good())
}

fn say_failures(name: &str, reports: &[Report], elapsed: Duration) -> bool {
    let failed: Vec<&Report> = reports.iter().filter(|report| !report.is_good()).collect();
    for report in &failed {
        println!("{name} {}: {}", report.seed, report.violations[0]);
    }
    let decided: u64 = reports.iter().filter_map(|report| report.heights.iter().max()).sum();
    let seconds = elapsed.as_secs_f64() * plans::threads() as f64;
    println!(
        "{} of {} runs failed; {decided} heights, {:.0} a second and core",
        failed.len(),
        reports.len(),
        decided as f64 / seconds
    );
    failed.is_empty()
}

fn run_minimise(name: &str, seed: &str) -> Result<bool, String> {
    let (plan, seed) = (named(name)?, number(seed)?);
    let Some(minimal) = minimise::minimise(plan, seed, |edits| eprintln!("still fails:{edits}")) else {
        println!("{name} {seed} does not fail");
        return Ok(true);
    };
    let minimise::Minimal { edits, report, runs } = minimal;
    println!("after {runs} runs, as short as it fails:\n{:#?}", edits.apply(plan.of(seed))?);
    println!("{}\nallod-sim {name} {seed}{edits}", report.violations[0]);
    Ok(false)
}

fn run_long(minutes: &str) -> Result<bool, String> {
    let until = Instant::now() + Duration::from_secs(60 * number(minutes)?);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // Seeds that no run had before: a thousand of them a second, at most.
    let first = now.map_err(|error| error.to_string())?.as_secs() * 1_000;
    let found = plans::run_long(first, until, |progress| eprintln!("{progress}"));
    for failure in &found {
        println!("{failure}");
    }
    Ok(found.is_empty())
}
