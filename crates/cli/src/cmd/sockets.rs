//! `switchboard sockets [PID]`.

use crate::flags::SocketsFlags;
use crate::{FAILED, say};

pub(crate) fn main(flags: &SocketsFlags) -> u8 {
    let _ = (flags.pid, flags.json);
    say::error("no run is under way");
    FAILED
}
