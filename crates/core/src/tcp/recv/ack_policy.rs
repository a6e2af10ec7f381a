//! When an acknowledgement leaves (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2).

/// Full segments at the start of a connection that are acknowledged one by one: the peer is in
/// slow start and grows by our acknowledgements.
const QUICK_AT_START: u8 = 16;

/// What is owed to the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckPolicy {
    /// Octets of text that arrived in order since the last acknowledgement.
    owed: u32,
    /// The longest segment seen: the peer's idea of "full-sized".
    full: u16,
    quick_left: u8,
    /// One must leave now.
    now: bool,
}

impl AckPolicy {
    pub(crate) const fn new() -> Self {
        Self {
            owed: 0,
            full: 0,
            quick_left: QUICK_AT_START,
            now: false,
        }
    }

    /// Text in order arrived: `len` octets in segments of `segment` octets (a super-segment
    /// stands for several, and counts as what it stands for).
    pub(crate) fn on_text(&mut self, len: u32, segment: u32, wants_answer: bool) {
        self.owed = self.owed.saturating_add(len);
        self.full = self.full.max(u16::try_from(segment).unwrap_or(u16::MAX));
        // Every second full-sized segment (SHLD-19).
        let second = self.owed >= 2 * u32::from(self.full);
        if second || wants_answer || self.quick_left > 0 {
            self.now = true;
        }
        self.quick_left = self.quick_left.saturating_sub(1);
    }

    /// Something has to be said at once.
    pub(crate) fn at_once(&mut self) {
        self.now = true;
    }

    /// Whether one has to leave now.
    pub(crate) const fn is_due(&self) -> bool {
        self.now
    }

    /// Whether one may wait for company.
    pub(crate) const fn is_owed(&self) -> bool {
        self.owed > 0 && !self.now
    }

    /// One left, alone or with text.
    pub(crate) fn record_sent(&mut self) {
        self.owed = 0;
        self.now = false;
    }
}
