//! A user-space gateway in a page: conversations to any address are relayed to the host's
//! sockets by hand, and the caller hears what the outside said.
//!
//! The program's end is in memory here; in earnest a TUN, or packets by `device::channel`.
//! `cargo run -p switchboard-gateway --example user_space_gateway` proves it by a request.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

use switchboard::device::pipe;
use switchboard::{IncomingFlow, IncomingFlows, IncomingTcp, Net, Refusal, Unreachable};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const UNREACHABLE: Refusal = Refusal::Unreachable {
    why: Unreachable::Host,
    offender: None,
};

/// Takes every flow of the network until it ends.
async fn gateway(mut flows: IncomingFlows) {
    while let Some(flow) = flows.next().await {
        match flow {
            IncomingFlow::Tcp(call) => drop(tokio::spawn(relay(call))),
            other => drop(other), // A flow that is dropped is refused.
        }
    }
}

/// The outside connection first; only when it stands is the caller answered.
async fn relay(call: IncomingTcp) -> io::Result<()> {
    let connected = tokio::select! {
        connected = TcpStream::connect(outside(call.local())) => connected,
        () = call.expired() => return Ok(()),
    };
    let mut host = match connected {
        Ok(host) => host,
        Err(error) => {
            call.refuse(match error.kind() {
                ErrorKind::ConnectionRefused => Refusal::Reset,
                _ => UNREACHABLE,
            });
            return Err(error);
        }
    };
    copy_bidirectional(&mut call.accept()?, &mut host).await?;
    Ok(())
}

/// For this proof, 192.0.2.1 is this machine.
fn outside(wanted: SocketAddr) -> SocketAddr {
    match wanted.ip().to_string().as_str() {
        "192.0.2.1" => (Ipv4Addr::LOCALHOST, wanted.port()).into(),
        _ => wanted,
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (inner, outer) = pipe::pair(1500, Default::default(), 256);
    let net = Net::builder().any_address(true);
    let net = net.address("10.0.0.1/24".parse()?).build(outer)?;
    tokio::spawn(gateway(net.incoming()));
    let address = "10.0.0.2/24".parse()?;
    let program = Net::builder().address(address).build(inner)?;

    let server = TcpListener::bind("127.0.0.1:0").await?;
    let wanted = SocketAddr::from(([192, 0, 2, 1], server.local_addr()?.port()));
    let mut stream = program.tcp_connect(wanted).await?;
    let (mut far, _) = server.accept().await?;
    far.write_all(b"served by the host").await?;
    drop((far, server));
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    assert_eq!(said, "served by the host");
    let refused = program.tcp_connect(wanted).await;
    println!("{said}, then: {}", refused.err().ok_or("answered")?);
    Ok(())
}
