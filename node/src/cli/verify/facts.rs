//! What a deed says, in words for people.

use crate::{
    cli::{
        attest::finding_text,
        dates::Dates,
        output::Fields,
        words::{show_licence, show_rule, status_name, version_status},
    },
    plain::{
        self,
        units::{show_count, show_size, show_time},
    },
};
use allod_protocol::{
    ground::ids::{Timestamp, Units},
    proof::{
        Subject,
        deed::{AttestationFacts, DecisionFacts, Facts, LicenceFacts, ShareFacts, VersionFacts},
    },
    rules::{
        dispute::Dispute,
        licence::{LicenceEnd, LicenceGrant},
        model::{Model, VersionStatus},
        policy::TransferRule,
    },
};

/// Adds the facts, as of the time of the block that certifies them.
pub(super) fn add(fields: &mut Fields, subject: &Subject, facts: &Facts, time: Timestamp) {
    match facts {
        Facts::Share(facts) => add_share(fields, facts, time),
        Facts::Version(facts) => add_version(fields, facts),
        Facts::Licence(facts) => add_licence(fields, facts, time),
        Facts::Decision(facts) => add_decision(fields, facts),
        Facts::Attestation(facts) => add_attestation(fields, subject, facts),
    }
}

fn add_model(fields: &mut Fields, model: &Model) {
    let retired = model.retired.map(|height| format!("\nretired in block {height}")).unwrap_or_default();
    fields.add("model", format!("{}{retired}", model.name));
}

fn disputed(disputes: &[Dispute], what: &str) -> String {
    if disputes.is_empty() {
        return "no".into();
    }
    let by = |dispute: &Dispute| {
        let units = match dispute.units.get() {
            0 => what.to_owned(),
            units => format!("{} units of {what}", show_count(units)),
        };
        format!("YES: {units}, by dispute\n{}\n{}", dispute.id, dispute.claim.text)
    };
    disputes.iter().map(by).collect::<Vec<_>>().join("\n")
}

fn add_share(fields: &mut Fields, facts: &ShareFacts, time: Timestamp) {
    add_model(fields, &facts.model);
    fields.add("holder", format!("{}\n{}", facts.account.handle, facts.account.id));
    let total = show_count(facts.register.total_units.get());
    fields.add(
        "units",
        match facts.units.get() {
            0 => format!("none of {total}"),
            units => format!("{} of {total}", show_count(units)),
        },
    );
    let ends = facts.vesting.0.iter().map(|grant| grant.start.plus_ms(grant.vesting.duration_ms)).max();
    fields.add(
        "under vesting",
        match (facts.locked_units(time).get(), ends) {
            (0, _) | (_, None) => "no".into(),
            (locked, Some(ends)) => format!("{} units, the last until {}", show_count(locked), show_time(ends)),
        },
    );
    fields.add("disputed", disputed(&facts.disputes, "the line"));
    if facts.frozen.units > Units::ZERO {
        let units = show_count(facts.frozen.units.get());
        fields.add("frozen", format!("YES: {units} units stay on the line until the disputes are over"));
    }
    fields.add(
        "bound",
        match facts.challenger.bound(time).get() {
            0 => "no".into(),
            units => format!("{} units, for the holder's own challenges", show_count(units)),
        },
    );
    fields.add(
        "suspended",
        match &facts.account.suspended {
            Some(suspension) => format!("YES: the holder, since block {}: {:?}", suspension.since, suspension.reason),
            None => "no".into(),
        },
    );
    fields.add_some(
        "NEW KEYS",
        facts.unaccepted.as_ref().map(|epoch| {
            format!(
                "the holder's, since block {}: the owners have not accepted them, so no unit leaves the line",
                epoch.since
            )
        }),
    );
    fields.add("free", format!("{} units", show_count(facts.free_units(time).get())));
    fields.add(
        "transfers",
        match facts.model.policy.transfers {
            TransferRule::Free => "free",
            TransferRule::Approval => "need the owners' approval",
            TransferRule::Locked => "locked by the owners' rule",
        },
    );
}

