//! Owns: the path part of a route: literal segments, `{name}` for one segment, a last `{*name}` for all that follow.
//! Refuses: braces anywhere else, names that are empty, odd or used twice, and literals that no normal path has.
//! Always holds: a literal is kept in the form in which requests' paths are compared.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::http::{NormalPath, PathError, PathPrefix};

/// The most parameters of a path: a request's values have room on the stack.
pub(super) const MOST_PARAMETERS: usize = 16;

/// What a literal cannot hold unescaped, beside what is beyond ASCII.
const ESCAPED_IN_LITERALS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'^').add(b'`');

/// The path of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
}

/// One segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text; empty only as the last one, of a path that ends in a slash.
    Literal(Box<str>),
    /// Any one segment that is not empty.
    Parameter(Box<str>),
    /// All segments that are left, none included.
    Rest(Box<str>),
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, (String, String)> {
        let Some(relative) = text.strip_prefix('/') else {
            return Err((format!("the path `{text}` does not begin with `/`"), format!("write `/{text}`")));
        };
        let written: Vec<&str> = relative.split('/').collect();
        let mut segments = Vec::with_capacity(written.len());
        // The literals are judged as the path they are part of; a parameter is as good as any letter.
        let mut literal_path = String::with_capacity(text.len());
        for (index, segment) in written.iter().enumerate() {
            let segment = read_segment(segment, index + 1 == written.len())?;
            literal_path.push('/');
            literal_path.push_str(if let Segment::Literal(literal) = &segment { literal } else { "p" });
            segments.push(segment);
        }
        let normal = NormalPath::parse(&literal_path).map_err(|error| malformed(text, error))?;
        for (segment, normal) in segments.iter_mut().zip(normal.for_matching().split('/').skip(1)) {
            if let Segment::Literal(literal) = segment {
                *literal = normal.into();
            }
        }
        let pattern = Self { segments };
        pattern.refuse_bad_names(text)?;
        Ok(pattern)
    }

    /// The names of its parameters, in their order.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter(name) | Segment::Rest(name) => Some(&**name),
        })
    }

    /// Whether every path that matches begins with `prefix`, so that it can be taken off.
    #[must_use]
    pub fn begins_with(&self, prefix: &PathPrefix) -> bool {
        let mut segments = self.segments.iter();
        let mut literal = |wanted: &str| matches!(segments.next(), Some(Segment::Literal(text)) if **text == *wanted);
        prefix.as_str().split('/').skip(1).all(&mut literal)
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    fn refuse_bad_names(&self, text: &str) -> Result<(), (String, String)> {
        let names: Vec<&str> = self.parameter_names().collect();
        if names.len() > MOST_PARAMETERS {
            return Err((
                format!("the path has {} parameters, and {MOST_PARAMETERS} are the most", names.len()),
                "take a last `{*rest}` for what no rule looks at".to_owned(),
            ));
        }
        let twice =
            names.iter().enumerate().find(|(index, name)| names.iter().take(*index).any(|earlier| earlier == *name));
        match twice {
            None => Ok(()),
            Some((_, name)) => Err((
                format!("the path `{text}` has two parameters of the name `{name}`"),
                "give each parameter a name of its own".to_owned(),
            )),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Literal(literal) => write!(formatter, "/{literal}"),
            Segment::Parameter(name) => write!(formatter, "/{{{name}}}"),
            Segment::Rest(name) => write!(formatter, "/{{*{name}}}"),
        })
    }
}

