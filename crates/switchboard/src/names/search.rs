//! Which full names a name may be short for: `search` and `ndots` of resolv.conf(5).

use hickory_proto::rr::Name;

use super::config::DnsConfig;

/// The full names to try, in this order. Empty: it is no name at all.
pub(super) fn candidates(name: &str, config: &DnsConfig) -> Vec<Name> {
    let Some(typed) = full_name(name) else {
        return Vec::new();
    };
    // A dot at the end: this name and no other (RFC 1034 section 3.1).
    if name.ends_with('.') {
        return vec![typed];
    }
    let in_domains = config.search.iter().filter_map(|domain| {
        let domain = domain.trim_end_matches('.');
        full_name(&format!("{name}.{domain}"))
    });
    let dots = name.bytes().filter(|octet| *octet == b'.').count();
    let mut candidates: Vec<Name> = in_domains.collect();
    let place = if dots >= usize::from(config.ndots) {
        0
    } else {
        candidates.len()
    };
    candidates.insert(place, typed);
    candidates.dedup();
    candidates
}

/// `name` from the root on, in small letters: what is asked and what answers are kept by.
fn full_name(name: &str) -> Option<Name> {
    if name.is_empty() || name == "." || !name.is_ascii() {
        return None;
    }
    let mut full = Name::from_ascii(name).ok()?.to_lowercase();
    full.set_fqdn(true);
    Some(full)
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
