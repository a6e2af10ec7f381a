use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::super::model::Model;
use super::super::ui::{Action, Sort};
use super::*;
use crate::control::{Conversation, HalfReport, Row, RunInfo, RunReport};

/// One line of `SCREENS.md` section 5.
struct Seen {
    program: &'static str,
    endpoint: &'static str,
    peer: Option<&'static str>,
    name: Option<&'static str>,
    state: &'static str,
    rtt_us: Option<u64>,
    resent: Option<u64>,
    down: u64,
    up: u64,
}

fn seen(
    program: &'static str,
    endpoint: &'static str,
    peer: Option<&'static str>,
    name: Option<&'static str>,
    state: &'static str,
) -> Seen {
    Seen {
        program,
        endpoint,
        peer,
        name,
        state,
        rtt_us: None,
        resent: None,
        down: 0,
        up: 0,
    }
}

impl Seen {
    fn far(mut self, rtt_us: u64, resent: u64) -> Self {
        (self.rtt_us, self.resent) = (Some(rtt_us), Some(resent));
        self
    }

    fn rates(mut self, down: u64, up: u64) -> Self {
        (self.down, self.up) = (down, up);
        self
    }

    fn row(&self, number: u64, second: u64) -> Row {
        Row {
            number: self.peer.map(|_| number),
            program: self.program.to_owned(),
            endpoint: self.endpoint.to_owned(),
            peer: self.peer.map(str::to_owned),
            peer_name: self.name.map(str::to_owned),
            state: self.state.to_owned(),
            rtt_us: self.rtt_us,
            resent: self.resent,
            received: second * self.down / 8,
            sent: second * self.up / 8,
            age_ms: 2_400,
            ..Row::default()
        }
    }
}

fn screen_of_the_picture() -> Vec<Seen> {
    let tcp = "tcp://10.0.2.100:39006";
    let cdn = Some("cdn.example.net");
    let call = Some("192.0.2.57:51544");
    let db = Some("db.corp.example");
    let db_at = Some("192.0.2.20:5432");
    vec![
        seen(
            "curl[48377]",
            tcp,
            Some("203.0.113.4:443"),
            cdn,
            "ESTABLISHED",
        )
        .far(31_000, 5)
        .rates(14_200_000, 210_000),
        seen(
            "node[48120]",
            "tcp://10.0.2.100:80",
            call,
            None,
            "ESTABLISHED",
        )
        .far(2_100, 0)
        .rates(12_000, 1_900_000),
        seen(
            "node[48120]",
            "tcp://10.0.2.100:41822",
            db_at,
            db,
            "ESTABLISHED",
        )
        .far(900, 0)
        .rates(410_000, 36_000),
        seen(
            "python3[48402]",
            "udp://10.0.2.100:37733",
            Some("10.0.2.3:53"),
            None,
            "open",
        )
        .rates(2_000, 1_000),
        seen("node[48120]", "tcp://0.0.0.0:80", None, None, "LISTEN"),
        seen(
            "node[48120]",
            "tcp://10.0.2.100:50114",
            Some("203.0.113.9:443"),
            Some("pay.example.net"),
            "SYN-SENT",
        ),
        seen(
            "curl[48391]",
            "tcp://10.0.2.100:39010",
            Some("10.0.2.4:81"),
            None,
            "REFUSED",
        ),
        seen(
            "psql[48415]",
            "tcp://10.0.2.100:36512",
            db_at,
            db,
            "TIME-WAIT",
        )
        .far(1_000, 0),
        seen("(built in)", "tcp://10.0.2.4:80", None, None, "LISTEN"),
    ]
}

fn report(sockets: &[Seen], second: u64) -> RunReport {
    let mut sockets: Vec<Row> = sockets
        .iter()
        .zip(1..)
        .map(|(seen, number)| seen.row(number, second))
        .collect();
    if let Some(pay) = sockets.get_mut(5) {
        pay.found_us = Some(21_000);
        pay.resent = Some(2);
    }
    if let Some(refused) = sockets.get_mut(6) {
        refused.ended_ms = Some(4_000);
        refused.outcome = Some(
            "REFUSED. The building 10.0.2.4 is there, but nobody answers at desk 81. curl was \
             told: connection refused (ECONNREFUSED)."
                .to_owned(),
        );
    }
    RunReport {
        run: RunInfo {
            pid: 48110,
            command: "npm start".to_owned(),
            age_ms: 251_000 + second * 1_000,
            record: Some("/tmp/app.pcapng".to_owned()),
            ..RunInfo::default()
        },
        published: Vec::new(),
        sockets,
    }
}

fn snapshot() -> Snapshot {
    let mut model = Model::default();
    model.take(report(&screen_of_the_picture(), 0));
    Snapshot {
        recorded: Some(212 << 20),
        ..model.take(report(&screen_of_the_picture(), 1))
    }
}

