//! Which parts of tokio's source are there on Linux, with every stable feature.

use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// Macros of tokio's that hide their content elsewhere, and whether it is there on Linux. What
/// is not in the list is no such macro.
const WRAPPERS: [(&str, bool); 9] = [
    ("cfg_net", true),
    ("cfg_io_util", true),
    ("cfg_unix", true),
    ("cfg_unix_or_wasi", true),
    ("cfg_not_wasi", true),
    ("cfg_not_wasip1", true),
    ("cfg_windows", false),
    ("cfg_unstable", false),
    ("cfg_wasi", false),
];

/// Whether the content of macro `name` is there; `None`: it wraps nothing.
pub(super) fn wrapper(name: &str) -> Option<bool> {
    let found = WRAPPERS.iter().find(|wrapper| wrapper.0 == name)?;
    Some(found.1)
}

/// Whether an item with `attributes` is there.
pub(super) fn is_there(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .all(|attribute| attribute.parse_args().is_ok_and(|meta: Meta| holds(&meta)))
}

fn holds(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => path.is_ident("unix"),
        Meta::NameValue(pair) => {
            let value = value(&pair.value);
            pair.path.is_ident("feature") || (pair.path.is_ident("target_os") && value == "linux")
        }
        Meta::List(list) => {
            let of = Punctuated::<Meta, Token![,]>::parse_terminated;
            let Ok(of) = list.parse_args_with(of) else {
                return false;
            };
            if list.path.is_ident("not") {
                !of.iter().any(holds)
            } else if list.path.is_ident("any") {
                of.iter().any(holds)
            } else {
                of.iter().all(holds)
            }
        }
    }
}

fn value(of: &syn::Expr) -> String {
    match of {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) => text.value(),
        _ => String::new(),
    }
}
