//! What the control socket may ask of a run and change in it.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use switchboard_gateway::{BoxFuture, Happening, Observer, Resolution};

use super::published::Published;
use crate::control::{self, Inside};
use crate::run::Wanted;
use crate::run::relay::{InsideSocket, LateLink};

/// The agent and the published ports, for the control socket.
pub(super) struct Doors {
    pub(super) link: LateLink,
    pub(super) published: Published,
    pub(super) found: Arc<Found>,
}

/// Addresses remembered; beyond it the table starts afresh.
const FOUND_MAX: usize = 1024;

/// How long the directory took to find each address, most lately.
#[derive(Default)]
pub(super) struct Found(Mutex<HashMap<IpAddr, Duration>>);

impl Observer for Found {
    fn observe(&self, happening: &Happening) {
        let Happening::Resolved {
            resolution: Resolution::Addresses(addresses),
            elapsed,
            ..
        } = happening
        else {
            return;
        };
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            if found.len() >= FOUND_MAX {
                found.clear();
            }
            found.insert(*address, *elapsed);
        }
    }
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

    fn found_in(&self, address: IpAddr) -> Option<Duration> {
        let found = self.found.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(&address).copied()
    }

    fn published(&self) -> Vec<control::Published> {
        self.published.list()
    }

    fn change<'a>(&'a self, change: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.published.change(change))
    }
}
