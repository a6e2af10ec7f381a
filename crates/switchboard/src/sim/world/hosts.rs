//! The hosts of a world: how they are added, begin and end.

use std::future::Future;

use switchboard_core::limits::Limits;
use switchboard_core::{Cidr, Instant, TcpConfig};

use super::Sim;
use crate::sim::control::Host;
use crate::sim::fabric::{self, Order};
use crate::sim::failure::{Failure, FailureKind};
use crate::sim::machine::{Machine, Result as SoftwareResult, Setup, Start};

/// What a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The run goes on until its software has ended.
    Client,
    /// The run does not wait for it.
    Server,
}

/// A host with its software, alive or not.
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) setup: Setup,
    pub(super) software: Start,
    pub(super) machine: Option<Machine>,
    /// A client's software has ended in order.
    pub(super) is_done: Option<Instant>,
}

/// A host that is to be added, with other than the default settings.
#[must_use = "the host is there once its software is named: `host` or `client`"]
pub struct HostBuilder<'a> {
    sim: &'a mut Sim,
    name: String,
    aliases: Vec<String>,
    setup: Setup,
}

impl HostBuilder<'_> {
    /// An address of its own choice, beside the ones that every host gets; its name stands for
    /// the chosen ones alone.
    pub fn address(mut self, address: Cidr) -> Self {
        self.setup.addresses.push(address);
        self
    }

    /// Another name for it.
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// The longest packet that it sends, in octets. Default 1500.
    pub fn mtu(mut self, octets: usize) -> Self {
        self.setup.mtu = octets;
        self
    }

    /// What its TCP connections share.
    pub fn tcp(mut self, tcp: TcpConfig) -> Self {
        self.setup.tcp = tcp;
        self
    }

    /// Bounds of its queues and tables.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.setup.limits = limits;
        self
    }

    /// Adds it, as [`Sim::host`].
    pub fn host<F, S>(self, software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        self.add(Role::Server, software)
    }

    /// Adds it, as [`Sim::client`].
    pub fn client<F, S>(self, software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        self.add(Role::Client, software)
    }

    fn add<F, S>(self, role: Role, mut software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        let start: Start = Box::new(move || Box::pin(software()));
        self.sim
            .add_slot(&self.name, &self.aliases, self.setup, role, start)
    }
}

/// Hosts.
impl Sim {
    /// Adds a host that the run does not wait for: a server. `software` is called when the run
    /// begins, and again at each [`restart`](Self::restart). It may return; what it spawned goes
    /// on. An error that it returns, or a panic of its own, fails the run. A panic in a task that it
    /// spawned shows in the task's `JoinHandle`, as always with tokio: join what must not fail.
    ///
    /// # Panics
    ///
    /// If the name is taken.
    pub fn host<F, S>(&mut self, name: &str, software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        self.add(name).host(software)
    }

    /// Adds a host whose software the run waits for: it ends when all clients' software has
    /// returned.
    ///
    /// # Panics
    ///
    /// If the name is taken.
    pub fn client<F, S>(&mut self, name: &str, software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        self.add(name).client(software)
    }

    /// Adds a host with settings of its own: `sim.add("a").mtu(1280).host(..)`.
    pub fn add(&mut self, name: &str) -> HostBuilder<'_> {
        HostBuilder {
            sim: self,
            name: name.to_owned(),
            aliases: Vec::new(),
            setup: Setup::default(),
        }
    }

    fn add_slot(
        &mut self,
        name: &str,
        aliases: &[String],
        setup: Setup,
        role: Role,
        software: Start,
    ) -> Host {
        let index = {
            let mut fabric = fabric::lock(&self.control.fabric);
            fabric.add_host(name, &setup.addresses, aliases)
        };
        self.record.trace.name_host(name);
        self.hosts.push(Slot {
            name: name.to_owned(),
            role,
            setup,
            software,
            machine: None,
            is_done: None,
        });
        self.control.order(Order::Restart(index));
        self.control.host_handle(name)
    }

    /// The handle of a host.
    ///
    /// # Panics
    ///
    /// If there is no such host.
    #[must_use]
    pub fn host_handle(&self, name: &str) -> Host {
        self.control.host_handle(name)
    }
}

/// Their lives.
impl Sim {
    /// Ends a host's life, if it has one.
    pub(super) fn stop(&mut self, index: usize) {
        let slot = &mut self.hosts[index];
        if let Some(machine) = slot.machine.take() {
            let what = format!("{} crashes", slot.name);
            drop(machine);
            let mut fabric = fabric::lock(&self.control.fabric);
            let now = self.now;
            fabric.events.push((now, what));
        }
    }

    pub(super) fn start(&mut self, index: usize) -> Result<(), Box<Failure>> {
        self.stop(index);
        let slot = &mut self.hosts[index];
        slot.is_done = None;
        let started = Machine::start(
            &self.control,
            index,
            &slot.setup,
            &mut slot.software,
            self.now,
        );
        match started {
            Ok(machine) => slot.machine = Some(machine),
            Err(error) => {
                let what = format!("it cannot be started: {error}");
                return Err(self.fail(FailureKind::System, Some(index), what));
            }
        }
        if self.now > Instant::ZERO {
            let what = format!("{} starts", self.hosts[index].name);
            fabric::lock(&self.control.fabric)
                .events
                .push((self.now, what));
        }
        Ok(())
    }
}
