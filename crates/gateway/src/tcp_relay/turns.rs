//! Who speaks when: whether a conversation is question and answer, in turns.
//!
//! While it is not known, what the program sent is acknowledged at the end of each of its turns:
//! its kernel may hold back the next piece until then (Nagle). In a conversation of questions
//! and answers the answer carries the acknowledgement, and a packet of its own for it is a third
//! of all that the program's kernel has to receive. Linux does the same ("ping-pong mode").

/// Exchanges in a row after which acknowledgements are left to the answers.
const EXCHANGES: u32 = 4;
/// How many times more exchanges that takes after each time that it was wrong.
const PATIENCE: u32 = 16;

/// Counts the exchanges of one conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    /// The program has spoken last.
    asked: bool,
    /// Exchanges in a row, without a word out of turn.
    exchanges: u32,
    /// How many make a conversation of questions and answers.
    needed: u32,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            asked: false,
            exchanges: 0,
            needed: EXCHANGES,
        }
    }
}

impl Turns {
    /// The program said something. `Some`: whether acknowledgements shall come at once from now
    /// on.
    pub(super) fn on_program(&mut self) -> Option<bool> {
        let out_of_turn = std::mem::replace(&mut self.asked, true);
        if !out_of_turn {
            return None;
        }
        let was_trusted = self.exchanges >= self.needed;
        self.exchanges = 0;
        was_trusted.then(|| {
            self.needed = self.needed.saturating_mul(PATIENCE);
            true
        })
    }

    /// The far side said something; as for [`on_program`](Self::on_program).
    pub(super) fn on_host(&mut self) -> Option<bool> {
        if !std::mem::take(&mut self.asked) {
            return None;
        }
        self.exchanges = self.exchanges.saturating_add(1);
        (self.exchanges == self.needed).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `words` (P: the program, H: the host) lead to, each change at its place.
    fn changes(words: &str) -> String {
        let mut turns = Turns::default();
        let changed = words.chars().map(|word| match word {
            'P' => turns.on_program(),
            _ => turns.on_host(),
        });
        let letters = changed.map(|change| match change {
            None => '.',
            Some(true) => 'Q',
            Some(false) => 'D',
        });
        letters.collect()
    }

    #[test]
    fn four_exchanges_make_a_conversation_of_questions_and_answers() {
        assert_eq!(changes("PHPHPHPHPHPH"), ".......D....");
        assert_eq!(changes("PHHHPHPHPHHH"), ".........D..", "a long answer");
    }

    #[test]
    fn an_upload_and_a_download_are_acknowledged_at_once() {
        assert_eq!(changes("PPPPPPPPPPPH"), "............");
        assert_eq!(changes("PHHHHHHHHHHH"), "............");
        assert_eq!(changes("PPHPPHPPHPPHPPHPPH"), "..................");
    }

    #[test]
    fn a_word_out_of_turn_ends_it_for_a_long_time() {
        let words = "PH".repeat(4) + "PP";
        assert_eq!(changes(&words), ".......D.Q");
        let again = words + "H" + &"PH".repeat(62);
        assert_eq!(changes(&again).matches('D').count(), 1);
        assert_eq!(changes(&(again + "PHPH")).matches('D').count(), 2);
    }
}
