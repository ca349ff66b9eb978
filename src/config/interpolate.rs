//! Owns: `${VAR}`, `${VAR:-default}` and `$${` in strings.
//! Refuses: a variable that is not set and has no default; a `${` that is not one of these forms.
//! Always holds: what a variable holds is put in as it is, and never read for further variables; it appears in no diagnostic.

use super::{
    environment::Environment,
    trail::Trail,
    tree::{Node, Value},
};
use crate::diagnostic::Diagnostics;

/// Replaces the variables of every string below `node`; a string that has a problem is reported and refused.
pub(super) fn interpolate(node: &mut Node, environment: &dyn Environment, diagnostics: &mut Diagnostics) {
    walk(node, &Trail::Top, environment, diagnostics);
}

fn walk(node: &mut Node, trail: &Trail<'_>, environment: &dyn Environment, diagnostics: &mut Diagnostics) {
    if node.refused {
        return;
    }
    match &mut node.value {
        // One byte is sought many times faster than two, and most strings have none.
        Value::Text(text) if text.as_bytes().contains(&b'$') && text.contains("${") => {
            match expand(text, environment) {
                Ok(expanded) => *text = expanded,
                Err(Unexpanded { message, remedy }) => {
                    node.refused = true;
                    diagnostics.error(&trail.path(), message, remedy);
                }
            }
        }
        Value::Table(table) => {
            table.iter_mut().for_each(|(key, child)| walk(child, &Trail::Key(trail, key), environment, diagnostics));
        }
        Value::Array(elements) => {
            let elements = elements.iter_mut().enumerate();
            elements.for_each(|(index, child)| walk(child, &Trail::Index(trail, index), environment, diagnostics));
        }
        _ => {}
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Unexpanded {
    message: String,
    remedy: String,
}

fn expand(text: &str, environment: &dyn Environment) -> Result<String, Unexpanded> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(escaped) = before.strip_suffix('$') {
            expanded.push_str(escaped);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let (reference, behind) = after.split_once('}').ok_or_else(malformed)?;
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if !is_name(name) {
            return Err(malformed());
        }
        match (environment.variable(name), default) {
            // As in a shell, `:-` also stands in for a variable that is set but empty.
            (None, Some(default)) => expanded.push_str(default),
            (Some(value), Some(default)) if value.is_empty() => expanded.push_str(default),
            (Some(value), _) => expanded.push_str(&value),
            (None, None) => return Err(unset(name)),
        }
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn malformed() -> Unexpanded {
    Unexpanded {
        message: "`${` does not begin a variable here".to_owned(),
        remedy: "write `${VAR}` or `${VAR:-default}`, or `$${` for the characters themselves".to_owned(),
    }
}

fn unset(name: &str) -> Unexpanded {
    Unexpanded {
        message: format!("the environment variable `{name}` is not set"),
        remedy: format!("set it, or give a default: `${{{name}:-default}}`"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn environment() -> BTreeMap<String, String> {
        [("HOST", "10.0.0.1"), ("EMPTY", ""), ("ODD", "${HOST}"), ("_A1", "x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn variables_defaults_and_escapes() {
        for (text, expected) in [
            ("http://${HOST}:${PORT:-9001}/", "http://10.0.0.1:9001/"),
            ("${EMPTY}", ""),
            ("${EMPTY:-full}", "full"),
            ("${HOST:-}", "10.0.0.1"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("$${HOST}", "${HOST}"),
            ("$$${HOST}", "$${HOST}"),
            ("${ODD}", "${HOST}"),
            ("${_A1}$", "x$"),
            ("$HOST {x}", "$HOST {x}"),
        ] {
            assert_eq!(expand(text, &environment()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_or_not_set_is_an_error() {
        for text in ["${", "${}", "${HOST", "${1A}", "${A B}", "${HOST-x}", "${ä}", "${:-x}"] {
            assert_eq!(expand(text, &environment()), Err(malformed()), "{text}");
        }
        assert_eq!(expand("a ${NONE} b", &environment()), Err(unset("NONE")));
    }

    proptest! {
        #[test]
        fn text_without_a_reference_stays_as_it_is(text in "[^$]*") {
            prop_assert_eq!(expand(&text, &environment()), Ok(text));
        }

        #[test]
        fn nothing_panics(text in "([$]|[{]|[}]|:-|HOST|ä|.)*") {
            let _ = expand(&text, &environment());
        }
    }
}
