//! Committing to an artifact before anybody learns its address.
//!
//! Many learn an address before its version is on the ledger: those who see waiting transactions, and everybody once
//! the artifact is announced. If the first to *name* an address governed the artifact, a quick stranger would decide
//! for ever who reads it. So the right to govern follows from having known the bytes first. A publisher commits to the
//! address under a salt ([`CommitArtifact`]), waits until the commitment is in a block, and only then publishes,
//! revealing the salt. Its model governs since the commitment, and takes over from a model that published the address
//! meanwhile.
//!
//! A commitment counts for [`limits::COMMITMENT_MS`]. So nobody can hoard claims to what others may make one day, and
//! who governs an artifact is settled that long after it was first published. Anyone who had the same bytes in time, and
//! committed to them first, is as good a publisher as any.

use crate::{
    ground::{
        codec,
        crypto::{self, Domain},
        ids::{AccountId, ArtifactId, ContentHash, Height, ModelId, Timestamp},
        limits,
        state::{Family, Overlay, Record},
    },
    rules::{
        access::{ArtifactOrigin, Readers},
        context::Context,
        event::Event,
        model::Model,
        rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// The hash that represents an artifact in a commitment: nobody can derive the address without the salt, and it is
/// useless to any other publisher and in any other model.
pub fn commitment(model: ModelId, publisher: AccountId, artifact: ArtifactId, salt: ContentHash) -> ContentHash {
    let committed = codec::encode(&(model, publisher, artifact, salt));
    ContentHash::from_bytes(crypto::hash(Domain::Commitment, &committed))
}

/// One commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// The hash, see [`commitment`].
    pub hash: ContentHash,
    /// The height of the block with the commitment.
    pub height: Height,
    /// The block time until which it counts.
    pub until: Timestamp,
}

/// The commitments of an account for a model with which it has not published yet, oldest first; at most
/// [`limits::COMMITMENTS`]: the oldest make way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitments {
    /// In the order in which they were made.
    pub made: Vec<Commitment>,
}

impl Record for Commitments {
    type Key = (ModelId, AccountId);
    const FAMILY: Family = Family::Commitments;
}

/// Commit to an artifact that the sender is about to publish as a version of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommitArtifact {
    /// The model.
    pub model: ModelId,
    /// The hash, see [`commitment`].
    pub commitment: ContentHash,
}

impl CommitArtifact {
    pub(crate) fn apply(
        &self,
        state: &mut Overlay<'_>,
        context: &Context,
        sender: AccountId,
    ) -> Result<Vec<Event>, Rejection> {
        let model = Model::existing(state, self.model)?;
        model.require_active()?;
        model.require_own(state, sender)?;
        let key = (self.model, sender);
        let mut commitments = state.read::<Commitments>(&key).unwrap_or_default();
        commitments.made.retain(|one| one.until > context.time && one.hash != self.commitment);
        while commitments.made.len() >= limits::COMMITMENTS {
            commitments.made.remove(0);
        }
        let until = context.time.plus_ms(limits::COMMITMENT_MS);
        commitments.made.push(Commitment { hash: self.commitment, height: context.height, until });
        state.write(&key, &commitments);
        Ok(vec![Event::ArtifactCommitted { model: self.model, account: sender, commitment: self.commitment }])
    }
}

/// The height since which a publisher has known an artifact, by the commitment whose salt it reveals. Uses the
/// commitment up.
pub(crate) fn known_since(
    state: &mut Overlay<'_>,
    context: &Context,
    model: ModelId,
    publisher: AccountId,
    artifact: ArtifactId,
    salt: Option<ContentHash>,
) -> Result<Height, Rejection> {
    let Some(salt) = salt else { return Ok(context.height) };
    let hash = commitment(model, publisher, artifact, salt);
    let mut commitments = state.read::<Commitments>(&(model, publisher)).unwrap_or_default();
    let place = commitments.made.iter().position(|one| one.hash == hash && one.until > context.time);
    let found = place.map(|place| commitments.made.remove(place));
    let found = found.ok_or(Rejection::NotCommitted { artifact, model, account: publisher })?;
    if commitments.made.is_empty() {
        state.remove::<Commitments>(&(model, publisher));
    } else {
        state.write(&(model, publisher), &commitments);
    }
    Ok(found.height)
}

/// A model publishes an artifact that its publisher has known since a height. The model governs the artifact from now
/// on if no model did, or if the one that did has known it for less long.
pub(crate) fn govern(
    state: &mut Overlay<'_>,
    context: &Context,
    model: &Model,
    since: Height,
    artifact: ArtifactId,
) -> Result<Option<Event>, Rejection> {
    let own = ArtifactOrigin { model: model.id, published: context.height, since };
    match state.read::<ArtifactOrigin>(&artifact) {
        None => {
            state.write(&artifact, &own);
            Ok(None)
        }
        Some(origin) if origin.model == model.id => Ok(None),
        Some(origin) if since < origin.since => {
            state.write(&artifact, &own);
            Ok(Some(Event::ArtifactTakenOver { artifact, model: model.id, from: origin.model }))
        }
        Some(origin) if model.distribution.readers != Readers::Public => {
            Err(Rejection::ArtifactGoverned { artifact, model: origin.model })
        }
        Some(_) => Ok(None),
    }
}
