//! Octets arrive in order, once, or an error is reported.

use std::collections::BTreeMap;

use crate::pattern::Direction;

/// What is known of one direction of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// Octets that the sending application handed to its stack.
    pub sent: u64,
    /// The sending application said that there will be no more.
    pub is_finished: bool,
    /// Octets that the receiving application got.
    pub received: u64,
    /// The receiving application was told that there will be no more.
    pub has_ended: bool,
    /// Either application was told of an error, or aborted.
    pub is_broken: bool,
}

/// Watches every byte stream of a world.
#[derive(Debug, Default)]
pub struct StreamOracle {
    streams: BTreeMap<Direction, StreamState>,
}

impl StreamOracle {
    /// Everything that is known.
    #[must_use]
    pub const fn streams(&self) -> &BTreeMap<Direction, StreamState> {
        &self.streams
    }

    /// One direction.
    #[must_use]
    pub fn stream(&self, direction: Direction) -> StreamState {
        self.streams.get(&direction).copied().unwrap_or_default()
    }

    /// A conversation stands between these two: both directions begin.
    pub fn begin(&mut self, direction: Direction) {
        self.streams.entry(direction).or_default();
        self.streams.entry(direction.reversed()).or_default();
    }

    /// The caller's side of it stands: what the same endpoints said to each other before is
    /// over.
    pub fn begin_anew(&mut self, direction: Direction) {
        self.streams.remove(&direction);
        self.streams.remove(&direction.reversed());
        self.begin(direction);
    }

    /// The application handed `len` more octets to its stack.
    pub fn sent(&mut self, direction: Direction, len: usize) {
        self.streams.entry(direction).or_default().sent += len as u64;
    }

    /// The application will send no more.
    pub fn finished(&mut self, direction: Direction) {
        self.streams.entry(direction).or_default().is_finished = true;
    }

    /// The application learned of an error, or gave the conversation up.
    pub fn broken(&mut self, direction: Direction) {
        self.streams.entry(direction).or_default().is_broken = true;
        self.streams
            .entry(direction.reversed())
            .or_default()
            .is_broken = true;
    }

    /// The application was handed these octets.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn received(&mut self, direction: Direction, octets: &[u8]) -> Result<(), String> {
        let state = self.streams.entry(direction).or_default();
        let offset = state.received;
        state.received += octets.len() as u64;
        if state.has_ended {
            return Err(format!("{direction}: octets after the end of the stream"));
        }
        if state.received > state.sent {
            return Err(format!(
                "{direction}: {} octets received, {} sent",
                state.received, state.sent
            ));
        }
        match direction.pattern().first_difference(offset, octets) {
            None => Ok(()),
            Some(at) => Err(format!("{direction}: octet {at} is not the one sent there")),
        }
    }

    /// The application was told that the stream has ended.
    ///
    /// # Errors
    ///
    /// The stream had not ended there.
    pub fn ended(&mut self, direction: Direction) -> Result<(), String> {
        let state = self.streams.entry(direction).or_default();
        state.has_ended = true;
        if !state.is_finished {
            return Err(format!("{direction}: an end that the sender never made"));
        }
        if state.received != state.sent {
            return Err(format!(
                "{direction}: ended after {} of {} octets",
                state.received, state.sent
            ));
        }
        Ok(())
    }

    /// When nothing can happen any more: what was sent has arrived, or somebody was told.
    ///
    /// # Errors
    ///
    /// The first stream of which that is not true.
    pub fn check_at_rest(&self) -> Result<(), String> {
        for (direction, state) in &self.streams {
            if state.is_broken {
                continue;
            }
            if state.received != state.sent {
                return Err(format!(
                    "{direction}: {} of {} octets arrived, and nobody was told of an error",
                    state.received, state.sent
                ));
            }
            if state.is_finished && !state.has_ended {
                return Err(format!("{direction}: the end never arrived"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction() -> Direction {
        Direction::new(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into())
    }

    /// Ten octets were sent and the sender has finished.
    fn ten() -> StreamOracle {
        let mut oracle = StreamOracle::default();
        oracle.begin(direction());
        oracle.sent(direction(), 10);
        oracle.finished(direction());
        oracle
    }

    fn octets(offset: u64, len: usize) -> bytes::Bytes {
        direction().pattern().octets(offset, len)
    }

    #[test]
    fn whole_and_in_order_is_fine() {
        let mut oracle = ten();
        assert_eq!(oracle.received(direction(), &octets(0, 3)), Ok(()));
        assert_eq!(oracle.received(direction(), &octets(3, 7)), Ok(()));
        assert_eq!(oracle.ended(direction()), Ok(()));
        assert_eq!(oracle.check_at_rest(), Ok(()));
    }

    #[test]
    fn swapped_repeated_and_invented_octets_are_seen() {
        assert!(ten().received(direction(), &octets(3, 3)).is_err());
        let mut oracle = ten();
        assert!(oracle.received(direction(), &octets(0, 5)).is_ok());
        assert!(oracle.received(direction(), &octets(0, 5)).is_err());
        assert!(ten().received(direction(), &octets(0, 11)).is_err());
    }

    #[test]
    fn an_early_end_and_a_silent_loss_are_seen() {
        let mut oracle = ten();
        assert!(oracle.received(direction(), &octets(0, 9)).is_ok());
        assert!(oracle.check_at_rest().is_err());
        assert!(oracle.ended(direction()).is_err());
    }

    #[test]
    fn an_error_that_was_told_excuses_what_is_missing() {
        let mut oracle = ten();
        oracle.broken(direction().reversed());
        assert_eq!(oracle.check_at_rest(), Ok(()));
    }
}
