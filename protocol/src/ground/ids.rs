//! Newtypes that cannot be mixed up, and their text forms.
//!
//! In canonical bytes an id is its 32 bytes, and a number has a fixed width. In JSON, and wherever a person reads it, a
//! hash is 64 lowercase hexadecimal digits and an artifact is a CID (version 1, raw, BLAKE3). A number is a number, or
//! a string of its digits if it is larger than many JSON readers represent exactly ([`wide`]).

use crate::ground::limits;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr};

/// Why a text is not an id, a key or a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not the digits of a 32- or 64-byte value.
    #[error("{what} is {expected} hexadecimal digits, not {found:?}")]
    Hex {
        /// The name of the type.
        what: &'static str,
        /// Number of digits expected.
        expected: usize,
        /// The text given, cut to 80 characters.
        found: String,
    },
    /// Not a CID of the kind that names an artifact.
    #[error("an artifact's address is a CIDv1 (raw codec, BLAKE3 hash, 32 bytes), or 64 hexadecimal digits; not {0:?}")]
    Cid(String),
    /// A handle or a model's name breaks the rule for names.
    #[error(
        "{0:?} is not a name: {min} to {max} characters, lowercase letters a-z, digits and single hyphens inside",
        min = limits::NAME_MIN_CHARS, max = limits::NAME_MAX_CHARS
    )]
    Name(String),
    /// A version's label breaks its rule.
    #[error(
        "{0:?} is not a version label: 1 to {max} characters, letters, digits and . _ + - inside",
        max = limits::LABEL_MAX_CHARS
    )]
    Label(String),
    /// A model's full name does not have its form.
    #[error("a model is named namespace/name, such as northfield/digits; not {0:?}")]
    ModelName(String),
    /// Not a height and a hash.
    #[error("a checkpoint is HEIGHT:HASH, as `allod status` prints it, not {0:?}")]
    Checkpoint(String),
    /// More than the whole.
    #[error("{0} basis points are more than the whole, which is 10000")]
    BasisPoints(u16),
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The bytes of a word, by which byte newtypes are encoded.
const WORD: usize = size_of::<u64>();

/// Defines a fixed-size byte newtype, whose text matches the pattern.
macro_rules! bytes_newtype {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = $pattern))]
        pub struct $name([u8; $len]);

        const _: () = assert!($len % WORD == 0);

        impl $name {
            /// The length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes as they are.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return serializer.collect_str(self);
                }
                // By words: in the canonical encoding their bytes are those of the value, and they are written much faster.
                use serde::ser::SerializeTuple;
                let mut tuple = serializer.serialize_tuple($len / WORD)?;
                for word in self.0.as_chunks::<WORD>().0 {
                    tuple.serialize_element(&u64::from_le_bytes(*word))?;
                }
                tuple.end()
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<$name, A::Error> {
                        let mut bytes = [0u8; $len];
                        for (index, word) in bytes.as_chunks_mut::<WORD>().0.iter_mut().enumerate() {
                            let read: u64 = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(index, &self))?;
                            *word = read.to_le_bytes();
                        }
                        Ok($name(bytes))
                    }
                }
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Visitor)
                } else {
                    deserializer.deserialize_tuple($len / WORD, Visitor)
                }
            }
        }
    };
}

/// Implements the hexadecimal text form of a byte newtype.
macro_rules! hex_text {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                data_encoding::HEXLOWER_PERMISSIVE
                    .decode(text.trim().as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| ParseError::Hex { what: $what, expected: Self::LEN * 2, found: shorten(text) })
            }
        }
    };
}

