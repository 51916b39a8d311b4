//! Ids in paths: whole, or by their first digits where these tell one from all others of its kind.
//!
//! Short ids are looked for in the ledger itself, whose keys are in the order of the ids: over everything there is, at
//! the cost of the few that are found. Nothing is chosen among several: whoever means one of them has to say which.

use super::{
    extract::parse,
    reader::Reader,
    views::{Candidate, Problem},
};
use allod_protocol::ground::{
    codec,
    ids::TransactionId,
    state::{Direction, Record, StateRead as _},
};
use axum::http::StatusCode;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use std::{fmt::Display, str::FromStr};

/// Digits that are enough to look for an id, at least.
pub(crate) const DIGITS_MIN: usize = 4;
/// Digits of a whole id.
const DIGITS: usize = 64;
/// Ids that are named where several begin alike.
const NAMED: usize = 8;

/// All ids that begin with some digits: the first and the last that there could be.
#[derive(Debug, PartialEq, Eq)]
struct Start {
    first: [u8; DIGITS / 2],
    last: [u8; DIGITS / 2],
}

impl Start {
    fn new(digits: &str, noun: &str) -> Result<Self, Problem> {
        let filled = |with: &str| {
            let text = format!("{digits}{}", with.repeat(DIGITS.saturating_sub(digits.len())));
            let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
            <[u8; DIGITS / 2]>::try_from(bytes).ok()
        };
        let start = filled("0").zip(filled("f")).filter(|_| digits.len() >= DIGITS_MIN);
        start.map(|(first, last)| Self { first, last }).ok_or_else(|| {
            let detail = format!(
                "a {noun} is named by {DIGITS} hexadecimal digits, or by at least the first {DIGITS_MIN} of them; not by {digits:?}"
            );
            Problem::bad_request("bad_id", detail)
        })
    }
}

impl Reader {
    /// The id of the one record that a text names. A whole id is taken as it is, whether or not there is such a record.
    /// `about` tells people what a record is, should there be several.
    pub(crate) fn id<R>(&self, text: &str, noun: &str, about: impl Fn(&R) -> &str) -> Result<R::Key, Problem>
    where
        R: Record<Key: FromStr<Err: Display>>,
    {
        if text.len() == DIGITS {
            return parse(text);
        }
        let start = Start::new(text, noun)?;
        let key = |id: &[u8]| [&[R::FAMILY as u8], id].concat();
        let (from, to) = (key(&start.first), [key(&start.last), vec![0]].concat());
        let found = self.state.range(&from, &to, Direction::Ascending, NAMED.saturating_add(1))?;
        let candidates = found.iter().map(|(key, value)| Candidate {
            id: HEXLOWER.encode(key.get(1..).unwrap_or_default()),
            about: codec::decode_trusted::<R>(value).map_or_else(|_| String::new(), |record| about(&record).to_owned()),
        });
        parse(&only(candidates.collect(), text, noun)?)
    }

    /// The id of the one transaction on the ledger that a text names; as [`Reader::id`].
    pub(crate) fn transaction_id(&self, text: &str) -> Result<TransactionId, Problem> {
        if text.len() == DIGITS {
            return parse(text);
        }
        let noun = "transaction";
        let Start { first, last } = Start::new(text, noun)?;
        let (first, last) = (TransactionId::from_bytes(first), TransactionId::from_bytes(last));
        let found = self.node.ledger.transaction_ids(&first, &last, NAMED.saturating_add(1))?;
        let candidates = found.iter().map(|id| Candidate { id: id.to_string(), about: String::new() });
        parse(&only(candidates.collect(), text, noun)?)
    }
}

/// The only candidate's id.
fn only(mut candidates: Vec<Candidate>, digits: &str, noun: &str) -> Result<String, Problem> {
    match candidates.as_slice() {
        [] => Err(Problem::not_found(
            &format!("unknown_{noun}"),
            format!("there is no {noun} on this network whose id begins with {digits}"),
        )),
        [one] => Ok(one.id.clone()),
        several => {
            let count = match several.len() {
                count if count > NAMED => format!("more than {NAMED}"),
                count => count.to_string(),
            };
            candidates.truncate(NAMED);
            let lines = candidates.iter().map(|candidate| format!("\n  {}  {}", candidate.id, candidate.about));
            let lines: String = lines.map(|line| line.trim_end().to_owned()).collect();
            let detail =
                format!("{count} {noun}s begin with {digits}; give more digits of the one that is meant:{lines}");
            let problem = Problem::new(StatusCode::CONFLICT, "ambiguous_id", detail);
            Err(Problem { candidates: Some(candidates.into_boxed_slice()), ..problem })
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod unit_tests {
    use super::*;

    #[test]
    fn digits_stand_for_all_ids_that_begin_with_them() {
        let even = Start::new("5F0c", "thing").unwrap();
        assert_eq!((&even.first[..3], even.first[31]), (&[0x5f, 0x0c, 0][..], 0));
        assert_eq!((&even.last[..3], even.last[31]), (&[0x5f, 0x0c, 0xff][..], 0xff));
        let odd = Start::new("5f0c7", "thing").unwrap();
        assert_eq!((&odd.first[..4], &odd.last[..4]), (&[0x5f, 0x0c, 0x70, 0][..], &[0x5f, 0x0c, 0x7f, 0xff][..]));
        for wrong in ["", "5f0", "5f0x", "5f0c ", &"a".repeat(65), "häää"] {
            assert_eq!(Start::new(wrong, "thing").unwrap_err().code, "bad_id", "{wrong}");
        }
    }

    #[test]
    fn several_are_named_and_none_is_chosen() {
        let candidates = |count: usize| -> Vec<Candidate> {
            (0..count)
                .map(|number| Candidate { id: format!("{number:064}"), about: format!("number {number}") })
                .collect()
        };
        assert_eq!(only(candidates(1), "0000", "thing").unwrap(), "0".repeat(64));
        assert_eq!(only(Vec::new(), "0000", "thing").unwrap_err().code, "unknown_thing");
        let two = only(candidates(2), "0000", "thing").unwrap_err();
        assert_eq!((two.status, two.code.as_str(), two.candidates.unwrap().len()), (409, "ambiguous_id", 2));
        assert!(
            two.detail.starts_with("2 things begin with 0000;") && two.detail.ends_with("1  number 1"),
            "{}",
            two.detail
        );
        let many = only(candidates(NAMED + 1), "0000", "thing").unwrap_err();
        assert!(many.detail.starts_with("more than 8 things"), "{}", many.detail);
        assert_eq!(many.candidates.unwrap().len(), NAMED);
    }
}
