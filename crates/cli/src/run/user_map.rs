//! The maps of the new user namespace, written from outside by the relay.

use std::fs;
use std::io;

use super::caller::Caller;
use super::message::{SetupError, Step};

/// Writes the maps of the agent `pid`, which waits in its new user namespace.
///
/// An ordinary caller keeps its own uid and gid and sees nobody else's; so does the kernel
/// allow it to anybody. Real root keeps every id that it has.
///
/// # Errors
///
/// The kernel refuses the map.
pub(crate) fn write(pid: u32, caller: &Caller, map_root: bool) -> Result<(), SetupError> {
    let file = |name: &str| format!("/proc/{pid}/{name}");
    if caller.may_map_anybody() && !map_root && write_identity(&file).is_ok() {
        return Ok(());
    }
    let (uid, gid) = (caller.uid.as_raw(), caller.gid.as_raw());
    let (inside_uid, inside_gid) = if map_root { (0, 0) } else { (uid, gid) };
    // user_namespaces(7): without CAP_SETGID outside, a group map needs setgroups denied first.
    put(&file("setgroups"), "deny")?;
    put(&file("uid_map"), &format!("{inside_uid} {uid} 1\n"))?;
    put(&file("gid_map"), &format!("{inside_gid} {gid} 1\n"))
}

/// Every id that this process has, unchanged.
fn write_identity(file: &impl Fn(&str) -> String) -> io::Result<()> {
    for name in ["uid_map", "gid_map"] {
        let ours = fs::read_to_string(format!("/proc/self/{name}"))?;
        fs::write(file(name), identity(&ours))?;
    }
    Ok(())
}

/// The identity map of the ids that exist on the inside of the map `ours`.
fn identity(ours: &str) -> String {
    let mut map = String::new();
    for line in ours.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [inside, _, count] = fields[..] {
            map += &format!("{inside} {inside} {count}\n");
        }
    }
    map
}

fn put(path: &str, text: &str) -> Result<(), SetupError> {
    fs::write(path, text).map_err(|error| SetupError::new(Step::UserMap, path, error))
}

#[cfg(test)]
mod tests {
    use super::identity;

    #[test]
    fn identity_maps_what_exists_inside() {
        assert_eq!(
            identity("         0          0 4294967295\n"),
            "0 0 4294967295\n"
        );
        let container = "0 100000 1000\n1000 1000 1\n";
        assert_eq!(identity(container), "0 0 1000\n1000 1000 1\n");
    }
}
