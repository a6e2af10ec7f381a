//! One body, compiled against `tokio::net` on the host's loopback and against
//! `switchboard::net` on a network of ours: what holds there holds here.

/// The host's sockets.
mod host {
    use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host};

    fn run<F: Future>(body: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(body)
    }

    include!("parity/body.rs");
}

/// Ours.
mod ours {
    use switchboard::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host};

    fn run<F: Future>(body: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (device, _other_end) =
                switchboard::device::pipe::pair(1500, Default::default(), 64);
            let net = switchboard::Net::builder()
                .address("10.0.0.1/24".parse().unwrap())
                .build(device)
                .unwrap();
            let _guard = net.enter();
            body.await
        })
    }

    include!("parity/body.rs");
}
