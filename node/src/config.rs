//! The settings of a peer: where its data is, where it listens, which peers it knows.
//!
//! Each setting comes from the last of four sources that names it: the default, `config.toml` in the data directory,
//! the environment (`ALLOD_` and the setting's name), the command line. An unknown name is an error, and the error
//! suggests the nearest known one. Reading order: [`Config`], [`SETTINGS`] (`settings.rs`), [`Sources`] and [`Loaded`]
//! (`sources.rs`), then `values.rs` and `directories.rs`.

mod directories;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod values;

pub use directories::{default_data_dir, default_keys_dir, is_nodes};
pub(crate) use settings::nearest;
pub use settings::{SETTINGS, Setting, file_text, toml_value};
pub use sources::{Flags, Loaded, Origin, Sources, Value};
pub use values::{
    AbsolutePath, HostName, Interval, LogFormat, Offer, OptionalAddress, OptionalFile, Quota, Rate, WebOrigin,
};

use crate::artifacts::{
    replication::ReplicationOptions,
    service::{ArtifactLimits, ArtifactOptions, Scrubbing},
};
use libp2p::Multiaddr;
use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

/// The name of the file in the data directory.
pub const FILE: &str = "config.toml";

/// The effective configuration of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The directory of everything this peer stores: genesis, keys, ledger, consensus log, artifacts.
    pub data_dir: PathBuf,
    /// The address on which the HTTP API listens.
    pub api_address: SocketAddr,
    /// Names of this machine by which requests may address the HTTP API without TLS, beside its addresses and localhost.
    pub api_hosts: Vec<HostName>,
    /// Web sites whose pages may use the HTTP API.
    pub api_origins: Vec<WebOrigin>,
    /// The address on which health and metrics are served by themselves.
    pub metrics_address: OptionalAddress,
    /// The certificate chain of the HTTP API, in PEM.
    pub tls_certificate: OptionalFile,
    /// The key of that certificate, in PEM.
    pub tls_key: OptionalFile,
    /// The addresses on which the swarm listens.
    pub listen: Vec<Multiaddr>,
    /// Addresses at which others reach this peer, if they differ from those it listens on.
    pub external: Vec<Multiaddr>,
    /// Peers to dial first, each with its peer id.
    pub peers: Vec<Multiaddr>,
    /// The directories below which files are published and written to, with absolute paths. None means anywhere.
    pub file_roots: Vec<AbsolutePath>,
    /// Maximum bytes of disk for artifacts.
    pub artifact_quota: Quota,
    /// Maximum bytes of artifacts served per second.
    pub upload_rate: Rate,
    /// Maximum bytes of artifacts fetched per second.
    pub download_rate: Rate,
    /// Maximum number of answers with bytes of artifacts in progress at a time.
    pub upload_streams: NonZeroUsize,
    /// Maximum number of providers that a fetch uses at a time.
    pub download_providers: NonZeroUsize,
    /// Whether this peer fetches missing copies of releases.
    pub replicate: bool,
    /// How often it counts the copies, in seconds.
    pub replication_interval_s: NonZeroU32,
    /// How often all stored artifacts are scrubbed for damage.
    pub scrub_interval: Interval,
    /// Maximum bytes read per second by scrubbing.
    pub scrub_rate: Quota,
    /// Whether this peer relays, within bounds, for peers that others cannot reach.
    pub relay: Offer,
    /// Whether peers that are no allod peers may stay for a while, to ask for providers.
    pub guests: Offer,
    /// Whether this peer announces itself on the local network, and looks for others there.
    pub mdns: bool,
    /// Which log lines are written, as a `tracing` filter.
    pub log_level: String,
    /// The format of log lines.
    pub log_format: LogFormat,
}

impl Config {
    /// The file of the network's genesis.
    pub fn genesis_path(&self) -> PathBuf {
        self.data_dir.join("genesis.json")
    }

    /// How artifacts are served, fetched and replicated.
    pub const fn artifact_options(&self) -> ArtifactOptions {
        let limits = ArtifactLimits {
            upload_rate: self.upload_rate.0,
            download_rate: self.download_rate.0,
            upload_streams: self.upload_streams,
            download_providers: self.download_providers,
        };
        let interval = Duration::from_secs(self.replication_interval_s.get() as u64);
        ArtifactOptions {
            limits,
            replication: ReplicationOptions { volunteer: self.replicate, interval },
            scrubbing: Scrubbing { interval: self.scrub_interval.0, bytes_per_second: self.scrub_rate.0 },
        }
    }

    /// The file of the key that is the peer's identity on the swarm.
    pub fn node_key_path(&self) -> PathBuf {
        self.data_dir.join("node.key")
    }

    /// The file of the key that signs votes if it is in the validator set.
    pub fn validator_key_path(&self) -> PathBuf {
        self.data_dir.join("validator.key")
    }
}