macro_rules! hash_newtype {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => { $(
        bytes_newtype!($(#[$doc])* $name, 32, $what, "^[0-9a-f]{64}$");
        hex_text!($name, $what);
    )* };
}

hash_newtype! {
    /// A dispute: derived from the transaction that opened it.
    DisputeId = "a dispute id";
    /// An incident report: derived from the transaction that reported it.
    IncidentId = "an incident id";
    /// A request that waits for signatures: derived from the transaction that made it.
    ApprovalId = "an approval id";
    /// A network: the hash of its genesis.
    NetworkId = "a network id";
    /// A transaction: the hash of its signing bytes.
    TransactionId = "a transaction id";
    /// A block: the hash of its header.
    BlockHash = "a block hash";
    /// The root of the authenticated map of all current state.
    StateRoot = "a state root";
    /// The hash of the ids of a block's transactions, in order.
    TransactionsRoot = "a transactions root";
    /// The hash of a validator set.
    ValidatorSetHash = "a validator set hash";
    /// An account: derived from the transaction, or the genesis line, that created it.
    AccountId = "an account id";
    /// A model: derived from the transaction that created it.
    ModelId = "a model id";
    /// A contribution: derived from the transaction that recorded it.
    ContributionId = "a contribution id";
    /// A proposal: derived from the transaction that opened it, so nobody can take another's id.
    ProposalId = "a proposal id";
    /// A validator's address: derived from its consensus key.
    ValidatorAddress = "a validator address";
    /// The hash of something outside the ledger: a training plan, a data set, evidence.
    ContentHash = "a content hash";
}

bytes_newtype!(
    /// An ed25519 public key. Being 32 bytes does not make it valid: only a signature check shows that.
    PublicKey, 32, "a public key", "^[0-9a-f]{64}$"
);
hex_text!(PublicKey, "a public key");
bytes_newtype!(
    /// An ed25519 signature.
    Signature, 64, "a signature", "^[0-9a-f]{128}$"
);
hex_text!(Signature, "a signature");

bytes_newtype!(
    /// The address of an artifact: plain BLAKE3 of a file's bytes, or of a collection's manifest. Its text is a CID
    /// (version 1, raw, BLAKE3); 64 hexadecimal digits are understood too.
    ArtifactId, 32, "an artifact's address", "^(bafkr4i[a-z2-7]{52}|[0-9a-f]{64})$"
);

const CID_RAW: u64 = 0x55;
const MULTIHASH_BLAKE3: u64 = 0x1e;

impl ArtifactId {
    /// The address of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The multihash (code 0x1e, length 32, digest): the key of the artifact's provider records.
    pub fn multihash(&self) -> Vec<u8> {
        let mut bytes = vec![0x1e, 0x20];
        bytes.extend_from_slice(&self.0);
        bytes
    }
}

impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match cid::multihash::Multihash::<64>::wrap(MULTIHASH_BLAKE3, &self.0) {
            Ok(multihash) => write!(f, "{}", cid::Cid::new_v1(CID_RAW, multihash)),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl FromStr for ArtifactId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        let refused = || ParseError::Cid(shorten(text));
        if text.len() == Self::LEN * 2 {
            let hash: ContentHash = text.parse().map_err(|_| refused())?;
            return Ok(Self(*hash.as_bytes()));
        }
        let cid = cid::Cid::try_from(text).map_err(|_| refused())?;
        if cid.version() != cid::Version::V1 || cid.codec() != CID_RAW || cid.hash().code() != MULTIHASH_BLAKE3 {
            return Err(refused());
        }
        cid.hash().digest().try_into().map(Self).map_err(|_| refused())
    }
}

/// 64-bit numbers in JSON. Most readers hold a number in a double, which is exact up to 2^53. So a larger number may be
/// a string of its digits, and so may a smaller one; in canonical bytes it still has eight bytes.
pub mod wide {
    use serde::{Deserialize as _, Deserializer, de};

    /// The largest integer up to which a double holds every one exactly: 2^53.
    pub const EXACT: u64 = 1 << 53;

    /// Reads a number, or its digits.
    ///
    /// # Errors
    /// When it is neither, or does not fit into 64 bits.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Digits)
        } else {
            u64::deserialize(deserializer)
        }
    }

    struct Digits;

    impl de::Visitor<'_> for Digits {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a whole number from 0 on, or its digits as a string")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
            u64::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
        }

        fn visit_str<E: de::Error>(self, digits: &str) -> Result<u64, E> {
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = if is_plain { digits.parse().ok() } else { None };
            number.ok_or_else(|| E::invalid_value(de::Unexpected::Str(digits), &self))
        }
    }

    /// The same for an optional number.
    pub mod option {
        use super::Deserializer;
        use serde::Deserialize;

        #[derive(Deserialize)]
        struct Wide(#[serde(deserialize_with = "super::deserialize")] u64);

        /// Reads a number, its digits, or nothing.
        ///
        /// # Errors
        /// As [`super::deserialize`].
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
            Ok(Option::<Wide>::deserialize(deserializer)?.map(|Wide(number)| number))
        }
    }
}

/// Defines a number newtype.
macro_rules! number_newtype {
    ($($(#[$doc:meta])* $name:ident: $inner:ty;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = crate::ground::openapi::Wide))]
        pub struct $name($inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                wide::deserialize(deserializer).map(Self)
            }
        }

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);

            /// Takes the number as it is.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )* };
}

number_newtype! {
    /// The height of a block on the ledger. Genesis is 0, the first block 1.
    Height: u64;
    /// Block time: milliseconds since 1970-01-01 UTC.
    Timestamp: u64;
    /// Whole units of a model's shares, at most [`limits::MODEL_UNITS`].
    Units: u64;
    /// A validator's voting power.
    Power: u64;
}

macro_rules! shown_as_numbers {
    ($($name:ident),*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )* };
}

shown_as_numbers!(Height, Units, Power);

