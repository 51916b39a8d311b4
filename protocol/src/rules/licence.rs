//! Licences: what a model's owners let an account use, on which terms, and until when; what was requested, what was
//! agreed, and the history.
//!
//! The owners decide to grant a licence. It pins its terms: later changes of the model's own licence do not affect it.
//! Its term runs from the block that executes the decision. The account must agree to that very grant by its own
//! signature; until then it owes nothing, and what it agreed to before stays as it is. It has agreed in advance if it
//! asked for exactly that, if the decision is its own proposal, or if it has a licence on the same terms that ends no
//! later.
//!
//! ```text
//!            +---- the owners grant it: not agreed yet --------> offered --accept---> in force
//! (asked) ---+                                                    |                    |
//!            +---- ... agreed in advance ----------------------|------> in force    |
//!                                                                 +----> declined      +----> given up
//!                                                                 +----> revoked       +----> revoked, over
//! ```
//!
//! The history of a licence is kept for ever, step by step ([`LicenceChange`]). A request is not: a licence uses it up,
//! or it is withdrawn, or it lapses.

use crate::{
    ground::{
        ids::{AccountId, Height, ModelId, ProposalId, Timestamp},
        invalid::{Invalid, check_line, check_text},
        limits,
        state::{Family, Overlay, Record, prefix_end},
    },
    rules::{
        context::Context,
        due::{self, Due},
        event::Event,
        model::{Licence, Model},
        proposal::Proposal,
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// The terms of a licence, and how long it lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LicenceTerms {
    /// The terms of use. `None` if the owners state none.
    pub terms: Option<Licence>,
    /// How long it lasts, in milliseconds of block time from the grant, 1 to [`limits::LICENCE_MS`]. `None` means for
    /// ever.
    pub for_ms: Option<u64>,
}

impl LicenceTerms {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if let Some(for_ms) = self.for_ms.filter(|ms| !(1..=limits::LICENCE_MS).contains(ms)) {
            let problem = format!("is {for_ms} ms; set 1 to {}, or leave it out for ever", limits::LICENCE_MS);
            return Err(Invalid::Form { field: "for_ms", problem });
        }
        self.terms.as_ref().map_or(Ok(()), Licence::check)
    }
}

/// A grant of the owners to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LicenceGrant {
    /// The decision.
    pub proposal: ProposalId,
    /// The height at which the decision was executed.
    pub since: Height,
    /// The terms as they were granted.
    pub terms: Option<Licence>,
    /// The block time at which it ends. `None` means never.
    pub expires: Option<Timestamp>,
}

impl LicenceGrant {
    /// Whether it has expired at a block time.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether it ends before another grant.
    fn ends_before(&self, other: &Self) -> bool {
        self.expires.is_some_and(|ends| other.expires.is_none_or(|other| ends < other))
    }
}

/// How a licence ended before its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LicenceEnd {
    /// The account gave it up.
    GivenUp,
    /// The owners revoked it.
    Revoked,
}

/// A licence that an account agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgreedLicence {
    /// The grant.
    pub grant: LicenceGrant,
    /// How it ended. `None` if it did not, or expired.
    pub ended: Option<LicenceEnd>,
}

/// The licences that a model's owners granted an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Licensee {
    /// The model.
    pub model: ModelId,
    /// The account.
    pub account: AccountId,
    /// The licence that it last agreed to.
    pub licence: Option<AgreedLicence>,
    /// The last grant that it has not answered. It does not affect the licence.
    pub offer: Option<LicenceGrant>,
    /// Number of steps in its history so far.
    pub changes: u64,
}

impl Record for Licensee {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::Licensee;
}

impl Licensee {
    /// The licence by which the account may use the model at a block time.
    pub fn in_force(&self, now: Timestamp) -> Option<&LicenceGrant> {
        let agreed = self.licence.as_ref().filter(|licence| licence.ended.is_none())?;
        Some(&agreed.grant).filter(|grant| !grant.is_over(now))
    }

    /// The grant that the account can still agree to at a block time.
    pub fn offered(&self, now: Timestamp) -> Option<&LicenceGrant> {
        self.offer.as_ref().filter(|grant| !grant.is_over(now))
    }
}

/// A step in the history of a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LicenceStep {
    /// The owners granted it.
    Granted {
        /// The decision.
        proposal: ProposalId,
        /// The terms.
        terms: Option<Licence>,
        /// The block time at which it ends.
        expires: Option<Timestamp>,
        /// Whether the account had agreed in advance.
        accepted: bool,
    },
    /// The account agreed.
    Accepted,
    /// The account declined.
    Declined,
    /// The account gave it up.
    GivenUp,
    /// The owners revoked it.
    Revoked {
        /// The decision.
        proposal: ProposalId,
        /// The reason.
        reason: String,
    },
}

