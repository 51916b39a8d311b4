//! What has a name in the code has the same one in JSON.

use crate::rules::{
    action::Action,
    attestation::Finding,
    contribution::ContributionKind,
    dispute::DisputeStatus,
    event::Event,
    model::VersionStatus,
    office::{Office, TenureStatus},
    policy::{Class, Risk},
    proposal::{Choice, ModelAction, NetworkAction, ProposalStatus},
    rejection::Rejection,
    standing::ConcernKind,
};
use serde::de::DeserializeOwned;
use strum::VariantNames;

/// The names that serde knows: it lists them to whoever gives another one.
fn json_names<T: DeserializeOwned>() -> Vec<String> {
    let refusal = serde_json::from_str::<T>("\"?\"").err().map(|error| error.to_string()).unwrap_or_default();
    refusal.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect()
}

#[track_caller]
fn check<T: DeserializeOwned + VariantNames>() {
    assert!(T::VARIANTS.len() > 1);
    assert_eq!(json_names::<T>(), T::VARIANTS);
}

#[test]
fn names_are_those_of_json() {
    check::<Action>();
    check::<Choice>();
    check::<Class>();
    check::<ConcernKind>();
    check::<ContributionKind>();
    check::<DisputeStatus>();
    check::<Event>();
    check::<Finding>();
    check::<Office>();
    check::<ProposalStatus>();
    check::<ModelAction>();
    check::<NetworkAction>();
    check::<Rejection>();
    check::<Risk>();
    check::<TenureStatus>();
    check::<VersionStatus>();
}
