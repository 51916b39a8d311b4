//! Emergency stops, and what owners decide about them. Every stop that ever was is kept; what an account has used up is
//! counted from them.

use super::{Refused, VersionStatus, World};
use allod_protocol::{
    ground::ids::{AccountId, ModelId, VersionLabel},
    rules::emergency::StopVersion,
};

/// How long after the term of its last stop an account may stop the same version again: 90 days.
const REST_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// How often one account stops one version.
const STOPS: usize = 3;
/// How many of an account's stops of one model run at a time.
const STOPS_AT_ONCE: usize = 16;

/// A stop, running or not.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Of which version.
    pub label: VersionLabel,
    /// By whom.
    pub account: AccountId,
    /// When it lapses.
    pub until: u64,
    /// Whether it runs.
    pub runs: bool,
}

/// By what a version is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspended {
    /// By the model's stop of this number.
    Stop(usize),
    /// By the owners.
    Decision,
}

impl World {
    pub(super) fn stop_version(&mut self, sender: AccountId, asked: &StopVersion) -> Result<(), Refused> {
        let (id, label) = (asked.model, &asked.label);
        let model = self.model(id)?;
        let version = self.version(id, label)?;
        if !asked.stops {
            return match version.suspended {
                Some(Suspended::Stop(number)) if model.stops[number].account == sender => {
                    self.end_suspension(id, label);
                    Ok(())
                }
                Some(_) => Err("not_own_stop"),
                None => Err("version_not_suspended"),
            };
        }
        let emergency = model.policy.emergency.as_ref().filter(|emergency| emergency.accounts.contains(&sender));
        let until = self.time + emergency.ok_or("may_not_stop")?.for_ms;
        self.require_not_suspended(id, label)?;
        if version.status == VersionStatus::Withdrawn {
            return Err("wrong_version_status");
        }
        let own: Vec<&Stop> = model.stops.iter().filter(|stop| stop.account == sender).collect();
        let of_version: Vec<&&Stop> = own.iter().filter(|stop| stop.label == *label).collect();
        if of_version.len() >= STOPS {
            return Err("stops_used_up");
        }
        if of_version.last().is_some_and(|last| self.time < last.until + REST_MS) {
            return Err("stopped_before");
        }
        if own.iter().filter(|stop| stop.runs).count() >= STOPS_AT_ONCE {
            return Err("too_many_stops");
        }
        let number = model.stops.len();
        let model = self.existing_mut(id);
        model.stops.push(Stop { label: label.clone(), account: sender, until, runs: true });
        self.set_suspended(id, label, Some(Suspended::Stop(number)));
        Ok(())
    }

    /// A stop is over when its time is, in the block that takes it off too.
    pub(super) fn require_not_suspended(&self, id: ModelId, label: &VersionLabel) -> Result<(), Refused> {
        match self.version(id, label)?.suspended {
            None => Ok(()),
            Some(Suspended::Stop(number)) if self.models[&id].stops[number].until <= self.time => Ok(()),
            Some(_) => Err("version_suspended"),
        }
    }

    pub(super) fn suspend_version(&mut self, id: ModelId, label: &VersionLabel) -> Result<(), Refused> {
        let version = self.version(id, label)?;
        if version.status == VersionStatus::Withdrawn {
            return Err("wrong_version_status");
        }
        if version.suspended == Some(Suspended::Decision) {
            return Err("version_suspended");
        }
        self.end_suspension(id, label);
        self.set_suspended(id, label, Some(Suspended::Decision));
        Ok(())
    }

    pub(super) fn lift_suspension(&mut self, id: ModelId, label: &VersionLabel) -> Result<(), Refused> {
        if self.version(id, label)?.suspended.is_none() {
            return Err("version_not_suspended");
        }
        self.end_suspension(id, label);
        Ok(())
    }

    /// Ends a suspension, if there is one, and the stop that it is by.
    pub(super) fn end_suspension(&mut self, id: ModelId, label: &VersionLabel) {
        if let Some(Suspended::Stop(number)) = self.models[&id].versions[label].suspended {
            self.existing_mut(id).stops[number].runs = false;
        }
        self.set_suspended(id, label, None);
    }

    /// The time of a stop is up, unless something ended it in the same block.
    pub(super) fn stop_is_due(&mut self, id: ModelId, number: usize) {
        let Stop { label, runs: true, .. } = self.models[&id].stops[number].clone() else { return };
        self.end_suspension(id, &label);
    }

    fn set_suspended(&mut self, id: ModelId, label: &VersionLabel, suspended: Option<Suspended>) {
        if let Some(version) = self.existing_mut(id).versions.get_mut(label) {
            version.suspended = suspended;
        }
    }
}