/// One step of the history of an account's licences to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LicenceChange {
    /// Its number, from 0.
    pub number: u64,
    /// The height of the step.
    pub height: Height,
    /// The step.
    pub step: LicenceStep,
}

impl Record for LicenceChange {
    type Key = (ModelId, AccountId, u64);
    const FAMILY: Family = Family::LicenceChange;
}

/// A model to which an account has, or had, a licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenceOf(pub ModelId);

impl Record for LicenceOf {
    type Key = (AccountId, ModelId);
    const FAMILY: Family = Family::LicenceOf;
}

/// A request of an account for a licence. A licence uses it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LicenceRequest {
    /// The account.
    pub account: AccountId,
    /// The model.
    pub model: ModelId,
    /// What it asks for, and so agrees to.
    pub terms: LicenceTerms,
    /// The purpose, in its own words.
    pub text: String,
    /// The height of the request.
    pub asked: Height,
    /// The block time at which the request ends.
    pub expires: Timestamp,
}

impl Record for LicenceRequest {
    type Key = (AccountId, ModelId);
    const FAMILY: Family = Family::LicenceRequest;
}

/// An account that asks for a licence to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenceRequestOf(pub AccountId);

impl Record for LicenceRequestOf {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::LicenceRequestOf;
}

/// What an account asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WantedLicence {
    /// The terms, and how long the licence lasts. Until it withdraws the request, the account agrees to exactly that.
    pub terms: LicenceTerms,
    /// The purpose, in its own words.
    pub text: String,
    /// How long the request stands, in milliseconds of block time: 1 to [`limits::LICENCE_REQUEST_MS`].
    pub lifetime_ms: u64,
}

/// Ask a model's owners for a licence, replacing an earlier request of the sender; or withdraw the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AskLicence {
    /// The model.
    pub model: ModelId,
    /// What is asked for. `None` withdraws the request.
    pub wanted: Option<WantedLicence>,
}

impl AskLicence {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let Some(wanted) = &self.wanted else { return Ok(()) };
        check_text("text", &wanted.text, limits::TEXT_SIZE_BYTES)?;
        if !(1..=limits::LICENCE_REQUEST_MS).contains(&wanted.lifetime_ms) {
            let problem = format!("is {}; set 1 to {} ms", wanted.lifetime_ms, limits::LICENCE_REQUEST_MS);
            return Err(Invalid::Form { field: "lifetime_ms", problem });
        }
        wanted.terms.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let model = self.model;
        Model::existing(state, model)?;
        let asked = forget_request(state, model, sender);
        let Some(wanted) = &self.wanted else {
            if !asked {
                return Err(Rejection::NoLicenceAsked { account: sender, model });
            }
            return Ok(vec![Event::LicenceAsked { model, account: sender, asks: false }]);
        };
        let prefix = LicenceRequest::key_bytes(&sender);
        let open = state.entries(&prefix, &prefix_end(&prefix), limits::LICENCE_REQUESTS_PER_ACCOUNT).len();
        if open >= limits::LICENCE_REQUESTS_PER_ACCOUNT {
            return Err(Rejection::TooManyLicencesAsked(sender));
        }
        let WantedLicence { terms, text, lifetime_ms } = wanted.clone();
        let expires = context.time.plus_ms(lifetime_ms);
        let request = LicenceRequest { account: sender, model, terms, text, asked: context.height, expires };
        state.write(&(sender, model), &request);
        state.write(&(model, sender), &LicenceRequestOf(sender));
        due::set(state, expires, Due::LicenceRequest { account: sender, model });
        Ok(vec![Event::LicenceAsked { model, account: sender, asks: true }])
    }
}

/// Removes an account's request from the list and the agenda. Returns whether there was one.
fn forget_request(state: &mut Overlay<'_>, model: ModelId, account: AccountId) -> bool {
    let Some(request) = state.read::<LicenceRequest>(&(account, model)) else { return false };
    due::clear(state, request.expires, Due::LicenceRequest { account, model });
    state.remove::<LicenceRequest>(&(account, model));
    state.remove::<LicenceRequestOf>(&(model, account));
    true
}

/// An account's request for a licence lapses: nobody granted it in time.
pub(crate) fn lapse(state: &mut Overlay<'_>, account: AccountId, model: ModelId) -> Vec<Event> {
    if forget_request(state, model, account) {
        vec![Event::LicenceRequestLapsed { model, account }]
    } else {
        Vec::new()
    }
}

/// Agree to a licence that was granted to the sender, or decline it, or give it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerLicence {
    /// The model.
    pub model: ModelId,
    /// The decision that granted it, so that nobody agrees to a grant that it has not seen.
    pub proposal: ProposalId,
    /// Whether the sender agrees; otherwise it declines the licence or gives it up.
    pub accept: bool,
}

