//! Who hears this peer, and which of them speak for validators.
//!
//! A peer hears what is published on a topic once it has said on a connection that it wants the topic. One that is
//! connected and never says so leaves this peer talking to itself without a sign of it: it is disconnected, so that both
//! sides begin again, and the rest of the peer is told how many do hear.

use super::{Topic, driver::Driver, guard::Offence};
use crate::peer_key;
use allod_protocol::ground::ids::PublicKey;
use libp2p::PeerId;
use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant},
};

/// How long a peer that said who it is may take to say which topics it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who hears what this peer says of consensus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Connected peers of this network that want to hear it.
    pub peers: usize,
    /// The validators that some of them speak for, of those that decide the next blocks.
    pub validators: BTreeSet<PublicKey>,
}

impl Driver {
    /// Whether a peer is known to speak for a validator that decides the next blocks.
    pub(super) fn is_of_validator(&self, peer: &PeerId) -> bool {
        self.peers.validator_of(peer).is_some_and(|key| self.validators.borrow().contains(&key))
    }

    /// Whether the network decides with it, or this peer's operator named it.
    pub(super) fn is_needed(&self, peer: &PeerId) -> bool {
        self.peers.is_given(peer) || self.is_of_validator(peer)
    }

    /// Checks what a peer says of a validator, if that is one. A signature is checked for keys of the set alone.
    pub(super) fn recognise(&mut self, peer: PeerId) {
        let Some(claim) = self.peers.unproven_claim(&peer) else { return };
        if !self.validators.borrow().contains(&claim.validator) {
            return;
        }
        if peer_key::of_peer(&peer).is_some_and(|key| claim.is_true(self.network, key)) {
            self.peers.on_proven(&peer);
            self.tell_audience();
        } else {
            self.hold_against(peer, Offence::RejectedMessage);
        }
    }

    /// Looks again at whom we know, if other validators decide now.
    pub(super) fn meet_validators(&mut self) {
        if !self.validators.has_changed().unwrap_or(false) {
            return;
        }
        let count = self.validators.borrow_and_update().len();
        self.peers.set_validators(count);
        let identified: Vec<PeerId> = self.peers.identified().map(|(peer, _)| peer).collect();
        for peer in identified {
            self.recognise(peer);
        }
        self.tell_audience();
    }

    /// Connected peers that said they want to hear of consensus.
    fn listeners(&self) -> HashSet<PeerId> {
        let topic = self.names.topic(Topic::Consensus).hash();
        let peers = self.swarm.behaviour().gossip.all_peers();
        peers.filter(|(_, topics)| topics.contains(&&topic)).map(|(peer, _)| *peer).collect()
    }

    pub(super) fn tell_audience(&self) {
        let listeners = self.listeners();
        let heard = self.peers.identified().map(|(peer, _)| peer).filter(|peer| listeners.contains(peer));
        let mut audience = Audience::default();
        let validators = self.validators.borrow();
        for peer in heard {
            audience.peers = audience.peers.saturating_add(1);
            audience.validators.extend(self.peers.validator_of(&peer).filter(|key| validators.contains(key)));
        }
        self.audience.send_if_modified(|known| {
            let changed = *known != audience;
            *known = audience;
            changed
        });
    }

    /// Disconnects peers that should hear and do not.
    pub(super) fn part_with_the_deaf(&mut self, now: Instant) {
        let listeners = self.listeners();
        let overdue = |(peer, since): &(PeerId, Instant)| {
            !listeners.contains(peer) && now.saturating_duration_since(*since) > PATIENCE
        };
        let deaf: Vec<PeerId> = self.peers.identified().filter(overdue).map(|(peer, _)| peer).collect();
        for peer in deaf {
            self.begin_again(peer, "it does not say what it wants to hear");
        }
    }
}
