//! Owns: the query of a request for `plgd` tokens.
//! Refuses: text that is not UTF-8, and a flag that is neither true nor false.
//! Always holds: members of the filter may be repeated, each adds one; what is not known is ignored.

use super::super::super::{
    ManagementRefusal,
    parameters::{decode_form, split_once},
};

/// Which tokens are meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// These; none: whichever.
    pub(super) ids: Option<Vec<String>>,
    /// Those for one of these; empty: for whatever.
    pub(super) audiences: Vec<String>,
    /// Revoked ones as well.
    pub(super) include_blacklisted: bool,
}

impl Query {
    /// Reads a query.
    pub(super) fn read(query: &str) -> Result<Self, ManagementRefusal> {
        let mut read = Self::default();
        for pair in query.as_bytes().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = split_once(pair, b'=').unwrap_or((pair, b""));
            let decoded = decode_form(name).zip(decode_form(value));
            let (name, value) = decoded.ok_or(ManagementRefusal::MalformedQuery)?;
            // Protocol Buffers' own names are taken as well as those of JSON.
            match name.as_str() {
                "idFilter" | "id_filter" if !value.is_empty() => read.ids.get_or_insert_default().push(value),
                "audienceFilter" | "audience_filter" if !value.is_empty() => read.audiences.push(value),
                "includeBlacklisted" | "include_blacklisted" => read.include_blacklisted = flag(&value)?,
                _ => {}
            }
        }
        Ok(read)
    }
}

fn flag(value: &str) -> Result<bool, ManagementRefusal> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        _ => Err(ManagementRefusal::MalformedQuery),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_add_up() {
        let read = Query::read("idFilter=a&id_filter=b%2Bc&idFilter=&audienceFilter=x&includeBlacklisted=true&other=1")
            .unwrap();
        let ids = Some(vec!["a".to_owned(), "b+c".to_owned()]);
        assert_eq!(read, Query { ids, audiences: vec!["x".to_owned()], include_blacklisted: true });
        for nothing in ["", "&&", "idFilter", "idFilter=&includeBlacklisted=false", "IDFILTER=a"] {
            assert_eq!(Query::read(nothing).unwrap(), Query::default(), "{nothing}");
        }
    }

    #[test]
    fn what_can_be_misread_is_refused() {
        for wrong in ["includeBlacklisted=maybe", "includeBlacklisted=TRUE ", "idFilter=%ff"] {
            assert!(matches!(Query::read(wrong), Err(ManagementRefusal::MalformedQuery)), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "\\PC{0,80}") {
            let _ = Query::read(&query);
        }
    }
}
