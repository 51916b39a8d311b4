//! What whoever meets a version should hear of it: that it was withdrawn, is suspended, deprecated or disputed, or was
//! made from one that is.
//!
//! The ledger decides nothing by this. It is one function for every place in which a version is met, so that a fetch, a
//! page, a lineage and a licensee's list say the same.

use crate::{
    ground::{
        ids::{DisputeId, ModelId, Timestamp, VersionLabel},
        limits,
        state::{StateError, StateRead, read},
    },
    rules::{
        dispute::{Dispute, DisputeTarget, Frozen},
        model::{Version, VersionRef, VersionStatus},
    },
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// Steps towards what a version was made from that are followed at most.
pub const STEPS: u32 = 16;
/// Ancestors that are looked at, at most, however they are asked for.
pub const ANCESTORS: usize = 256;

/// What is the matter, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConcernKind {
    /// Somebody challenges it, and nobody has ruled yet.
    Disputed,
    /// Its owners warn everybody off.
    Deprecated,
    /// It is not to be used until the suspension ends.
    Suspended,
    /// It is not to be used any more.
    Withdrawn,
}

impl ConcernKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Disputed, Self::Deprecated, Self::Suspended, Self::Withdrawn];

    /// The kind's name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disputed => "disputed",
            Self::Deprecated => "deprecated",
            Self::Suspended => "suspended",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// One thing that is the matter with a version, or with one that it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concern {
    /// What.
    pub kind: ConcernKind,
    /// With which version.
    pub version: VersionRef,
    /// How many steps of lineage away; 0 for the version itself.
    pub distance: u32,
    /// Why; the first [`limits::TITLE_SIZE_BYTES`] of what is longer.
    pub reason: String,
    /// The block time at which it ends by itself, where it does.
    pub until: Option<Timestamp>,
    /// The dispute, if it is one.
    pub dispute: Option<DisputeId>,
}

/// All that is the matter with a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What, the nearest first, and of the same version the gravest first.
    pub concerns: Vec<Concern>,
    /// Whether there are ancestors that were not looked at, so that more may be the matter.
    pub partial: bool,
}

impl Standing {
    /// The gravest that is the matter with the version itself.
    pub fn own(&self) -> Option<&Concern> {
        self.concerns.iter().find(|concern| concern.distance == 0)
    }

    /// The suspension or withdrawal of the version itself: without being asked for it by name, nobody is given it.
    pub fn barred(&self) -> Option<&Concern> {
        self.own().filter(|concern| concern.kind >= ConcernKind::Suspended)
    }
}

/// Where a version stands; of what it was made from, at most `ancestors` versions are looked at ([`ANCESTORS`] in any
/// case), the nearest first, [`STEPS`] away at most.
///
/// # Errors
/// When the state cannot be read.
pub fn of(state: &impl StateRead, version: &Version, ancestors: usize) -> Result<Standing, StateError> {
    let mut standing = Standing::default();
    standing.add(state, version, 0)?;
    let room = ancestors.min(ANCESTORS);
    let mut seen = BTreeSet::from([(version.model, version.label.clone())]);
    let mut next = VecDeque::from([(version.parents.clone(), 1)]);
    while let Some((parents, distance)) = next.pop_front() {
        for VersionRef { model, label } in parents {
            if distance > STEPS || seen.len() > room {
                standing.partial |= !seen.contains(&(model, label));
                continue;
            }
            if !seen.insert((model, label.clone())) {
                continue;
            }
            if let Some(parent) = read::<Version>(state, &(model, label))? {
                standing.add(state, &parent, distance)?;
                next.push_back((parent.parents, distance.saturating_add(1)));
            }
        }
    }
    Ok(standing)
}

impl Standing {
    /// Adds what is the matter with one version, the gravest first.
    fn add(&mut self, state: &impl StateRead, version: &Version, distance: u32) -> Result<(), StateError> {
        let at = VersionRef { model: version.model, label: version.label.clone() };
        let mut add = |kind, reason: &str, until, dispute| {
            let (version, reason) = (at.clone(), shortened(reason));
            self.concerns.push(Concern { kind, version, distance, reason, until, dispute });
        };
        if let VersionStatus::Withdrawn { reason, .. } = &version.status {
            add(ConcernKind::Withdrawn, reason, None, None);
        }
        if let Some(suspension) = &version.suspended {
            add(ConcernKind::Suspended, &suspension.reason, suspension.until(), None);
        }
        if let VersionStatus::Deprecated { reason, .. } = &version.status {
            add(ConcernKind::Deprecated, reason, None, None);
        }
        let target: (ModelId, VersionLabel) = (version.model, version.label.clone());
        let target = DisputeTarget::Version { model: target.0, label: target.1 };
        if let Some(id) = read::<Frozen>(state, &target)?.and_then(|frozen| frozen.first())
            && let Some(dispute) = read::<Dispute>(state, &id)?
        {
            add(ConcernKind::Disputed, &dispute.claim.text, Some(dispute.falls_due()), Some(id));
        }
        Ok(())
    }
}

/// The beginning of a text, cut between characters.
pub(crate) fn shortened(text: &str) -> String {
    let end = (0..=limits::TITLE_SIZE_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_ends_between_characters() {
        let text = "ü".repeat(limits::TITLE_SIZE_BYTES);
        assert_eq!(shortened(&text).len(), limits::TITLE_SIZE_BYTES);
        assert_eq!(shortened(&format!("a{text}")).len(), limits::TITLE_SIZE_BYTES - 1);
        assert_eq!(shortened("fails"), "fails");
    }
}
