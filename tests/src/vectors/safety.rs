//! What keeps the people safe whom a model works on: findings, and what they are refused for.

use super::{
    Vector,
    fixed::{ACCOUNT, artifact, name},
    variants::finding,
    vector,
};
use allod_protocol::{attestation::Finding, rejection::Rejection};

pub(super) fn rejections() -> Vec<Rejection> {
    let (account, artifact, statement) = (ACCOUNT, artifact(), name("bias-audit"));
    vec![
        Rejection::FailedAttestation {
            artifact,
            statement: statement.clone(),
            account,
            note: "Worse for the old.".into(),
            passed: 1,
            outvoted_by: Some(3),
        },
        Rejection::NothingAttested { account, artifact, statement },
    ]
}

/// The variants of the enums of this family.
pub(super) fn variants() -> Vec<Vector> {
    let findings = [Finding::Passed, Finding::Failed, Finding::Withdrawn];
    findings.iter().map(|one| vector(format!("finding.{}", finding(one)), one)).collect()
}
