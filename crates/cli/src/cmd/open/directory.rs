//! Which building? A question to the directory, over a datagram socket of ours.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use switchboard::Net;

/// How long the directory may think before the question is asked again (RFC 1035 section
/// 4.2.1 leaves it to us; resolvers take 5 s).
const PATIENCE: Duration = Duration::from_secs(5);

/// What the directory said.
#[derive(Debug)]
pub(super) enum Answer {
    /// The name is these addresses.
    Addresses(Vec<IpAddr>),
    /// No such name, or no address of it.
    NoSuchName,
    /// It could not find out; its own word for why.
    CouldNot(String),
}

/// One question and what came of it.
pub(super) struct Lookup {
    /// Our endpoint of the question.
    pub(super) near: SocketAddr,
    /// `A` or `AAAA`.
    pub(super) record_type: RecordType,
    /// What the directory said.
    pub(super) answer: Answer,
}

/// Asks for the addresses of `name`: IPv4 first, IPv6 where there is none.
pub(super) async fn look_up(
    net: &Net,
    near: IpAddr,
    directory: SocketAddr,
    name: &str,
) -> io::Result<Vec<Lookup>> {
    let mut lookups = Vec::new();
    for record_type in [RecordType::A, RecordType::AAAA] {
        let lookup = ask(net, near, directory, name, record_type).await?;
        let done = !matches!(lookup.answer, Answer::Addresses(ref found) if found.is_empty());
        lookups.push(lookup);
        if done {
            break;
        }
    }
    Ok(lookups)
}

async fn ask(
    net: &Net,
    near: IpAddr,
    directory: SocketAddr,
    name: &str,
    record_type: RecordType,
) -> io::Result<Lookup> {
    let socket = net.udp_bind(SocketAddr::new(near, 0)).await?;
    socket.connect(directory).await?;
    let wrong = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
    let name = Name::from_ascii(name)
        .map_err(wrong)?
        .append_domain(&Name::root())
        .map_err(wrong)?;
    let port = socket.local_addr()?.port();
    let mut question = Message::new(port, MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name, record_type));
    let question = question.to_vec().map_err(wrong)?;
    socket.send(&question).await?;
    let mut buffer = vec![0; 4096];
    let answer = match tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await {
        Err(_) => Answer::CouldNot("no answer".to_owned()),
        Ok(len) => read(buffer.get(..len?).unwrap_or_default()),
    };
    Ok(Lookup {
        near: socket.local_addr()?,
        record_type,
        answer,
    })
}

fn read(octets: &[u8]) -> Answer {
    let message = match Message::from_vec(octets) {
        Ok(message) => message,
        Err(error) => return Answer::CouldNot(error.to_string()),
    };
    match message.metadata.response_code {
        ResponseCode::NoError => Answer::Addresses(
            message
                .answers
                .iter()
                .filter_map(|record| match &record.data {
                    RData::A(address) => Some(IpAddr::V4(address.0)),
                    RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                    _ => None,
                })
                .collect(),
        ),
        ResponseCode::NXDomain => Answer::NoSuchName,
        code => Answer::CouldNot(code.to_string()),
    }
}
