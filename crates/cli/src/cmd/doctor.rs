//! `switchboard doctor`.

use crate::DONE;
use crate::flags::DoctorFlags;

pub(crate) fn main(flags: &DoctorFlags) -> u8 {
    let _ = flags.apparmor_profile;
    DONE
}
