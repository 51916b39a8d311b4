//! The settings of a peer: where its data is, where it listens, which peers it knows.
//!
//! Each setting comes from the last of four sources that names it: the default, `config.toml` in the data directory,
//! the environment (`ALLOD_` and the setting's name), the command line. An unknown name is an error, and the error
//! suggests the nearest known one. Reading order: [`SETTINGS`], [`Sources`], [`Loaded`].

use crate::{
    artifacts::{
        replication::ReplicationOptions,
        service::{ArtifactLimits, ArtifactOptions, Scrubbing},
    },
    exchange::rate::LEAST_BYTES_PER_S,
    plain::units::patience,
};
use anyhow::{Context as _, Result, anyhow, bail};
use libp2p::Multiaddr;
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// The name of the file in the data directory.
pub const FILE: &str = "config.toml";

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

impl FromStr for LogFormat {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(anyhow!("{text:?} is not a log format; choose text or json")),
        }
    }
}

/// A maximum number of bytes. `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota(pub Option<u64>);

impl FromStr for Quota {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self(None));
        }
        let size: bytesize::ByteSize =
            text.parse().map_err(|_| anyhow!("{text:?} is not a size such as 500GiB, or none"))?;
        Ok(Self(Some(size.as_u64())))
    }
}

/// A maximum number of bytes per second. `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub Option<NonZeroU32>);

impl FromStr for Rate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self(None));
        }
        let size: bytesize::ByteSize =
            text.parse().map_err(|_| anyhow!("{text:?} is not a size (in one second) such as 20MB, or none"))?;
        let rate = u32::try_from(size.as_u64()).ok().filter(|rate| *rate >= LEAST_BYTES_PER_S);
        let rate = rate.ok_or_else(|| anyhow!("{text} a second is not between 64KiB and 4GiB; none sets no bound"))?;
        Ok(Self(NonZeroU32::new(rate)))
    }
}

/// The time until something is repeated. `None` means never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Option<Duration>);

impl FromStr for Interval {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self(None)),
            text => patience(text).map(|duration| Self(Some(duration))).map_err(|error| anyhow!("{error}, or none")),
        }
    }
}

/// The effective configuration of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The directory of everything this peer stores: genesis, keys, ledger, consensus log, artifacts.
    pub data_dir: PathBuf,
    /// The address on which the HTTP API listens.
    pub api_address: SocketAddr,
    /// The addresses on which the swarm listens.
    pub listen: Vec<Multiaddr>,
    /// Addresses at which others reach this peer, if they differ from those it listens on.
    pub external: Vec<Multiaddr>,
    /// Peers to dial first, each with its peer id.
    pub peers: Vec<Multiaddr>,
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
    pub relay: bool,
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

/// A setting. Its name is the key in the file; the names of its variable and its flag are derived from it.
#[derive(Debug)]
pub struct Setting {
    /// The key in `config.toml`.
    pub name: &'static str,
    /// Whether it takes several values.
    pub many: bool,
    takes: Takes,
    default: &'static [&'static str],
}

impl Setting {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("ALLOD_{}", self.name.to_uppercase())
    }
}

/// The values that a setting accepts in the file, besides text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Nothing else. The text is an example.
    Text(&'static str),
    /// `true` or `false`.
    Truth,
    /// A whole number.
    Count,
    /// A whole number of bytes.
    Bytes,
    /// A whole number of seconds.
    Seconds,
}

impl Setting {
    /// The value in the file as texts. `None` if the setting does not accept such a value.
    fn texts_of(&self, value: &toml::Value) -> Option<Vec<String>> {
        match (self.takes, value) {
            (_, toml::Value::String(text)) => Some(vec![text.clone()]),
            (_, toml::Value::Array(values)) if self.many => {
                values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
            }
            (Takes::Truth, toml::Value::Boolean(value)) => Some(vec![value.to_string()]),
            (Takes::Count | Takes::Bytes | Takes::Seconds, toml::Value::Integer(number)) => {
                u64::try_from(*number).ok().map(|number| vec![number.to_string()])
            }
            _ => None,
        }
    }

    /// What to write instead of a value that it does not accept.
    fn wanted(&self) -> String {
        match self.takes {
            Takes::Text(example) if self.many => format!("a list of texts, such as [{example:?}]"),
            Takes::Text(example) => format!("a text, such as {example:?}"),
            Takes::Truth => "true or false".into(),
            Takes::Count => "a whole number, 1 at least".into(),
            Takes::Bytes => "a size such as \"20MB\", or a whole number of bytes such as 20000000, or \"none\"".into(),
            Takes::Seconds => {
                "a duration such as \"30d\", or a whole number of seconds such as 86400, or \"none\"".into()
            }
        }
    }
}

