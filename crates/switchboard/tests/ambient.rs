//! Which network a call without one means.

mod common;

use std::io::ErrorKind;
use std::sync::Mutex;

use common::{B, host_a, host_b, plain_pipe};
use switchboard::Net;
use switchboard::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use tokio::runtime::{Builder, Runtime};

/// The process's network is one for all tests of this file.
static PROCESS: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    PROCESS
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    builder
}

/// Listens on B and answers one call; the address tells which network it was.
async fn serve_one(b: &Net) -> tokio::task::JoinHandle<()> {
    let listener = b.tcp_listen((B, 80)).await.unwrap();
    tokio::spawn(async move {
        listener.accept().await.unwrap();
    })
}

/// What unmodified code does: it names no network, and spawns.
async fn unmodified() {
    let task = tokio::spawn(async {
        let stream = TcpStream::connect((B, 80)).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), "10.0.0.1");
    });
    task.await.unwrap();
}

#[test]
fn none_says_so() {
    let _alone = alone();
    current_thread().block_on(async {
        let error = TcpStream::connect((B, 80)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("Net::set_default"), "{error}");
        assert!(TcpListener::bind((B, 80)).await.is_err());
        assert!(UdpSocket::bind((B, 80)).await.is_err());
        assert!(lookup_host("localhost:80").await.is_err());
    });
}

#[test]
fn entered_reaches_spawned_tasks_of_a_current_thread_runtime() {
    let _alone = alone();
    current_thread().block_on(async {
        let (a, b) = plain_pipe();
        let (a, b) = (host_a().build(a).unwrap(), host_b().build(b).unwrap());
        let served = serve_one(&b).await;
        let guard = a.enter();
        unmodified().await;
        served.await.unwrap();
        drop(guard);
        assert!(Net::try_current().is_err());
    });
}

#[test]
fn installed_reaches_spawned_tasks_of_a_multi_thread_runtime() {
    let _alone = alone();
    let (a, b) = plain_pipe();
    let (a, driver) = host_a().build_with_driver(a).unwrap();
    let mut builder = multi_thread();
    a.install(&mut builder);
    let runtime = builder.build().unwrap();
    runtime.spawn(driver);
    runtime.block_on(async {
        let b = host_b().build(b).unwrap();
        let served = serve_one(&b).await;
        unmodified().await;
        served.await.unwrap();
    });
}

#[test]
fn a_runtime_has_a_network_of_either_kind() {
    let _alone = alone();
    for runtime in [current_thread(), multi_thread().build().unwrap()] {
        let net = runtime.block_on(async {
            let (a, b) = plain_pipe();
            let (a, b) = (host_a().build(a).unwrap(), host_b().build(b).unwrap());
            a.use_on(&tokio::runtime::Handle::current());
            let served = serve_one(&b).await;
            unmodified().await;
            served.await.unwrap();
            a
        });
        drop(net);
        // The runtime does not keep it alive.
        runtime.block_on(async { assert!(Net::try_current().is_err()) });
    }
}

#[test]
fn the_process_has_a_network() {
    let _alone = alone();
    multi_thread().build().unwrap().block_on(async {
        let (a, b) = plain_pipe();
        let (a, b) = (host_a().build(a).unwrap(), host_b().build(b).unwrap());
        Net::set_default(Some(a));
        let served = serve_one(&b).await;
        unmodified().await;
        served.await.unwrap();
        Net::set_default(None);
        assert!(Net::try_current().is_err());
    });
}

#[test]
fn a_task_may_have_its_own_before_all_others() {
    let _alone = alone();
    current_thread().block_on(async {
        let (a, b) = plain_pipe();
        let (a, b) = (host_a().build(a).unwrap(), host_b().build(b).unwrap());
        let _guard = a.enter();
        let here = async {
            Net::try_current().unwrap().addresses()[0]
                .address
                .to_string()
        };
        assert_eq!(b.scope(here).await, "10.0.0.2");
        let here = async {
            Net::try_current().unwrap().addresses()[0]
                .address
                .to_string()
        };
        assert_eq!(here.await, "10.0.0.1");
        let here = async {
            Net::try_current().unwrap().addresses()[0]
                .address
                .to_string()
        };
        assert_eq!(tokio::spawn(b.scope(here)).await.unwrap(), "10.0.0.2");
    });
}

#[test]
fn names_are_found() {
    let _alone = alone();
    current_thread().block_on(async {
        let (a, _b) = plain_pipe();
        let resolver = |name: &str| -> switchboard::net::Resolving {
            let name = name.to_owned();
            Box::pin(async move {
                match name.as_str() {
                    "dynamic.test" => Ok(vec!["192.0.2.7".parse().unwrap()]),
                    _ => Err(std::io::Error::from(ErrorKind::NotFound)),
                }
            })
        };
        let net = host_a()
            .host("Server.test", B.parse().unwrap())
            .host("server.test", "fd00::2".parse().unwrap())
            .resolver(resolver)
            .build(a)
            .unwrap();
        let found: Vec<_> = net.lookup_host("server.test.:80").await.unwrap().collect();
        assert_eq!(found[0].to_string(), "10.0.0.2:80");
        assert_eq!(found[1].to_string(), "[fd00::2]:80");
        let found = net.lookup_host(("dynamic.test", 1)).await.unwrap().next();
        assert_eq!(found.unwrap().to_string(), "192.0.2.7:1");
        let error = net
            .lookup_host("other.test:80")
            .await
            .map(drop)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = net.lookup_host("no port").await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}
