//! Numbers that start at zero on each side.

use crate::line::tcp::{TcpLine, TimestampsShown};
use crate::tcp::{SackBlocks, TcpHeader};

/// Who sent a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one whose view the line takes.
    Near,
    /// The other one.
    Far,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }
}

/// The initial sequence numbers of one connection, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relative {
    near: Option<u32>,
    far: Option<u32>,
}

impl Relative {
    /// Nothing known: numbers are shown as they are until a segment is observed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            near: None,
            far: None,
        }
    }

    /// Both known.
    #[must_use]
    pub const fn of(near: u32, far: u32) -> Self {
        Self {
            near: Some(near),
            far: Some(far),
        }
    }

    /// The initial sequence number of one side.
    #[must_use]
    pub const fn initial(&self, side: Side) -> Option<u32> {
        match side {
            Side::Near => self.near,
            Side::Far => self.far,
        }
    }

    /// Learns from a segment. A SYN says where its sender's numbers begin; of a connection
    /// that began unseen, the first number seen is shown as 1.
    pub const fn observe(&mut self, from: Side, header: &TcpHeader) {
        if header.flags.syn() {
            self.set(from, header.seq);
        } else if !header.flags.rst() {
            // A reset's numbers may be anything (RFC 9293 section 3.10.7.1).
            if self.initial(from).is_none() {
                self.set(from, header.seq.wrapping_sub(1));
            }
            if header.flags.ack() && self.initial(from.other()).is_none() {
                self.set(from.other(), header.ack.wrapping_sub(1));
            }
        }
    }

    const fn set(&mut self, side: Side, initial: u32) {
        match side {
            Side::Near => self.near = Some(initial),
            Side::Far => self.far = Some(initial),
        }
    }

    /// A number of `side`'s, relative to its first.
    #[must_use]
    pub const fn relative(&self, side: Side, seq: u32) -> u32 {
        match self.initial(side) {
            Some(initial) => seq.wrapping_sub(initial),
            None => seq,
        }
    }

    /// The other way round.
    #[must_use]
    pub const fn absolute(&self, side: Side, relative: u32) -> u32 {
        match self.initial(side) {
            Some(initial) => relative.wrapping_add(initial),
            None => relative,
        }
    }

    /// The line of a segment with `len` octets of text: what everybody wants to see.
    #[must_use]
    pub fn line(&self, from: Side, header: &TcpHeader, len: usize) -> TcpLine {
        let flags = header.flags;
        let options = &header.options;
        let to = from.other();
        let timestamps = match options.timestamps {
            Some(_) if flags.syn() => TimestampsShown::Present,
            _ => TimestampsShown::Absent,
        };
        TcpLine {
            flags,
            seq: Some(self.relative(from, header.seq)),
            ack: flags.ack().then(|| self.relative(to, header.ack)),
            len,
            window: None,
            urgent: flags.urg().then_some(header.urgent),
            mss: options.mss,
            window_scale: options.window_scale,
            sack_permitted: options.sack_permitted,
            fast_open: options.fast_open,
            timestamps,
            sack: options
                .sack
                .iter()
                .map(|(left, right)| (self.relative(to, *left), self.relative(to, *right)))
                .collect(),
        }
    }

    /// The same with everything that the header says: window, and timestamps with their values.
    #[must_use]
    pub fn full_line(&self, from: Side, header: &TcpHeader, len: usize) -> TcpLine {
        TcpLine {
            window: Some(header.window),
            timestamps: header
                .options
                .timestamps
                .map_or(TimestampsShown::Absent, TimestampsShown::Values),
            ..self.line(from, header, len)
        }
    }

    /// The SACK blocks of a line that `from` sends, as its header has them.
    #[must_use]
    pub fn absolute_sack(&self, from: Side, line: &TcpLine) -> SackBlocks {
        let to = from.other();
        line.sack
            .iter()
            .map(|(left, right)| (self.absolute(to, *left), self.absolute(to, *right)))
            .collect()
    }
}