/// All settings.
pub const SETTINGS: &[Setting] = &[
    Setting { name: "api_address", many: false, takes: Takes::Text("127.0.0.1:7640"), default: &["127.0.0.1:7640"] },
    Setting {
        name: "listen",
        many: true,
        takes: Takes::Text("/ip4/0.0.0.0/tcp/7641"),
        default: &["/ip4/0.0.0.0/tcp/7641", "/ip4/0.0.0.0/udp/7641/quic-v1"],
    },
    Setting { name: "external", many: true, takes: Takes::Text("/ip4/192.0.2.7/tcp/7641"), default: &[] },
    Setting { name: "peers", many: true, takes: Takes::Text("/ip4/192.0.2.7/tcp/7641/p2p/PEERID"), default: &[] },
    Setting { name: "artifact_quota", many: false, takes: Takes::Bytes, default: &["none"] },
    Setting { name: "upload_rate", many: false, takes: Takes::Bytes, default: &["none"] },
    Setting { name: "download_rate", many: false, takes: Takes::Bytes, default: &["none"] },
    Setting { name: "upload_streams", many: false, takes: Takes::Count, default: &["64"] },
    Setting { name: "download_providers", many: false, takes: Takes::Count, default: &["8"] },
    Setting { name: "replicate", many: false, takes: Takes::Truth, default: &["false"] },
    Setting { name: "replication_interval_s", many: false, takes: Takes::Count, default: &["60"] },
    Setting { name: "scrub_interval", many: false, takes: Takes::Seconds, default: &["30d"] },
    Setting { name: "scrub_rate", many: false, takes: Takes::Bytes, default: &["20MiB"] },
    Setting { name: "relay", many: false, takes: Takes::Truth, default: &["true"] },
    Setting { name: "mdns", many: false, takes: Takes::Truth, default: &["false"] },
    Setting { name: "log_level", many: false, takes: Takes::Text("info"), default: &["info"] },
    Setting { name: "log_format", many: false, takes: Takes::Text("json"), default: &["text"] },
];

