//! States of a connection, and the table of legal transitions (RFC 9293 section 3.3.2).
//!
//! Four shapes, not eleven structs: `SynSent` and `SynReceived` (`handshake.rs`),
//! `Synchronized` with a [`Phase`] (`tcb.rs`), and `TimeWait` (`time_wait.rs`). The six phases
//! share all their data and differ in which half is closed.

use crate::socket::State;

/// Which halves of a synchronized connection are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
}

/// What can change a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The application will send no more (RFC 9293 section 3.10.4).
    Close,
    /// The peer's FIN is next in order (section 3.10.7.4, eighth).
    FinReceived,
    /// Our FIN was acknowledged (the same, fifth).
    FinAcknowledged,
}

/// Where a turn leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// To a phase, perhaps the same.
    Phase(Phase),
    /// To TIME-WAIT.
    TimeWait,
    /// To CLOSED: nothing is left to wait for.
    Closed,
}

impl Phase {
    /// Where `turn` leads from here.
    pub(crate) const fn after(self, turn: Turn) -> After {
        use Phase::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck};
        match (self, turn) {
            (Established, Turn::Close) => After::Phase(FinWait1),
            (CloseWait, Turn::Close) => After::Phase(LastAck),
            (Established, Turn::FinReceived) => After::Phase(CloseWait),
            (FinWait1, Turn::FinReceived) => After::Phase(Closing),
            (FinWait2, Turn::FinReceived) => After::TimeWait,
            (FinWait1, Turn::FinAcknowledged) => After::Phase(FinWait2),
            (Closing, Turn::FinAcknowledged) => After::TimeWait,
            (LastAck, Turn::FinAcknowledged) => After::Closed,
            // A second close, or a FIN again, changes nothing.
            (
                phase @ (Established | FinWait1 | FinWait2 | CloseWait | Closing | LastAck),
                Turn::Close | Turn::FinReceived | Turn::FinAcknowledged,
            ) => After::Phase(phase),
        }
    }

    /// Whether the peer may still send text: its FIN has not come.
    pub(crate) const fn receives(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Whether the application may still send.
    pub(crate) const fn sends(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait)
    }

    /// As the application sees it.
    pub(crate) const fn state(self) -> State {
        match self {
            Self::Established => State::Established,
            Self::FinWait1 => State::FinWait1,
            Self::FinWait2 => State::FinWait2,
            Self::CloseWait => State::CloseWait,
            Self::Closing => State::Closing,
            Self::LastAck => State::LastAck,
        }
    }
}
