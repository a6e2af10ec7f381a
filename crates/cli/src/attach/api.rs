//! slirp4netns's API: one request in JSON for each connection to a UNIX socket.
//!
//! `add_hostfwd`, `list_hostfwd` and `remove_hostfwd`; the client may half-close behind its
//! request, and the answer is followed by our end of the connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use switchboard_gateway::{Forward, Gateway, HostAddress};
use switchboard_wire::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};

/// A request has to be shorter than this, in octets.
const REQUEST_MAX: usize = 4096;

/// How long a client may take for its request, and for reading the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients at once; others wait in the socket's backlog.
const CLIENTS_MAX: usize = 32;

/// Pause after an error of `accept` that will not go away by itself (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens, lists and closes forwards on request.
pub(crate) struct Api {
    gateway: Arc<Gateway>,
    /// Where forwards lead unless they say.
    guest: HostAddress,
    /// Requests are served one after the other, as slirp4netns does.
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    last_id: u64,
    open: Vec<Entry>,
}

/// A forward, as `list_hostfwd` shows it.
#[derive(Clone, Debug, Serialize)]
struct Entry {
    id: u64,
    proto: Proto,
    host_addr: IpAddr,
    host_port: u16,
    guest_addr: IpAddr,
    guest_port: u16,
}

impl Entry {
    fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.host_addr, self.host_port)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Proto {
    Tcp,
    Udp,
}

impl Proto {
    fn protocol(self) -> Protocol {
        match self {
            Self::Tcp => Protocol::Tcp,
            Self::Udp => Protocol::Udp,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Request {
    execute: String,
    #[serde(default)]
    arguments: Value,
}

#[derive(Debug, Deserialize)]
struct Add {
    proto: Proto,
    #[serde(default, deserialize_with = "address")]
    host_addr: Option<IpAddr>,
    host_port: u16,
    #[serde(default, deserialize_with = "address")]
    guest_addr: Option<IpAddr>,
    guest_port: u16,
}

/// podman leaves an address empty where it means none.
fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
    match Option::<String>::deserialize(from)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(D::Error::custom),
    }
}

#[derive(Debug, Deserialize)]
struct Remove {
    id: u64,
}

impl Api {
    pub(super) fn new(gateway: Arc<Gateway>, guest: HostAddress) -> Self {
        Self {
            gateway,
            guest,
            entries: Mutex::default(),
        }
    }

    /// Serves at `path` from now on, on the current runtime. A socket that was left there is
    /// replaced; nothing else is.
    pub(super) fn listen(self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::FileTypeExt as _;

        let left = std::fs::symlink_metadata(path);
        if left.is_ok_and(|left| left.file_type().is_socket()) {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        let (api, clients) = (Arc::new(self), Arc::new(Semaphore::new(CLIENTS_MAX)));
        tokio::spawn(async move {
            while let Ok(permit) = clients.clone().acquire_owned().await {
                match listener.accept().await {
                    Ok((client, _)) => {
                        let api = api.clone();
                        tokio::spawn(async move {
                            let _ = tokio::time::timeout(PATIENCE, api.serve(client)).await;
                            drop(permit);
                        });
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        });
        Ok(())
    }

    async fn serve(&self, mut client: UnixStream) -> io::Result<()> {
        let answer = match read_request(&mut client).await? {
            Ok(request) => match self.execute(&request).await {
                Ok(answer) => json!({ "return": answer }),
                Err(why) => refusal(&why),
            },
            Err(why) => refusal(&why),
        };
        client.write_all(answer.to_string().as_bytes()).await?;
        client.shutdown().await
    }

    async fn execute(&self, request: &Request) -> Result<Value, String> {
        let name = &request.execute;
        let wrong = |error| format!("bad request: {name}: bad arguments: {error}");
        let mut entries = self.entries.lock().await;
        match name.as_str() {
            "add_hostfwd" => {
                let add = Add::deserialize(&request.arguments).map_err(wrong)?;
                self.add(&mut entries, &add).await
            }
            "list_hostfwd" => Ok(json!({ "entries": entries.open })),
            "remove_hostfwd" => {
                let Remove { id } = Remove::deserialize(&request.arguments).map_err(wrong)?;
                self.remove(&mut entries, id).await
            }
            _ => Err(format!("bad request: unknown execute: {name}")),
        }
    }

    async fn add(&self, entries: &mut Entries, add: &Add) -> Result<Value, String> {
        if add.host_port == 0 || add.guest_port == 0 {
            return Err("bad request: add_hostfwd: a port of 0".to_owned());
        }
        let host = add.host_addr.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let named = add.guest_addr.filter(|guest| !guest.is_unspecified());
        let default = self.guest.of_family(host).or(self.guest.v4.map(IpAddr::V4));
        let guest = named.or(default).ok_or("there is no guest address")?;
        let forward = Forward {
            protocol: add.proto.protocol(),
            listen: SocketAddr::new(host, add.host_port),
            target: SocketAddr::new(guest, add.guest_port),
        };
        self.gateway.forward(forward).await.map_err(|error| {
            format!(
                "bad request: add_hostfwd: cannot listen at {}: {error}",
                forward.listen
            )
        })?;
        entries.last_id += 1;
        let id = entries.last_id;
        entries.open.push(Entry {
            id,
            proto: add.proto,
            host_addr: host,
            host_port: add.host_port,
            guest_addr: guest,
            guest_port: add.guest_port,
        });
        Ok(json!({ "id": id }))
    }

    async fn remove(&self, entries: &mut Entries, id: u64) -> Result<Value, String> {
        let at = entries.open.iter().position(|entry| entry.id == id);
        let at = at.ok_or("bad request: remove_hostfwd: bad arguments.id")?;
        let entry = entries.open.remove(at);
        let protocol = entry.proto.protocol();
        self.gateway.close_forward(protocol, entry.listen()).await;
        Ok(json!({}))
    }
}

fn refusal(why: &str) -> Value {
    json!({ "error": { "desc": why } })
}

/// The request, as soon as it is whole: not every client half-closes.
async fn read_request(client: &mut UnixStream) -> io::Result<Result<Request, String>> {
    let mut octets = Vec::with_capacity(REQUEST_MAX);
    loop {
        let ended = client.read_buf(&mut octets).await? == 0;
        match serde_json::from_slice(&octets) {
            Ok(request) => return Ok(Ok(request)),
            Err(error) if ended || !error.is_eof() => {
                return Ok(Err(format!("bad request: {error}")));
            }
            Err(_) if octets.len() >= REQUEST_MAX => {
                let why = format!("bad request: not shorter than {REQUEST_MAX} octets");
                return Ok(Err(why));
            }
            Err(_) => {}
        }
    }
}
