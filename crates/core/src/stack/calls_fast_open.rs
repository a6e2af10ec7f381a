//! OPEN with text in the SYN (RFC 7413).

use alloc::boxed::Box;
use core::net::SocketAddr;

use bytes::Bytes;
use switchboard_wire::Instant;
use switchboard_wire::tcp::options::OPTIONS_MAX;

use super::Stack;
use crate::config::TcpOptions;
use crate::demux::plain;
use crate::error::ConnectError;
use crate::socket::TcpId;
use crate::tcp::{Known, OpenParams, SynText};

impl Stack {
    /// As `call_tcp_connect`, and the SYN takes octets from the front of `data` along, without a
    /// copy, where the server has given us a cookie: at most one segment. What is left of `data`
    /// is the caller's to send. Of a server that we know nothing of, the SYN asks for a cookie
    /// and takes nothing.
    ///
    /// Octets that went along and that the server does not acknowledge with the SYN are sent
    /// again once the connection stands. If the network repeats the SYN, a server may hand them
    /// to its application twice (RFC 7413 section 2.1): they must be harmless then, as a request
    /// that changes nothing is.
    ///
    /// # Errors
    ///
    /// As `call_tcp_connect`; `data` is then untouched.
    pub fn call_tcp_fast_open(
        &mut self,
        now: Instant,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        options: &TcpOptions,
        data: &mut Bytes,
    ) -> Result<TcpId, ConnectError> {
        self.open(now, local, remote, options, Some(data))
    }

    /// Whether a SYN from `local` to `remote` would take text along: the server gave us a cookie,
    /// and has not failed us lately.
    #[must_use]
    pub fn may_fast_open(
        &self,
        now: Instant,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> bool {
        let remote = plain(remote).ip();
        self.local_address(local, remote).is_ok_and(|local| {
            let known = self.cookies.known(local, remote, now);
            matches!(known, Known::Cookie { .. })
        })
    }

    /// What goes with the SYN: from the front of `data` what one segment has room for beside a
    /// header with all options that there can be (RFC 7413 section 4.2.1).
    pub(super) fn syn_text(
        &self,
        now: Instant,
        params: &OpenParams,
        data: &mut Bytes,
    ) -> Option<Box<SynText>> {
        let (local, remote) = (params.tuple.local.ip(), params.tuple.remote.ip());
        match self.cookies.known(local, remote, now) {
            Known::Failed => None,
            Known::Nothing => Some(SynText::request()),
            Known::Cookie { cookie, mss } => {
                let segment = usize::from(params.send_mss(mss));
                let room = segment.saturating_sub(OPTIONS_MAX).min(data.len());
                Some(SynText::new(cookie, data.split_to(room)))
            }
        }
    }
}
