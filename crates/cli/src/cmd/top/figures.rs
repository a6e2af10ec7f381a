//! Figures in a few columns.

use std::time::Duration;

/// A rate in bits per second, in at most five columns.
pub(super) fn rate(bits: Option<u64>) -> String {
    let Some(bits) = bits else {
        return "-".to_owned();
    };
    match bits {
        0..1_000 => bits.to_string(),
        1_000..1_000_000 => format!("{}k", bits / 1_000),
        1_000_000..100_000_000 => tenths(bits, 1_000_000, "M"),
        100_000_000..1_000_000_000 => format!("{}M", bits / 1_000_000),
        _ => tenths(bits, 1_000_000_000, "G"),
    }
}

/// A rate in words.
pub(super) fn rate_in_words(bits: u64) -> String {
    match bits {
        0..1_000 => format!("{bits} bit/s"),
        1_000..1_000_000 => format!("{} kbit/s", bits / 1_000),
        1_000_000..1_000_000_000 => tenths(bits, 1_000_000, " Mbit/s"),
        _ => tenths(bits, 1_000_000_000, " Gbit/s"),
    }
}

fn tenths(value: u64, unit: u64, name: &str) -> String {
    let tenths = value / (unit / 10);
    format!("{}.{}{name}", tenths / 10, tenths % 10)
}

/// A round trip in at most five columns.
pub(super) fn round_trip(micros: Option<u64>) -> String {
    match micros {
        None => "-".to_owned(),
        Some(micros @ 0..10_000) => tenths(micros, 1_000, "ms"),
        Some(micros @ 10_000..1_000_000) => format!("{}ms", micros / 1_000),
        Some(micros) => tenths(micros.min(999_000_000), 1_000_000, "s"),
    }
}

/// The same with a blank, and as exact as it is known.
pub(super) fn millis(micros: u64) -> String {
    match micros {
        0..1_000 => format!("0.{:02} ms", micros / 10),
        1_000..10_000 => tenths(micros, 1_000, " ms"),
        _ => format!("{} ms", micros / 1_000),
    }
}

/// An amount of octets.
pub(super) fn octets(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{} KiB", count >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", count >> 20),
        _ => tenths(count >> 20, 1_024, " GiB"),
    }
}

/// Hours, minutes and seconds.
pub(super) fn clock(age: Duration) -> String {
    let seconds = age.as_secs();
    let (hours, rest) = (seconds / 3600, seconds % 3600);
    format!("{hours:02}:{:02}:{:02}", rest / 60, rest % 60)
}

/// A short time, as a person says it.
pub(super) fn seconds(age: Duration) -> String {
    match age.as_secs() {
        0..100 => format!("{:.1} s", age.as_secs_f64()),
        _ => clock(age),
    }
}

/// `text` in at most `width` columns; what is cut off is shown to be missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(2)).collect();
    kept + ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_to_their_columns() {
        let rates = [
            0,
            999,
            1_000,
            36_900,
            999_999,
            1_950_000,
            14_260_000,
            123_456_789,
            9_870_000_000,
        ];
        let texts: Vec<_> = rates.iter().map(|bits| rate(Some(*bits))).collect();
        let expected = [
            "0", "999", "1k", "36k", "999k", "1.9M", "14.2M", "123M", "9.8G",
        ];
        assert_eq!(texts, expected);
        let trips = [80, 940, 2_100, 31_000, 999_999, 1_240_000];
        let texts: Vec<_> = trips.iter().map(|rtt| round_trip(Some(*rtt))).collect();
        assert_eq!(texts, ["0.0ms", "0.9ms", "2.1ms", "31ms", "999ms", "1.2s"]);
        assert!(texts.iter().all(|text| text.len() <= 5));
    }

    #[test]
    fn what_is_cut_is_seen_to_be() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "lon..");
    }
}
