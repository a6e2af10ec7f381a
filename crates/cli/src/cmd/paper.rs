//! `switchboard man` and `switchboard completion`: for whoever packages it. Both are made of
//! the definitions that parse the command line, so they cannot lie.

use std::io::{self, Write as _};

use clap::CommandFactory as _;

use crate::flags::{Arguments, CompletionFlags, ManFlags};
use crate::{DONE, FAILED, WRONG_USAGE, say};

/// Prints the manual page; the exit code.
pub(crate) fn man(flags: &ManFlags) -> u8 {
    let mut command = Arguments::command();
    command.build();
    if let Some(name) = &flags.command {
        let Some(found) = command.find_subcommand(name) else {
            say::error(format_args!("there is no command {name}"));
            return WRONG_USAGE;
        };
        command = found.clone();
    }
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(command).render(&mut page);
    print(made.map(|()| page))
}

/// Prints the completion script; the exit code.
pub(crate) fn completion(flags: &CompletionFlags) -> u8 {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(flags.shell, &mut command, "switchboard", &mut script);
    print(Ok(script))
}

/// A reader that has seen enough (`| head`) is no failure.
fn print(text: io::Result<Vec<u8>>) -> u8 {
    let printed = text.and_then(|text| io::stdout().write_all(&text));
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say::error(error);
            FAILED
        }
        _ => DONE,
    }
}
