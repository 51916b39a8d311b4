//! This peer and its network.

use crate::health::Reason;
use allod_protocol::{
    ground::ids::{
        AccountId, BlockHash, Handle, Height, NetworkId, Power, PublicKey, StateRoot, Timestamp, ValidatorAddress,
    },
    proof::Checkpoint,
    rules::network::Network,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a peer votes in consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleView {
    /// It votes.
    Validator,
    /// It follows.
    Observer,
}

/// Where this peer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// The network's id.
    pub network: NetworkId,
    /// What people call the network.
    pub network_name: String,
    /// The version of this binary.
    pub version: String,
    /// This peer's libp2p identity.
    pub peer_id: String,
    /// The multiaddresses it listens on.
    pub listen_addresses: Vec<String>,
    /// Peers it is connected to.
    pub connected_peers: usize,
    /// Seconds since the process started.
    pub uptime_seconds: u64,
    /// The last executed block.
    pub height: Height,
    /// Its hash.
    pub block: BlockHash,
    /// Its time, in milliseconds since 1970.
    pub block_time: Timestamp,
    /// The block as a checkpoint, `HEIGHT:HASH`: what `allod verify --checkpoint` takes, from a peer that one trusts.
    #[schema(value_type = String)]
    #[serde(with = "checkpoint_text")]
    pub checkpoint: Checkpoint,
    /// The state root after it.
    pub state_root: StateRoot,
    /// The round of the height being decided.
    pub round: u32,
    /// Whether this peer votes.
    pub role: RoleView,
    /// The address of its consensus key, validator or not.
    pub validator: ValidatorAddress,
    /// That key. A peer whose key the network removed destroyed it, and this is the one in its place.
    pub validator_key: PublicKey,
    /// Transactions that wait.
    pub mempool_transactions: usize,
    /// Their bytes.
    pub mempool_size_bytes: usize,
    /// Their weight.
    pub mempool_weight: u64,
    /// The highest height that another peer spoke of.
    pub best_known_height: Height,
    /// Whether this peer is behind the others.
    pub catching_up: bool,
    /// Connected peers that hear what this one says.
    pub listening_peers: usize,
    /// The power of the validators among them, and of this peer.
    pub reached_power: Power,
    /// The power of all validators.
    pub total_power: Power,
    /// Whether this peer reaches too few to take part: a validator no more than two thirds of the power, an observer
    /// nobody.
    pub cut_off: bool,
    /// Whether this peer can do its work: what `/readyz` says.
    pub ready: bool,
    /// Why it cannot. Empty if it can.
    pub not_ready: Vec<ReasonView>,
    /// How far this machine's clock is ahead of the median of what validators say, in milliseconds; negative if it is
    /// behind. Null while validators with no more than two thirds of the power have said anything.
    pub clock_ahead_ms: Option<i64>,
}

/// A reason for which a peer is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonView {
    /// A stable code for programs: `starting`, `no_quorum`, `cut_off`, `alone`, `catching_up`, `tip_old`, `clock_off`,
    /// `refused`, `other_network`, `disk_low` or `files_low`.
    pub code: String,
    /// What is so, and what to do.
    pub detail: String,
}

impl From<&Reason> for ReasonView {
    fn from(reason: &Reason) -> Self {
        Self { code: reason.code.name().into(), detail: reason.detail.clone() }
    }
}

/// A checkpoint as the text that people paste.
mod checkpoint_text {
    use allod_protocol::proof::Checkpoint;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(checkpoint: &Checkpoint, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(checkpoint)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Checkpoint, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Whether the process works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// `ok`; anything else comes as a problem.
    pub status: String,
    /// The last executed block.
    pub height: Height,
}

/// A peer that this one is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerView {
    /// Its libp2p identity.
    pub peer_id: String,
    /// The addresses of the connections to it.
    pub addresses: Vec<String>,
    /// Who dialled: `inbound` or `outbound`.
    pub direction: String,
    /// What it says it runs.
    pub agent: String,
    /// Seconds since it connected.
    pub connected_seconds: u64,
    /// The last round trip, in milliseconds.
    pub round_trip_ms: Option<u64>,
}

/// A validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidatorView {
    /// Derived from the key.
    pub address: ValidatorAddress,
    /// The consensus key.
    pub key: PublicKey,
    /// Its weight in consensus.
    pub power: Power,
    /// The account that answers for it.
    pub operator: AccountId,
    /// That account's handle.
    pub operator_handle: Option<Handle>,
}

/// The validator sets that are settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidatorsView {
    /// The height that `current` decides.
    pub height: Height,
    /// The set that decides `height`.
    pub current: Vec<ValidatorView>,
    /// The set that decides the height after it.
    pub next: Vec<ValidatorView>,
    /// The power of `current` together; more than two thirds of it decide.
    pub total_power: Power,
}

/// What the members of the network agree on, and what they decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkView {
    /// The record: parameters, counters, the upgrade decided last.
    #[serde(flatten)]
    pub network: Network,
    /// The version of the protocol that this peer speaks.
    pub protocol: u32,
    /// Whether this peer must be replaced by a newer one before it can follow the network on.
    pub outgrown: bool,
}
