//! The guide's chapters, so that their snippets run as tests.

#[doc = include_str!("../../../docs/guide/sockets.md")]
struct Sockets;

#[doc = include_str!("../../../docs/guide/tuning.md")]
struct Tuning;

#[doc = include_str!("../../../docs/guide/devices.md")]
struct Devices;

#[doc = include_str!("../../../docs/guide/from-ipstack.md")]
struct FromIpstack;

#[cfg(feature = "sim")]
#[doc = include_str!("../../../docs/guide/simulation.md")]
struct Simulation;

#[doc = include_str!("../../../docs/guide/names.md")]
struct Names;

#[doc = include_str!("../../../docs/guide/adapters.md")]
struct Adapters;

#[doc = include_str!("../../../docs/guide/from-smoltcp.md")]
struct FromSmoltcp;
