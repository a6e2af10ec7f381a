//! The guide's chapter on gateways, so that its snippets run as tests.

#[doc = include_str!("../../../docs/guide/gateway.md")]
struct Gateways;
