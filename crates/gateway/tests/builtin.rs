//! The built-in desks: the page in its three languages, and echo.

mod common;

use std::time::Duration;

use common::{World, within, world};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(5);

/// Asks for the page as a program would; says the whole answer.
async fn get(world: &World, desk: &str, accept: &str) -> String {
    let mut stream = within(SOON, world.program.tcp_connect(desk)).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: switchboard.internal\r\nAccept: {accept}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(SOON, stream.read_to_string(&mut answer))
        .await
        .unwrap();
    answer
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// Times and ports that differ from run to run, to the same width; when data is acknowledged
/// is a matter of timing too.
fn redacted(page: &str) -> String {
    let mut out = String::new();
    let mut acks = 0;
    for line in page.lines() {
        let mut line = line.to_owned();
        if line.contains("  ACK  ") {
            acks += 1;
            if acks > 1 {
                continue;
            }
        }
        if let Some(at) = line.find(" ms") {
            let start = line[..at].rfind(' ').map_or(0, |space| space + 1);
            line.replace_range(start..at, "0.00");
        }
        let mut rest = 0;
        while let Some(at) = line[rest..].find("10.0.2.100:") {
            let start = rest + at + "10.0.2.100:".len();
            let digits = line[start..]
                .chars()
                .take_while(char::is_ascii_digit)
                .count();
            line.replace_range(start..start + digits, &"#".repeat(digits));
            rest = start;
        }
        if let Some(at) = line.find("port ") {
            let start = at + "port ".len();
            let digits = line[start..]
                .chars()
                .take_while(char::is_ascii_digit)
                .count();
            if digits > 2 {
                line.replace_range(start..start + digits, &"#".repeat(digits));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[tokio::test]
async fn curl_gets_the_page_as_text() {
    let world = world().await;
    let answer = get(&world, "10.0.2.4:80", "*/*").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain"), "{answer}");
    insta::assert_snapshot!(redacted(body(&answer)));
}

#[tokio::test]
async fn browsers_get_html_with_their_own_endpoint() {
    let world = world().await;
    let accept = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
    let answer = get(&world, "10.0.2.4:80", accept).await;
    let page = body(&answer);
    assert!(answer.contains("content-type: text/html"), "{answer}");
    assert!(page.contains("You have reached one exact desk."));
    assert!(
        page.contains("held by <strong>curl[48213]</strong>"),
        "{page}"
    );
    assert!(page.contains("tcp://10.0.2.100:"), "{page}");
    assert!(page.contains("SYN|ACK"), "{page}");
    assert!(!page.contains("http-equiv") && !page.contains("<script"));
    if let Ok(path) = std::env::var("SAVE_PAGE") {
        std::fs::write(path, page).unwrap();
    }
}

#[tokio::test]
async fn programs_get_json() {
    let world = world().await;
    let answer = get(&world, "10.0.2.4:80", "application/json").await;
    let page: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(page["you"]["holder"], "curl[48213]");
    assert_eq!(page["this"]["socket"], "tcp://10.0.2.4:80");
    assert_eq!(page["state"], "ESTABLISHED");
    assert_eq!(page["packets"][0]["direction"], "->");
    assert!(
        page["packets"][0]["packet"]
            .as_str()
            .unwrap()
            .starts_with("SYN ")
    );
    let sockets = page["sockets"].as_array().unwrap();
    assert_eq!(sockets[0]["program"], "curl[48213]");
    assert_eq!(sockets[0]["state"], "ESTABLISHED");
    let listens = sockets.iter().filter(|socket| socket["state"] == "LISTEN");
    assert_eq!(listens.count(), 1);
}

#[tokio::test]
async fn the_page_is_there_over_ipv6() {
    let world = world().await;
    let answer = get(&world, "[fd5b:2::4]:80", "*/*").await;
    assert!(body(&answer).contains("tcp://[fd5b:2::4]:80"), "{answer}");
}

#[tokio::test]
async fn there_is_one_page() {
    let world = world().await;
    let mut stream = world.program.tcp_connect("10.0.2.4:80").await.unwrap();
    let request = b"GET /elsewhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    within(SOON, stream.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn echo_on_port_seven() {
    let world = world().await;
    let stream = within(SOON, world.program.tcp_connect("10.0.2.4:7"))
        .await
        .unwrap();
    let (mut read, mut write) = stream.into_split();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 253) as u8).collect();
    let send = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let receive = read.read_to_end(&mut got);
    let (_, received) = within(SOON, async { tokio::join!(send, receive) }).await;
    received.unwrap();
    assert!(got == sent, "{} octets came back", got.len());
}