impl AnswerLicence {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let (model, proposal, accept) = (self.model, self.proposal, self.accept);
        let lacks = Rejection::NoSuchLicence { account: sender, model, proposal };
        let Some(mut licensee) = state.read::<Licensee>(&(model, sender)) else { return Err(lacks) };
        let offer = licensee.offered(context.time).filter(|offer| offer.proposal == proposal).cloned();
        let step = match (offer, accept) {
            (Some(grant), true) => {
                licensee.licence = Some(AgreedLicence { grant, ended: None });
                licensee.offer = None;
                forget_request(state, model, sender);
                LicenceStep::Accepted
            }
            (Some(_), false) => {
                licensee.offer = None;
                LicenceStep::Declined
            }
            (None, false) if licensee.in_force(context.time).is_some_and(|grant| grant.proposal == proposal) => {
                licensee.end(LicenceEnd::GivenUp);
                LicenceStep::GivenUp
            }
            (None, _) => return Err(lacks),
        };
        put(state, context, licensee, step);
        Ok(vec![Event::LicenceAnswered { model, account: sender, proposal, accept }])
    }
}

impl Licensee {
    /// Ends the licence that the account agreed to, if it has not ended yet. Returns whether it did.
    fn end(&mut self, how: LicenceEnd) -> bool {
        match self.licence.as_mut().filter(|licence| licence.ended.is_none()) {
            Some(licence) => licence.ended.replace(how).is_none(),
            None => false,
        }
    }
}

/// Writes the record of an account, with one more step of its history.
fn put(state: &mut Overlay<'_>, context: &Context, mut licensee: Licensee, step: LicenceStep) {
    let (line, number) = ((licensee.model, licensee.account), licensee.changes);
    licensee.changes = number.saturating_add(1);
    state.write(&(line.0, line.1, number), &LicenceChange { number, height: context.height, step });
    state.write(&line, &licensee);
}

/// Set the terms under which the model is used. What was granted before keeps its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetLicence {
    /// The terms.
    pub licence: Licence,
}

impl SetLicence {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.licence.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        mut model: Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        model.licence = Some(self.licence.clone());
        state.write(&model.id, &model);
        Ok(vec![Event::LicenceSet { model: model.id, licence: self.licence.clone(), proposal: proposal.id }])
    }
}

/// Give an account a licence, or another term for the one it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantLicence {
    /// The account that gets it, once it agrees.
    pub account: AccountId,
    /// On which terms, and for how long from the block that carries the decision out.
    pub terms: LicenceTerms,
}

impl GrantLicence {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.terms.check()
    }

    /// It takes the place of the licence that the account has if the account agreed to that beforehand, and of what it was
    /// offered before in any case.
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        Proposal { id: proposal, proposer, .. }: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let (model, account, proposal) = (model.id, self.account, *proposal);
        context.existing_account(state, account)?;
        let mut licensee = state.read::<Licensee>(&(model, account)).unwrap_or_else(|| {
            state.write(&(account, model), &LicenceOf(model));
            Licensee { model, account, licence: None, offer: None, changes: 0 }
        });
        let terms = self.terms.terms.clone();
        let expires = self.terms.for_ms.map(|for_ms| context.time.plus_ms(for_ms));
        let grant = LicenceGrant { proposal, since: context.height, terms: terms.clone(), expires };
        let asked = state.read::<LicenceRequest>(&(account, model)).is_some_and(|request| request.terms == self.terms);
        let renews =
            licensee.in_force(context.time).is_some_and(|it| it.terms == grant.terms && !grant.ends_before(it));
        let accepted = asked || renews || *proposer == account;
        if asked {
            forget_request(state, model, account);
        }
        if accepted {
            licensee.licence = Some(AgreedLicence { grant, ended: None });
            licensee.offer = None;
        } else {
            licensee.offer = Some(grant);
        }
        put(state, context, licensee, LicenceStep::Granted { proposal, terms, expires, accepted });
        Ok(vec![Event::LicenceGranted { model, account, expires, proposal, accepted }])
    }
}

/// Take back what an account has by licence, and what it is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevokeLicence {
    /// The account that loses it.
    pub account: AccountId,
    /// Why, for the history: one line of at most [`limits::TITLE_SIZE_BYTES`].
    pub reason: String,
}

impl RevokeLicence {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        check_line("reason", &self.reason, limits::TITLE_SIZE_BYTES)
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        model: &Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        let (model, account, proposal, reason) = (model.id, self.account, proposal.id, self.reason.clone());
        let lacks = Rejection::NotLicensee { account, model };
        let Some(mut licensee) = state.read::<Licensee>(&(model, account)) else { return Err(lacks) };
        let ended = licensee.end(LicenceEnd::Revoked);
        if licensee.offer.take().is_none() && !ended {
            return Err(lacks);
        }
        put(state, context, licensee, LicenceStep::Revoked { proposal, reason: reason.clone() });
        Ok(vec![Event::LicenceRevoked { model, account, proposal, reason }])
    }
}
