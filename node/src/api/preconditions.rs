//! What a client asks of bytes some of which it has already: RFC 9110, sections 13 (conditional requests) and 14
//! (ranges), for bytes that never change under their name.

use allod_protocol::ground::ids::ArtifactId;
use allod_storage::artifacts::ByteRange;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use http_range_header::{EndPosition, RangeUnsatisfiableError, StartPosition, parse_range_header};

/// Which of a file's bytes a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// None: it has them all.
    Nothing,
    /// All.
    Whole,
    /// These.
    Part(ByteRange),
    /// Such as are not in the file.
    Outside,
}

/// Reads the headers of a request for a file of `size_bytes`. A range in another unit, or several ranges, is ignored, as
/// section 14.2 allows, and the whole file is given.
pub(crate) fn asked(method: &Method, headers: &HeaderMap, address: &ArtifactId, size_bytes: u64) -> Asked {
    let tag = etag(address);
    if is_known(headers, &tag) {
        return Asked::Nothing;
    }
    // A client that resumes asks for the range of these bytes only. A date is of no version of theirs.
    let of_these = headers.get(header::IF_RANGE).is_none_or(|wanted| *wanted == tag);
    match headers.get(header::RANGE) {
        Some(range) if method == Method::GET && of_these => range_of(range, size_bytes),
        _ => Asked::Whole,
    }
}

/// The address, which is that of these bytes and of no others: a strong validator.
#[allow(clippy::expect_used, reason = "an address is of letters and digits")]
pub(crate) fn etag(address: &ArtifactId) -> HeaderValue {
    HeaderValue::try_from(format!("\"{address}\"")).expect("letters and digits between quotes")
}

/// Whether one of the tags that the client has is this one, by the weak comparison that section 13.1.2 wants.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes())
}

fn range_of(header: &HeaderValue, size_bytes: u64) -> Asked {
    let Some((unit, set)) = header.to_str().ok().and_then(|text| text.split_once('=')) else { return Asked::Whole };
    let one = match parse_range_header(&format!("{}={}", unit.trim().to_ascii_lowercase(), set.trim())) {
        Ok(parsed) => match parsed.ranges.as_slice() {
            [one] => *one,
            _ => return Asked::Whole,
        },
        // The last 0 bytes.
        Err(RangeUnsatisfiableError::ZeroSuffix) if !set.contains(',') => return Asked::Outside,
        Err(_) => return Asked::Whole,
    };
    let part = |start, end| Asked::Part(ByteRange { start, end });
    match (one.start, one.end) {
        // What there is of an empty file has no first and last byte to be named by.
        (StartPosition::FromLast(_), _) if size_bytes == 0 => Asked::Whole,
        (StartPosition::FromLast(count), _) => part(size_bytes.saturating_sub(count), size_bytes),
        (StartPosition::Index(first), EndPosition::Index(last)) if last < first => Asked::Whole,
        (StartPosition::Index(first), _) if first >= size_bytes => Asked::Outside,
        (StartPosition::Index(first), EndPosition::Index(last)) => part(first, last.saturating_add(1).min(size_bytes)),
        (StartPosition::Index(first), EndPosition::LastByte) => part(first, size_bytes),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod unit_tests {
    use super::*;

    fn headers(given: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn part(start: u64, end: u64) -> Asked {
        Asked::Part(ByteRange { start, end })
    }

    #[test]
    fn one_range_of_bytes_is_given_and_what_is_none_passed_over() {
        let address = ArtifactId::of(b"x");
        let of = |range: &str, size| asked(&Method::GET, &headers(&[("range", range)]), &address, size);
        for (range, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("Bytes=2-", part(2, 10)),
            ("bytes=8-99", part(8, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-30", part(0, 10)),
            ("bytes=9-18446744073709551615", part(9, 10)),
            ("bytes=10-", Asked::Outside),
            ("bytes=99-100", Asked::Outside),
            ("bytes=-0", Asked::Outside),
            ("bytes=5-4", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("bytes", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=x-y", Asked::Whole),
        ] {
            assert_eq!(of(range, 10), expected, "{range}");
        }
        assert_eq!(
            (of("bytes=0-", 0), of("bytes=0-0", 0), of("bytes=-5", 0)),
            (Asked::Outside, Asked::Outside, Asked::Whole)
        );
        assert_eq!(asked(&Method::HEAD, &headers(&[("range", "bytes=0-0")]), &address, 10), Asked::Whole);
    }

    #[test]
    fn who_has_the_bytes_gets_none_and_who_has_others_gets_all() {
        let address = ArtifactId::of(b"x");
        let (own, other) = (format!("\"{address}\""), format!("\"{}\"", ArtifactId::of(b"y")));
        let of = |given: &[(&str, &str)]| asked(&Method::GET, &headers(given), &address, 10);
        for known in [own.as_str(), &format!("W/{own}"), &format!("{other} , {own}"), "*"] {
            assert_eq!(of(&[("if-none-match", known), ("range", "bytes=0-0")]), Asked::Nothing, "{known}");
        }
        assert_eq!(of(&[("if-none-match", &other), ("if-none-match", &own)]), Asked::Nothing);
        assert_eq!(of(&[("if-none-match", &other)]), Asked::Whole);
        assert_eq!(of(&[("if-none-match", &address.to_string())]), Asked::Whole, "a tag stands in quotes");
        assert_eq!(of(&[("if-range", &own), ("range", "bytes=0-0")]), part(0, 1));
        for old in [other.as_str(), &format!("W/{own}"), "Wed, 25 Nov 2026 10:00:00 GMT"] {
            assert_eq!(of(&[("if-range", old), ("range", "bytes=0-0")]), Asked::Whole, "{old}");
        }
    }
}
