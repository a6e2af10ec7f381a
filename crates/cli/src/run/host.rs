//! Who has which host number in the inside network: what slirp4netns users know, and three more.

/// The program: 10.0.2.100.
pub(crate) const PROGRAM_V4: u8 = 100;
/// The program over IPv6: `::100`, which reads alike.
pub(crate) const PROGRAM_V6: u16 = 0x100;
/// The gateway.
pub(crate) const GATEWAY: u8 = 2;
/// The directory (DNS).
pub(crate) const DNS: u8 = 3;
/// The built-in server.
pub(crate) const BUILTIN: u8 = 4;
/// Nobody: `silent.switchboard.internal`.
pub(crate) const SILENT: u8 = 5;
