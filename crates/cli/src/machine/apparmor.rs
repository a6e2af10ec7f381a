//! The profile that Ubuntu wants to see before a program may make user namespaces.

/// A profile for this very file, as AppArmor 4 reads it: it confines nothing, it only grants
/// user namespaces.
pub(crate) fn profile() -> String {
    let path = std::env::current_exe().map_or_else(
        |_| "/usr/local/bin/switchboard".to_owned(),
        |path| path.display().to_string(),
    );
    format!(
        "abi <abi/4.0>,\n\
         include <tunables/global>\n\
         \n\
         profile switchboard \"{path}\" flags=(unconfined) {{\n\
         \x20 userns,\n\
         \n\
         \x20 include if exists <local/switchboard>\n\
         }}\n"
    )
}
