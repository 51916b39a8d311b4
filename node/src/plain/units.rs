//! Numbers as people read and write them: percentages, durations, times, sizes, counts.

use allod_protocol::ground::{
    fraction::{Fraction, Portion},
    ids::{BasisPoints, Timestamp},
};
use std::time::{Duration, SystemTime};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A percentage with at most two decimals, such as `66.67` or `50%`.
pub(crate) fn percent(text: &str) -> Result<BasisPoints, String> {
    let wrong = || format!("{text:?} is not a percentage: 0 to 100 with at most two decimals, such as 66.67");
    let number = text.trim().trim_end_matches('%').trim_end();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || decimals.len() > 2 || !digits(whole) || !digits(decimals) {
        return Err(wrong());
    }
    let points = format!("{whole}{decimals:0<2}").parse::<u32>().map_err(|_| wrong())?;
    u16::try_from(points).ok().and_then(|points| BasisPoints::new(points).ok()).ok_or_else(wrong)
}

/// A part of a whole: `2/3`, `66.5 %`, or a bare number as per cent.
pub(crate) fn fraction(text: &str) -> Result<Fraction, String> {
    let text = text.trim();
    let is_bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let parsed = if is_bare { format!("{text}%").parse() } else { text.parse() };
    parsed.map_err(|error: allod_protocol::ground::fraction::FractionError| error.to_string())
}

/// How much of a whole is needed: a part for at least that, `>` before it for more than that.
pub(crate) fn portion(text: &str) -> Result<Portion, String> {
    match text.trim().strip_prefix('>').filter(|rest| !rest.starts_with('=')) {
        Some(part) => Portion::more_than(fraction(part)?).map_err(|error| error.to_string()),
        None => fraction(text).map(Portion::at_least).or_else(|error| text.parse().map_err(|_| error)),
    }
}

/// A duration with its unit, such as `500ms`, `5s`, `10m`, `2h`, `3d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration: a whole number and ms, s, m, h or d, such as 5s or 3d");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds: u64 = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)
}

/// How long something takes: a duration, or plain seconds.
pub(crate) fn patience(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).or_else(|_| duration(text)).map_err(|error| format!("{error}, or seconds"))
}

/// The milliseconds of a duration.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A moment: `now`, or in RFC 3339 form.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if text == "now" {
        return Ok(now());
    }
    let wrong = || format!("{text:?} is not a time: now, or such as 2026-11-23T10:00:00Z");
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).map(Timestamp::new).map_err(|_| wrong())
}

/// The time of this machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(milliseconds(since))
}

/// A block time for people, in UTC, to the second.
pub(crate) fn show_time(time: Timestamp) -> String {
    Timestamp::new(time.get() / 1_000 * 1_000).to_string()
}

/// A duration for people: at most two units.
pub(crate) fn show_duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..=59 if milliseconds.is_multiple_of(1_000) => format!("{seconds} s"),
        1..=59 => format!("{seconds}.{} s", milliseconds % 1_000 / 100),
        60..=3_599 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..=86_399 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A size for people, in binary units.
pub(crate) fn show_size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// A whole number with its thousands separated.
pub(crate) fn show_count(count: u64) -> String {
    indicatif::HumanCount(count).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact() {
        let points = |text| percent(text).map(BasisPoints::get);
        assert_eq!(points("66.67"), Ok(6_667));
        assert_eq!(points("50"), Ok(5_000));
        assert_eq!(points("0.5%"), Ok(50));
        assert_eq!(points("100 %"), Ok(10_000));
        for bad in ["", "100.01", "66.667", "-1", "half", ".5", "1e2", "99999"] {
            assert!(points(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_need_their_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("3d"), Ok(Duration::from_secs(3 * 86_400)));
        for bad in ["", "5", "s", "-5s", "5 weeks", "99999999999999999999d", "18446744073709551615d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(show_size(1_269_760), "1.21 MiB");
        assert_eq!(show_count(1_234_567), "1,234,567");
        assert_eq!(show_duration(350), "350 ms");
        assert_eq!(show_duration(5_000), "5 s");
        assert_eq!(show_duration(5_400), "5.4 s");
        assert_eq!(show_duration(61_000), "1 min 1 s");
        assert_eq!(show_duration(7_200_000), "2 h");
        assert_eq!(show_duration(90_000_000), "1 d 1 h");
        assert_eq!(show_time(Timestamp::new(1_795_428_000_000)), "2026-11-23 10:00:00Z");
        assert_eq!(moment("2026-11-23T10:00:00Z").unwrap(), Timestamp::new(1_795_428_000_000));
        assert!(moment("yesterday").is_err());
    }
}
