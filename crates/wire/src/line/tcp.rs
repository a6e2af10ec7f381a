//! The TCP line.

use alloc::string::String;
use core::fmt::{self, Write};

use crate::tcp::{FastOpen, Flags, SackBlocks, Timestamps};

/// How wide the columns of a TCP line are, and where a note behind it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From the flags to `seq=`.
    pub flags: usize,
    /// From `seq=` to `ack=`.
    pub seq: usize,
    /// From `ack=` to `len=`.
    pub ack: usize,
    /// From `len=` to a SYN's options.
    pub len: usize,
    /// From `len=` to a note.
    pub note: usize,
}

impl Layout {
    /// For a line that has 80 columns to itself.
    pub const WIDE: Self = Self {
        flags: 9,
        seq: 10,
        ack: 10,
        len: 8,
        note: 10,
    };
    /// As `WIDE`, with room for SACK blocks before a note.
    pub const WIDE_SACK: Self = Self {
        note: 18,
        ..Self::WIDE
    };
    /// For a line that has something else in front, in 80 columns: a handshake's small
    /// numbers.
    pub const NARROW: Self = Self {
        flags: 9,
        seq: 8,
        ack: 8,
        len: 0,
        note: 10,
    };
}

/// What a line says of timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampsShown {
    /// Nothing.
    #[default]
    Absent,
    /// `ts`: that they are there.
    Present,
    /// `ts=VALUE/ECHO`.
    Values(Timestamps),
}

/// A TCP segment as a line shows it, its numbers relative to each side's first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpLine {
    /// The control bits.
    pub flags: Flags,
    /// Relative sequence number. A line that was read may leave it open.
    pub seq: Option<u32>,
    /// Relative acknowledgement number, where ACK is set. A line that was read may leave it
    /// open.
    pub ack: Option<u32>,
    /// Octets of text; shown unless zero.
    pub len: usize,
    /// The window field, not scaled: `win=`.
    pub window: Option<u16>,
    /// The urgent pointer: `urg=`.
    pub urgent: Option<u16>,
    /// `mss=`.
    pub mss: Option<u16>,
    /// `wscale=`.
    pub window_scale: Option<u8>,
    /// `sack`, of a SYN.
    pub sack_permitted: bool,
    /// `ts`.
    pub timestamps: TimestampsShown,
    /// `sack=301-401,501-601`, relative to the other side's first number.
    pub sack: SackBlocks,
    /// `tfo`, where a SYN asks for a Fast Open cookie; `tfo=0123456789abcdef`, where one goes along.
    pub fast_open: Option<FastOpen>,
}

impl TcpLine {
    /// Whether `actual` is what this line, as somebody wrote it, asks for.
    ///
    /// Flags and length have to be the same. All else counts only if it is written; a bare
    /// `ts` asks for timestamps of any value.
    #[must_use]
    pub fn is_met_by(&self, actual: &Self) -> bool {
        fn agrees<T: PartialEq>(wanted: Option<T>, found: Option<T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let timestamps = match (self.timestamps, actual.timestamps) {
            (TimestampsShown::Absent, _) => true,
            (TimestampsShown::Present, found) => found != TimestampsShown::Absent,
            (TimestampsShown::Values(wanted), found) => found == TimestampsShown::Values(wanted),
        };
        self.flags == actual.flags
            && self.len == actual.len
            && agrees(self.seq, actual.seq)
            && agrees(self.ack, actual.ack)
            && agrees(self.window, actual.window)
            && agrees(self.urgent, actual.urgent)
            && agrees(self.mss, actual.mss)
            && agrees(self.window_scale, actual.window_scale)
            && (!self.sack_permitted || actual.sack_permitted)
            && agrees(self.fast_open, actual.fast_open)
            && (self.sack.is_empty() || self.sack == actual.sack)
            && timestamps
    }

    /// The line in columns of another layout, with a note behind it (which may be empty).
    #[must_use]
    pub fn laid_out(&self, layout: Layout, note: &str) -> String {
        let mut line = String::new();
        // Writing to a string does not fail.
        let written = self.write(&mut line, layout, note);
        debug_assert!(written.is_ok(), "a string takes everything");
        line
    }

    fn write(&self, line: &mut String, layout: Layout, note: &str) -> fmt::Result {
        write!(line, "{}", self.flags)?;
        let seq_at = layout.flags;
        let ack_at = seq_at + layout.seq;
        let len_at = ack_at + layout.ack;
        if let Some(seq) = self.seq {
            pad(line, seq_at);
            write!(line, "seq={}", Signed(seq))?;
        }
        if let Some(ack) = self.ack {
            pad(line, ack_at);
            write!(line, "ack={}", Signed(ack))?;
        }
        if self.len > 0 {
            pad(line, len_at);
            write!(line, "len={}", self.len)?;
        }
        self.write_sack(line, len_at)?;
        self.write_fields(line, len_at)?;
        self.write_syn_options(line, len_at + layout.len)?;
        if !note.is_empty() {
            pad(line, len_at + layout.note);
            line.push_str(note);
        }
        Ok(())
    }

    fn write_sack(&self, line: &mut String, at: usize) -> fmt::Result {
        for (index, (left, right)) in self.sack.iter().enumerate() {
            if index == 0 {
                pad(line, at);
                line.push_str("sack=");
            } else {
                line.push(',');
            }
            write!(line, "{}-{}", Signed(*left), Signed(*right))?;
        }
        Ok(())
    }

    /// What a line shows only on request.
    fn write_fields(&self, line: &mut String, at: usize) -> fmt::Result {
        if let Some(window) = self.window {
            pad(line, at);
            write!(line, "win={window}")?;
        }
        if let Some(urgent) = self.urgent {
            pad(line, at);
            write!(line, "urg={urgent}")?;
        }
        Ok(())
    }

    fn write_syn_options(&self, line: &mut String, at: usize) -> fmt::Result {
        let mut is_first = true;
        let mut gap = |line: &mut String| {
            if is_first {
                pad(line, at);
                is_first = false;
            } else {
                line.push(' ');
            }
        };
        if let Some(mss) = self.mss {
            gap(line);
            write!(line, "mss={mss}")?;
        }
        if let Some(shift) = self.window_scale {
            gap(line);
            write!(line, "wscale={shift}")?;
        }
        if self.sack_permitted {
            gap(line);
            line.push_str("sack");
        }
        match self.timestamps {
            TimestampsShown::Absent => {}
            TimestampsShown::Present => {
                gap(line);
                line.push_str("ts");
            }
            TimestampsShown::Values(Timestamps { value, echo }) => {
                gap(line);
                write!(line, "ts={value}/{echo}")?;
            }
        }
        if let Some(fast_open) = self.fast_open {
            gap(line);
            write!(line, "{fast_open}")?;
        }
        Ok(())
    }
}

/// In the columns of [`Layout::WIDE`].
impl fmt::Display for TcpLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.laid_out(Layout::WIDE, ""))
    }
}

/// Fills with spaces up to a column; two spaces where the line is there already.
pub(super) fn pad(line: &mut String, column: usize) {
    let width = line.chars().count();
    let spaces = column.saturating_sub(width);
    let spaces = if width > 0 { spaces.max(2) } else { spaces };
    line.extend(core::iter::repeat_n(' ', spaces));
}

/// A relative number. A little below the first one (a keep-alive probe, an old segment) it is
/// written as negative.
struct Signed(u32);

/// How far below the first number a number counts as below it, not as far above.
const BELOW: u32 = 1 << 20;

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.wrapping_neg() {
            below @ 1..BELOW => write!(f, "-{below}"),
            _ => write!(f, "{}", self.0),
        }
    }
}
