//! The list of settings: what each is called, what it accepts in the file, what it is by default.

/// A setting. Its name is the key in the file; the names of its variable and its flag are derived from it.
#[derive(Debug)]
pub struct Setting {
    /// The key in `config.toml`.
    pub name: &'static str,
    /// Whether it takes several values.
    pub many: bool,
    pub(super) takes: Takes,
    pub(super) default: &'static [&'static str],
}

impl Setting {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("ALLOD_{}", self.name.to_uppercase())
    }
}

/// The values that a setting accepts in the file, besides text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing else. The text is an example.
    Text(&'static str),
    /// `true` or `false`.
    Truth,
    /// The same, or `auto`.
    Offer,
    /// A whole number.
    Count,
    /// A whole number of bytes.
    Bytes,
    /// A whole number of seconds.
    Seconds,
}

impl Setting {
    /// The value in the file as texts. `None` if the setting does not accept such a value.
    pub(super) fn texts_of(&self, value: &toml::Value) -> Option<Vec<String>> {
        match (self.takes, value) {
            (_, toml::Value::String(text)) => Some(vec![text.clone()]),
            (_, toml::Value::Array(values)) if self.many => {
                values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
            }
            (Takes::Truth | Takes::Offer, toml::Value::Boolean(value)) => Some(vec![value.to_string()]),
            (Takes::Count | Takes::Bytes | Takes::Seconds, toml::Value::Integer(number)) => {
                u64::try_from(*number).ok().map(|number| vec![number.to_string()])
            }
            _ => None,
        }
    }

    /// What to write instead of a value that it does not accept.
    pub(super) fn wanted(&self) -> String {
        match self.takes {
            Takes::Text(example) if self.many => format!("a list of texts, such as [{example:?}]"),
            Takes::Text(example) => format!("a text, such as {example:?}"),
            Takes::Truth => "true or false".into(),
            Takes::Offer => "true, false or \"auto\"".into(),
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
    Setting { name: "api_hosts", many: true, takes: Takes::Text("node.example.org"), default: &[] },
    Setting { name: "api_origins", many: true, takes: Takes::Text("https://dashboard.example.org"), default: &[] },
    Setting { name: "metrics_address", many: false, takes: Takes::Text("127.0.0.1:7642"), default: &["none"] },
    Setting { name: "tls_certificate", many: false, takes: Takes::Text("/etc/allod/tls.crt"), default: &["none"] },
    Setting { name: "tls_key", many: false, takes: Takes::Text("/etc/allod/tls.key"), default: &["none"] },
    Setting {
        name: "listen",
        many: true,
        takes: Takes::Text("/ip4/0.0.0.0/tcp/7641"),
        default: &["/ip4/0.0.0.0/tcp/7641", "/ip4/0.0.0.0/udp/7641/quic-v1"],
    },
    Setting { name: "external", many: true, takes: Takes::Text("/ip4/192.0.2.7/tcp/7641"), default: &[] },
    Setting { name: "peers", many: true, takes: Takes::Text("/ip4/192.0.2.7/tcp/7641/p2p/PEERID"), default: &[] },
    Setting { name: "file_roots", many: true, takes: Takes::Text("/srv/models"), default: &[] },
    Setting { name: "artifact_quota", many: false, takes: Takes::Bytes, default: &["none"] },
    Setting { name: "upload_rate", many: false, takes: Takes::Bytes, default: &["none"] },
    Setting { name: "download_rate", many: false, takes: Takes::Bytes, default: &["none"] },
    Setting { name: "upload_streams", many: false, takes: Takes::Count, default: &["64"] },
    Setting { name: "download_providers", many: false, takes: Takes::Count, default: &["8"] },
    Setting { name: "replicate", many: false, takes: Takes::Truth, default: &["false"] },
    Setting { name: "replication_interval_s", many: false, takes: Takes::Count, default: &["60"] },
    Setting { name: "scrub_interval", many: false, takes: Takes::Seconds, default: &["30d"] },
    Setting { name: "scrub_rate", many: false, takes: Takes::Bytes, default: &["20MiB"] },
    Setting { name: "relay", many: false, takes: Takes::Offer, default: &["auto"] },
    Setting { name: "guests", many: false, takes: Takes::Offer, default: &["auto"] },
    Setting { name: "mdns", many: false, takes: Takes::Truth, default: &["false"] },
    Setting { name: "log_level", many: false, takes: Takes::Text("info"), default: &["info"] },
    Setting { name: "log_format", many: false, takes: Takes::Text("json"), default: &["text"] },
];

/// `ALLOD_` variables that are not settings of a peer: where its data is, and what its client and its tests use.
pub(super) const OTHER_VARIABLES: &[&str] = &[
    "ALLOD_HOME",
    "ALLOD_API",
    "ALLOD_KEYS",
    "ALLOD_TOKEN_FILE",
    "ALLOD_CA_FILE",
    "ALLOD_PASSPHRASE",
    "ALLOD_AS",
    "ALLOD_TESTNET_DIR",
    "ALLOD_UPDATE_VECTORS",
];

/// `; did you mean ...? There are: ...`
pub(crate) fn nearest(name: &str, known: impl Iterator<Item = String>) -> String {
    let known: Vec<String> = known.collect();
    let best = known.iter().min_by_key(|candidate| strsim::damerau_levenshtein(name, candidate));
    best.map(|best| format!("; did you mean {best}? There are: {}", known.join(", "))).unwrap_or_default()
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
