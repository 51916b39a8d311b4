//! Makes a run of the simulator again: `allod-sim NAME SEED` prints what every peer says and does; without arguments the
//! names of the plans; with a name and a range `FROM..TO`, which of its seeds fail.

use allod_tests::sim::{Plan, plans};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            for plan in plans::ALL {
                println!("{} (tests run {}..{})", plan.name, plan.seeds.start, plan.seeds.end);
            }
            ExitCode::SUCCESS
        }
        [name, seeds] => run(name, seeds),
        _ => usage("what is to be run?"),
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!(
        "{problem}\nallod-sim                 the names of the plans\nallod-sim NAME SEED       one run, and all that happens in it\nallod-sim NAME FROM..TO   which of many fail"
    );
    ExitCode::from(2)
}

fn run(name: &str, seeds: &str) -> ExitCode {
    let Some(plan) = plans::named(name) else {
        return usage(&format!("there is no plan {name}"));
    };
    if let Some((from, to)) = seeds.split_once("..") {
        let (Ok(from), Ok(to)) = (from.parse(), to.parse()) else {
            return usage(&format!("{seeds} are no seeds"));
        };
        let reports = plan.with_seeds(from..to).run();
        let failed: Vec<_> = reports.iter().filter(|report| !report.violations.is_empty()).collect();
        for report in &failed {
            println!("seed {}: {}", report.seed, report.violations[0]);
        }
        println!("{} of {} runs failed", failed.len(), reports.len());
        return if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let Ok(seed) = seeds.parse() else {
        return usage(&format!("{seeds} is no seed"));
    };
    let report = Plan { verbose: true, ..plan.of(seed) }.run();
    println!("{report:#?}");
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
