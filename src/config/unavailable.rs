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
}

const fn key(path: &'static [&'static str], feature: &'static str, remedy: &'static str) -> Unavailable {
    Unavailable { path, feature, remedy }
}

const ALL: [Unavailable; 3] = [
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
];

/// Reports and refuses every key in the tree that is not available yet.
pub(super) fn refuse(tree: &mut Node, diagnostics: &mut Diagnostics) {
    for entry in &ALL {
        let mut found = Vec::new();
        seek(tree, entry.path, &KeyPath::root(), &mut found);
        for path in found {
            let Some(key) = entry.path.last() else { continue };
            diagnostics.key_error(&path, format!("`{key}` is not available yet: {}", entry.feature), entry.remedy);
            tree.refuse(&path);
        }
    }
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
