//! `switchboard open URL`: the six steps of one conversation, with its real packets.
//!
//! Needs no namespace, device or right: two of our stacks joined in memory. One is the
//! program (10.0.2.100), the other a gateway with the built-in desks, which reaches the real
//! network through this machine's own sockets.
//!
//! The story goes to stderr; where stdout is no terminal, or with `--body`, the page's octets
//! go to stdout.

mod destination;
mod directory;
mod network;
mod packets;
mod page;
mod story;

use std::io::{IsTerminal as _, Write as _};

use crate::flags::OpenFlags;
use crate::{DONE, FAILED, WRONG_USAGE, say};

use destination::Destination;
use network::Network;
use story::Story;

/// Tells the story of one conversation; the exit code says how it ended.
pub(crate) fn main(flags: &OpenFlags) -> u8 {
    let destination = match Destination::parse(&flags.url) {
        Ok(destination) => destination,
        Err(error) => {
            say::error(format_args!("{error} (see switchboard open --help)"));
            return WRONG_USAGE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let told = match runtime {
        Ok(runtime) => runtime.block_on(tell(flags, &destination)),
        Err(error) => Err(error),
    };
    match told {
        Ok(true) => DONE,
        Ok(false) => FAILED,
        Err(error) => {
            say::error(format_args!("open {}: {error}", flags.url));
            FAILED
        }
    }
}

/// The conversation itself. `Ok(false)`: it was told how it failed.
async fn tell(flags: &OpenFlags, destination: &Destination) -> std::io::Result<bool> {
    let network = Network::start().await?;
    let story = Story::new(&network, destination, flags.timeout);
    let Some(body) = story.tell().await else {
        return Ok(false);
    };
    let stdout = std::io::stdout();
    if flags.body || !stdout.is_terminal() {
        // A reader that went away (`| head`) is no failure of the conversation.
        let mut stdout = stdout.lock();
        let _ = stdout.write_all(&body).and_then(|()| stdout.flush());
    }
    Ok(true)
}