fn read_segment(segment: &str, last: bool) -> Result<Segment, (String, String)> {
    if !segment.contains(['{', '}']) {
        return Ok(Segment::Literal(segment.into()));
    }
    let Some(inner) = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) else {
        return Err((
            format!("a parameter must be a whole segment, and `{segment}` is more than `{{name}}`"),
            "write `/{name}/`; for a brace itself write `%7B` or `%7D`".to_owned(),
        ));
    };
    let (name, rest) = inner.strip_prefix('*').map_or((inner, false), |name| (name, true));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err((
            format!("`{segment}` has no proper name between its braces"),
            "write a name of letters, digits, `_` and `-`, like `{tenant}` or `{*rest}`".to_owned(),
        ));
    }
    if !rest {
        return Ok(Segment::Parameter(name.into()));
    }
    if last {
        return Ok(Segment::Rest(name.into()));
    }
    Err((
        format!("`{segment}` takes all that follows, and more follows it"),
        format!("write `{{{name}}}` for one segment"),
    ))
}

fn malformed(text: &str, error: PathError) -> (String, String) {
    let remedy = match error {
        PathError::BadCharacter => format!("write `{}`", utf8_percent_encode(text, ESCAPED_IN_LITERALS)),
        PathError::EmptySegment => "write one slash between segments".to_owned(),
        PathError::Fragment => "end the path before the `#`".to_owned(),
        PathError::BadEscape => "write `%25` for a percent sign".to_owned(),
        PathError::DotSegment
        | PathError::Backslash
        | PathError::EscapedSeparator
        | PathError::EscapedTwice
        | PathError::SegmentParameter
        | PathError::EscapedControl
        | PathError::NotUtf8
        | PathError::NotAPath
        | PathError::TooLong => {
            "write a path without it: a request for such a path is refused before routing".to_owned()
        }
    };
    let remedy = if error == PathError::BadCharacter && text.contains('?') {
        "end the path before the `?`: routes do not look at the query".to_owned()
    } else {
        remedy
    };
    (format!("no request can have the path `{text}`: {error}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        PathPattern::parse(text).unwrap().to_string()
    }

    #[test]
    fn literals_follow_the_rules_of_requests_paths() {
        assert_eq!(shown("/"), "/");
        assert_eq!(shown("/v1/{tenant}/orders/{*rest}"), "/v1/{tenant}/orders/{*rest}");
        assert_eq!(shown("/caf%c3%a9/%61%3A/"), "/caf%C3%A9/a:/");
        assert_eq!(shown("/a%7bb%7D"), "/a%7Bb%7D");
    }

    #[test]
    fn bad_patterns_are_told_what_to_write() {
        let cases = [
            ("a/b", "write `/a/b`"),
            ("", "write `/`"),
            ("/caf\u{e9} x", "write `/caf%C3%A9%20x`"),
            ("/a?b", "end the path before the `?`: routes do not look at the query"),
            ("/{*rest}/b", "write `{rest}` for one segment"),
            ("/a//b", "write one slash between segments"),
            ("/100%", "write `%25` for a percent sign"),
            ("/{a}/{a}", "give each parameter a name of its own"),
            ("/{a}/{*a}", "give each parameter a name of its own"),
        ];
        for (text, remedy) in cases {
            assert_eq!(PathPattern::parse(text).unwrap_err().1, remedy, "{text}");
        }
        for text in
            ["/{}", "/{*}", "/{a", "/a}", "/{a}.png", "/x{a}", "/{{a}}", "/{a b}", "/{a}{b}", "/{**a}", "/..", "/a;b"]
        {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
        let many: String = (0..17).map(|index| format!("/{{p{index}}}")).collect();
        assert!(PathPattern::parse(&many).is_err());
    }

    #[test]
    fn a_prefix_must_be_literal_and_whole() {
        let begins = |pattern: &str, prefix: &str| {
            PathPattern::parse(pattern).unwrap().begins_with(&PathPrefix::parse(prefix).unwrap())
        };
        assert!(begins("/v1/a/{b}", "/v1") && begins("/v1/a/{b}", "/v1/%61") && begins("/v1", "/v1/"));
        assert!(!begins("/v11/a", "/v1") && !begins("/{v}/a", "/v1") && !begins("/v1/{*rest}", "/v1/a"));
    }
}
