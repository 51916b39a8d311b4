//! Who may read a model's artifacts, and how many copies of them its owners wish for.
//!
//! The owners decide whether everybody reads, or licensees and holders, or holders alone ([`Distribution`]). A peer
//! reads for the account that it is bound to ([`BindPeer`]): the peer's own key says so as well as the account's, so
//! that nobody binds a peer of somebody else's. A provider asks [`may_read`] at every request, of the state after the
//! last block; what a block takes away is refused from then on.
//!
//! An artifact is governed by the model whose publisher knew it first ([`ArtifactOrigin`]), and proves that by having
//! committed to it before anybody else could hear its address ([`crate::rules::commitment`]). Whoever publishes its address
//! again, in another model, neither opens nor closes it; and a model that is not for everybody refuses an artifact that
//! another model governs already, so that its owners learn of it.
//!
//! A file that several collections have is governed by none of them for the others: it is asked for as part of one, and
//! given by that one's terms. So a file that was first in somebody's private collection stays readable in every public
//! one. And a collection that merely names the address of a private file opens nothing, because a peer gives only what came
//! to it for the artifact that it is asked of: the README of this crate has the rule, under *Who reads*.

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
        rejection::Rejection,
        share::Share,
    },
};
use serde::{Deserialize, Serialize};

/// Who reads a model's artifacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// Who reads them.
    pub readers: Readers,
    /// How many peers of members should hold each released version, [`limits::COPIES`] at most; 0 for no wish.
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

/// For whom a peer reads. It stays when the peer is released, until its consent cannot be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerBinding {
    /// The key that is the peer's identity on the swarm.
    pub peer: PublicKey,
    /// The account; none since it was released.
    pub account: Option<AccountId>,
    /// When the peer agreed last, by its own clock: a later word replaces an earlier one.
    pub issued: Timestamp,
    /// Since when that is so.
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
    /// When it published it.
    pub published: Height,
    /// Since when its publisher has known it: the height of its commitment, or else of the publication.
    pub since: Height,
}

impl Record for ArtifactOrigin {
    type Key = ArtifactId;
    const FAMILY: Family = Family::ArtifactOrigin;
}

/// Bind a peer to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindPeer {
    /// The peer's key.
    pub peer: PublicKey,
    /// When the peer agreed, by its own clock.
    pub issued: Timestamp,
    /// Its signature of [`BindPeer::consent`].
    pub consent: Signature,
}

impl BindPeer {
    /// What a peer signs, in [`Domain::PeerBinding`], to read for an account.
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

/// Let go of a peer that is bound to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A consent can be used no more: a peer that is released by then is forgotten.
pub(crate) fn forget_binding(state: &mut Overlay<'_>, context: &Context, peer: PublicKey) {
    let over = |bound: &PeerBinding| bound.account.is_none() && bound.issued.plus_ms(limits::CONSENT_MS) < context.time;
    if state.read::<PeerBinding>(&peer).is_some_and(|bound| over(&bound)) {
        state.remove::<PeerBinding>(&peer);
    }
}

/// Whether an account reads a model's artifacts at a block time.
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

/// Whether a peer reads an artifact at a block time: for the account it is bound to, by the terms of the model that
/// governs the artifact. What no version is, is nobody's to restrict.
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

/// The model whose owners decide about an artifact; none if it is no version of any.
///
/// # Errors
/// When the state cannot be read.
pub fn governing_model(state: &impl StateRead, artifact: ArtifactId) -> Result<Option<Model>, StateError> {
    match read::<ArtifactOrigin>(state, &artifact)? {
        Some(origin) => read::<Model>(state, &origin.model),
        None => Ok(None),
    }
}
