//! Owns: what a scope looks like (RFC 6749 section 3.3).
//! Refuses: a token with characters outside the RFC's set, and an empty one.

/// Whether `text` is one scope: visible ASCII without the quotation mark and the backslash.
pub(super) fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// The scopes of a request's `scope`: separated by one space each, in the order in which they stand.
pub(super) fn parse_scope(text: &str) -> Option<Vec<&str>> {
    let tokens: Vec<&str> = text.split(' ').collect();
    tokens.iter().all(|token| is_scope_token(token)).then_some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_the_rfc_is_held() {
        assert_eq!(parse_scope("a b:c"), Some(vec!["a", "b:c"]));
        for bad in ["", " ", "a  b", " a", "a ", "a\tb", "a\"b", "a\\b", "ä", "a\u{7f}"] {
            assert_eq!(parse_scope(bad), None, "{bad:?}");
        }
    }
}
