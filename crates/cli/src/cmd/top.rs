//! `switchboard top [PID|NAME]`: every socket of a run, live.
//!
//! Once a second the run is asked over its control socket; [`model`] makes rates of two answers,
//! [`view`] lines of that and of what the person has chosen ([`ui`]). Nothing else here touches a
//! terminal or a clock.

mod figures;
mod inside;
mod model;
mod story;
mod ui;
mod view;

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::text::Text;
use tokio::runtime::Runtime;

use crate::control::{self, AskError, Run};
use crate::flags::TopFlags;
use crate::{DONE, FAILED, say};
use model::{Model, Snapshot};
use ui::{Action, Screen, Ui};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shows it until the person has seen enough; the exit code.
pub(crate) fn main(flags: &TopFlags) -> u8 {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return failed("top needs a terminal; `switchboard sockets` prints the table once");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(error),
    };
    let asked = runtime.block_on(async {
        let run = control::find(flags.run.as_ref()).await?;
        let report = run.get("/sockets").await?;
        Ok::<_, AskError>((run, report))
    });
    let (run, report) = match asked {
        Ok(asked) => asked,
        Err(error) => return failed(error),
    };
    let mut model = Model::default();
    let top = Top {
        snapshot: model.take(report),
        model,
        ui: Ui::default(),
        run,
        runtime,
        next: Instant::now() + INTERVAL,
    };
    let shown = ratatui::try_init().and_then(|terminal| top.show(terminal));
    ratatui::restore();
    match shown {
        Ok(()) => DONE,
        Err(error) => failed(error),
    }
}

fn failed(why: impl std::fmt::Display) -> u8 {
    say::error(why);
    FAILED
}

struct Top {
    run: Run,
    runtime: Runtime,
    model: Model,
    snapshot: Snapshot,
    ui: Ui,
    /// When the run is asked again.
    next: Instant,
}

impl Top {
    fn show(mut self, mut terminal: DefaultTerminal) -> io::Result<()> {
        loop {
            terminal.draw(|frame| {
                let area = frame.area();
                let size = (usize::from(area.width), usize::from(area.height));
                let lines = view::view(&self.snapshot, &mut self.ui, size);
                frame.render_widget(Text::from(lines), area);
            })?;
            if event::poll(self.next.saturating_duration_since(Instant::now()))? {
                let Event::Key(key) = event::read()? else {
                    continue;
                };
                if key.kind == KeyEventKind::Release {
                    continue;
                }
                match self.ui.press(key, &self.snapshot) {
                    Action::Quit => return Ok(()),
                    Action::Look => self.look_inside(),
                    Action::Nothing => {}
                }
            }
            if Instant::now() >= self.next {
                self.look();
            }
        }
    }

    /// Asks the run again.
    fn look(&mut self) {
        self.next = Instant::now() + INTERVAL;
        if self.ui.frozen || self.snapshot.ended {
            return;
        }
        match self.runtime.block_on(self.run.get("/sockets")) {
            Ok(report) => self.snapshot = self.model.take(report),
            Err(_) => self.snapshot.ended = true,
        }
        self.look_inside();
    }

    /// Asks for the conversation that is looked into.
    fn look_inside(&mut self) {
        let Screen::Inside(found) = &mut self.ui.screen else {
            return;
        };
        let number = self.ui.selected.as_ref().and_then(|key| key.number);
        let Some(number) = number else {
            return;
        };
        let path = format!("/sockets/{number}");
        let asked = self.run.get(&path);
        // One that has gone meanwhile keeps what was known of it last.
        if let Ok(halves) = self.runtime.block_on(asked) {
            *found = Some(Box::new(halves));
        }
    }
}
