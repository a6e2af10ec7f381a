//! What went wrong, as C programs expect it: one table from the core's errors to `errno`.

use std::ffi::c_int;

use switchboard_core::{
    BindError, ConnectError, ListenError, Lost, NoSuchSocket, ReceiveError, SendError,
    UdpSendError, Unreachable,
};

/// A value of `errno`; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

macro_rules! names {
    ($($name:ident),* $(,)?) => {
        impl Errno {
            $(pub(crate) const $name: Self = Self(libc::$name);)*
        }
    };
}

names!(
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EAGAIN,
    EALREADY,
    EBADF,
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EDESTADDRREQ,
    EDOM,
    EEXIST,
    EFAULT,
    EHOSTUNREACH,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    ELOOP,
    EMFILE,
    EMSGSIZE,
    ENETDOWN,
    ENETUNREACH,
    ENOBUFS,
    ENOENT,
    ENOPROTOOPT,
    ENOTCONN,
    ENOTSOCK,
    ENOTTY,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
    EPROTO,
    EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
    ETIMEDOUT,
);

impl Errno {
    /// What the last call to the C library left.
    pub(crate) fn last() -> Self {
        Self::from(std::io::Error::last_os_error())
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<NoSuchSocket> for Errno {
    /// Descriptors hold their sockets, so a name that is gone is a fault of ours.
    fn from(NoSuchSocket: NoSuchSocket) -> Self {
        Self::EBADF
    }
}

impl From<Unreachable> for Errno {
    /// As Linux has it (`icmp_err_convert`): prohibitions are unreachable hosts.
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::Network => Self::ENETUNREACH,
            Unreachable::Host | Unreachable::Prohibited | Unreachable::TimeExceeded => {
                Self::EHOSTUNREACH
            }
            Unreachable::Protocol => Self::ENOPROTOOPT,
            Unreachable::Port => Self::ECONNREFUSED,
            Unreachable::TooBig { .. } => Self::EMSGSIZE,
            Unreachable::SourceRoute => Self::EOPNOTSUPP,
            Unreachable::ParameterProblem => Self::EPROTO,
        }
    }
}

impl From<ConnectError> for Errno {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NoPortLeft { .. } | ConnectError::AddressNotAvailable => {
                Self::EADDRNOTAVAIL
            }
            ConnectError::AddressInUse => Self::EADDRINUSE,
            ConnectError::NoRoute => Self::ENETUNREACH,
            ConnectError::NoBuffers => Self::ENOBUFS,
            ConnectError::Refused => Self::ECONNREFUSED,
            ConnectError::Unreachable { why, .. } => why.into(),
            ConnectError::TimedOut { .. } => Self::ETIMEDOUT,
        }
    }
}

impl From<ListenError> for Errno {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::AddressInUse => Self::EADDRINUSE,
            ListenError::AddressNotAvailable => Self::EADDRNOTAVAIL,
            ListenError::NoBuffers => Self::ENOBUFS,
        }
    }
}

impl From<BindError> for Errno {
    fn from(error: BindError) -> Self {
        match error {
            BindError::AddressInUse => Self::EADDRINUSE,
            BindError::AddressNotAvailable => Self::EADDRNOTAVAIL,
            BindError::NoBuffers => Self::ENOBUFS,
        }
    }
}

impl From<Lost> for Errno {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Reset => Self::ECONNRESET,
            Lost::NeverConnected(error) => error.into(),
            Lost::TimedOut { hint: Some(why) } => why.into(),
            Lost::TimedOut { hint: None } => Self::ETIMEDOUT,
            Lost::Aborted => Self::ECONNABORTED,
        }
    }
}

impl From<SendError> for Errno {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NoSuchSocket => NoSuchSocket.into(),
            SendError::WouldBlock => Self::EAGAIN,
            SendError::Closed => Self::EPIPE,
            SendError::Lost(lost) => lost.into(),
        }
    }
}

impl From<ReceiveError> for Errno {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::NoSuchSocket => NoSuchSocket.into(),
            ReceiveError::WouldBlock => Self::EAGAIN,
            ReceiveError::Lost(lost) => lost.into(),
        }
    }
}

impl From<UdpSendError> for Errno {
    fn from(error: UdpSendError) -> Self {
        match error {
            UdpSendError::NoSuchSocket => NoSuchSocket.into(),
            UdpSendError::WouldBlock => Self::EAGAIN,
            UdpSendError::TooLong { .. } => Self::EMSGSIZE,
            UdpSendError::SegmentTooLong { .. } => Self::EINVAL,
            UdpSendError::BroadcastNotAllowed => Self::EACCES,
            UdpSendError::NotConnected => Self::EDESTADDRREQ,
            UdpSendError::NoRoute => Self::ENETUNREACH,
            UdpSendError::Unreachable(why) => why.into(),
        }
    }
}
