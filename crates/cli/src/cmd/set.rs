//! `switchboard set [PID|NAME] -p +8080:80`: changes a run that is under way.

use crate::control::{self, AskError, Change, Published};
use crate::flags::SetFlags;
use crate::{DONE, FAILED, say};

/// Changes it; the exit code.
pub(crate) fn main(flags: &SetFlags) -> u8 {
    match control::wait_for(change(flags)) {
        Ok(published) => {
            for one in published {
                println!("{} is the program's port {}", one.listen, one.port);
            }
            DONE
        }
        Err(error) => {
            say::error(error);
            FAILED
        }
    }
}

/// What is published afterwards.
async fn change(flags: &SetFlags) -> Result<Vec<Published>, AskError> {
    let run = control::find(flags.run.as_ref()).await?;
    let publish = flags.publish.clone();
    run.post("/set", &Change { publish }).await
}