/// A date and a time of day in UTC, such as `2026-11-23 10:00:00Z`, with fractions of a second only if there are any. A
/// time beyond the calendar's range is shown in milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, milliseconds) = (self.0 / 1_000, self.0 % 1_000);
        let (days, second) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
        let Some((year, month, day)) = civil(days) else { return write!(f, "{} ms", self.0) };
        let (hour, minute, second) = (second / 3_600, second % 3_600 / 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")?;
        if milliseconds > 0 {
            write!(f, ".{milliseconds:03}")?;
        }
        f.write_str("Z")
    }
}

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The year, month and day `days` after 1970-01-01 in the Gregorian calendar, up to the year 9999. Years are counted
/// from March, so that a leap day is the last day of one (Howard Hinnant, *chrono-Compatible Low-Level Date
/// Algorithms*).
#[allow(clippy::arithmetic_side_effects, reason = "bounded by the check in the first line")]
const fn civil(days: u64) -> Option<(u64, u64, u64)> {
    if days > 2_932_896 {
        return None;
    }
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let january = if month <= 2 { 1 } else { 0 };
    Some((year + era * 400 + january, month, day))
}

impl Height {
    /// The next height.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The previous height. Genesis is its own predecessor.
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Timestamp {
    /// The moment `milliseconds` later.
    pub const fn plus_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}

impl Units {
    /// The sum. `None` if it exceeds [`limits::MODEL_UNITS`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).filter(|sum| *sum <= limits::MODEL_UNITS).map(Self)
    }

    /// The difference. `None` if it would be negative.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

/// A portion in ten-thousandths: 10,000 is the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(maximum = 10_000))]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// All of it.
    pub const WHOLE: Self = Self(10_000);

    /// # Errors
    /// When it is more than the whole.
    pub const fn new(value: u16) -> Result<Self, ParseError> {
        if value > 10_000 { Err(ParseError::BasisPoints(value)) } else { Ok(Self(value)) }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for BasisPoints {
    type Error = ParseError;
    fn try_from(value: u16) -> Result<Self, ParseError> {
        Self::new(value)
    }
}

impl From<BasisPoints> for u16 {
    fn from(value: BasisPoints) -> Self {
        value.0
    }
}

impl fmt::Display for BasisPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.div_euclid(100), self.0.rem_euclid(100));
        if rest == 0 { write!(f, "{whole} %") } else { write!(f, "{whole}.{rest:02} %") }
    }
}

