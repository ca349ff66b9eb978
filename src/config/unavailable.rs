//! Owns: the keys that are fixed already, but whose features are not there yet.
//! Refuses: reading over them: what cannot be enforced must not look as if it were.
//! Always holds: each is refused by name, and whatever hangs on it causes no second diagnostic.

use super::tree::Node;
use crate::diagnostic::{Diagnostics, KeyPath};

/// A key that is not available yet.
struct Unavailable {
    /// The way to it; `*` is any name.
    path: &'static [&'static str],
    /// What it is to do, for the sentence `... is not available yet: ...`.
    feature: &'static str,
    remedy: &'static str,
    /// The key beside it that is not missing if this one is there.
    stands_for: Option<&'static str>,
}

const fn key(path: &'static [&'static str], feature: &'static str, remedy: &'static str) -> Unavailable {
    Unavailable { path, feature, remedy, stands_for: None }
}

const ALL: [Unavailable; 8] = [
    key(
        &["issuers", "*", "introspection"],
        "tokens that are not JWTs cannot be verified",
        "take the table out, and let this issuer sign JWTs",
    ),
    key(&["routes", "*", "limit"], "requests are not limited", "take the table out, and limit requests elsewhere"),
    key(
        &["upstreams", "*", "health"],
        "endpoints are not probed",
        "take the table out; a connection that cannot be made is tried on another endpoint anyway",
    ),
    key(&["upstreams", "*", "outlier"], "failing endpoints are not ejected", "take the table out"),
    key(
        &["upstreams", "*", "retry"],
        "requests are not repeated",
        "take the table out; a connection that cannot be made is tried on another endpoint anyway",
    ),
    Unavailable {
        path: &["token_endpoints", "*", "forward"],
        feature: "token requests cannot be passed to an outside issuer",
        remedy: "take it out, and write `serve = \"embedded\"`",
        stands_for: Some("serve"),
    },
    key(&["token_endpoints", "*", "reuse"], "every request gets a token of its own", "take the table out"),
    key(&["token_endpoints", "*", "quota"], "issued tokens are not counted", "take the table out"),
];

/// Reports and refuses every key in the tree that is not available yet. Returns the keys that are therefore not missing:
/// the table's path, and the key.
pub(super) fn refuse(tree: &mut Node, diagnostics: &mut Diagnostics) -> Vec<(KeyPath, &'static str)> {
    let mut excused = Vec::new();
    for entry in &ALL {
        let mut found = Vec::new();
        seek(tree, entry.path, &KeyPath::root(), &mut found);
        for path in found {
            let Some(key) = entry.path.last() else { continue };
            diagnostics.key_error(&path, format!("`{key}` is not available yet: {}", entry.feature), entry.remedy);
            tree.refuse(&path);
            if let (Some(key), Some(table)) = (entry.stands_for, path.parent()) {
                excused.push((table, key));
            }
        }
    }
    excused
}

fn seek(node: &Node, pattern: &[&str], path: &KeyPath, found: &mut Vec<KeyPath>) {
    match pattern.split_first() {
        None if !node.refused => found.push(path.clone()),
        Some((&"*", rest)) => {
            for (name, child) in node.table().into_iter().flatten() {
                // Looking first saves making a path for every name.
                if rest.first().is_none_or(|key| child.entry(key).is_some()) {
                    seek(child, rest, &path.key(name), found);
                }
            }
        }
        Some((key, rest)) => {
            if let Some(child) = node.entry(key) {
                seek(child, rest, &path.key(key), found);
            }
        }
        None => {}
    }
}

/// Every key that is not available yet, as an operator would write it, with the reason.
pub(super) fn described() -> impl Iterator<Item = (String, &'static str)> {
    ALL.iter().map(|entry| {
        let path = entry.path.iter().map(|key| if *key == "*" { "<name>" } else { key }).collect::<Vec<_>>().join(".");
        (path, entry.feature)
    })
}
