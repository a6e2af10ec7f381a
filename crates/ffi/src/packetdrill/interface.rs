//! The table that packetdrill has a library fill in, and the functions in it.
//!
//! Each takes the pointer that we put first in the table. `fcntl` and `ioctl` are variadic there;
//! on the platforms that we build for a variadic argument is passed as any other is.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_uint, c_ulong, c_void};

use libc::{epoll_event, iovec, loff_t, msghdr, nfds_t, pollfd, sockaddr, socklen_t, ssize_t};

use super::adapter::Adapter;
use crate::abi::{io, multiplex, options, socket};
use crate::errno::Errno;
use crate::user;

type Me = *mut c_void;

macro_rules! table {
    ($($field:ident: fn($($arg:ty),*) $(-> $out:ty)? = $function:expr;)*) => {
        /// `struct packetdrill_interface`: a pointer of ours, then functions that get it.
        #[repr(C)]
        pub struct packetdrill_interface {
            userdata: Me,
            $($field: unsafe extern "C" fn(Me $(, $arg)*) $(-> $out)?,)*
        }

        impl packetdrill_interface {
            fn new(userdata: Me) -> Self {
                Self { userdata, $($field: $function,)* }
            }
        }
    };
}

table! {
    free: fn() = free;
    socket: fn(c_int, c_int, c_int) -> c_int = open_socket;
    bind: fn(c_int, *const sockaddr, socklen_t) -> c_int = bind;
    listen: fn(c_int, c_int) -> c_int = listen;
    accept: fn(c_int, *mut sockaddr, *mut socklen_t) -> c_int = accept;
    connect: fn(c_int, *const sockaddr, socklen_t) -> c_int = connect;
    read: fn(c_int, *mut c_void, usize) -> ssize_t = read;
    readv: fn(c_int, *const iovec, c_int) -> ssize_t = readv;
    recv: fn(c_int, *mut c_void, usize, c_int) -> ssize_t = recv;
    recvfrom: fn(c_int, *mut c_void, usize, c_int, *mut sockaddr, *mut socklen_t) -> ssize_t = recvfrom;
    recvmsg: fn(c_int, *mut msghdr, c_int) -> ssize_t = recvmsg;
    write: fn(c_int, *const c_void, usize) -> ssize_t = write;
    writev: fn(c_int, *const iovec, c_int) -> ssize_t = writev;
    send: fn(c_int, *const c_void, usize, c_int) -> ssize_t = send;
    sendto: fn(c_int, *const c_void, usize, c_int, *const sockaddr, socklen_t) -> ssize_t = sendto;
    sendmsg: fn(c_int, *const msghdr, c_int) -> ssize_t = sendmsg;
    fcntl: fn(c_int, c_int, libc::c_long) -> c_int = fcntl;
    ioctl: fn(c_int, c_ulong, *mut c_void) -> c_int = ioctl;
    close: fn(c_int) -> c_int = close;
    shutdown: fn(c_int, c_int) -> c_int = shutdown;
    getsockopt: fn(c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int = getsockopt;
    setsockopt: fn(c_int, c_int, c_int, *const c_void, socklen_t) -> c_int = setsockopt;
    poll: fn(*mut pollfd, nfds_t, c_int) -> c_int = poll;
    netdev_send: fn(*const c_void, usize) -> c_int = netdev_send;
    netdev_receive: fn(*mut c_void, *mut usize, *mut c_longlong) -> c_int = netdev_receive;
    usleep: fn(c_uint) -> c_int = usleep;
    gettimeofday: fn(*mut libc::timeval, *mut c_void) -> c_int = gettimeofday;
    epoll_create: fn(c_int) -> c_int = epoll_create;
    epoll_ctl: fn(c_int, c_int, c_int, *mut epoll_event) -> c_int = epoll_ctl;
    epoll_wait: fn(c_int, *mut epoll_event, c_int, c_int) -> c_int = epoll_wait;
    pipe: fn(*mut c_int) -> c_int = pipe;
    splice: fn(c_int, *mut loff_t, c_int, *mut loff_t, usize, c_uint) -> ssize_t = splice;
}

/// What packetdrill calls after loading the library: `--so_flags` (`mtu=1520`, say, or null) and
/// the table to fill in.
///
/// # Safety
///
/// `flags` is null or a text; `table` is good for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packetdrill_interface_init(
    flags: *const c_char,
    table: *mut packetdrill_interface,
) {
    let made = user::answer(|| {
        let flags = if flags.is_null() {
            ""
        } else {
            // SAFETY: not null, and the caller vouches.
            unsafe { CStr::from_ptr(flags) }
                .to_str()
                .map_err(|_| Errno::EINVAL)?
        };
        let adapter = Box::new(Adapter::new(flags)?);
        let table_of = packetdrill_interface::new(Box::into_raw(adapter).cast());
        // SAFETY: the caller vouches.
        unsafe { table.write(table_of) };
        Ok(0_i32)
    });
    if made != 0 {
        eprintln!(
            "switchboard: cannot make a stack: {}",
            std::io::Error::last_os_error()
        );
        std::process::exit(1);
    }
}

/// The adapter that `me` is.
///
/// # Safety
///
/// `me` comes from `packetdrill_interface_init` and was not freed.
unsafe fn adapter<'a>(me: Me) -> &'a Adapter {
    // SAFETY: it was made of a box there, and only shared references are made of it since.
    unsafe { &*me.cast::<Adapter>() }
}

// SAFETY of all of these: packetdrill hands each its own pointer back, and what it would hand to
// the C library's function of that name.

unsafe extern "C" fn free(me: Me) {
    // SAFETY: made of a box, and freed once, as the last call.
    drop(unsafe { Box::from_raw(me.cast::<Adapter>()) });
}

