//! TCP options: MSS (RFC 9293 section 3.7.1), window scale and timestamps (RFC 7323),
//! selective acknowledgement (RFC 2018), Fast Open (RFC 7413).

use core::ops::Deref;

use crate::output::Output;
use crate::tcp::fast_open::FastOpen;

/// Octets that options can take.
pub const OPTIONS_MAX: usize = 40;
/// SACK blocks that fit a header without other options (RFC 2018 section 3).
pub const SACK_BLOCKS_MAX: usize = 4;
/// The largest shift of a window (RFC 7323 section 2.3).
pub const WINDOW_SCALE_MAX: u8 = 14;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const FAST_OPEN: u8 = 34;

/// The timestamps option (RFC 7323 section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timestamps {
    /// `TSval`: the sender's clock.
    pub value: u32,
    /// `TSecr`: the receiver's clock, echoed.
    pub echo: u32,
}

/// Received ranges: left edge, and right edge (the number behind the last octet).
#[derive(Clone, Copy, Debug, Default)]
pub struct SackBlocks {
    blocks: [(u32, u32); SACK_BLOCKS_MAX],
    len: u8,
}

impl SackBlocks {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            blocks: [(0, 0); SACK_BLOCKS_MAX],
            len: 0,
        }
    }

    /// Appends a block; false if there is no room for it.
    pub fn push(&mut self, block: (u32, u32)) -> bool {
        match self.blocks.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = block;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    /// The blocks, in the order in which the header has them.
    #[must_use]
    pub fn as_slice(&self) -> &[(u32, u32)] {
        self.blocks.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Keeps the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = u8::try_from(len).map_or(self.len, |len| self.len.min(len));
    }
}

impl Deref for SackBlocks {
    type Target = [(u32, u32)];

    fn deref(&self) -> &Self::Target {
        self.as_slice()
    }
}

impl PartialEq for SackBlocks {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SackBlocks {}

/// Takes the first four.
impl FromIterator<(u32, u32)> for SackBlocks {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(blocks: I) -> Self {
        let mut taken = Self::new();
        for block in blocks.into_iter().take(SACK_BLOCKS_MAX) {
            taken.push(block);
        }
        taken
    }
}

/// The options of a segment. Unknown ones are skipped (RFC 9293 section 3.1, MUST-6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Largest payload that the sender takes. As sent: zero is not told apart from others.
    pub mss: Option<u16>,
    /// Shift of the sender's later windows: 0 to 14.
    pub window_scale: Option<u8>,
    /// The sender understands SACK.
    pub sack_permitted: bool,
    /// Both clocks.
    pub timestamps: Option<Timestamps>,
    /// What the sender has received out of order.
    pub sack: SackBlocks,
    /// Fast Open.
    pub fast_open: Option<FastOpen>,
}

impl TcpOptions {
    /// No options.
    pub const NONE: Self = Self {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: SackBlocks::new(),
        fast_open: None,
    };

    /// Reads the option part of a header.
    ///
    /// Nothing in it can be malformed enough to refuse the segment: an option of a length that
    /// is not its own is skipped, and one whose length is illegal (below 2 or beyond the
    /// header) ends the list, as in Linux. RFC 9293 section 3.1 (MUST-7) asks for readiness
    /// and leaves the manner open. Of a repeated option the last one counts.
    ///
    /// MSS, window scale, SACK-permitted and Fast Open mean something on a SYN only (RFC 9293
    /// section 3.7.1, RFC 7323 section 2.2, RFC 2018 section 2, RFC 7413 section 4.1.1):
    /// elsewhere they are skipped.
    #[must_use]
    pub fn parse(octets: &[u8], is_syn: bool) -> Self {
        // Nearly every segment of a connection with timestamps: RFC 7323 appendix A.
        if let &[NOP, NOP, TIMESTAMPS, 10, v0, v1, v2, v3, e0, e1, e2, e3] = octets {
            return Self {
                timestamps: Some(Timestamps {
                    value: u32::from_be_bytes([v0, v1, v2, v3]),
                    echo: u32::from_be_bytes([e0, e1, e2, e3]),
                }),
                ..Self::NONE
            };
        }
        Self::walk(octets, is_syn)
    }

    fn walk(mut octets: &[u8], is_syn: bool) -> Self {
        let mut options = Self::NONE;
        loop {
            octets = match *octets {
                [] | [END, ..] => return options,
                [NOP, ref rest @ ..] => rest,
                [kind, len, ..] if len >= 2 => {
                    let Some((option, rest)) = octets.split_at_checked(usize::from(len)) else {
                        return options;
                    };
                    options.take(kind, option.get(2..).unwrap_or_default(), is_syn);
                    rest
                }
                _ => return options,
            };
        }
    }

