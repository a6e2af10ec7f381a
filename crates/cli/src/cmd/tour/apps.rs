//! Stop 8: what sockets connect.

use std::time::Duration;

use bytes::Bytes;
use switchboard_sim::stack::{Shutdown, TcpOptions};
use switchboard_sim::{Failure, Seed, World, host};

use super::Page;
use super::office::endpoint;

pub(super) fn tell(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    let mut world = World::new(seed);
    let machine = world.host("machine", host::config(&["10.0.0.1/24"]));
    let desk = endpoint("10.0.0.1:5432");
    let failed = |world: &World, what: &str| world.fail(what.to_owned());
    let options = TcpOptions::default();
    let listener = world.call(machine, |stack, _| stack.call_tcp_listen(desk, 8, &options));
    let dialled = world.call(machine, |stack, now| {
        stack.call_tcp_connect(now, None, desk, &options)
    });
    let (Ok(listener), Ok(shop)) = (listener, dialled) else {
        return Err(failed(&world, "the two apps cannot open their sockets"));
    };
    pass(&mut world)?;
    let accepted = world.call(machine, |stack, now| stack.call_tcp_accept(now, listener));
    let Ok(Some(accepted)) = accepted else {
        return Err(failed(&world, "the database got no call"));
    };
    let mut question = Bytes::from_static(b"How many apples are left?");
    let _ = world.call(machine, |stack, now| {
        stack.call_tcp_send(now, shop, &mut question)
    });
    pass(&mut world)?;
    let asked = world.call(machine, |stack, now| {
        let asked = stack.call_tcp_receive(now, accepted.id, usize::MAX);
        let _ = stack.call_tcp_send_slice(now, accepted.id, b"Seven.");
        let _ = stack.call_tcp_shutdown(now, accepted.id, Shutdown::Write);
        asked
    });
    pass(&mut world)?;
    let told = world.call(machine, |stack, now| {
        stack.call_tcp_receive(now, shop, usize::MAX)
    });
    let text = |heard: Result<Bytes, _>| {
        heard.map_or_else(
            |error: switchboard_sim::stack::ReceiveError| format!("{error:?}"),
            |heard| String::from_utf8_lossy(&heard).into_owned(),
        )
    };
    page.line("Two apps on one machine, a shop and a database, talk as if they were far apart:");
    page.gap();
    page.line(format_args!(
        "  shop      tcp://{}   asks     \"{}\"",
        accepted.remote,
        text(asked)
    ));
    page.line(format_args!(
        "  database  tcp://{desk}    answers  \"{}\"",
        text(told)
    ));
    page.gap();
    page.line(format_args!(
        "Packets on any cable: {}. There is no cable, and no plug: a socket is a logical",
        world.trace().entries().len()
    ));
    page.line("endpoint that software makes and uses. The same calls reach the next desk or");
    page.line("the other side of the world; only the address differs.");
    page.gap();
    page.line("Networks connect machines. Sockets connect apps:");
    page.line("  IP address   which machine        10.0.0.1");
    page.line("  port         which app on it      5432");
    page.line("  protocol     by which rules       TCP");
    page.line(format_args!(
        "  together     one exact endpoint   tcp://{desk}"
    ));
    Ok(())
}

/// Lets a moment pass.
fn pass(world: &mut World) -> Result<(), Box<Failure>> {
    let end = world.now() + Duration::from_millis(10);
    world.run_until(end)
}
