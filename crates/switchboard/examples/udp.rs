//! Datagrams, and a gateway that answers for every address there is.
//!
//! `cargo run -p switchboard --example udp`

use std::error::Error;

use bytes::Bytes;
use switchboard::device::pipe;
use switchboard::{IncomingFlow, Net, UdpMeta};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (near, far) = pipe::pair(1500, Default::default(), 256);
    let host = Net::builder().address("10.0.0.1/24".parse()?).build(near)?;
    let gateway = Net::builder()
        .address("10.0.0.254/24".parse()?)
        .any_address(true)
        .build(far)?;

    let mut flows = gateway.incoming();
    tokio::spawn(async move {
        while let Some(flow) = flows.next().await {
            let IncomingFlow::Udp(datagram) = flow else {
                continue; // Dropped, so refused.
            };
            let Ok(flow) = datagram.accept() else {
                continue;
            };
            while let Ok((payload, meta)) = flow.recv().await {
                println!("gateway: {} -> {}", meta.remote, meta.local);
                // The answer comes from the address that was asked, whichever it was.
                let answer = UdpMeta {
                    hop_limit: None,
                    ..meta
                };
                let text = format!("{} octets for {}", payload.len(), meta.local);
                let _ = flow.send(Bytes::from(text), answer).await;
            }
        }
    });

    let socket = host.udp_bind("0.0.0.0:0").await?;
    for target in ["192.0.2.1:53", "198.51.100.7:4433"] {
        socket.send_to(b"anybody there?", target).await?;
        let mut buffer = [0; 1500];
        let (count, from) = socket.recv_from(&mut buffer).await?;
        println!(
            "host: {from} says {}",
            String::from_utf8_lossy(&buffer[..count])
        );
    }
    Ok(())
}
