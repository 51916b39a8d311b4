//! Where the values of settings come from, and how the sources are merged.

use super::{
    Config, FILE,
    settings::{OTHER_VARIABLES, SETTINGS, Setting, Takes, nearest},
};
use anyhow::{Context as _, Result, anyhow, bail};
use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

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
    /// A name by which requests may address the HTTP API without TLS, beside addresses and localhost; may be repeated
    #[arg(long = "api-host", value_name = "NAME")]
    pub api_hosts: Vec<String>,
    /// A web site whose pages may use the HTTP API, such as https://dashboard.example.org; may be repeated
    #[arg(long = "api-origin", value_name = "ORIGIN")]
    pub api_origins: Vec<String>,
    /// Where /healthz, /readyz and /metrics are served by themselves, such as 0.0.0.0:7642 [default: none]
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_address: Option<String>,
    /// The certificate chain of the HTTP API, in PEM; needed if it listens beyond loopback [default: none]
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<String>,
    /// The key of that certificate, in PEM [default: none]
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Where peers reach this one, as a multiaddress; may be repeated [default: port 7641, TCP and QUIC]
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// An address at which others reach this peer, if it is not one it listens on; may be repeated
    #[arg(long, value_name = "MULTIADDR")]
    pub external: Vec<String>,
    /// A peer to dial first, as a multiaddress that ends in /p2p/PEERID; may be repeated
    #[arg(long = "peer", value_name = "MULTIADDR")]
    pub peers: Vec<String>,
    /// A directory below which files may be published and written to; may be repeated [default: anywhere]
    #[arg(long = "file-root", value_name = "DIR")]
    pub file_roots: Vec<String>,
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
    /// Whether to relay, within bounds, for peers that others cannot reach: true, false, or auto, unless this peer is a
    /// validator when it starts [default: auto]
    #[arg(long, value_name = "OFFER")]
    pub relay: Option<String>,
    /// Whether other libp2p software may connect for two minutes and ask for providers: true, false, or auto, unless this
    /// peer is a validator when it starts [default: auto]
    #[arg(long, value_name = "OFFER")]
    pub guests: Option<String>,
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
            ("api_hosts", "--api-host", self.api_hosts.clone()),
            ("api_origins", "--api-origin", self.api_origins.clone()),
            ("metrics_address", "--metrics-address", one(&self.metrics_address)),
            ("tls_certificate", "--tls-certificate", one(&self.tls_certificate)),
            ("tls_key", "--tls-key", one(&self.tls_key)),
            ("listen", "--listen", self.listen.clone()),
            ("external", "--external", self.external.clone()),
            ("peers", "--peer", self.peers.clone()),
            ("file_roots", "--file-root", self.file_roots.clone()),
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
            ("guests", "--guests", one(&self.guests)),
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
            api_hosts: many(&values, "api_hosts")?,
            api_origins: many(&values, "api_origins")?,
            metrics_address: one(&values, "metrics_address")?,
            tls_certificate: one(&values, "tls_certificate")?,
            tls_key: one(&values, "tls_key")?,
            listen: many(&values, "listen")?,
            external: many(&values, "external")?,
            peers: many(&values, "peers")?,
            file_roots: many(&values, "file_roots")?,
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
            guests: one(&values, "guests")?,
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