unsafe extern "C" fn open_socket(me: Me, domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    // SAFETY: see above.
    let adapter = unsafe { adapter(me) };
    adapter.take_settings();
    socket::sb_socket_on(adapter.stack(), domain, kind, protocol)
}

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty = $to:path;)*) => {
        $(unsafe extern "C" fn $name(me: Me, $($arg: $type),*) -> $out {
            // SAFETY: see above.
            unsafe { adapter(me) }.take_settings();
            // SAFETY: see above; some of them are safe.
            #[allow(unused_unsafe, reason = "functions without pointers are safe")]
            unsafe { $to($($arg),*) }
        })*
    };
}

pass_on! {
    bind(fd: c_int, at: *const sockaddr, len: socklen_t) -> c_int = socket::sb_bind;
    listen(fd: c_int, backlog: c_int) -> c_int = socket::sb_listen;
    accept(fd: c_int, at: *mut sockaddr, len: *mut socklen_t) -> c_int = socket::sb_accept;
    connect(fd: c_int, at: *const sockaddr, len: socklen_t) -> c_int = socket::sb_connect;
    read(fd: c_int, to: *mut c_void, len: usize) -> ssize_t = io::sb_read;
    readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t = io::sb_readv;
    recv(fd: c_int, to: *mut c_void, len: usize, flags: c_int) -> ssize_t = io::sb_recv;
    recvfrom(
        fd: c_int, to: *mut c_void, len: usize, flags: c_int,
        from: *mut sockaddr, from_len: *mut socklen_t
    ) -> ssize_t = io::sb_recvfrom;
    recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t = io::sb_recvmsg;
    write(fd: c_int, from: *const c_void, len: usize) -> ssize_t = io::sb_write;
    writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t = io::sb_writev;
    send(fd: c_int, from: *const c_void, len: usize, flags: c_int) -> ssize_t = io::sb_send;
    sendto(
        fd: c_int, from: *const c_void, len: usize, flags: c_int,
        to: *const sockaddr, to_len: socklen_t
    ) -> ssize_t = io::sb_sendto;
    sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t = io::sb_sendmsg;
    fcntl(fd: c_int, command: c_int, argument: libc::c_long) -> c_int = options::sb_fcntl;
    ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int = options::sb_ioctl;
    close(fd: c_int) -> c_int = socket::sb_close;
    shutdown(fd: c_int, how: c_int) -> c_int = socket::sb_shutdown;
    getsockopt(
        fd: c_int, level: c_int, name: c_int, value: *mut c_void, len: *mut socklen_t
    ) -> c_int = options::sb_getsockopt;
    setsockopt(
        fd: c_int, level: c_int, name: c_int, value: *const c_void, len: socklen_t
    ) -> c_int = options::sb_setsockopt;
    poll(entries: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int = multiplex::sb_poll;
    epoll_create(size: c_int) -> c_int = multiplex::sb_epoll_create;
    epoll_ctl(epoll: c_int, op: c_int, fd: c_int, event: *mut epoll_event) -> c_int
        = multiplex::sb_epoll_ctl;
    epoll_wait(epoll: c_int, events: *mut epoll_event, count: c_int, timeout: c_int) -> c_int
        = multiplex::sb_epoll_wait;
}

unsafe extern "C" fn netdev_send(me: Me, packet: *const c_void, len: usize) -> c_int {
    user::answer_done(|| {
        // SAFETY: see above.
        let packet = unsafe { user::octets(packet, len) }?;
        // SAFETY: see above.
        unsafe { adapter(me) }.send(packet);
        Ok(())
    })
}

unsafe extern "C" fn netdev_receive(
    me: Me,
    buffer: *mut c_void,
    len: *mut usize,
    time: *mut c_longlong,
) -> c_int {
    user::answer_done(|| {
        // SAFETY: see above.
        let (at, packet) = unsafe { adapter(me) }.receive();
        // SAFETY: see above.
        let room = unsafe { user::get(len) }?;
        // SAFETY: see above.
        let mut sink = unsafe { user::Sink::plain(buffer, room) }?;
        sink.put(&packet);
        // SAFETY: see above.
        unsafe {
            user::put(len, sink.filled())?;
            user::put(
                time,
                c_longlong::try_from(at.as_micros()).unwrap_or(c_longlong::MAX),
            )
        }
    })
}

unsafe extern "C" fn usleep(me: Me, micros: c_uint) -> c_int {
    user::answer_done(|| {
        let time = std::time::Duration::from_micros(micros.into());
        // SAFETY: see above.
        unsafe { adapter(me) }.sleep(time);
        Ok(())
    })
}

unsafe extern "C" fn gettimeofday(me: Me, time: *mut libc::timeval, _zone: *mut c_void) -> c_int {
    user::answer_done(|| {
        // SAFETY: see above.
        let now = unsafe { adapter(me) }.time_of_day();
        let now = libc::timeval {
            tv_sec: libc::time_t::try_from(now.as_secs()).map_err(|_| Errno::EINVAL)?,
            tv_usec: now.subsec_micros().into(),
        };
        // SAFETY: see above.
        unsafe { user::put(time, now) }
    })
}

unsafe extern "C" fn pipe(_me: Me, ends: *mut c_int) -> c_int {
    // SAFETY: see above. The kernel's: there is no pipe of ours.
    unsafe { libc::pipe(ends) }
}

unsafe extern "C" fn splice(
    _me: Me,
    _from: c_int,
    _from_at: *mut loff_t,
    _to: c_int,
    _to_at: *mut loff_t,
    _len: usize,
    _flags: c_uint,
) -> ssize_t {
    // The kernel's alone can move between its descriptors and ours: nobody can.
    user::answer_len(|| Err(Errno::EINVAL))
}