fn add_version(fields: &mut Fields, facts: &VersionFacts) {
    let VersionFacts { model, version, disputes } = facts;
    fields.add("version", format!("{}@{}", model.name, version.label));
    fields.add("artifact", version.artifact.address).add("size", show_size(version.artifact.size_bytes));
    fields.add(
        "status",
        match &version.status {
            VersionStatus::Released { proposal, height } => {
                format!("released in block {height} by proposal\n{proposal}")
            }
            // Offline, the time of a block is unknown.
            status => version_status(status, &Dates::default()),
        },
    );
    fields.add_some("SUSPENDED", version.suspended.as_ref().map(|suspension| &suspension.reason));
    fields.add("disputed", disputed(disputes, "the version"));
}

fn add_licence(fields: &mut Fields, facts: &LicenceFacts, time: Timestamp) {
    add_model(fields, &facts.model);
    fields.add("licensee", format!("{}\n{}", facts.account.handle, facts.account.id));
    let Some(licensee) = &facts.licence else {
        fields.add("licence", "none: the owners never granted it one");
        return;
    };
    match &licensee.licence {
        None => {
            fields.add("licence", "none: it never agreed to one");
        }
        Some(licence) => {
            let stands = match licence.ended {
                None if licence.grant.is_over(time) => "OVER",
                None => "in force",
                Some(LicenceEnd::GivenUp) => "GIVEN UP",
                Some(LicenceEnd::Revoked) => "REVOKED",
            };
            fields.add("licence", stands);
            add_grant(fields, &licence.grant);
        }
    }
    if let Some(offer) = licensee.offered(time) {
        fields.add("offered", "and NOT ACCEPTED");
        add_grant(fields, offer);
    }
}

fn add_grant(fields: &mut Fields, grant: &LicenceGrant) {
    fields.add("granted", format!("in block {} by proposal\n{}", grant.since, grant.proposal));
    fields.add("until", grant.expires.map_or_else(|| "it is given up or taken back".into(), show_time));
    fields.add("terms", grant.terms.as_ref().map_or_else(|| "none stated".into(), show_licence));
}

fn add_decision(fields: &mut Fields, facts: &DecisionFacts) {
    let DecisionFacts { model, proposal, tally, proposer } = facts;
    fields.add("decision", proposal.id);
    let asked =
        model.as_ref().map_or_else(|| "the members of the network".into(), |model| format!("owners of {}", model.name));
    fields.add("asked", format!("{asked}, by {}", proposer.handle));
    // The action comes before the words about it: the title is its author's.
    let Ok(actions) = plain::actions(&plain::Ids, proposal);
    fields.add("would do", actions.join("\n"));
    fields.add("title", &proposal.title);
    fields.add("rule", show_rule(&proposal.rule));
    let count = |units| show_count(units);
    let (ballots, of) = (count(tally.ballots), count(tally.electorate));
    let noun = if tally.ballots == 1 { "ballot" } else { "ballots" };
    fields.add(
        "tally",
        format!(
            "yes {}, no {}, abstain {}, veto {}, of {of} in all\n{ballots} {noun}",
            count(tally.yes),
            count(tally.no),
            count(tally.abstain),
            count(tally.veto)
        ),
    );
    fields.add("outcome", status_name(&proposal.status));
}

fn add_attestation(fields: &mut Fields, subject: &Subject, facts: &AttestationFacts) {
    if let Subject::Attestation { artifact, statement, .. } = subject {
        fields.add("artifact", artifact).add("statement", statement);
    }
    fields.add("by", format!("{}\n{}", facts.account.handle, facts.account.id));
    let Some(said) = &facts.attestation else {
        fields.add("said", "nothing");
        return;
    };
    let verdict = finding_text(said.finding);
    fields.add("said", format!("{verdict}, in block {}", said.height));
    fields.add_some("note", Some(&said.note).filter(|note| !note.is_empty()));
    fields.add_some("evidence", said.evidence);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use allod_protocol::{
        ground::{
            crypto::SigningKey,
            ids::{AccountId, Handle, Height},
        },
        rules::account::{Account, KeyPolicy},
    };

    /// Facts that say an account attested nothing.
    pub(in crate::cli::verify) fn nothing_attested(account: AccountId) -> Facts {
        let keys = KeyPolicy::single(SigningKey::from_seed(&[1; 32]).public_key());
        #[allow(clippy::unwrap_used, reason = "a sound handle")]
        let account = Account::new(account, Handle::new("northfield").unwrap(), keys, Height::ZERO);
        Facts::Attestation(Box::new(AttestationFacts { account, attestation: None }))
    }
}
