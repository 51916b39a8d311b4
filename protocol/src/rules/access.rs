//! Who may read a model's artifacts, and how many copies of them its owners want.
//!
//! The owners decide whether everybody may read, or licensees and holders, or only holders ([`Distribution`]). A peer
//! reads for the account that it is bound to ([`BindPeer`]): both the peer's own key and the account's sign this, so
//! that nobody can bind somebody else's peer. A provider calls [`may_read`] at every request, on the state after the
//! last block; what a block takes away is refused from then on.
//!
//! An artifact is governed by the model whose publisher knew it first ([`ArtifactOrigin`]). The publisher proves that
//! by having committed to it before anybody else could learn its address ([`crate::rules::commitment`]). Publishing the
//! address again in another model neither opens nor closes the artifact. And a model that is not for everybody refuses
//! an artifact that another model already governs, so that its owners learn of it.
//!
//! If several collections contain a file, none of them governs it for the others: it is requested as part of one
//! collection, and served by that collection's terms. So a file that was first in somebody's private collection stays
//! readable in every public one. And a collection that merely names the address of a private file opens nothing,
//! because a peer serves only what it received for the requested artifact. The README of this crate has the rule, under
//! *Who reads*.

use crate::{
    ground::{
        crypto::Domain,
        ids::{AccountId, ArtifactId, Height, ModelId, NetworkId, PublicKey, Signature, Timestamp, Units},
        invalid::Invalid,
        limits,
        state::{Family, Overlay, Record, StateError, StateRead, prefix_end, read},
    },
    rules::{
        account::Account,
        context::Context,
        due::{self, Due},
        event::Event,
        licence::Licensee,
        model::Model,
        office::{self, Office},
        proposal::Proposal,
        rejection::Rejection,
        share::Share,
    },
};
use serde::{Deserialize, Serialize};

/// Who may read a model's artifacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Readers {
    /// Every peer of the network.
    #[default]
    Public,
    /// Peers of holders, stewards, and accounts that have a licence.
    Licensees,
    /// Peers of holders and stewards.
    Holders,
}

/// How a model's artifacts are distributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// The accounts that may read them.
    pub readers: Readers,
    /// How many members' peers should hold each released version, at most [`limits::COPIES`]; 0 means no target.
    pub copies: u32,
}

impl Distribution {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.copies > limits::COPIES {
            let problem = format!("asks for {} copies; set 0 to {}", self.copies, limits::COPIES);
            return Err(Invalid::Form { field: "distribution", problem });
        }
        Ok(())
    }
}

/// Say who reads the model's artifacts, and how many copies there should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetDistribution {
    /// Both from then on.
    pub distribution: Distribution,
}

impl SetDistribution {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.distribution.check()
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        mut model: Model,
        proposal: &Proposal,
    ) -> Result<Vec<Event>, Rejection> {
        model.distribution = self.distribution;
        state.write(&model.id, &model);
        Ok(vec![Event::DistributionSet { model: model.id, distribution: self.distribution, proposal: proposal.id }])
    }
}

/// The account that a peer reads for. It stays after the peer is released, until its consent can no longer be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeerBinding {
    /// The key that is the peer's identity on the swarm.
    pub peer: PublicKey,
    /// The account. `None` after it released the peer.
    pub account: Option<AccountId>,
    /// When the peer last consented, by its own clock: a later consent replaces an earlier one.
    pub issued: Timestamp,
    /// The height since which this binding holds.
    pub since: Height,
}

impl Record for PeerBinding {
    type Key = PublicKey;
    const FAMILY: Family = Family::PeerBinding;
}

/// The peers of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerOf(pub PublicKey);

impl Record for PeerOf {
    type Key = (AccountId, PublicKey);
    const FAMILY: Family = Family::PeerOf;
}

/// The model that governs an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactOrigin {
    /// The model.
    pub model: ModelId,
    /// The height at which the model published it.
    pub published: Height,
    /// The height since which its publisher has known it: that of its commitment, or else that of the publication.
    pub since: Height,
}

impl Record for ArtifactOrigin {
    type Key = ArtifactId;
    const FAMILY: Family = Family::ArtifactOrigin;
}

/// Bind a peer to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BindPeer {
    /// The peer's key.
    pub peer: PublicKey,
    /// When the peer consented, by its own clock.
    pub issued: Timestamp,
    /// The peer's signature over [`BindPeer::consent`].
    pub consent: Signature,
}

