//! Reading a TCP line back.

use core::fmt;
use core::str::FromStr;

use crate::line::tcp::{TcpLine, TimestampsShown};
use crate::tcp::flags::UnknownFlag;
use crate::tcp::{FastOpen, Flags, SackBlocks, Timestamps};

/// What kept a text from being a TCP line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// There is no word in it.
    Empty,
    /// It does not start with control bits.
    Flags,
    /// A word that is none of the notation.
    UnknownWord,
    /// The number behind `=` is none, or too large for its field.
    Number,
    /// `sack=` is not followed by one to four ranges `LEFT-RIGHT`, joined by commas.
    Sack,
    /// `ts=` is not followed by `VALUE/ECHO`.
    Timestamps,
    /// `tfo=` is not followed by a cookie: 4 to 16 octets in hexadecimal, an even number.
    Cookie,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a TCP line starts with its flags, such as SYN|ACK"),
            Self::Flags => UnknownFlag.fmt(f),
            Self::UnknownWord => f.write_str(
                "words are seq= ack= len= win= urg= mss= wscale= sack sack= ts ts= tfo tfo=",
            ),
            Self::Number => f.write_str("not a number, or too large for its field"),
            Self::Sack => f.write_str("SACK blocks are sack=LEFT-RIGHT,LEFT-RIGHT, at most four"),
            Self::Timestamps => f.write_str("timestamps are ts=VALUE/ECHO"),
            Self::Cookie => f.write_str("a Fast Open cookie is 4 to 16 octets, an even number"),
        }
    }
}

impl core::error::Error for LineError {}

/// Words may stand in any order behind the flags.
impl FromStr for TcpLine {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, LineError> {
        let mut words = text.split_whitespace();
        let flags: Flags = words
            .next()
            .ok_or(LineError::Empty)?
            .parse()
            .map_err(|_| LineError::Flags)?;
        let mut line = Self {
            flags,
            ..Self::default()
        };
        for word in words {
            line.take(word)?;
        }
        Ok(line)
    }
}

impl TcpLine {
    fn take(&mut self, word: &str) -> Result<(), LineError> {
        match word.split_once('=') {
            None if word == "sack" => self.sack_permitted = true,
            None if word == "ts" => self.timestamps = TimestampsShown::Present,
            None if word == "tfo" => self.fast_open = Some(FastOpen::Request),
            Some(("seq", value)) => self.seq = Some(relative(value)?),
            Some(("ack", value)) => self.ack = Some(relative(value)?),
            Some(("len", value)) => self.len = number(value)?,
            Some(("win", value)) => self.window = Some(number(value)?),
            Some(("urg", value)) => self.urgent = Some(number(value)?),
            Some(("mss", value)) => self.mss = Some(number(value)?),
            Some(("wscale", value)) => self.window_scale = Some(number(value)?),
            Some(("sack", value)) => self.sack = blocks(value)?,
            Some(("ts", value)) => self.timestamps = TimestampsShown::Values(timestamps(value)?),
            Some(("tfo", value)) => {
                let cookie = value.parse().map_err(|_| LineError::Cookie)?;
                self.fast_open = Some(FastOpen::Cookie(cookie));
            }
            _ => return Err(LineError::UnknownWord),
        }
        Ok(())
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, LineError> {
    text.parse().map_err(|_| LineError::Number)
}

/// A number relative to the first; `-1` is the one before it.
fn relative(text: &str) -> Result<u32, LineError> {
    match text.strip_prefix('-') {
        Some(below) => number(below).map(u32::wrapping_neg),
        None => number(text),
    }
}

fn blocks(text: &str) -> Result<SackBlocks, LineError> {
    let mut blocks = SackBlocks::new();
    for range in text.split(',') {
        // The dash between two numbers, not the sign of the first.
        let dash = range
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == '-')
            .map(|(at, _)| at)
            .ok_or(LineError::Sack)?;
        let (left, right) = range.split_at_checked(dash).ok_or(LineError::Sack)?;
        let right = right.strip_prefix('-').ok_or(LineError::Sack)?;
        let block = (relative(left)?, relative(right)?);
        if !blocks.push(block) {
            return Err(LineError::Sack);
        }
    }
    Ok(blocks)
}

fn timestamps(text: &str) -> Result<Timestamps, LineError> {
    let (value, echo) = text.split_once('/').ok_or(LineError::Timestamps)?;
    Ok(Timestamps {
        value: number(value)?,
        echo: number(echo)?,
    })
}