    /// Takes one option of which `data` is what follows its length octet.
    fn take(&mut self, kind: u8, data: &[u8], is_syn: bool) {
        match (kind, data) {
            (MSS, &[m0, m1]) if is_syn => self.mss = Some(u16::from_be_bytes([m0, m1])),
            // RFC 7323 section 2.3: a shift above 14 is taken as 14.
            (WINDOW_SCALE, &[shift]) if is_syn => {
                self.window_scale = Some(shift.min(WINDOW_SCALE_MAX));
            }
            (SACK_PERMITTED, []) if is_syn => self.sack_permitted = true,
            (TIMESTAMPS, &[v0, v1, v2, v3, e0, e1, e2, e3]) => {
                self.timestamps = Some(Timestamps {
                    value: u32::from_be_bytes([v0, v1, v2, v3]),
                    echo: u32::from_be_bytes([e0, e1, e2, e3]),
                });
            }
            (FAST_OPEN, data) if is_syn => {
                self.fast_open = FastOpen::parse(data).or(self.fast_open);
            }
            (SACK, data) if !is_syn => {
                let (blocks, rest) = data.as_chunks::<8>();
                if rest.is_empty() {
                    self.sack = blocks
                        .iter()
                        .map(|&[l0, l1, l2, l3, r0, r1, r2, r3]| {
                            (
                                u32::from_be_bytes([l0, l1, l2, l3]),
                                u32::from_be_bytes([r0, r1, r2, r3]),
                            )
                        })
                        .collect();
                }
            }
            _ => {}
        }
    }

    /// Octets that `emit` writes: a multiple of 4, at most 40.
    #[must_use]
    pub fn len(&self) -> usize {
        let blocks = self.sack_that_fit();
        self.fixed_len() + if blocks == 0 { 0 } else { 4 + 8 * blocks }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SACK blocks that a header with these other options has room for.
    #[must_use]
    pub const fn sack_room(&self) -> usize {
        OPTIONS_MAX.saturating_sub(self.fixed_len() + 4) / 8
    }

    fn sack_that_fit(&self) -> usize {
        self.sack.len().min(self.sack_room())
    }

    /// Octets of all but SACK.
    const fn fixed_len(&self) -> usize {
        let mss = if self.mss.is_some() { 4 } else { 0 };
        let scale = if self.window_scale.is_some() { 4 } else { 0 };
        // SACK-permitted takes the place of the two NOPs before timestamps.
        let rest = match (self.timestamps.is_some(), self.sack_permitted) {
            (true, _) => 12,
            (false, true) => 4,
            (false, false) => 0,
        };
        let fast_open = match &self.fast_open {
            Some(option) => (2 + option.data_len()).next_multiple_of(4),
            None => 0,
        };
        mss + scale + rest + fast_open
    }

    /// Appends the options, each aligned to 4 octets (RFC 7323 appendix A). Blocks beyond the
    /// room are left out.
    pub fn emit(&self, out: &mut impl Output) {
        if let Some(mss) = self.mss {
            let [m0, m1] = mss.to_be_bytes();
            out.put(&[MSS, 4, m0, m1]);
        }
        match (self.sack_permitted, self.timestamps.is_some()) {
            (true, true) => out.put(&[SACK_PERMITTED, 2]),
            (true, false) => out.put(&[NOP, NOP, SACK_PERMITTED, 2]),
            (false, true) => out.put(&[NOP, NOP]),
            (false, false) => {}
        }
        if let Some(timestamps) = self.timestamps {
            let [v0, v1, v2, v3] = timestamps.value.to_be_bytes();
            let [e0, e1, e2, e3] = timestamps.echo.to_be_bytes();
            out.put(&[TIMESTAMPS, 10, v0, v1, v2, v3, e0, e1, e2, e3]);
        }
        if let Some(shift) = self.window_scale {
            out.put(&[NOP, WINDOW_SCALE, 3, shift.min(WINDOW_SCALE_MAX)]);
        }
        if let Some(fast_open) = &self.fast_open {
            let len = 2 + fast_open.data_len();
            out.put(&[FAST_OPEN, len as u8]);
            out.put(fast_open.data());
            let padding = len.next_multiple_of(4) - len;
            out.put([NOP; 3].get(..padding).unwrap_or_default());
        }
        let blocks = self.sack_that_fit();
        if blocks > 0 {
            out.put(&[NOP, NOP, SACK, (2 + 8 * blocks) as u8]);
            for (left, right) in self.sack.iter().take(blocks) {
                out.put(&left.to_be_bytes());
                out.put(&right.to_be_bytes());
            }
        }
    }
}
