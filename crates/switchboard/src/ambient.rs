//! Which network `TcpStream::connect(addr)` means: the task's, the thread's, the runtime's, or
//! the process's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock, Weak};

use tokio::runtime::{Builder, Handle, Id};

use crate::errors::SocketError;
use crate::network::{Net, NetInner};

tokio::task_local! {
    static OF_TASK: Net;
}

thread_local! {
    static OF_THREAD: RefCell<Vec<Net>> = const { RefCell::new(Vec::new()) };
}

/// Runtimes that have a network of their own. Weak: a runtime that ended does not keep one.
static OF_RUNTIME: OnceLock<Mutex<HashMap<Id, Weak<NetInner>>>> = OnceLock::new();

/// The process's.
static OF_PROCESS: RwLock<Option<Net>> = RwLock::new(None);

/// How a program says which network it means.
impl Net {
    /// The ambient network: the task's ([`scope`](Self::scope)), else the thread's
    /// ([`enter`](Self::enter), [`install`](Self::install)), else the runtime's
    /// ([`use_on`](Self::use_on)), else the process's ([`set_default`](Self::set_default)).
    ///
    /// # Errors
    ///
    /// [`SocketError::NoNet`]: none of them is set here.
    pub fn try_current() -> Result<Self, SocketError> {
        if let Ok(net) = OF_TASK.try_with(Clone::clone) {
            return Ok(net);
        }
        let of_thread = OF_THREAD.try_with(|nets| nets.borrow().last().cloned());
        if let Ok(Some(net)) = of_thread {
            return Ok(net);
        }
        of_runtime()
            .or_else(|| {
                let net = OF_PROCESS.read().unwrap_or_else(PoisonError::into_inner);
                net.clone()
            })
            .ok_or(SocketError::NoNet)
    }

    /// Makes this the network of `future` and of all that it awaits. Tasks that it *spawns* are
    /// tasks of their own: they look at their thread, runtime and process, so wrap them too
    /// (`tokio::spawn(net.scope(..))`) where two networks share a runtime.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        OF_TASK.scope(self.clone(), future)
    }

    /// Makes this the network of the current thread until the guard is dropped.
    ///
    /// On a current-thread runtime every task runs on the thread that calls `block_on`, so this
    /// reaches spawned tasks too. On a multi-thread runtime it reaches the future given to
    /// `block_on` alone: use [`install`](Self::install) or [`use_on`](Self::use_on) there.
    pub fn enter(&self) -> Entered {
        OF_THREAD.with(|nets| nets.borrow_mut().push(self.clone()));
        Entered {
            not_send: PhantomData,
        }
    }

    /// Makes this the network of every thread that the runtime will start: workers and blocking
    /// threads, so of every task that it spawns. Takes the builder's `on_thread_start`.
    ///
    /// A current-thread runtime starts no worker, and `block_on` runs its future on the calling
    /// thread: [`enter`](Self::enter) there, or [`use_on`](Self::use_on) which covers all.
    pub fn install<'a>(&self, builder: &'a mut Builder) -> &'a mut Builder {
        let net = self.clone();
        builder.on_thread_start(move || {
            // Fails only while the thread's locals are torn down.
            let _ = OF_THREAD.try_with(|nets| nets.borrow_mut().push(net.clone()));
        })
    }

    /// Makes this the network of a whole runtime of either kind: of the future in `block_on` and
    /// of every task that is spawned on it. The runtime does not keep the network alive: hold
    /// the `Net`, or a socket of it.
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// # let device = switchboard::device::pipe::pair(1500, Default::default(), 256).0;
    /// let runtime = tokio::runtime::Runtime::new()?;
    /// let net = {
    ///     let _guard = runtime.enter();
    ///     switchboard::Net::builder()
    ///         .address("10.0.0.1/24".parse().unwrap())
    ///         .build(device)?
    /// };
    /// net.use_on(runtime.handle());
    /// # Ok(()) }
    /// ```
    pub fn use_on(&self, runtime: &Handle) {
        let mut nets = OF_RUNTIME
            .get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        nets.retain(|_, net| net.strong_count() > 0);
        nets.insert(runtime.id(), self.downgrade());
    }

    /// Makes this the network of the process, where nothing nearer is set; `None` takes it back.
    pub fn set_default(net: Option<Self>) {
        let mut place = OF_PROCESS.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *place, net);
        // Its last holder may be this one, and its end takes other locks.
        drop(place);
        drop(old);
    }
}

/// The network of the current runtime.
fn of_runtime() -> Option<Net> {
    let nets = OF_RUNTIME.get()?;
    let id = Handle::try_current().ok()?.id();
    let nets = nets.lock().unwrap_or_else(PoisonError::into_inner);
    nets.get(&id).and_then(Weak::upgrade).map(Net::from_inner)
}

/// Ends [`Net::enter`] when it is dropped. Guards end in the reverse order of their beginning.
#[derive(Debug)]
#[must_use = "the thread's network is this one only while the guard lives"]
pub struct Entered {
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let net = OF_THREAD.try_with(|nets| nets.borrow_mut().pop());
        drop(net);
    }
}
