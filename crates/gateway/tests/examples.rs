//! The examples do what they say: each checks itself.

#[path = "../examples/host_network.rs"]
mod host_network;
#[path = "../examples/user_space_gateway.rs"]
mod user_space_gateway;

#[test]
fn the_host_network_moves_a_gibibyte() {
    host_network::main().unwrap();
}

#[test]
fn the_gateway_in_a_page_relays_and_refuses() {
    user_space_gateway::main().unwrap();
}