impl BindPeer {
    /// The bytes that a peer signs, in [`Domain::PeerBinding`], to read for an account.
    pub fn consent(network: NetworkId, account: AccountId, issued: Timestamp) -> Vec<u8> {
        crate::ground::codec::encode(&(network, account, issued))
    }

    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let consent = Self::consent(context.network_id, sender, self.issued);
        if !self.peer.verifies(Domain::PeerBinding, &consent, &self.consent) {
            return Err(Rejection::PeerDisagrees { peer: self.peer, account: sender });
        }
        let (issued, time) = (self.issued, context.time);
        if issued.plus_ms(limits::CONSENT_MS) < time || issued > time.plus_ms(limits::TRANSACTION_LIFETIME_MS) {
            return Err(Rejection::ConsentOver { peer: self.peer, issued, time });
        }
        if let Some(bound) = state.read::<PeerBinding>(&self.peer) {
            if bound.issued >= self.issued {
                return Err(Rejection::StaleConsent { peer: self.peer, issued: bound.issued });
            }
            if let Some(account) = bound.account {
                state.remove::<PeerOf>(&(account, self.peer));
            }
        }
        let prefix = PeerOf::key_bytes(&sender);
        let peers = state.entries(&prefix, &prefix_end(&prefix), limits::PEERS_PER_ACCOUNT).len();
        if peers >= limits::PEERS_PER_ACCOUNT {
            return Err(Rejection::TooManyPeers(sender));
        }
        let binding =
            PeerBinding { peer: self.peer, account: Some(sender), issued: self.issued, since: context.height };
        state.write(&self.peer, &binding);
        state.write(&(sender, self.peer), &PeerOf(self.peer));
        Ok(vec![Event::PeerBound { peer: self.peer, account: sender }])
    }
}

/// Release a peer that is bound to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleasePeer {
    /// The peer's key.
    pub peer: PublicKey,
}

impl ReleasePeer {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let bound = state.read::<PeerBinding>(&self.peer).filter(|bound| bound.account == Some(sender));
        let bound = bound.ok_or(Rejection::PeerNotBound { peer: self.peer, account: sender })?;
        state.remove::<PeerOf>(&(sender, self.peer));
        state.write(&self.peer, &PeerBinding { account: None, since: context.height, ..bound });
        // Until then its consent could be used again.
        let over = bound.issued.plus_ms(limits::CONSENT_MS.saturating_add(1)).max(context.time.plus_ms(1));
        due::set(state, over, Due::Binding(self.peer));
        Ok(vec![Event::PeerReleased { peer: self.peer, account: sender }])
    }
}

/// A consent can no longer be used: forgets the peer if it has been released by then.
pub(crate) fn forget_binding(state: &mut Overlay<'_>, context: &Context, peer: PublicKey) {
    let over = |bound: &PeerBinding| bound.account.is_none() && bound.issued.plus_ms(limits::CONSENT_MS) < context.time;
    if state.read::<PeerBinding>(&peer).is_some_and(|bound| over(&bound)) {
        state.remove::<PeerBinding>(&peer);
    }
}

/// Whether an account may read a model's artifacts at a block time.
///
/// # Errors
/// When the state cannot be read.
pub fn reads(state: &impl StateRead, model: &Model, account: AccountId, now: Timestamp) -> Result<bool, StateError> {
    let readers = model.distribution.readers;
    if readers == Readers::Public {
        return Ok(true);
    }
    if read::<Account>(state, &account)?.is_none_or(|account| account.suspended.is_some()) {
        return Ok(false);
    }
    if office::is_held(state, &Office::Steward(model.id), account)?
        || read::<Share>(state, &(model.id, account))?.is_some_and(|share| share.units > Units::ZERO)
    {
        return Ok(true);
    }
    let licensed = || read::<Licensee>(state, &(model.id, account));
    Ok(readers == Readers::Licensees && licensed()?.is_some_and(|licence| licence.in_force(now).is_some()))
}

/// Whether a peer may read an artifact at a block time: for the account it is bound to, by the terms of the model that
/// governs the artifact. An artifact that is not a version of any model is not restricted.
///
/// # Errors
/// When the state cannot be read.
pub fn may_read(
    state: &impl StateRead,
    artifact: ArtifactId,
    peer: &PublicKey,
    now: Timestamp,
) -> Result<bool, StateError> {
    let Some(model) = governing_model(state, artifact)? else { return Ok(true) };
    if model.distribution.readers == Readers::Public {
        return Ok(true);
    }
    match read::<PeerBinding>(state, peer)?.and_then(|binding| binding.account) {
        Some(account) => reads(state, &model, account, now),
        None => Ok(false),
    }
}

/// The model whose owners decide about an artifact. `None` if the artifact is not a version of any model.
///
/// # Errors
/// When the state cannot be read.
pub fn governing_model(state: &impl StateRead, artifact: ArtifactId) -> Result<Option<Model>, StateError> {
    match read::<ArtifactOrigin>(state, &artifact)? {
        Some(origin) => read::<Model>(state, &origin.model),
        None => Ok(None),
    }
}
