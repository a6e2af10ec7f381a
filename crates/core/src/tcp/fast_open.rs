//! Fast Open, the client's side (RFC 7413): what goes with a SYN, and what its answer says.
//!
//! The server's side is not there: text that comes with a SYN is not acknowledged, and comes again
//! once the connection stands, as RFC 9293 section 3.10.7.2 lets us.

use alloc::boxed::Box;

use bytes::Bytes;
use switchboard_wire::tcp::{FastOpen, FastOpenCookie};

use super::connection::Env;
use super::handshake::{Attempt, SynSent};
use super::segment::{Outgoing, Segment};
use super::seq::SeqNum;

/// What goes with the first SYN. A SYN that is sent again goes without: somebody on the way may
/// have dropped it for what it carried (RFC 7413 section 4.2.2).
#[derive(Clone, Debug)]
pub(crate) struct SynText {
    /// What the server gave us; `None` asks for one.
    cookie: Option<FastOpenCookie>,
    /// Text, of which the server may acknowledge any part: none without a cookie.
    text: Bytes,
}

/// What we learned of a server that was sent the option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Learned {
    /// A cookie that it gave.
    pub(crate) cookie: Option<FastOpenCookie>,
    /// The MSS that it announced.
    pub(crate) mss: u16,
    /// A SYN with the option was not answered, or its text was not taken: what RFC 7413 section
    /// 4.1.3.1 calls a negative response.
    pub(crate) failed: bool,
}

impl SynText {
    /// Asks for a cookie.
    pub(crate) fn request() -> Box<Self> {
        Box::new(Self {
            cookie: None,
            text: Bytes::new(),
        })
    }

    /// Brings a cookie, and text with it.
    pub(crate) fn new(cookie: FastOpenCookie, text: Bytes) -> Box<Self> {
        Box::new(Self {
            cookie: Some(cookie),
            text,
        })
    }

    /// Puts option and text into the SYN.
    pub(super) fn emit(&self, out: &mut Outgoing) {
        let option = self.cookie.map_or(FastOpen::Request, FastOpen::Cookie);
        out.header.options.fast_open = Some(option);
        if !self.text.is_empty() {
            out.payload.push(self.text.clone());
        }
    }

    /// The text that goes with a SYN, if any.
    pub(crate) fn text(this: Option<&Self>) -> Bytes {
        this.map_or_else(Bytes::new, |with| with.text.clone())
    }

    /// Its length, in octets.
    pub(crate) fn text_len(this: Option<&Self>) -> usize {
        this.map_or(0, |with| with.text.len())
    }
}

impl SynSent {
    /// The number behind everything that was sent.
    pub(crate) fn snd_nxt(&self) -> SeqNum {
        self.iss + 1 + SynText::text_len(self.syn_text.as_deref()) as u32
    }

    /// What the SYN|ACK `answer` says of a server that was sent the option.
    pub(crate) fn learned(&self, env: &Env, answer: &Segment) -> Option<Learned> {
        let with = self.syn_text.as_ref()?;
        let cookie = match answer.options.fast_open {
            Some(FastOpen::Cookie(cookie)) => Some(cookie),
            // A request is no answer.
            Some(FastOpen::Request) | None => None,
        };
        // A new cookie is why the text was not taken: the old one had expired.
        let refused = !with.text.is_empty() && answer.ack == Some(self.iss + 1) && cookie.is_none();
        Some(Learned {
            cookie,
            mss: env.peer_mss(answer.options.mss),
            failed: refused || self.attempt.was_repeated(),
        })
    }

    /// The same where the attempt failed, in a way that may be the option's fault.
    pub(crate) fn learned_nothing(&self) -> Option<Learned> {
        self.syn_text.as_ref().map(|_| Learned {
            cookie: None,
            mss: 0,
            failed: true,
        })
    }
}

impl Attempt {
    /// Whether more than one copy left.
    pub(crate) const fn was_repeated(&self) -> bool {
        self.retransmits > 0
    }
}
