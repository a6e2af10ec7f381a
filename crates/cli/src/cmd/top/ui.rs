//! What the person has chosen, and what keys do to it.

use std::cmp::Reverse;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Key, Snapshot, Socket};
use crate::control::Conversation;

/// Rows that the page keys move over.
const PAGE: usize = 10;

/// Everything that a person can choose.
#[derive(Debug, Default)]
pub(super) struct Ui {
    pub(super) selected: Option<Key>,
    /// Where the selection was, for when its socket has gone.
    index: usize,
    /// The first row that is shown.
    pub(super) first: usize,
    pub(super) filter: String,
    /// Whether keys are the filter's.
    pub(super) editing: bool,
    pub(super) sort: Sort,
    pub(super) frozen: bool,
    pub(super) screen: Screen,
}

/// Which screen is seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Screen {
    #[default]
    Table,
    /// One conversation, once the run has told of it.
    Inside(Option<Box<Conversation>>),
    Help,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Rate,
    RoundTrip,
    Resent,
    Program,
    Newest,
}

impl Sort {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::RoundTrip => "rtt",
            Self::Resent => "resent",
            Self::Program => "program",
            Self::Newest => "newest",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Rate => Self::RoundTrip,
            Self::RoundTrip => Self::Resent,
            Self::Resent => Self::Program,
            Self::Program => Self::Newest,
            Self::Newest => Self::Rate,
        }
    }
}

/// What a key asks of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    Quit,
    /// The selected conversation is wanted now.
    Look,
}

impl Ui {
    /// The sockets that the filter lets pass, in order.
    pub(super) fn rows<'a>(&self, snapshot: &'a Snapshot) -> Vec<&'a Socket> {
        let wanted = self.filter.to_ascii_lowercase();
        let matching = snapshot.sockets.iter().filter(|socket| {
            wanted.is_empty() || searched(socket).to_ascii_lowercase().contains(&wanted)
        });
        let mut rows: Vec<&Socket> = matching.collect();
        // Stable: what is alike stays in the order in which it began, listeners first.
        rows.sort_by_key(|socket| socket.row.number);
        match self.sort {
            Sort::Rate => rows.sort_by_key(|socket| Reverse(socket.rate())),
            Sort::RoundTrip => rows.sort_by_key(|socket| Reverse(socket.row.rtt_us)),
            Sort::Resent => rows.sort_by_key(|socket| Reverse(socket.row.resent)),
            Sort::Program => rows.sort_by(|a, b| a.row.program.cmp(&b.row.program)),
            Sort::Newest => rows.reverse(),
        }
        rows
    }

    /// The selected row: where its socket is now, else the row that took its place.
    pub(super) fn select(&mut self, rows: &[&Socket]) -> usize {
        let key = self.selected.as_ref();
        let found = rows.iter().position(|row| Some(&row.key()) == key);
        self.index = found
            .unwrap_or(self.index)
            .min(rows.len().saturating_sub(1));
        // Inside a conversation that has gone nobody else's is shown.
        if self.screen == Screen::Table || self.selected.is_none() {
            self.selected = rows.get(self.index).map(|row| row.key());
        }
        self.index
    }

    /// What a key does.
    pub(super) fn press(&mut self, key: KeyEvent, snapshot: &Snapshot) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Action::Quit;
        }
        if self.editing {
            self.edit(key.code);
            return Action::Nothing;
        }
        match (key.code, &self.screen) {
            (KeyCode::Char('q'), _) => return Action::Quit,
            (KeyCode::Char('f'), _) => self.frozen = !self.frozen,
            (KeyCode::Char('?'), Screen::Table) => self.screen = Screen::Help,
            (KeyCode::Enter, Screen::Table) if self.selected.is_some() => {
                self.screen = Screen::Inside(None);
                return Action::Look;
            }
            (
                KeyCode::Esc | KeyCode::Enter | KeyCode::Char('?'),
                Screen::Inside(_) | Screen::Help,
            ) => {
                self.screen = Screen::Table;
            }
            (KeyCode::Esc, Screen::Table) => self.filter.clear(),
            (KeyCode::Char('/'), Screen::Table) => self.editing = true,
            (KeyCode::Char('s'), Screen::Table) => self.sort = self.sort.next(),
            (code, Screen::Table) => self.walk(code, snapshot),
            _ => {}
        }
        Action::Nothing
    }

    fn edit(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.editing = false,
            KeyCode::Esc => {
                self.editing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
    }

    fn walk(&mut self, code: KeyCode, snapshot: &Snapshot) {
        let rows = self.rows(snapshot);
        let last = rows.len().saturating_sub(1);
        let to = match code {
            KeyCode::Up | KeyCode::Char('k') => self.index.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.index + 1,
            KeyCode::PageUp => self.index.saturating_sub(PAGE),
            KeyCode::PageDown => self.index + PAGE,
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => return,
        };
        self.index = to.min(last);
        self.selected = rows.get(self.index).map(|row| row.key());
    }
}

/// What a filter is looked for in.
fn searched(socket: &Socket) -> String {
    let row = &socket.row;
    let peer = row.peer.as_deref().unwrap_or("listening");
    let name = row.peer_name.as_deref().unwrap_or_default();
    format!(
        "{} {} {peer} {name} {}",
        row.program, row.endpoint, row.state
    )
}
