//! Stacks.

use std::ffi::{c_char, c_int};
use std::sync::Arc;
use std::time::Duration;

use crate::descriptor;
use crate::errno::Errno;
use crate::kernel;
use crate::signal::Signal;
use crate::stack::{self, Plan};
use crate::user;

/// `sb_config.flags`: time is the stack's own. It stands still while any thread that uses the
/// stack runs, and jumps to the next timer when all of them wait in a call. Only for
/// `sb_stack_open_pair`.
pub const SB_VIRTUAL_TIME: u32 = 1;

/// How a stack is made. Set everything to zero, then what you want.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sb_config {
    /// `sizeof(struct sb_config)`.
    pub size: usize,
    /// Its addresses: `"10.0.0.1/24"`, or several, separated by commas or spaces.
    pub addresses: *const c_char,
    /// Largest packet of the link, in octets; 0: 1500.
    pub mtu: u32,
    /// `SB_VIRTUAL_TIME`, or 0.
    pub flags: u32,
    /// Ports and sequence numbers come from it, for tests that repeat; 0: from the system.
    pub seed: u64,
}

/// # Safety
///
/// `config` is null or good for reading its `size` octets; its text ends with a zero.
unsafe fn plan(config: *const sb_config) -> Result<Plan, Errno> {
    // SAFETY: the caller vouches for the first field at least.
    let size = unsafe { user::get(config.cast::<usize>()) }?;
    if size < size_of::<sb_config>() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the caller vouches for `size` octets.
    let config = unsafe { user::get(config) }?;
    if config.flags & !SB_VIRTUAL_TIME != 0 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the caller vouches for the text.
    let addresses = unsafe { user::text(config.addresses) }?;
    Ok(Plan {
        addresses: Plan::parse_addresses(addresses)?,
        mtu: config.mtu as usize,
        seed: config.seed,
        is_virtual: config.flags & SB_VIRTUAL_TIME != 0,
    })
}

/// Opens a stack over the TUN interface `name`, which is made if there is none (that takes
/// `CAP_NET_ADMIN`; addresses and routes of the kernel's side are the caller's to set). Returns the
/// stack's descriptor.
///
/// # Safety
///
/// `name` is a text, `config` points to a configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_stack_open_tun(name: *const c_char, config: *const sb_config) -> c_int {
    user::answer(|| {
        // SAFETY: the caller vouches.
        let (name, plan) = unsafe { (user::text(name)?, plan(config)?) };
        stack::open_descriptor(kernel::open_tun(name)?, plan)
    })
}

/// Opens a stack over a descriptor of the kernel's that carries one IP packet for each read and
/// write: a TUN that somebody else opened, a pair of `SOCK_DGRAM` or `SOCK_SEQPACKET` sockets. The
/// descriptor stays the caller's, the open file becomes non-blocking. Returns the stack's
/// descriptor.
///
/// # Safety
///
/// `config` points to a configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_stack_open_fd(fd: c_int, config: *const sb_config) -> c_int {
    user::answer(|| {
        // SAFETY: the caller vouches.
        let plan = unsafe { plan(config) }?;
        if fd < 0 || descriptor::is_ours(fd) {
            return Err(Errno::EBADF);
        }
        stack::open_descriptor(kernel::duplicate(fd)?, plan)
    })
}

/// Opens two stacks with a link between them in memory: `stacks[0]` by `first`, `stacks[1]` by
/// `second`.
///
/// # Safety
///
/// `stacks` has room for two descriptors, `first` and `second` point to configurations.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sb_stack_open_pair(
    stacks: *mut c_int,
    first: *const sb_config,
    second: *const sb_config,
) -> c_int {
    user::answer_done(|| {
        // SAFETY: the caller vouches.
        let (first, second, room) =
            unsafe { (plan(first)?, plan(second)?, user::array(stacks, 2)?) };
        room.copy_from_slice(&stack::open_pair(first, second)?);
        Ok(())
    })
}

/// `sb_socket` makes its sockets on `stack` from now on, in all threads. Until the first call it
/// is the stack that was opened first.
#[unsafe(no_mangle)]
pub extern "C" fn sb_stack_use(stack: c_int) -> c_int {
    user::answer_done(|| stack::make_default(stack))
}

/// The stack's time: nanoseconds since it was opened. Negative: `errno`.
#[unsafe(no_mangle)]
pub extern "C" fn sb_stack_time(stack: c_int) -> i64 {
    user::answer(|| {
        stack::with(stack, |stack| {
            let now = stack.network.now(&stack.network.lock());
            Ok(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
        })
    })
}

/// Sleeps for `nanoseconds` of the stack's time.
#[unsafe(no_mangle)]
pub extern "C" fn sb_stack_sleep(stack: c_int, nanoseconds: u64) -> c_int {
    user::answer_done(|| {
        let network = stack::with(stack, |stack| Ok(Arc::clone(&stack.network)))?;
        let until = network.now(&network.lock()) + Duration::from_nanos(nanoseconds);
        network.sleep(&Arc::new(Signal::default()), Some(until));
        Ok(())
    })
}
