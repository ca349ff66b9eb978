//! Owns: the methods that a route answers to.
//! Refuses: methods in lower case: methods are case-sensitive (RFC 9110 section 9.1), so nobody would send them.

use http::Method;

use crate::diagnostic::{Diagnostics, KeyPath};

/// Which methods a route answers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Methods {
    /// Every method.
    Any,
    /// These, and no others; not empty.
    Of(Vec<Method>),
}

impl Methods {
    /// Whether the route answers to `method`.
    #[must_use]
    pub fn contain(&self, method: &Method) -> bool {
        match self {
            Self::Any => true,
            Self::Of(methods) => methods.contains(method),
        }
    }

    /// Reads the list `methods` of the route at `route`, absent for every method.
    pub(super) fn compile(route: &KeyPath, list: Option<&[String]>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Some(list) = list else { return Some(Self::Any) };
        if list.is_empty() {
            diagnostics.error(
                &route.key("methods"),
                "a route without any method answers to no request",
                "name at least one method, or leave `methods` out for all of them",
            );
            return None;
        }
        let before = diagnostics.error_count();
        let mut methods = Vec::with_capacity(list.len());
        for (index, text) in list.iter().enumerate() {
            match parse(text) {
                Ok(method) if methods.contains(&method) => diagnostics.error(
                    &route.key("methods").index(index),
                    format!("the method `{text}` is named twice"),
                    "leave one of them out",
                ),
                Ok(method) => methods.push(method),
                Err((message, remedy)) => diagnostics.error(&route.key("methods").index(index), message, remedy),
            }
        }
        (diagnostics.error_count() == before).then_some(Self::Of(methods))
    }

    /// A method that both answer to, in words; `None` if there is none.
    pub(super) fn shared_with(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Any, Self::Any) => Some("every method".to_owned()),
            (Self::Any, Self::Of(methods)) | (Self::Of(methods), Self::Any) => methods.first().map(in_words),
            (Self::Of(ours), Self::Of(theirs)) => ours.iter().find(|method| theirs.contains(method)).map(in_words),
        }
    }
}

fn in_words(method: &Method) -> String {
    format!("the method {method}")
}

fn parse(text: &str) -> Result<Method, (String, String)> {
    let method = Method::from_bytes(text.as_bytes()).map_err(|_no_token| {
        (format!("`{text}` is no method"), "write a method like `GET`; for every method leave `methods` out".to_owned())
    })?;
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err((
            format!("the method `{text}` is not in upper case, and methods are case-sensitive"),
            format!("write `{}`", text.to_ascii_uppercase()),
        ));
    }
    if method == Method::CONNECT {
        return Err((
            "`CONNECT` asks for a tunnel, and Postern opens none".to_owned(),
            "leave it out; WebSocket connections begin with `GET`".to_owned(),
        ));
    }
    if method == Method::TRACE {
        return Err((
            "`TRACE` answers with what it was sent, secrets included, and is never forwarded".to_owned(),
            "leave it out".to_owned(),
        ));
    }
    if text == "*" {
        return Err(("`*` is no list of methods".to_owned(), "leave `methods` out for every method".to_owned()));
    }
    Ok(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(list: &[&str]) -> (Option<Methods>, Vec<String>) {
        let list: Vec<String> = list.iter().map(|&text| text.to_owned()).collect();
        let mut diagnostics = Diagnostics::new();
        let methods = Methods::compile(&KeyPath::root(), Some(&list), &mut diagnostics);
        (methods, diagnostics.iter().map(|diagnostic| format!("{}: {}", diagnostic.path, diagnostic.remedy)).collect())
    }

    #[test]
    fn methods_are_tokens_in_upper_case() {
        let (methods, _) = compile(&["GET", "PURGE-ALL"]);
        let methods = methods.unwrap();
        assert!(methods.contain(&Method::GET) && !methods.contain(&Method::HEAD));
        assert!(!methods.contain(&Method::from_bytes(b"get").unwrap()));
        let (none, remedies) = compile(&["get", "GE T", "CONNECT", "", "*", "GET", "GET"]);
        assert_eq!((none, remedies.len()), (None, 6));
        assert_eq!(remedies[0], "methods[0]: write `GET`");
        assert_eq!(compile(&[]).1.len(), 1);
    }

    #[test]
    fn shared_methods_are_found() {
        let of = |list| compile(list).0.unwrap();
        assert_eq!(of(&["GET", "PUT"]).shared_with(&of(&["PUT"])).as_deref(), Some("the method PUT"));
        assert_eq!(of(&["GET"]).shared_with(&of(&["HEAD"])), None);
        assert_eq!(Methods::Any.shared_with(&of(&["HEAD"])).as_deref(), Some("the method HEAD"));
    }
}
