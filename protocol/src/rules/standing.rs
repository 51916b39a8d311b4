//! What everybody who comes across a version should know: that it was withdrawn, is suspended, deprecated or disputed,
//! or was made from such a version.
//!
//! The ledger decides nothing by this. It is one function for all places that show a version, so that a fetch, a page,
//! a lineage and a licensee's list say the same.

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

/// Maximum lineage steps that are followed towards ancestors.
pub const STEPS: u32 = 16;
/// Maximum number of ancestors that are examined in any case.
pub const ANCESTORS: usize = 256;

/// The kind of a concern, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ConcernKind {
    /// Somebody challenges the version, and nobody has ruled yet.
    Disputed,
    /// Its owners warn everybody against it.
    Deprecated,
    /// It must not be used until the suspension ends.
    Suspended,
    /// It must not be used any more.
    Withdrawn,
}

impl ConcernKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Disputed, Self::Deprecated, Self::Suspended, Self::Withdrawn];

    /// The kind's name, as in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// One concern about a version, or about one that it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Concern {
    /// The kind of concern.
    pub kind: ConcernKind,
    /// The version that it is about.
    pub version: VersionRef,
    /// Number of lineage steps to that version; 0 for the version itself.
    pub distance: u32,
    /// The reason, shortened to its first [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
    /// The block time at which it ends by itself, if it does.
    pub until: Option<Timestamp>,
    /// The dispute, if it is one.
    pub dispute: Option<DisputeId>,
}

/// All concerns about a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Standing {
    /// The concerns, nearest version first, and for the same version the gravest first.
    pub concerns: Vec<Concern>,
    /// Whether some ancestors were not examined, so that there may be more concerns.
    pub partial: bool,
}

impl Standing {
    /// The gravest concern about the version itself.
    pub fn own(&self) -> Option<&Concern> {
        self.concerns.iter().find(|concern| concern.distance == 0)
    }

    /// The suspension or withdrawal of the version itself: it is not given to anybody who does not ask for it despite
    /// that.
    pub fn barred(&self) -> Option<&Concern> {
        self.own().filter(|concern| concern.kind >= ConcernKind::Suspended)
    }
}

/// The standing of a version. At most `ancestors` of its ancestors are examined (and never more than [`ANCESTORS`]),
/// nearest first, up to [`STEPS`] away.
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
    /// Adds the concerns about one version, the gravest first.
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
