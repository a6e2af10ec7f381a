//! The hand-kept list: `TYPE::METHOD absent|differs REASON`, or `TYPE: TRAIT absent REASON`;
//! `*` stands for every type.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Why something is not as tokio has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is not there.
    Absent(String),
    /// It is there and differs.
    Differs(String),
}

/// All reasons.
pub(super) struct Reasons {
    by_name: BTreeMap<String, Why>,
    used: RefCell<BTreeMap<String, ()>>,
}

impl Reasons {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        let mut by_name = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parts: Vec<&str> = line.splitn(3, '|').map(str::trim).collect();
            let why = match parts.as_slice() {
                [_, "absent", reason] => Why::Absent((*reason).to_owned()),
                [_, "differs", reason] => Why::Differs((*reason).to_owned()),
                _ => {
                    return Err(format!(
                        "{}:{}: NAME | absent or differs | REASON",
                        path.display(),
                        number + 1
                    ));
                }
            };
            if by_name.insert(parts[0].to_owned(), why).is_some() {
                return Err(format!("{} stands there twice", parts[0]));
            }
        }
        Ok(Self {
            by_name,
            used: RefCell::default(),
        })
    }

    /// The reason for `name` of `type_name`, its own or everybody's.
    pub(super) fn find(&self, type_name: &str, name: &str) -> Option<&Why> {
        [format!("{type_name}::{name}"), format!("*::{name}")]
            .into_iter()
            .find_map(|key| {
                let why = self.by_name.get(&key)?;
                self.used.borrow_mut().insert(key, ());
                Some(why)
            })
    }

    /// Reasons that explain nothing (any more).
    pub(super) fn unused(&self) -> Vec<String> {
        let used = self.used.borrow();
        let all = self.by_name.keys();
        all.filter(|name| !used.contains_key(*name))
            .cloned()
            .collect()
    }
}