/// Defines a text newtype whose rule is checked whenever a value is made, including by decoding.
macro_rules! text_newtype {
    ($($(#[$doc:meta])* $name:ident, $valid:path, $error:ident, $pattern:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(pattern = $pattern))]
        pub struct $name(String);

        impl $name {
            /// # Errors
            /// When the text breaks the rule.
            pub fn new(text: impl Into<String>) -> Result<Self, ParseError> {
                let text = text.into();
                if $valid(&text) { Ok(Self(text)) } else { Err(ParseError::$error(shorten(&text))) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseError;
            fn try_from(text: String) -> Result<Self, ParseError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(text: &str) -> Result<Self, ParseError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )* };
}

text_newtype! {
    /// An account's unique name: lowercase letters, digits and single hyphens inside.
    Handle, is_name, Name, "^[a-z0-9]+(-[a-z0-9]+)*$";
    /// A model's name within its namespace, by the rule of handles.
    Name, is_name, Name, "^[a-z0-9]+(-[a-z0-9]+)*$";
    /// A version's label, such as `1.2.0` or `v2`.
    VersionLabel, is_label, Label, "^[A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9])?$";
}

/// The look of a handle: two handles of one shape can be mistaken for each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape(String);

impl Shape {
    /// The shape's letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Handle {
    /// The look of the handle: hyphens removed, and letters that are mistaken for each other unified. Unicode's
    /// confusables (UTS 39) include, among these letters, 0 for o, 1 for l, m for rn, w for vv; and an i without its
    /// dot, or a handwritten capital I, is an l.
    pub fn shape(&self) -> Shape {
        let mut shape = String::with_capacity(self.as_str().len());
        for letter in self.as_str().chars() {
            match letter {
                '-' => {}
                '0' => shape.push('o'),
                '1' | 'i' => shape.push('l'),

                'm' => shape.push_str("rn"),
                'w' => shape.push_str("vv"),
                other => shape.push(other),
            }
        }
        Shape(shape)
    }
}

fn is_name(text: &str) -> bool {
    (limits::NAME_MIN_CHARS..=limits::NAME_MAX_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

fn is_label(text: &str) -> bool {
    (1..=limits::LABEL_MAX_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// A model's full name: `namespace/name`. The namespace is an account's handle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName {
    /// The handle of the account that founded the model.
    pub namespace: Handle,
    /// The name within it.
    pub name: Name,
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ModelName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (namespace, name) = text.split_once('/').ok_or_else(|| ParseError::ModelName(shorten(text)))?;
        Ok(Self { namespace: namespace.parse()?, name: name.parse()? })
    }
}

impl Serialize for ModelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(feature = "openapi")]
crate::ground::openapi::described_as_text!(
    ModelName,
    "A model's full name: `namespace/name`, the namespace being an account's handle.",
    Some("^[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*$")
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_read_back() {
        let artifact = ArtifactId::of(b"weights");
        assert!(artifact.to_string().starts_with("bafkr4i"), "{artifact}");
        assert_eq!(artifact.to_string().parse::<ArtifactId>(), Ok(artifact));
        let hex = data_encoding::HEXLOWER.encode(artifact.as_bytes());
        assert_eq!(hex.parse::<ArtifactId>(), Ok(artifact));
        let signature = Signature::from_bytes([7; 64]);
        assert_eq!(signature.to_string().parse(), Ok(signature));
        assert_eq!("northfield/digits".parse::<ModelName>().map(|n| n.to_string()), Ok("northfield/digits".into()));
    }

    #[test]
    fn names_refuse_what_looks_alike_or_escapes() {
        for bad in ["a", "-ab", "ab-", "a--b", "Ab", "a_b", "а-cyrillic", "a/b", "", &"x".repeat(40)] {
            assert!(Handle::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "-1", "1.", "1/2", "1 2", &"9".repeat(33)] {
            assert!(VersionLabel::new(bad).is_err(), "{bad}");
        }
        assert!("bafkreigh2akiscaildc".parse::<ArtifactId>().is_err());
        assert!(BasisPoints::new(10_001).is_err());
    }

    #[test]
    fn handles_that_look_alike_have_one_shape() {
        let shape = |text| Handle::new(text).map(|handle| handle.shape());
        for (one, other) in [("mill", "rn1ll"), ("bill-l0w", "bil1-1ovv"), ("lab-i", "labl")] {
            assert_eq!(shape(one), shape(other), "{one} {other}");
        }
        assert_ne!(shape("bay"), shape("boy"));
    }

    #[test]
    fn times_are_shown_as_dates() {
        let shown = |ms| Timestamp::new(ms).to_string();
        assert_eq!(shown(0), "1970-01-01 00:00:00Z");
        assert_eq!(shown(951_782_399_999), "2000-02-28 23:59:59.999Z");
        assert_eq!(shown(951_782_400_000), "2000-02-29 00:00:00Z");
        assert_eq!(shown(951_868_800_000), "2000-03-01 00:00:00Z");
        assert_eq!(shown(1_795_428_000_250), "2026-11-23 10:00:00.250Z");
        assert_eq!(shown(4_107_542_399_000), "2100-02-28 23:59:59Z");
        assert_eq!(shown(4_107_542_400_000), "2100-03-01 00:00:00Z", "not a leap year");
        assert_eq!(shown(253_402_300_799_999), "9999-12-31 23:59:59.999Z");
        assert_eq!(shown(253_402_300_800_000), "253402300800000 ms");
        assert_eq!(shown(u64::MAX), "18446744073709551615 ms");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = (1969, 12, 31);
        for days in 0..=2_932_896 {
            let Some((year, month, day)) = civil(days) else { panic!("day {days}") };
            let is_next = (year, month, day) == (last.0, last.1, last.2 + 1)
                || (day == 1 && (year, month) == (last.0, last.1 + 1) && last.2 >= 28)
                || ((year, month, day) == (last.0 + 1, 1, 1) && (last.1, last.2) == (12, 31));
            assert!(is_next && month <= 12 && day <= 31, "{last:?} {year} {month} {day}");
            last = (year, month, day);
        }
        assert_eq!(last, (9_999, 12, 31));
    }

    #[test]
    fn a_number_is_read_from_its_digits_too() {
        let both: [Units; 2] = serde_json::from_str("[7, \"18446744073709551615\"]").expect("both forms");
        assert_eq!(both.map(Units::get), [7, u64::MAX]);
        for bad in ["-1", "1.5", "\"\"", "\"+1\"", "\" 1\"", "\"1e3\"", "\"18446744073709551616\"", "null", "[1]"] {
            assert!(serde_json::from_str::<Units>(bad).is_err(), "{bad}");
        }
        assert_eq!(crate::ground::codec::encode(&Units::new(7)).len(), 9, "canonical bytes do not change");
    }

    #[test]
    fn bytes_are_bare_and_json_is_text() {
        let id = AccountId::from_bytes([0xab; 32]);
        assert_eq!(crate::ground::codec::encode(&id).len(), 33);
        assert_eq!(serde_json::to_string(&id).ok(), Some(format!("\"{}\"", "ab".repeat(32))));
        assert_eq!(crate::ground::codec::decode(&crate::ground::codec::encode(&id), 64), Ok(id));
    }
}
