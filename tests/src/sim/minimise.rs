//! Makes a failing run shorter: without what does not matter to it, with as few faults and heights as it takes.

use super::{Law, Plan, Report, plans::Named};
use std::{collections::BTreeSet, fmt};

/// What is changed in a named plan; it reads as the arguments of `allod-sim`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Parts that are left out.
    pub without: BTreeSet<String>,
    /// Another end.
    pub heights: Option<u64>,
    /// The only faults that happen.
    pub faults: Option<BTreeSet<u64>>,
}

impl Edits {
    /// The plan with the changes.
    ///
    /// # Errors
    /// When no plan has such a part.
    pub fn apply(&self, mut plan: Plan) -> Result<Plan, String> {
        for part in &self.without {
            plan = plan.without(part)?;
        }
        plan.heights = self.heights.unwrap_or(plan.heights);
        plan.only_faults = self.faults.clone().or(plan.only_faults);
        Ok(plan)
    }
}

impl fmt::Display for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.without.is_empty() {
            write!(f, " --without {}", self.without.iter().cloned().collect::<Vec<_>>().join(","))?;
        }
        if let Some(heights) = self.heights {
            write!(f, " --heights {heights}")?;
        }
        if let Some(faults) = &self.faults {
            write!(f, " --faults {}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))?;
        }
        Ok(())
    }
}

/// A failing run, as short as it was found.
#[derive(Clone, Debug)]
pub struct Minimal {
    /// What is changed in the plan.
    pub edits: Edits,
    /// How it fails.
    pub report: Report,
    /// How often it was tried.
    pub runs: u64,
}

/// Shortens the run of a seed, as long as it breaks the same law; none if it breaks none. `say` hears of each success.
pub fn minimise(named: &Named, seed: u64, mut say: impl FnMut(&Edits)) -> Option<Minimal> {
    let report = named.run_one(seed);
    let law = law(&report)?;
    let mut search = Search { named, law, best: Minimal { edits: Edits::default(), report, runs: 1 } };
    loop {
        let before = search.best.edits.clone();
        for part in named.of(seed).parts() {
            let mut edits = search.best.edits.clone();
            if edits.without.insert(part.into()) {
                search.attempt(edits, &mut say);
            }
        }
        search.end_sooner(&mut say);
        search.drop_faults(&mut say);
        if search.best.edits == before {
            return Some(search.best);
        }
    }
}

fn law(report: &Report) -> Option<Law> {
    report.violations.first().map(|violation| violation.law)
}

struct Search<'a> {
    named: &'a Named,
    law: Law,
    best: Minimal,
}

impl Search<'_> {
    /// Takes a change if the run still fails the same way.
    fn attempt(&mut self, edits: Edits, say: &mut impl FnMut(&Edits)) -> bool {
        self.best.runs += 1;
        let report = self.named.run_edited(self.best.report.seed, &edits);
        let fails = law(&report) == Some(self.law);
        if fails {
            say(&edits);
            self.best = Minimal { edits, report, runs: self.best.runs };
        }
        fails
    }

    /// The run stops at the first violation: the height after it is the end, and perhaps an earlier one will do.
    fn end_sooner(&mut self, say: &mut impl FnMut(&Edits)) {
        let reached = self.best.report.heights.iter().max().copied().unwrap_or(0);
        let heights = Some(reached + 1);
        if self.best.edits.heights.is_none_or(|now| now > reached + 1) {
            let edits = Edits { heights, ..self.best.edits.clone() };
            self.attempt(edits, say);
        }
    }

    /// Delta debugging over the faults that happened: without half of them, a quarter, and so on to each single one.
    fn drop_faults(&mut self, say: &mut impl FnMut(&Edits)) {
        let mut kept = self.best.report.faults.clone();
        let mut size = kept.len().div_ceil(2);
        while size > 0 && !kept.is_empty() {
            let mut start = 0;
            while start < kept.len() {
                let end = (start + size).min(kept.len());
                let rest: BTreeSet<u64> = kept
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| !(start..end).contains(at))
                    .map(|(_, fault)| *fault)
                    .collect();
                let edits = Edits { faults: Some(rest), ..self.best.edits.clone() };
                if self.attempt(edits, say) {
                    kept = self.best.report.faults.clone();
                } else {
                    start = end;
                }
            }
            size /= 2;
        }
    }
}