/// `ALLOD_` variables that are not settings of a peer: where its data is, and what its client and its tests use.
const OTHER_VARIABLES: &[&str] = &[
    "ALLOD_HOME",
    "ALLOD_API",
    "ALLOD_KEYS",
    "ALLOD_PASSPHRASE",
    "ALLOD_AS",
    "ALLOD_TESTNET_DIR",
    "ALLOD_UPDATE_VECTORS",
];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is the default.
    Default,
    /// The file of this path.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
    /// The command line flag of this name.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// The settings given on the command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Where the HTTP API listens [default: 127.0.0.1:7640]
    #[arg(long, value_name = "ADDRESS")]
    pub api_address: Option<String>,
    /// Where peers reach this one, as a multiaddress; may be repeated [default: port 7641, TCP and QUIC]
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// An address at which others reach this peer, if it is not one it listens on; may be repeated
    #[arg(long, value_name = "MULTIADDR")]
    pub external: Vec<String>,
    /// A peer to dial first, as a multiaddress that ends in /p2p/PEERID; may be repeated
    #[arg(long = "peer", value_name = "MULTIADDR")]
    pub peers: Vec<String>,
    /// Maximum size of the stored artifacts, such as 500GiB [default: none, no limit]
    #[arg(long, value_name = "SIZE")]
    pub artifact_quota: Option<String>,
    /// Maximum bytes of artifacts to serve per second, such as 20MB [default: none, no limit]
    #[arg(long, value_name = "SIZE")]
    pub upload_rate: Option<String>,
    /// Maximum bytes of artifacts to fetch per second, such as 20MB [default: none, no limit]
    #[arg(long, value_name = "SIZE")]
    pub download_rate: Option<String>,
    /// Maximum answers with bytes of artifacts in progress at a time; one peer may have a quarter of them [default: 64]
    #[arg(long, value_name = "NUMBER")]
    pub upload_streams: Option<String>,
    /// Maximum providers that a fetch uses at a time [default: 8]
    #[arg(long, value_name = "NUMBER")]
    pub download_providers: Option<String>,
    /// Whether to fetch missing copies of releases when their owners want more than there are: true or false [default:
    /// false]
    #[arg(long, value_name = "BOOL")]
    pub replicate: Option<String>,
    /// How often to count the copies of releases, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub replication_interval_s: Option<String>,
    /// How often to scrub all stored artifacts for damage and repair it, such as 7d; none for never [default: 30d]
    #[arg(long, value_name = "DURATION")]
    pub scrub_interval: Option<String>,
    /// Maximum bytes per second to read for scrubbing, such as 100MiB; none for no limit [default: 20MiB]
    #[arg(long, value_name = "SIZE")]
    pub scrub_rate: Option<String>,
    /// Whether to relay, within bounds, for peers that others cannot reach: true or false [default: true]
    #[arg(long, value_name = "BOOL")]
    pub relay: Option<String>,
    /// Whether to announce this peer on the local network and to look for others there: true or false [default: false]
    #[arg(long, value_name = "BOOL")]
    pub mdns: Option<String>,
    /// Log filter: error, warn, info, debug, trace, or a filter such as info,allod::network=debug
    #[arg(long, value_name = "FILTER")]
    pub log_level: Option<String>,
    /// Format of log lines: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Flags {
    /// The settings that are given, each with the name of its flag.
    pub fn given(&self) -> Vec<(&'static str, &'static str, Vec<String>)> {
        let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
        let all = [
            ("api_address", "--api-address", one(&self.api_address)),
            ("listen", "--listen", self.listen.clone()),
            ("external", "--external", self.external.clone()),
            ("peers", "--peer", self.peers.clone()),
            ("artifact_quota", "--artifact-quota", one(&self.artifact_quota)),
            ("upload_rate", "--upload-rate", one(&self.upload_rate)),
            ("download_rate", "--download-rate", one(&self.download_rate)),
            ("upload_streams", "--upload-streams", one(&self.upload_streams)),
            ("download_providers", "--download-providers", one(&self.download_providers)),
            ("replicate", "--replicate", one(&self.replicate)),
            ("replication_interval_s", "--replication-interval-s", one(&self.replication_interval_s)),
            ("scrub_interval", "--scrub-interval", one(&self.scrub_interval)),
            ("scrub_rate", "--scrub-rate", one(&self.scrub_rate)),
            ("relay", "--relay", one(&self.relay)),
            ("mdns", "--mdns", one(&self.mdns)),
            ("log_level", "--log-level", one(&self.log_level)),
            ("log_format", "--log-format", one(&self.log_format)),
        ];
        all.into_iter().filter(|(_, _, values)| !values.is_empty()).collect()
    }
}

/// The sources of settings, before they are merged.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The text of its `config.toml`, if that exists.
    pub file: Option<String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The command line.
    pub flags: Flags,
}

