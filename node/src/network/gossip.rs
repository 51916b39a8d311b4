//! Gossip: topics, message ids, verdicts. Everything that strangers may take part in; consensus has a plane of its own
//! (`consensus`).
//!
//! Messages are anonymous, because their content is signed by its author. The id of a message is the BLAKE3 hash of its
//! topic and bytes, so the same bytes travel at most once a minute, no matter who sends them. Nothing is relayed before
//! its verdict. Our own messages go to every connected peer of the topic at once; relayed ones go to the mesh.

use super::{
    NetworkEvent,
    behaviour::Names,
    driver::Driver,
    fair::Unchecked,
    offences::{Offence, Spending},
    stats,
};
use allod_protocol::{agreement::host::Acceptance, ground::limits};
use libp2p::{
    PeerId,
    gossipsub::{
        self, IdentTopic, MessageAcceptance, MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds,
        PublishError, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
    },
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// How long a message id is remembered, to recognise duplicates.
const DUPLICATE_MEMORY: Duration = Duration::from_secs(60);
/// Heartbeats (seconds) for which a message waits for its verdict and can be requested.
const HISTORY_HEARTBEATS: usize = 10;
/// How long a message may wait for a slow connection before it is dropped.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);
/// Maximum number of messages that wait for one connection.
const QUEUE_MESSAGES: usize = 4_096;
/// Bytes in one frame in addition to the message, and of the next frame in the read buffer: the library counts both
/// against the limit.
const FRAME_SLACK_BYTES: usize = 64 * 1024;
/// Maximum size of one artifact announcement, in bytes.
pub(super) const ANNOUNCEMENT_SIZE_BYTES: usize = 4 * 1024;
/// Maximum number of message ids in one IHAVE or IWANT.
const NAMES_PER_CONTROL: usize = 4_000;
/// Maximum bytes of the control part of a frame. The library's sender does not respect its receiver's default of 16
/// KiB: 5,000 ids of 32 bytes would cost the stream, and the fifth lost stream silences the connection for good.
const CONTROL_SIZE_BYTES: usize = 256 * 1024;
const _: () = assert!(NAMES_PER_CONTROL * 40 < CONTROL_SIZE_BYTES && CONTROL_SIZE_BYTES < limits::GOSSIP_SIZE_BYTES);

/// The subject of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Decided blocks with their certificates, for those who take no part in deciding.
    Blocks,
    /// Transactions to be included in a block.
    Transactions,
    /// Which peer serves which artifact; written and judged by the swarm itself.
    Artifacts,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 3] = [Self::Blocks, Self::Transactions, Self::Artifacts];

    /// The topic's name in its string, in logs and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "block",
            Self::Transactions => "tx",
            Self::Artifacts => "artifact",
        }
    }

    /// The size of the largest message that an honest peer sends, in bytes.
    const fn message_size_bytes(self) -> usize {
        match self {
            Self::Blocks => limits::GOSSIP_SIZE_BYTES,
            Self::Transactions => limits::TRANSACTIONS_MESSAGE_SIZE_BYTES,
            Self::Artifacts => ANNOUNCEMENT_SIZE_BYTES,
        }
    }
}

/// Identifies one message, for its verdict.
#[derive(Clone, Debug)]
pub struct GossipToken {
    pub(super) source: PeerId,
    pub(super) size_bytes: usize,
    pub(super) origin: Origin,
}

/// How a message came.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// On a gossip topic, under an id.
    Topic(Topic, MessageId),
    /// On a stream of the consensus plane: its bytes, to be passed on.
    Stream(Arc<[u8]>),
}

impl GossipToken {
    /// The peer that relayed the message to us, which is not always its author.
    pub fn source(&self) -> PeerId {
        self.source
    }
}

pub(super) type Behaviour = gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>;

pub(super) fn behaviour(names: &Names) -> Result<Behaviour, String> {
    let mut config = gossipsub::ConfigBuilder::default();
    config
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| name(message.topic.as_str(), &message.data))
        .max_transmit_size(limits::GOSSIP_SIZE_BYTES.saturating_add(FRAME_SLACK_BYTES))
        .max_transmit_size_for_topic(ANNOUNCEMENT_SIZE_BYTES, names.topic(Topic::Artifacts).hash())
        .max_control_messages_sent(NAMES_PER_CONTROL)
        .max_control_message_size(CONTROL_SIZE_BYTES)
        .duplicate_cache_time(DUPLICATE_MEMORY)
        .history_length(HISTORY_HEARTBEATS)
        .history_gossip(3)
        .mesh_n(6)
        .mesh_n_low(4)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        .flood_publish(true)
        .connection_handler_queue_len(QUEUE_MESSAGES)
        .publish_queue_duration(QUEUE_PATIENCE)
        .forward_queue_duration(QUEUE_PATIENCE);
    let config = config.build().map_err(|error| error.to_string())?;
    let allowed = Topic::ALL.iter().map(|topic| names.topic(*topic).hash()).collect();
    let mut behaviour = Behaviour::new_with_subscription_filter(
        MessageAuthenticity::Anonymous,
        config,
        WhitelistSubscriptionFilter(allowed),
    )?;
    behaviour.with_peer_score(score(names), thresholds())?;
    for topic in Topic::ALL {
        behaviour.subscribe(names.topic(topic)).map_err(|error| error.to_string())?;
    }
    Ok(behaviour)
}

fn name(topic: &str, data: &[u8]) -> MessageId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(topic.as_bytes()).update(&[0]).update(data);
    MessageId::new(hasher.finalize().as_bytes())
}

