//! Owns: reading what a tokens endpoint of plgd's says of one token: one `{"result":{...}}` a line.
//! Refuses: any status but 200 and 401, lines that are no JSON objects, an error in the middle of the list.
//! Always holds: a token is good only if it is listed and not `blacklisted`; what cannot be read says nothing of it.

use serde_json::{Map, Value};
use thiserror::Error;

use super::{lookup::Verdict, request::Unwritable};
use crate::{
    jose::{JsonFault, parse_object},
    outbound::{OutboundAnswer, OutboundError},
};

const OK: u16 = 200;
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;

/// Why nothing was said of a token.
#[derive(Debug, Error)]
pub(super) enum Unanswered {
    /// The question cannot be written down.
    #[error(transparent)]
    Question(#[from] Unwritable),
    /// There was no answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// Holders of such tokens may not ask there.
    #[error("it answered 403: it does not let the issuer's tokens ask how they stand")]
    Forbidden,
    /// Another status.
    #[error("it answered with status {0}")]
    Status(u16),
    /// A line is no JSON object that can be read in one way only.
    #[error("a line of its answer is not one JSON object: {0:?}")]
    NotAnObject(JsonFault),
    /// A line says that something went wrong.
    #[error("its list ends in an error")]
    ErrorInList,
    /// A line says nothing that a token could say.
    #[error("its list holds something that is no token")]
    NoToken,
}

/// Reads an answer about the token with this id.
pub(super) fn read(answer: &OutboundAnswer, token_id: &str) -> Result<Verdict, Unanswered> {
    match answer.status {
        OK => {}
        // It was asked with the token itself: this is its own issuer's word on it.
        UNAUTHORIZED => return Ok(Verdict::Refused),
        FORBIDDEN => return Err(Unanswered::Forbidden),
        other => return Err(Unanswered::Status(other)),
    }
    let mut verdict = Verdict::NotListed;
    for line in answer.body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let line = parse_object(line).map_err(Unanswered::NotAnObject)?;
        let token = match (line.get("result"), line.get("error")) {
            (_, Some(_)) => return Err(Unanswered::ErrorInList),
            (Some(Value::Object(token)), None) => token,
            (Some(_), None) => return Err(Unanswered::NoToken),
            // Not every version wraps them.
            (None, None) => &line,
        };
        let Some(Value::String(id)) = token.get("id") else { return Err(Unanswered::NoToken) };
        if id.eq_ignore_ascii_case(token_id) {
            // Said twice, the worse counts.
            verdict =
                if is_blacklisted(token)? || verdict == Verdict::Revoked { Verdict::Revoked } else { Verdict::Good };
        }
    }
    Ok(verdict)
}

/// Protocol Buffers leave out what is false.
fn is_blacklisted(token: &Map<String, Value>) -> Result<bool, Unanswered> {
    match token.get("blacklisted") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Object(blacklisted)) => match blacklisted.get("flag") {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Unanswered::NoToken),
        },
        Some(_) => Err(Unanswered::NoToken),
    }
}

impl Unanswered {
    /// Its name in the metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Question(Unwritable) => "address",
            Self::Outbound(error) => error.reason(),
            Self::Forbidden => "forbidden",
            Self::Status(_) => "status",
            Self::NotAnObject(_) => "not_an_object",
            Self::ErrorInList => "error_in_list",
            Self::NoToken => "no_token",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    fn of(status: u16, body: &str) -> Result<Verdict, &'static str> {
        let answer = OutboundAnswer { status, headers: HeaderMap::new(), body: body.to_owned().into() };
        read(&answer, "a1").map_err(|error| error.reason())
    }

    #[test]
    fn the_line_of_its_id_decides() {
        let good = r#"{"result":{"id":"a1","version":"0","blacklisted":null,"expiration":"9"}}"#;
        let revoked = r#"{"result":{"id":"a1","blacklisted":{"flag":true,"timestamp":"7"}}}"#;
        let other = r#"{"result":{"id":"b2","blacklisted":{"flag":true}}}"#;
        for (body, verdict) in [
            (String::new(), Verdict::NotListed),
            ("\n\r\n".to_owned(), Verdict::NotListed),
            (other.to_owned(), Verdict::NotListed),
            (format!("{good}\n"), Verdict::Good),
            (good.replace("null", "{}"), Verdict::Good),
            (good.replace("null", r#"{"flag":false,"timestamp":"0"}"#), Verdict::Good),
            (good.replace("a1", "A1"), Verdict::Good),
            (format!("{other}\n{good}"), Verdict::Good),
            (r#"{"id":"a1"}"#.to_owned(), Verdict::Good),
            (format!("{revoked}\r\n"), Verdict::Revoked),
            (format!("{good}\n{revoked}\n"), Verdict::Revoked),
            (format!("{revoked}\n{good}\n"), Verdict::Revoked),
        ] {
            assert_eq!(of(200, &body), Ok(verdict), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for (body, reason) in [
            ("<html>", "not_an_object"),
            (r#"{"result":{"id":"a1"}"#, "not_an_object"),
            (r#"{"result":{"id":"a1","id":"b2"}}"#, "not_an_object"),
            (r#"{"error":{"code":13}}"#, "error_in_list"),
            ("{\"result\":{\"id\":\"a1\"}}\n{\"error\":{}}", "error_in_list"),
            (r#"{"result":[]}"#, "no_token"),
            (r#"{"result":{}}"#, "no_token"),
            (r#"{"result":{"id":1}}"#, "no_token"),
            (r#"{"result":{"id":"a1","blacklisted":true}}"#, "no_token"),
            (r#"{"result":{"id":"a1","blacklisted":{"flag":"true"}}}"#, "no_token"),
        ] {
            assert_eq!(of(200, body), Err(reason), "{body}");
        }
        let good = r#"{"result":{"id":"a1"}}"#;
        for (status, expected) in
            [(401, Ok(Verdict::Refused)), (403, Err("forbidden")), (500, Err("status")), (302, Err("status"))]
        {
            assert_eq!(of(status, good), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(lines in prop::collection::vec("\\PC{0,30}|\\{\"result\":\\{\"id\":\"a1\"\\}\\}", 0..4)) {
            let said = of(200, &lines.join("\n"));
            let all_good = lines.iter().filter(|line| !line.trim_ascii().is_empty()).all(|line| line.starts_with("{\"result\""));
            prop_assert!(all_good || said != Ok(Verdict::Good) || lines.iter().any(|line| line.contains("a1")));
        }
    }
}
