//! What the control socket may ask of a run and change in it.

use std::io;

use switchboard_gateway::BoxFuture;

use super::published::Published;
use crate::control::{self, Inside};
use crate::run::Wanted;
use crate::run::relay::{InsideSocket, LateLink};

/// The agent and the published ports, for the control socket.
pub(super) struct Doors {
    pub(super) link: LateLink,
    pub(super) published: Published,
}

impl Inside for Doors {
    fn agent(&self) -> Option<u32> {
        self.link.get().map(|link| link.agent())
    }

    fn sockets(&self) -> BoxFuture<'_, Vec<InsideSocket>> {
        Box::pin(async move {
            let seen = match self.link.get() {
                Some(link) => link.sockets(Wanted::Local).await,
                None => None,
            };
            seen.unwrap_or_default()
        })
    }

    fn joined(&self, pid: u32) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            match self.link.get() {
                Some(link) => link.joined(pid).await,
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        })
    }

    fn published(&self) -> Vec<control::Published> {
        self.published.list()
    }

    fn change<'a>(&'a self, change: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.published.change(change))
    }
}
