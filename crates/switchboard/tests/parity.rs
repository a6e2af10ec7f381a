//! One body, compiled against `tokio::net` on the host's loopback and against
//! `switchboard::net` on a network of ours: what holds there holds here.
//!
//! `cargo xtask parity` checks that each method of tokio's is called in it.

/// Ends a body that hangs.
async fn within<F: Future>(body: F) -> F::Output {
    let limit = std::time::Duration::from_secs(60);
    let done = tokio::time::timeout(limit, body).await;
    done.expect("it hangs")
}

/// The body, a file for each type.
macro_rules! body {
    () => {
        mod helpers {
            use super::*;
            include!("parity/helpers.rs");
        }
        mod addr {
            use super::*;
            include!("parity/addr.rs");
        }
        mod listener {
            use super::*;
            include!("parity/listener.rs");
        }
        mod stream {
            use super::*;
            include!("parity/stream.rs");
        }
        mod readiness {
            use super::*;
            include!("parity/readiness.rs");
        }
        mod ending {
            use super::*;
            include!("parity/ending.rs");
        }
        mod halves {
            use super::*;
            include!("parity/halves.rs");
        }
        mod socket {
            use super::*;
            include!("parity/socket.rs");
        }
        mod udp {
            use super::*;
            include!("parity/udp.rs");
        }
        mod udp_errors {
            use super::*;
            include!("parity/udp_errors.rs");
        }
        mod turns {
            use super::*;
            include!("parity/turns.rs");
        }
    };
}

/// The host's sockets.
mod host {
    use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
    use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, lookup_host};

    use super::within;

    fn run<F: Future>(body: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(within(body))
    }

    body!();
}

/// Ours, in virtual time.
mod ours {
    use switchboard::net::tcp::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
    use switchboard::net::{
        TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, lookup_host,
    };

    use super::within;

    fn run<F: Future>(body: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (device, _other_end) =
                switchboard::device::pipe::pair(1500, Default::default(), 64);
            let net = switchboard::Net::builder()
                .address("10.0.0.1/24".parse().unwrap())
                .address("fd00::1/64".parse().unwrap())
                .build(device)
                .unwrap();
            let _guard = net.enter();
            within(body).await
        })
    }

    body!();
}
