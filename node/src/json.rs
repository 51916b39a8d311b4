//! The one way in which this program writes JSON for others: an integer whose digits a reader could lose is a string.
//!
//! JSON does not limit the size of a number, and most readers hold numbers in a double, which is exact up to 2^53. A
//! model has up to 2^62 units, and a transaction's nonce is any 64-bit number. So every integer above [`EXACT`],
//! whatever its field, is written as a string of its digits; up to that it is a number. Input may use either form
//! ([`allod_protocol::ground::ids::wide`]).

use allod_protocol::ground::ids::wide::EXACT;
use serde::Serialize;
use serde_json::{
    Result, Serializer,
    ser::{CompactFormatter, Formatter, PrettyFormatter},
};
use std::io::{self, Write};

/// Compact JSON.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    write(value, CompactFormatter)
}

/// Compact JSON, as a string.
pub(crate) fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    text(to_vec(value)?)
}

/// Indented JSON, for people and for files.
pub(crate) fn to_string_pretty<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    text(write(value, PrettyFormatter::new())?)
}

fn write<T: Serialize + ?Sized>(value: &T, layout: impl Formatter) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(256);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Exact { layout, in_string: false }))?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// A formatter that quotes large integers.
struct Exact<F> {
    layout: F,
    /// Whether the number is an object key, which is quoted already.
    in_string: bool,
}

impl<F: Formatter> Exact<F> {
    fn integer<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        digits: impl std::fmt::Display,
        is_exact: bool,
    ) -> io::Result<()> {
        if is_exact || self.in_string { write!(writer, "{digits}") } else { write!(writer, "\"{digits}\"") }
    }
}

/// Forwards to the inner formatter.
macro_rules! as_the_layout {
    ($($name:ident($($first:ident)?);)*) => { $(
        fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $first: bool)?) -> io::Result<()> {
            self.layout.$name(writer $(, $first)?)
        }
    )* };
}

impl<F: Formatter> Formatter for Exact<F> {
    as_the_layout! {
        begin_array();
        end_array();
        begin_array_value(first);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_string = true;
        self.layout.begin_string(writer)
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_string = false;
        self.layout.end_string(writer)
    }

    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        self.integer(writer, value, value <= EXACT)
    }

    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        self.integer(writer, value, value.unsigned_abs() <= EXACT)
    }

    fn write_u128<W: ?Sized + Write>(&mut self, writer: &mut W, value: u128) -> io::Result<()> {
        self.integer(writer, value, value <= EXACT.into())
    }

    fn write_i128<W: ?Sized + Write>(&mut self, writer: &mut W, value: i128) -> io::Result<()> {
        self.integer(writer, value, value.unsigned_abs() <= EXACT.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use allod_protocol::rules::round::{Reserve, RoundScore};
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn integers_that_a_double_loses_are_strings_wherever_they_stand() {
        assert_eq!(
            to_string(&json!({"a": EXACT, "b": [EXACT + 1]})).unwrap(),
            r#"{"a":9007199254740992,"b":["9007199254740993"]}"#
        );
        assert_eq!(to_string(&u64::MAX).unwrap(), r#""18446744073709551615""#);
        assert_eq!(to_string(&i64::MIN).unwrap(), r#""-9223372036854775808""#);
        assert_eq!(to_string(&i128::from(u64::MAX)).unwrap(), r#""18446744073709551615""#);
        assert_eq!(to_string(&-5).unwrap(), "-5");
        assert_eq!(to_string(&BTreeMap::from([(u64::MAX, 1)])).unwrap(), r#"{"18446744073709551615":1}"#);
    }

    #[test]
    fn the_sums_of_a_round_are_read_back_however_large_they_are() {
        let most = u64::MAX;
        let score = RoundScore { score: most, disputed: most, come: most, gone: most, ..RoundScore::default() };
        assert_eq!(serde_json::from_str::<RoundScore>(&to_string(&score).unwrap()).unwrap(), score);
        let reserve = Reserve { appealed: most, score: most, ..Reserve::default() };
        assert_eq!(serde_json::from_str::<Reserve>(&to_string(&reserve).unwrap()).unwrap(), reserve);
    }

    #[test]
    fn nothing_else_is_written_otherwise() {
        let value = json!({"a": [1, 2.5, "x\n", null, true, []], "b": {}, "c": {"d": "9007199254740993"}});
        assert_eq!(to_string(&value).unwrap(), serde_json::to_string(&value).unwrap());
        assert_eq!(to_string_pretty(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap());
    }
}
