//! The alert rules: Prometheus takes them, each fires in its unit test and ends there, and each asks for metrics that exist.

use std::{collections::BTreeSet, fs, process::Command};

const OBSERVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testnet/observe");

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words of a text that begin like names of metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("allod_")).collect()
}

#[test]
fn prometheus_takes_the_alert_rules_and_each_fires_and_ends() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!(
            "SKIPPED: promtool is not installed here (apt-get install prometheus): the alert rules were not tried"
        );
        return;
    }
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let output = Command::new("promtool").args(arguments).current_dir(OBSERVE).output().expect("promtool");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
    }
}

#[test]
fn alerts_ask_for_metrics_that_exist_and_each_has_a_test() {
    let (rules, tests) = (read(&format!("{OBSERVE}/alerts.yml")), read(&format!("{OBSERVE}/alerts_test.yml")));
    let families = read(concat!(env!("CARGO_MANIFEST_DIR"), "/../node/src/metrics/families.rs"));
    let known = names(&families);
    let asked = names(&rules);
    assert!(asked.len() > 10, "{asked:?}");
    for name in asked {
        assert!(known.contains(name.trim_end_matches("_bucket")), "nobody counts {name}");
    }
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let named = format!("alertname: {alert}");
        let fires = tests.split(&named).skip(1).filter(|rest| rest.trim_start().starts_with("exp_alerts:")).count();
        assert!(fires > 0, "no test has {alert} fire");
    }
}
