//! The values that settings have besides text and numbers, and how each is read.

use crate::{exchange::rate::LEAST_BYTES_PER_S, plain::units::patience};
use anyhow::{Result, anyhow};
use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

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

/// Whether something is done for strangers. `None` means: unless this peer is a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer(pub Option<bool>);

impl Offer {
    /// Whether it is done by a peer that is a validator or not.
    pub fn stands(self, is_validator: bool) -> bool {
        self.0.unwrap_or(!is_validator)
    }
}

impl FromStr for Offer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self(None)),
            "true" => Ok(Self(Some(true))),
            "false" => Ok(Self(Some(false))),
            _ => Err(anyhow!("{text:?} is not true, false or auto")),
        }
    }
}

/// A file. `None` means that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalFile(pub Option<PathBuf>);

impl FromStr for OptionalFile {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self(None)),
            "" => Err(anyhow!("no file has an empty name; name one, or none")),
            path => Ok(Self(Some(path.into()))),
        }
    }
}

/// A path from the root of the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsolutePath(pub PathBuf);

impl FromStr for AbsolutePath {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let path = PathBuf::from(text);
        if path.is_absolute() {
            Ok(Self(path))
        } else {
            Err(anyhow!("{text:?} is not an absolute path such as /srv/models"))
        }
    }
}

/// Where something listens. `None` means nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalAddress(pub Option<SocketAddr>);

impl FromStr for OptionalAddress {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self(None));
        }
        let address =
            text.parse().map_err(|_| anyhow!("{text:?} is not an address and port such as 127.0.0.1:7642, or none"))?;
        Ok(Self(Some(address)))
    }
}

/// The name of a machine, in lowercase.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(pub String);

impl FromStr for HostName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_part = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if text.split('.').all(is_part) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(anyhow!("{text:?} is not the name of a machine such as node.example.org, without a scheme and a port"))
    }
}

/// A web site, as browsers name it in the header `Origin`: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WebOrigin(pub String);

impl FromStr for WebOrigin {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = text.parse::<reqwest::Url>().ok().map(|url| url.origin()).filter(|origin| origin.is_tuple());
        match named.map(|origin| origin.ascii_serialization()) {
            // What browsers would never send matches nothing: a path, a slash at the end, a default port.
            Some(origin) if origin == text => Ok(Self(origin)),
            Some(origin) => Err(anyhow!("{text:?} is not a web site as browsers name it; write {origin}")),
            None => Err(anyhow!("{text:?} is not a web site such as https://dashboard.example.org")),
        }
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
