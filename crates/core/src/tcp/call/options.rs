//! Options of a connection that exists, and what changes with the path.

use switchboard_wire::Instant;

use crate::config::TcpOptions;
use crate::tcp::connection::{Connection, Env, Machine};
use crate::tcp::tcb::Synchronized;
use crate::tcp::timers::Timer;

impl Connection {
    pub(crate) fn options(&self) -> TcpOptions {
        self.env.options
    }

    /// New options, from now on.
    pub(crate) fn set_options(&mut self, now: Instant, options: &TcpOptions) {
        let options = options.within_bounds();
        let is_wider = options.receive_buffer > self.env.options.receive_buffer;
        self.env.options = options;
        if let Machine::Synchronized(connection) = &mut self.machine {
            connection.congestion.switch(options.congestion);
            connection.timers.clear(Timer::KeepAlive);
            connection.on_path_mtu(now, &self.env);
            if is_wider && connection.owes_window_update(&self.env) {
                connection.ack.at_once();
            }
            connection.writer_waits |= connection.send_room(&self.env) == 0;
            connection.wake_writer(&self.env);
            connection.settle(now, &self.env);
        }
    }
}

impl Synchronized {
    /// The path, or the application's clamp, allows another segment size. What is under way
    /// and too long now is lost, and comes again cut anew when its timer says so.
    pub(crate) fn on_path_mtu(&mut self, now: Instant, env: &Env) {
        let before = self.snd.mss;
        self.snd.mss = env.send_mss(self.snd.peer_mss);
        if self.snd.mss < before && self.snd.flight() > 0 {
            // RFC 1191 section 6.3: at once, without taking it for congestion.
            self.loss.on_path_mtu(&self.snd);
        }
        self.settle(now, env);
    }
}
