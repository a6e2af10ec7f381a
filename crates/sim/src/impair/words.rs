//! Conditions as people write them: `delay=80ms jitter=20ms loss=1% rate=5mbit`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Loss, Mtu, Rate};
use crate::link::Conditions;
use crate::notation::parse_duration;
use crate::rng::Chance;

/// How long a packet that is to be overtaken is held back at most, where there is no delay to
/// go by.
const REORDER_BY: Duration = Duration::from_millis(10);

/// What kept a text from being [`Conditions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionsError {
    word: String,
    why: String,
}

impl fmt::Display for ConditionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word, self.why)
    }
}

impl std::error::Error for ConditionsError {}

impl FromStr for Conditions {
    type Err = ConditionsError;

    /// Reads words with spaces between them, each at most once:
    ///
    /// | word | |
    /// |---|---|
    /// | `delay=80ms` | how long packets are on the way |
    /// | `jitter=20ms` | how much longer at most |
    /// | `loss=1%` | how many are lost |
    /// | `duplicate=1%`, `corrupt=0.1%` | how many come twice, or with a flipped bit |
    /// | `reorder=5%` | how many are held back, up to the delay or else 10 ms, so that others overtake them |
    /// | `rate=5mbit` | bits a second: `bit`, `kbit`, `mbit`, `gbit`, by thousands |
    /// | `queue=100` | packets that may wait for the rate |
    /// | `mtu=1280` | the longest packet that passes, in octets; senders of longer ones are told |
    ///
    /// ```
    /// # use switchboard_sim::Conditions;
    /// let line: Conditions = "delay=80ms jitter=20ms loss=1% rate=5mbit".parse()?;
    /// assert_eq!(line.rate.bits_per_second, Some(5_000_000));
    /// # Ok::<(), switchboard_sim::impair::ConditionsError>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, ConditionsError> {
        let mut conditions = Self::default();
        let mut seen = Vec::new();
        for word in text.split_whitespace() {
            let wrong = |why: String| ConditionsError {
                word: word.to_owned(),
                why,
            };
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| wrong("write KEY=VALUE, as delay=80ms".into()))?;
            if seen.contains(&key) {
                return Err(wrong(format!("{key} is given twice")));
            }
            seen.push(key);
            set(&mut conditions, key, value).map_err(wrong)?;
        }
        if !conditions.reorder.chance.is_never() {
            let delay = conditions.delay.base;
            conditions.reorder.by = if delay.is_zero() { REORDER_BY } else { delay };
        }
        Ok(conditions)
    }
}

fn set(conditions: &mut Conditions, key: &str, value: &str) -> Result<(), String> {
    match key {
        "delay" => conditions.delay.base = parse_duration(value)?,
        "jitter" => conditions.delay.jitter = parse_duration(value)?,
        "loss" => conditions.loss = Loss::Random(percent(value)?),
        "duplicate" => conditions.duplicate.chance = percent(value)?,
        "corrupt" => conditions.corrupt.chance = percent(value)?,
        "reorder" => conditions.reorder.chance = percent(value)?,
        "rate" => {
            let limit = conditions.rate.limit;
            conditions.rate = Rate::bits_per_second(bits(value)?);
            conditions.rate.limit = limit;
        }
        "queue" => {
            let packets = value.parse().ok().filter(|packets| *packets > 0);
            conditions.rate.limit.packets = packets.ok_or("write a number of packets, as 100")?;
        }
        "mtu" => {
            let octets = value.parse().ok().filter(|octets| *octets >= 68);
            conditions.mtu = Mtu::Answered(octets.ok_or("write octets, 68 or more, as 1280")?);
        }
        _ => {
            return Err(
                "no such word; there are delay, jitter, loss, duplicate, corrupt, reorder, rate, \
                 queue, mtu"
                    .into(),
            );
        }
    }
    Ok(())
}

/// `1%`, `0.25%`: kept to a millionth.
fn percent(value: &str) -> Result<Chance, String> {
    let wrong = || "write a part of a hundred, as 1% or 0.25%".to_owned();
    let number = value.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_number =
        |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 4 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let part: u32 = format!("{part:0<4}").parse().map_err(|_| wrong())?;
    let millionths = whole.checked_mul(10_000).and_then(|w| w.checked_add(part));
    match millionths {
        Some(millionths @ ..=1_000_000) => Ok(Chance::per_million(millionths)),
        _ => Err("no more than 100%".into()),
    }
}

/// `5mbit`: in bits a second, by thousands, as tc(8) has them.
fn bits(value: &str) -> Result<u64, String> {
    let wrong = || "write bits a second, as 500kbit, 5mbit or 1gbit".to_owned();
    let number = value.strip_suffix("bit").ok_or_else(wrong)?;
    let (number, unit) = match number.as_bytes().last() {
        Some(b'k') => (&number[..number.len() - 1], 1_000),
        Some(b'm') => (&number[..number.len() - 1], 1_000_000),
        Some(b'g') => (&number[..number.len() - 1], 1_000_000_000),
        _ => (number, 1),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let bits = number.checked_mul(unit).filter(|bits| *bits > 0);
    bits.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Conditions {
        text.parse().unwrap()
    }

    #[test]
    fn words_become_conditions() {
        let line = read("delay=80ms jitter=20ms loss=1% rate=5mbit queue=100 mtu=1280");
        assert_eq!(line.delay.base, Duration::from_millis(80));
        assert_eq!(line.delay.jitter, Duration::from_millis(20));
        assert_eq!(line.loss, Loss::Random(Chance::percent(1)));
        assert_eq!(line.rate.bits_per_second, Some(5_000_000));
        assert_eq!(line.rate.limit.packets, 100);
        assert_eq!(line.mtu, Mtu::Answered(1280));
        // Whatever the order.
        assert_eq!(read("queue=100 rate=1kbit"), read("rate=1000bit queue=100"));
        assert_eq!(read(""), Conditions::default());
    }

    #[test]
    fn reordering_goes_by_the_delay() {
        let line = read("reorder=5% delay=30ms corrupt=0.25% duplicate=100%");
        assert_eq!(line.reorder.by, Duration::from_millis(30));
        assert_eq!(line.corrupt.chance, Chance::per_million(2_500));
        assert_eq!(line.duplicate.chance, Chance::ALWAYS);
        assert_eq!(read("reorder=5%").reorder.by, REORDER_BY);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for wrong in [
            "delay",
            "delay=",
            "delay=80",
            "loss=1",
            "loss=%",
            "loss=101%",
            "loss=1.23456%",
            "loss=-1%",
            "rate=5",
            "rate=mbit",
            "rate=0kbit",
            "rate=99999999999gbit",
            "queue=0",
            "mtu=20",
            "speed=5mbit",
            "loss=1% loss=2%",
            "rate=\u{e9}bit",
            "loss=+1%",
        ] {
            let error = wrong.parse::<Conditions>().unwrap_err().to_string();
            let word = wrong.split(' ').next_back().unwrap();
            assert!(error.starts_with(word), "{wrong}: {error}");
        }
    }
}