/// Only rejected messages and broken promises count. The library's other scores reward and punish rates that differ by
/// orders of magnitude between an idle network and a busy one, and punish peers that share an address.
fn score(names: &Names) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -10.0,
        invalid_message_deliveries_decay: 0.9,
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: Topic::ALL.iter().map(|one| (names.topic(*one).hash(), topic.clone())).collect(),
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: 10.0,
        behaviour_penalty_decay: 0.9,
        slow_peer_weight: 0.0,
        retain_score: Duration::from_secs(600),
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: -500.0,
        graylist_threshold: -1_000.0,
        accept_px_threshold: 1_000.0,
        opportunistic_graft_threshold: 0.0,
    }
}

/// The topics of a network: ours, and the library's names for them.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    blocks: IdentTopic,
    transactions: IdentTopic,
    artifacts: IdentTopic,
    by_hash: HashMap<gossipsub::TopicHash, Topic>,
}

impl Topics {
    pub(super) fn new(prefix: &str) -> Self {
        let topic = |topic: Topic| IdentTopic::new(format!("{prefix}/{}/1", topic.name()));
        Self {
            blocks: topic(Topic::Blocks),
            transactions: topic(Topic::Transactions),
            artifacts: topic(Topic::Artifacts),
            by_hash: Topic::ALL.iter().map(|one| (topic(*one).hash(), *one)).collect(),
        }
    }

    pub(super) fn get(&self, topic: Topic) -> &IdentTopic {
        match topic {
            Topic::Blocks => &self.blocks,
            Topic::Transactions => &self.transactions,
            Topic::Artifacts => &self.artifacts,
        }
    }

    pub(super) fn of(&self, hash: &gossipsub::TopicHash) -> Option<Topic> {
        self.by_hash.get(hash).copied()
    }
}

impl Driver {
    /// Publishes a message. Returns whether anybody got it.
    pub(super) fn publish(&mut self, topic: Topic, data: Vec<u8>) -> bool {
        let size_bytes = data.len();
        self.on_said(size_bytes);
        let counters = self.stats.topic(topic);
        match self.swarm.behaviour_mut().gossip.publish(self.names.topic(topic).hash(), data) {
            Ok(_) => {
                stats::add(&counters.published, 1);
                stats::add(&counters.published_bytes, size_bytes);
                true
            }
            // The others have it, from us or from somebody else.
            Err(PublishError::Duplicate) => true,
            // There need not be any observers.
            Err(PublishError::NoPeersSubscribedToTopic)
                if topic == Topic::Blocks || self.peers.identified_count() == 0 =>
            {
                false
            }
            Err(error) => {
                stats::add(&self.stats.dropped_publishes, 1);
                tracing::debug!(topic = topic.name(), size_bytes, %error, "a message was not published");
                false
            }
        }
    }

    /// Carries out the verdict on a message that came on a topic.
    pub(super) fn report(&mut self, token: &GossipToken, verdict: Acceptance) {
        let Origin::Topic(topic, id) = &token.origin else { return };
        let counters = self.stats.topic(*topic);
        let (counter, acceptance) = match verdict {
            Acceptance::Accept => (&counters.accepted, MessageAcceptance::Accept),
            Acceptance::Ignore => (&counters.ignored, MessageAcceptance::Ignore),
            Acceptance::Reject => (&counters.rejected, MessageAcceptance::Reject),
        };
        stats::add(counter, 1);
        if verdict == Acceptance::Accept {
            self.on_said(token.size_bytes);
        }
        self.swarm.behaviour_mut().gossip.report_message_validation_result(id, &token.source, acceptance);
        match verdict {
            Acceptance::Accept => {
                self.swarm.behaviour_mut().admission.on_useful(token.source);
                self.peers.on_useful(&token.source);
            }
            Acceptance::Reject => self.hold_against(token.source, Offence::RejectedMessage),
            Acceptance::Ignore => {}
        }
    }

    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.on_message(propagation_source, message_id, message);
            }
            gossipsub::Event::Subscribed { .. } | gossipsub::Event::Unsubscribed { .. } => self.tell_audience(),
            gossipsub::Event::SlowPeer { peer_id, failed_messages } if !self.is_needed(&peer_id) => {
                tracing::debug!(peer = %peer_id, ?failed_messages, "disconnected: it does not take what is sent to it");
                self.disconnect(peer_id);
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::debug!(peer = %peer_id, "the peer does not take part in gossip");
            }
            _ => {}
        }
    }

    fn on_message(&mut self, source: PeerId, id: MessageId, message: gossipsub::Message) {
        let Some(topic) = self.names.topic_of(&message.topic) else { return };
        let size_bytes = message.data.len();
        let token = GossipToken { source, size_bytes, origin: Origin::Topic(topic, id) };
        let counters = self.stats.topic(topic);
        stats::add(&counters.received, 1);
        stats::add(&counters.received_bytes, size_bytes);
        let needed = self.is_needed(&source);
        if !self.guard.spend(source, Spending::Gossip { topic, size_bytes, needed }) {
            stats::add(&self.stats.topic(topic).limited, 1);
            self.report(&token, Acceptance::Ignore);
            self.hold_against(source, Offence::over_allowance(size_bytes));
            return;
        }
        if message.data.len() > topic.message_size_bytes() {
            return self.report(&token, Acceptance::Reject);
        }
        let data = message.data;
        match topic {
            Topic::Artifacts => {
                let verdict = self.judge_announcement(&data);
                self.report(&token, verdict);
            }
            Topic::Transactions => {
                for dropped in self.events.offer(Unchecked { data, token }, needed) {
                    self.report(&dropped, Acceptance::Ignore);
                }
            }
            Topic::Blocks => {
                if !self.events.send(NetworkEvent::Gossip { topic, data, token: token.clone() }) {
                    self.report(&token, Acceptance::Ignore);
                }
            }
        }
    }
}
