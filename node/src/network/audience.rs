//! Which peers hear this peer, and which of them speak for validators.
//!
//! On the public plane, a peer hears what is published on a topic once it has subscribed to the topic on a connection. If
//! a connected peer never subscribes, this peer talks to nobody and cannot see it. Such a peer is disconnected, so that
//! both sides start again. On the consensus plane, a peer hears this one if it says that it reads the stream to it. The
//! rest of this peer is told how many peers and which validators do hear.

use super::{Company, Topic, driver::Driver, offences::Offence, peers::PeerBook};
use crate::network::peer_key;
use allod_protocol::ground::ids::PublicKey;
use libp2p::PeerId;
use std::{
    collections::{BTreeSet, HashSet},
    time::{Duration, Instant},
};

/// How long an identified peer may take to subscribe to topics.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which peers hear this peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Number of connected peers of this network that are subscribed.
    pub peers: usize,
    /// The validators that some of them speak for, among those that decide the next blocks. If this peer is a validator
    /// too, only those that hear it on the consensus plane.
    pub validators: BTreeSet<PublicKey>,
    /// Peers that this one dials and that close its connections before they say who they are.
    pub refusing: Vec<PeerId>,
    /// Configured peers that belong to another network.
    pub foreign: Vec<PeerId>,
}

/// Whether a peer speaks for a validator that decides the next blocks, or was configured.
pub(super) fn is_needed(peers: &PeerBook, validators: &BTreeSet<PublicKey>, peer: &PeerId) -> bool {
    peers.is_given(peer) || peers.validator_of(peer).is_some_and(|key| validators.contains(&key))
}

impl Driver {
    /// Whether the peer speaks for a validator of the network, or this peer's operator configured it.
    pub(super) fn is_needed(&self, peer: &PeerId) -> bool {
        is_needed(&self.peers, &self.validators.borrow(), peer)
    }

    /// Checks a peer's claim to speak for a validator. Checks signatures only for keys of the current set.
    pub(super) fn recognise(&mut self, peer: PeerId) {
        let Some(claim) = self.peers.unproven_claim(&peer) else { return };
        if !self.validators.borrow().contains(&claim.validator) {
            return;
        }
        if peer_key::of_peer(&peer).is_some_and(|key| claim.is_true(self.network, key)) {
            self.peers.on_proven(&peer);
        } else {
            self.hold_against(peer, Offence::RejectedMessage);
        }
    }

    /// Checks the claims of all known peers again when the validators have changed.
    pub(super) fn meet_validators(&mut self) {
        let count = self.validators.borrow_and_update().len();
        self.peers.set_validators(count);
        let identified: Vec<PeerId> = self.peers.identified().map(|(peer, _)| peer).collect();
        for peer in identified {
            self.recognise(peer);
        }
        self.follow();
        self.tell_audience();
    }

    /// Asks others to push blocks to this peer, unless it decides them itself.
    fn follow(&mut self) {
        let (topic, decides) = (self.names.topic(Topic::Blocks).clone(), self.speaks());
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let done = if decides { Ok(gossip.unsubscribe(&topic)) } else { gossip.subscribe(&topic) };
        if let Err(error) = done {
            tracing::error!(%error, "no blocks are pushed to this peer");
        }
    }

    /// Whether this peer speaks for a validator.
    fn speaks(&self) -> bool {
        self.own.is_some_and(|own| self.validators.borrow().contains(&own))
    }

    /// Says whose connections are let in whatever strangers do.
    pub(super) fn tell_admission(&mut self, now: Instant) {
        let validators = self.validators.borrow();
        let needed = self.peers.known_addresses().filter(|(peer, _)| is_needed(&self.peers, &validators, peer));
        self.swarm.behaviour_mut().admission.set_needed(needed, now);
    }

    /// Connected peers that are subscribed to what everybody is subscribed to.
    pub(super) fn listeners(&self) -> HashSet<PeerId> {
        let topic = self.names.topic(Topic::Transactions).hash();
        let peers = self.swarm.behaviour().gossip.all_peers();
        peers.filter(|(_, topics)| topics.contains(&&topic)).map(|(peer, _)| *peer).collect()
    }

    /// Tells the consensus plane who is there, and the rest of this peer who hears it.
    pub(super) fn tell_audience(&self) {
        let speaks = self.speaks();
        let needed = self.peers.identified().map(|(peer, _)| peer).filter(|peer| self.is_needed(peer)).collect();
        let company = Company { needed, speaks };
        self.company.send_if_modified(|known| {
            let changed = *known != company;
            *known = company;
            changed
        });
        let links = self.links.borrow().clone();
        let listeners = self.listeners();
        let heard = self.peers.identified().map(|(peer, _)| peer).filter(|peer| listeners.contains(peer));
        let (refusing, foreign) = self.peers.unwelcoming();
        let mut audience = Audience { refusing, foreign, ..Audience::default() };
        let validators = self.validators.borrow();
        for peer in heard {
            audience.peers = audience.peers.saturating_add(1);
            if !speaks || links.heard_by.contains(&peer) {
                audience.validators.extend(self.peers.validator_of(&peer).filter(|key| validators.contains(key)));
            }
        }
        self.audience.send_if_modified(|known| {
            let changed = *known != audience;
            *known = audience;
            changed
        });
    }

    /// Disconnects peers that should be subscribed and are not.
    pub(super) fn part_with_the_deaf(&mut self, now: Instant) {
        let listeners = self.listeners();
        let overdue = |(peer, since): &(PeerId, Instant)| {
            !listeners.contains(peer) && now.saturating_duration_since(*since) > PATIENCE
        };
        let deaf: Vec<PeerId> = self.peers.identified().filter(overdue).map(|(peer, _)| peer).collect();
        for peer in deaf {
            self.begin_again(peer, "it has not subscribed to any topic");
        }
    }
}
