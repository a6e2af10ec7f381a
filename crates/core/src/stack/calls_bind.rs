//! TCP: a port taken before it is known what for (`bind(2)`), and what listeners are set to.

use core::net::SocketAddr;

use super::Stack;
use crate::config::TcpOptions;
use crate::demux::plain;
use crate::error::{ListenError, NoSuchSocket};
use crate::slab::Key;
use crate::socket::{BoundId, ListenerId};

/// BIND.
impl Stack {
    /// Takes `local` for whoever will listen or connect there; port 0 picks one. Nobody else
    /// gets it until `call_tcp_unbind`, except as `SO_REUSEADDR` and `SO_REUSEPORT` of both
    /// allow. To listen or connect there, let go of it first, in the same turn.
    ///
    /// # Errors
    ///
    /// [`ListenError`].
    pub fn call_tcp_bind(
        &mut self,
        local: SocketAddr,
        options: &TcpOptions,
    ) -> Result<BoundId, ListenError> {
        let mut local = plain(local);
        let may = self.config.any_address
            || local.ip().is_unspecified()
            || self.addresses.is_ours(local.ip());
        if !may {
            return Err(ListenError::AddressNotAvailable);
        }
        if self.bound.len() >= self.config.limits.connections {
            return Err(ListenError::NoBuffers);
        }
        if local.port() == 0 {
            local.set_port(self.free_listening_port(local, options)?);
        } else if !self.may_listen(local, options) {
            return Err(ListenError::AddressInUse);
        }
        let key = self.bound.insert(local, options);
        Ok(BoundId {
            shard: self.config.shard,
            index: key.index,
            generation: key.generation,
        })
    }

    /// Where it is bound.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn bound_local(&self, id: BoundId) -> Result<SocketAddr, NoSuchSocket> {
        let key = self.bound_key(id)?;
        self.bound.local(key).ok_or(NoSuchSocket)
    }

    /// Lets go of a port.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn call_tcp_unbind(&mut self, id: BoundId) -> Result<(), NoSuchSocket> {
        let key = self.bound_key(id)?;
        if self.bound.remove(key) {
            Ok(())
        } else {
            Err(NoSuchSocket)
        }
    }

    fn bound_key(&self, id: BoundId) -> Result<Key, NoSuchSocket> {
        self.key_of(id.shard, id.index, id.generation)
            .ok_or(NoSuchSocket)
    }
}

/// What listeners are set to.
impl Stack {
    /// What a listener's connections start with.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn listener_options(&self, id: ListenerId) -> Result<TcpOptions, NoSuchSocket> {
        let key = self.listener_key(id)?;
        let listener = self.listeners.get(key).ok_or(NoSuchSocket)?;
        Ok(listener.options)
    }

    /// Changes what connections of a listener start with that begin from now on. What says who
    /// shares its port is for before it listens, and stays as it is.
    ///
    /// # Errors
    ///
    /// [`NoSuchSocket`].
    pub fn set_listener_options(
        &mut self,
        id: ListenerId,
        options: &TcpOptions,
    ) -> Result<(), NoSuchSocket> {
        let key = self.listener_key(id)?;
        let listener = self.listeners.get_mut(key).ok_or(NoSuchSocket)?;
        let before = listener.options;
        listener.options = TcpOptions {
            reuse_address: before.reuse_address,
            reuse_port: before.reuse_port,
            only_v6: before.only_v6,
            ..*options
        };
        Ok(())
    }
}