impl Sources {
    /// Reads the file of a data directory and the environment of this process.
    ///
    /// # Errors
    /// When the file exists but cannot be read.
    pub fn of_process(data_dir: PathBuf, flags: Flags) -> Result<Self> {
        let path = data_dir.join(FILE);
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Self { data_dir, file, environment, flags })
    }

    /// Merges the sources; the last one wins.
    ///
    /// # Errors
    /// For an unknown name, and for a value that its setting does not accept. The error says where it was found.
    pub fn load(self) -> Result<Loaded> {
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
            let default = setting.default.iter().map(|value| (*value).to_owned()).collect();
            values.insert(setting.name, Value { texts: default, origin: Origin::Default });
        }
        values.extend(self.file_values()?);
        values.extend(self.environment_values()?);
        for (name, flag, texts) in self.flags.given() {
            values.insert(name, Value { texts, origin: Origin::Flag(flag.into()) });
        }
        let config = Config {
            api_address: one(&values, "api_address")?,
            listen: many(&values, "listen")?,
            external: many(&values, "external")?,
            peers: many(&values, "peers")?,
            artifact_quota: one(&values, "artifact_quota")?,
            upload_rate: one(&values, "upload_rate")?,
            download_rate: one(&values, "download_rate")?,
            upload_streams: one(&values, "upload_streams")?,
            download_providers: one(&values, "download_providers")?,
            replicate: one(&values, "replicate")?,
            replication_interval_s: one(&values, "replication_interval_s")?,
            scrub_interval: one(&values, "scrub_interval")?,
            scrub_rate: one(&values, "scrub_rate")?,
            relay: one(&values, "relay")?,
            mdns: one(&values, "mdns")?,
            log_level: one(&values, "log_level")?,
            log_format: one(&values, "log_format")?,
            data_dir: self.data_dir,
        };
        for peer in &config.peers {
            if !peer.iter().any(|part| matches!(part, libp2p::multiaddr::Protocol::P2p(_))) {
                let origin = values.get("peers").map(|value| value.origin.to_string()).unwrap_or_default();
                bail!(
                    "peers = {peer} ({origin}) lacks its peer id; write it as {peer}/p2p/PEERID, \
                     as `allod status` of that peer shows it"
                );
            }
        }
        Ok(Loaded { config, values })
    }

    fn file_values(&self) -> Result<BTreeMap<&'static str, Value>> {
        let Some(text) = &self.file else { return Ok(BTreeMap::new()) };
        let path = self.data_dir.join(FILE);
        let table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
        let mut values = BTreeMap::new();
        for (name, value) in table {
            let setting = SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| {
                let known = SETTINGS.iter().map(|setting| setting.name.to_owned());
                anyhow!("{}: there is no setting {name:?}{}", path.display(), nearest(&name, known))
            })?;
            let texts = setting
                .texts_of(&value)
                .ok_or_else(|| anyhow!("{}: {name} is {}; not {value}", path.display(), setting.wanted()))?;
            values.insert(setting.name, Value { texts, origin: Origin::File(path.clone()) });
        }
        Ok(values)
    }

    fn environment_values(&self) -> Result<BTreeMap<&'static str, Value>> {
        let mut values = BTreeMap::new();
        for (name, text) in self.environment.iter().filter(|(name, _)| name.starts_with("ALLOD_")) {
            if OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let setting = SETTINGS.iter().find(|setting| setting.variable() == *name).ok_or_else(|| {
                let known = SETTINGS.iter().map(Setting::variable);
                let others = OTHER_VARIABLES.iter().map(|name| (*name).to_owned());
                anyhow!("there is no environment variable {name:?} of allod{}", nearest(name, known.chain(others)))
            })?;
            let texts = if setting.many {
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
            } else {
                vec![text.clone()]
            };
            values.insert(setting.name, Value { texts, origin: Origin::Environment(name.clone()) });
        }
        Ok(values)
    }
}

/// `; did you mean ...? There are: ...`
fn nearest(name: &str, known: impl Iterator<Item = String>) -> String {
    let known: Vec<String> = known.collect();
    let best = known.iter().min_by_key(|candidate| strsim::damerau_levenshtein(name, candidate));
    best.map(|best| format!("; did you mean {best}? There are: {}", known.join(", "))).unwrap_or_default()
}

/// The value of a setting, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The values as they were written.
    pub texts: Vec<String>,
    /// The source of the values.
    pub origin: Origin,
}

fn parse<T: FromStr>(name: &str, text: &str, origin: &Origin) -> Result<T>
where
    T::Err: fmt::Display,
{
    text.parse().map_err(|error| match SETTINGS.iter().find(|setting| setting.name == name) {
        Some(setting) if setting.takes == Takes::Count => {
            anyhow!("{name} = {text:?} ({origin}): it is {}", setting.wanted())
        }
        _ => anyhow!("{name} = {text:?} ({origin}): {error}"),
    })
}

fn one<T: FromStr>(values: &BTreeMap<&'static str, Value>, name: &'static str) -> Result<T>
where
    T::Err: fmt::Display,
{
    let value = values.get(name).ok_or_else(|| anyhow!("{name} has no value"))?;
    match value.texts.as_slice() {
        [text] => parse(name, text, &value.origin),
        texts => Err(anyhow!("{name} ({}) takes one value, not {}", value.origin, texts.len())),
    }
}

fn many<T: FromStr>(values: &BTreeMap<&'static str, Value>, name: &'static str) -> Result<Vec<T>>
where
    T::Err: fmt::Display,
{
    let value = values.get(name).ok_or_else(|| anyhow!("{name} has no value"))?;
    value.texts.iter().map(|text| parse(name, text, &value.origin)).collect()
}

/// The effective configuration, and the origin of each value.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Each setting's value and origin, by name.
    pub values: BTreeMap<&'static str, Value>,
}

