//! What arrives is what was sent, whole, and no more often than the network copied it.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use crate::pattern::{Direction, Pattern};

/// Octets of a numbered datagram's number.
pub const NUMBER_LEN: usize = 8;

/// Watches every numbered datagram of a world.
#[derive(Debug, Default)]
pub struct DatagramOracle {
    flows: BTreeMap<Direction, BTreeMap<u64, Datagram>>,
}

#[derive(Clone, Copy, Debug)]
struct Datagram {
    len: usize,
    sent: u32,
    received: u32,
}

/// How many datagrams of a direction arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams sent.
    pub sent: u64,
    /// Different datagrams that arrived.
    pub arrived: u64,
    /// Arrivals of one that had arrived before.
    pub repeated: u64,
}

impl DatagramOracle {
    /// Datagram `number` of a direction, with `len` octets (at least a number's).
    pub fn send(&mut self, direction: Direction, number: u64, len: usize) -> Bytes {
        let len = len.max(NUMBER_LEN);
        let entry = self
            .flows
            .entry(direction)
            .or_default()
            .entry(number)
            .or_insert(Datagram {
                len,
                sent: 0,
                received: 0,
            });
        entry.sent += 1;
        numbered(direction, number, entry.len)
    }

    /// The stack did not take that datagram, and said so.
    pub fn refused(&mut self, direction: Direction, number: u64) {
        if let Some(flow) = self.flows.get_mut(&direction) {
            flow.remove(&number);
        }
    }

    /// An application got this one. Returns its number.
    ///
    /// # Errors
    ///
    /// Nobody sent it, or it was changed or cut on the way.
    pub fn received(&mut self, direction: Direction, payload: &[u8]) -> Result<u64, String> {
        let number = payload
            .first_chunk::<NUMBER_LEN>()
            .map(|number| u64::from_be_bytes(*number))
            .ok_or_else(|| format!("{direction}: a datagram of {} octets", payload.len()))?;
        let sent = self
            .flows
            .get_mut(&direction)
            .and_then(|flow| flow.get_mut(&number))
            .ok_or_else(|| format!("{direction}: datagram {number} was never sent"))?;
        sent.received += 1;
        if payload == numbered(direction, number, sent.len) {
            Ok(number)
        } else {
            Err(format!(
                "{direction}: datagram {number} was sent with {} octets and arrived changed, \
                 with {}",
                sent.len,
                payload.len()
            ))
        }
    }

    /// How a direction fared.
    #[must_use]
    pub fn tally(&self, direction: Direction) -> Tally {
        let mut tally = Tally::default();
        for datagram in self
            .flows
            .get(&direction)
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            tally.sent += u64::from(datagram.sent);
            tally.arrived += u64::from(datagram.received > 0);
            tally.repeated += u64::from(datagram.received.saturating_sub(1));
        }
        tally
    }

    /// At the end: no more arrivals than the network had packets for, and no fewer than were
    /// sent where it was `gentle` and harmed none.
    ///
    /// # Errors
    ///
    /// The first direction with more, or fewer.
    pub fn check_at_rest(&self, copies_made: u64, gentle: bool) -> Result<(), String> {
        for &direction in self.flows.keys() {
            let tally = self.tally(direction);
            if gentle && tally.arrived != tally.sent {
                return Err(format!(
                    "{direction}: {} of {} datagrams arrived, and the network lost none",
                    tally.arrived, tally.sent
                ));
            }
            if tally.repeated > copies_made {
                return Err(format!(
                    "{direction}: {} datagrams arrived again, the network copied {copies_made}",
                    tally.repeated
                ));
            }
        }
        Ok(())
    }
}

fn numbered(direction: Direction, number: u64, len: usize) -> Bytes {
    let Pattern(key) = direction.pattern();
    let mut payload = BytesMut::with_capacity(len);
    payload.put_u64(number);
    payload.extend_from_slice(&Pattern(key ^ !number).octets(0, len - NUMBER_LEN));
    payload.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_cut_and_invented_datagrams_are_seen() {
        let direction = Direction::new(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into());
        let mut oracle = DatagramOracle::default();
        let sent = oracle.send(direction, 5, 100);
        assert_eq!(oracle.received(direction, &sent), Ok(5));
        assert!(oracle.received(direction, &sent[..99]).is_err());
        assert!(oracle.received(direction, &sent[..7]).is_err());
        assert!(oracle.received(direction.reversed(), &sent).is_err());
        let changed = crate::impair::corrupt::flip_bit(&sent, 500);
        assert!(oracle.received(direction, &changed).is_err());
        assert!(
            oracle.check_at_rest(1, false).is_err(),
            "it arrived four times"
        );
        assert!(oracle.check_at_rest(9, true).is_ok());
        oracle.send(direction, 6, 100);
        assert!(oracle.check_at_rest(9, true).is_err(), "one is missing");
        oracle.refused(direction, 6);
        assert!(oracle.check_at_rest(9, true).is_ok());
    }
}