fn seen_at(snapshot: &Snapshot, ui: &mut Ui, size: (usize, usize)) -> String {
    let lines = view(snapshot, ui, size);
    assert_eq!(lines.len(), size.1);
    let text: Vec<String> = lines
        .iter()
        .map(|line| line.to_string().trim_end().to_owned())
        .collect();
    for line in &text {
        assert!(line.chars().count() <= size.0, "{line}");
    }
    text.join("\n")
}

fn press(ui: &mut Ui, snapshot: &Snapshot, codes: &[KeyCode]) -> Action {
    let mut last = Action::Nothing;
    for code in codes {
        last = ui.press(KeyEvent::from(*code), snapshot);
        view(snapshot, ui, (80, 24));
    }
    last
}

#[test]
fn the_table_of_80_columns_by_24_lines() {
    let snapshot = snapshot();
    let mut ui = Ui::default();
    seen_at(&snapshot, &mut ui, (80, 24));
    press(&mut ui, &snapshot, &[KeyCode::Down; 5]);
    insta::assert_snapshot!(seen_at(&snapshot, &mut ui, (80, 24)));
}

#[test]
fn a_wide_screen_gives_its_columns_to_the_remote_end() {
    let snapshot = snapshot();
    insta::assert_snapshot!(seen_at(&snapshot, &mut Ui::default(), (100, 16)));
}

#[test]
fn a_refused_call_says_why() {
    let snapshot = snapshot();
    let mut ui = Ui::default();
    press(
        &mut ui,
        &snapshot,
        &"/refused".chars().map(KeyCode::Char).collect::<Vec<_>>(),
    );
    press(&mut ui, &snapshot, &[KeyCode::Enter]);
    insta::assert_snapshot!(seen_at(&snapshot, &mut ui, (80, 18)));
}

#[test]
fn looking_inside_shows_both_halves() {
    let snapshot = snapshot();
    let mut ui = Ui::default();
    seen_at(&snapshot, &mut ui, (80, 24));
    assert_eq!(press(&mut ui, &snapshot, &[KeyCode::Enter]), Action::Look);
    let half = |local: &str, rtt: u64| HalfReport {
        local: Some(local.to_owned()),
        remote: Some("203.0.113.4:443".to_owned()),
        rtt_us: Some(rtt),
        variation_us: Some(rtt / 10),
        resent: Some(5),
        segment: Some(1448),
        in_flight: Some(0),
        unsent: None,
    };
    ui.screen = Screen::Inside(Some(Box::new(Conversation {
        near: Some(half("10.0.2.100:39006", 80)),
        far: Some(half("192.0.2.33:51412", 31_000)),
        packets: vec!["0.00 ms  ->  SYN      seq=0".to_owned()],
    })));
    insta::assert_snapshot!(seen_at(&snapshot, &mut ui, (80, 24)));
    press(&mut ui, &snapshot, &[KeyCode::Enter]);
    assert_eq!(ui.screen, Screen::Table);
}

#[test]
fn help_fits_the_screen() {
    let snapshot = snapshot();
    let mut ui = Ui::default();
    press(&mut ui, &snapshot, &[KeyCode::Char('?')]);
    insta::assert_snapshot!(seen_at(&snapshot, &mut ui, (80, 24)));
}

#[test]
fn small_screens_and_many_sockets_are_no_trouble() {
    let sockets: Vec<Seen> = (0..100).flat_map(|_| screen_of_the_picture()).collect();
    let snapshot = Model::default().take(report(&sockets, 1));
    for size in [
        (0, 0),
        (1, 1),
        (20, 5),
        (79, 11),
        (80, 12),
        (80, 13),
        (200, 80),
    ] {
        let mut ui = Ui::default();
        seen_at(&snapshot, &mut ui, size);
        press(&mut ui, &snapshot, &[KeyCode::End, KeyCode::PageUp]);
        seen_at(&snapshot, &mut ui, size);
    }
}

#[test]
fn the_selection_stays_with_its_socket() {
    let snapshot = snapshot();
    let mut ui = Ui::default();
    press(&mut ui, &snapshot, &[KeyCode::Down, KeyCode::Down]);
    let chosen = ui.selected.clone();
    press(
        &mut ui,
        &snapshot,
        &[KeyCode::Char('s'), KeyCode::Char('s')],
    );
    assert_eq!((ui.sort, &ui.selected), (Sort::Resent, &chosen));
    // Its socket has gone: the one in its place.
    let mut fewer = screen_of_the_picture();
    fewer.truncate(2);
    let fewer = Model::default().take(report(&fewer, 1));
    seen_at(&fewer, &mut ui, (80, 24));
    assert!(ui.selected.is_some() && ui.selected != chosen);
}

#[test]
fn a_failed_call_stays_for_ten_seconds() {
    let mut gone = report(&screen_of_the_picture(), 1);
    let count = |report: RunReport| Model::default().take(report).sockets.len();
    assert_eq!(
        count(report(&screen_of_the_picture(), 1)),
        8,
        "none of our own"
    );
    gone.sockets[6].ended_ms = Some(10_001);
    gone.sockets[7].ended_ms = Some(3_001);
    assert_eq!(count(gone), 6);
}