/// The text of a `config.toml` with these settings and no others.
pub fn file_text(settings: &[(&'static str, Vec<String>)]) -> String {
    let mut text = String::from("# Settings of this peer; `allod config show` prints all of them with their origin.\n");
    for (name, values) in settings {
        let many = SETTINGS.iter().any(|setting| setting.name == *name && setting.many);
        text.push_str(&format!("{name} = {}\n", toml_value(values, many)));
    }
    text
}

/// A value in TOML syntax.
pub fn toml_value(values: &[String], many: bool) -> String {
    match values {
        [value] if !many => toml::Value::String(value.clone()).to_string(),
        values => toml::Value::Array(values.iter().cloned().map(toml::Value::String).collect()).to_string(),
    }
}

/// The data directory if no flag names one: `$ALLOD_HOME`, else `$XDG_DATA_HOME/allod`, else `~/.local/share/allod`.
///
/// # Errors
/// When none of the three variables is set.
pub fn default_data_dir() -> Result<PathBuf> {
    directory_from("ALLOD_HOME", "XDG_DATA_HOME", Path::new(".local/share"), "")
        .ok_or_else(|| anyhow!("there is no home directory to keep data in; set ALLOD_HOME or give --data DIR"))
}

/// The directory of the client's keys if no flag names one: `$ALLOD_KEYS`, else `$XDG_CONFIG_HOME/allod/keys`, else
/// `~/.config/allod/keys`.
///
/// # Errors
/// When none of the three variables is set.
pub fn default_keys_dir() -> Result<PathBuf> {
    directory_from("ALLOD_KEYS", "XDG_CONFIG_HOME", Path::new(".config"), "keys")
        .ok_or_else(|| anyhow!("there is no home directory to keep keys in; set ALLOD_KEYS or give --keys DIR"))
}

fn directory_from(own: &str, xdg: &str, below_home: &Path, part: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = set(own) {
        return Some(directory);
    }
    let base = set(xdg).or_else(|| set("HOME").map(|home| home.join(below_home)))?;
    let directory = base.join("allod");
    Some(if part.is_empty() { directory } else { directory.join(part) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use super::*;

    fn sources(file: &str, environment: &[(&str, &str)], flags: Flags) -> Sources {
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Sources { data_dir: "/data".into(), file: Some(file.into()), environment, flags }
    }

    #[test]
    fn the_last_place_that_names_a_setting_wins() {
        let file =
            "api_address = '127.0.0.1:1'\nlisten = ['/ip4/127.0.0.1/tcp/1']\nlog_level = 'warn'\nrelay = false\n";
        let environment = [("ALLOD_API_ADDRESS", "127.0.0.1:2"), ("ALLOD_LOG_LEVEL", "debug"), ("ALLOD_HOME", "/x")];
        let flags = Flags { api_address: Some("127.0.0.1:3".into()), ..Flags::default() };
        let loaded = sources(file, &environment, flags).load().unwrap();
        assert_eq!(loaded.config.api_address.port(), 3);
        assert_eq!(loaded.config.log_level, "debug");
        assert_eq!(loaded.config.listen, ["/ip4/127.0.0.1/tcp/1".parse().unwrap()]);
        assert_eq!(loaded.config.log_format, LogFormat::Text);
        assert_eq!((loaded.config.relay, loaded.config.mdns), (false, false));
        assert_eq!(loaded.config.scrub_interval, Interval(Some(Duration::from_secs(30 * 24 * 60 * 60))));
        assert_eq!(loaded.config.scrub_rate, Quota(Some(20 * 1024 * 1024)));
        let origin = |name: &str| loaded.values[name].origin.to_string();
        assert_eq!(origin("api_address"), "flag --api-address");
        assert_eq!(origin("log_level"), "environment variable ALLOD_LOG_LEVEL");
        assert_eq!(origin("listen"), "/data/config.toml");
        assert_eq!(origin("log_format"), "default");
    }

    #[test]
    fn a_wrong_name_is_refused_with_the_nearest_right_one() {
        let error = sources("api_adress = 'x'", &[], Flags::default()).load().unwrap_err().to_string();
        assert!(error.contains("did you mean api_address?"), "{error}");
        assert!(error.contains("/data/config.toml"), "{error}");
        let error = sources("", &[("ALLOD_PEER", "x")], Flags::default()).load().unwrap_err().to_string();
        assert!(error.contains("did you mean ALLOD_PEERS?"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_place() {
        for (file, words) in [
            ("api_address = 'here'", "api_address = \"here\" (/data/config.toml)"),
            ("api_address = 7640", "api_address is a text, such as \"127.0.0.1:7640\""),
            ("mdns = 'yes'", "mdns = \"yes\" (/data/config.toml)"),
            ("scrub_interval = 'monthly'", "such as 5s or 3d, or seconds, or none"),
            ("scrub_rate = 'slow'", "is not a size such as 500GiB, or none"),
            ("log_format = 'xml'", "choose text or json"),
            ("peers = ['/ip4/10.0.0.1/tcp/7641']", "/p2p/PEERID"),
            ("listen = [", "is not TOML"),
        ] {
            let error = format!("{:#}", sources(file, &[], Flags::default()).load().unwrap_err());
            assert!(error.contains(words), "{file}: {error}");
        }
    }

    #[test]
    fn a_number_stands_for_the_text_that_says_the_same() {
        let numbers = "artifact_quota = 500_000_000_000\nupload_rate = 1000000\ndownload_rate = 20_000_000\n\
            upload_streams = 8\ndownload_providers = 2\nreplication_interval_s = 30\nscrub_interval = 86400\nscrub_rate = 1048576\n";
        let texts = "artifact_quota = '500GB'\nupload_rate = '1MB'\ndownload_rate = '20MB'\n\
            upload_streams = '8'\ndownload_providers = '2'\nreplication_interval_s = '30'\nscrub_interval = '1d'\nscrub_rate = '1MiB'\n";
        let load = |file: &str| sources(file, &[], Flags::default()).load().unwrap().config;
        assert_eq!(load(numbers), load(texts));
        assert_eq!(load(numbers).upload_rate, Rate(NonZeroU32::new(1_000_000)));
        // In the environment every value is text, even a number.
        let environment = [("ALLOD_SCRUB_INTERVAL", "86400"), ("ALLOD_UPLOAD_RATE", "1000000")];
        let loaded = sources("", &environment, Flags::default()).load().unwrap().config;
        assert_eq!((loaded.scrub_interval, loaded.upload_rate), (load(texts).scrub_interval, load(texts).upload_rate));
    }

    #[test]
    fn a_number_that_cannot_be_meant_is_refused_by_name_with_what_can() {
        for (file, words) in [
            (
                "upload_rate = 1.5",
                "upload_rate is a size such as \"20MB\", or a whole number of bytes such as 20000000",
            ),
            ("upload_rate = 1e6", "upload_rate is a size"),
            (
                "upload_rate = 1000",
                "upload_rate = \"1000\" (/data/config.toml): 1000 a second is not between 64KiB and 4GiB",
            ),
            ("download_rate = 9_000_000_000_000", "download_rate = \"9000000000000\" (/data/config.toml)"),
            ("artifact_quota = -1", "artifact_quota is a size"),
            ("artifact_quota = 99999999999999999999", "artifact_quota = 99999999999999999999"),
            ("scrub_interval = 0.5", "scrub_interval is a duration such as \"30d\", or a whole number of seconds"),
            ("scrub_interval = '99999999999999999999'", "scrub_interval = \"99999999999999999999\""),
            ("upload_streams = 0", "upload_streams = \"0\" (/data/config.toml): it is a whole number, 1 at least"),
            ("replication_interval_s = 5_000_000_000", "replication_interval_s = \"5000000000\" (/data/config.toml)"),
            ("relay = 1", "relay is true or false; not 1"),
            ("log_level = true", "log_level is a text, such as \"info\""),
            ("listen = 7641", "listen is a list of texts, such as [\"/ip4/0.0.0.0/tcp/7641\"]"),
            ("api_address = ['127.0.0.1:1']", "api_address is a text"),
            ("scrub_rate = 2026-11-25", "scrub_rate is a size"),
        ] {
            let error = format!("{:#}", sources(file, &[], Flags::default()).load().unwrap_err());
            assert!(error.contains(words), "{file}: {error}");
        }
    }

    #[test]
    fn lists_in_the_environment_are_separated_by_commas() {
        let environment = [("ALLOD_LISTEN", "/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2")];
        let loaded = sources("", &environment, Flags::default()).load().unwrap();
        assert_eq!(loaded.config.listen.len(), 2);
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = file_text(&[("api_address", vec!["127.0.0.1:9".into()]), ("peers", vec![])]);
        let loaded = sources(&text, &[], Flags::default()).load().unwrap();
        assert_eq!(loaded.config.api_address.port(), 9);
        assert_eq!(loaded.config.peers, []);
    }
}
