//! Owns: reading what a tokens endpoint of plgd's says of one token: one `{"result":{...}}` a line.
//! Refuses: any status but 200 and 401, lines that are no JSON objects, an error in the middle of the list.
//! Always holds: a token is good only if it is listed and not `blacklisted`; what cannot be read says nothing of it.

use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use super::{lookup::Verdict, request::Unwritable};
use crate::{
    auth::inquiry::{Blame, Failure, pause_after, pause_of},
    jose::{JsonFault, parse_object},
    outbound::{OutboundAnswer, OutboundError},
};

const OK: u16 = 200;
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;

/// Why nothing was said of a token.
#[derive(Debug, Error)]
pub(in crate::auth) enum Unanswered {
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
    #[error("it answered with status {status}")]
    Status {
        /// Which.
        status: u16,
        /// For how long it has no answers for anybody, if it says so.
        pause: Option<Duration>,
    },
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
        // It was asked with the token itself. A hub of today looks at its own list before it lets a token ask, so this is how
        // one that
        // was revoked hears of it; it may mean something else, too.
        UNAUTHORIZED => return Ok(Verdict::Refused),
        FORBIDDEN => return Err(Unanswered::Forbidden),
        status => return Err(Unanswered::Status { status, pause: pause_after(answer) }),
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

impl Failure for Unanswered {
    fn reason(&self) -> &'static str {
        match self {
            Self::Question(Unwritable) => "address",
            Self::Outbound(error) => error.reason(),
            Self::Forbidden => "forbidden",
            Self::Status { .. } => "status",
            Self::NotAnObject(_) => "not_an_object",
            Self::ErrorInList => "error_in_list",
            Self::NoToken => "no_token",
        }
    }

    fn blame(&self) -> Blame {
        if matches!(self, Self::Forbidden) { Blame::Configuration } else { Blame::Issuer }
    }

    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Outbound(error) => pause_of(error),
            Self::Status { pause, .. } => *pause,
            Self::Question(_) | Self::Forbidden | Self::NotAnObject(_) | Self::ErrorInList | Self::NoToken => None,
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

    /// A line of a list, and what it says of the token `a1` if it can be read.
    fn line() -> impl Strategy<Value = (String, Result<Verdict, ()>)> {
        let token = |id: &'static str, flag: Option<bool>| {
            let blacklisted = flag.map_or_else(String::new, |flag| format!(r#","blacklisted":{{"flag":{flag}}}"#));
            let verdict = match (id, flag) {
                ("a1", Some(true)) => Verdict::Revoked,
                ("a1", _) => Verdict::Good,
                _ => Verdict::NotListed,
            };
            (format!(r#"{{"result":{{"id":"{id}"{blacklisted}}}}}"#), Ok(verdict))
        };
        let id = prop_oneof![Just("a1"), Just("b2"), Just("a1 "), Just("a")];
        prop_oneof![
            8 => (id, any::<Option<bool>>()).prop_map(move |(id, flag)| token(id, flag)),
            1 => Just((String::new(), Ok(Verdict::NotListed))),
            1 => "[^\\s{]\\PC{0,30}".prop_map(|text| (text, Err(()))),
            1 => Just((r#"{"error":{"code":5}}"#.to_owned(), Err(()))),
        ]
    }

    proptest! {
        #[test]
        fn the_worst_line_of_its_id_decides_and_no_other(lines in prop::collection::vec(line(), 0..6)) {
            let said: Result<Vec<Verdict>, ()> = lines.iter().map(|(_, verdict)| *verdict).collect();
            let expected = said.ok().map(|said| {
                let worst_first = [Verdict::Revoked, Verdict::Good];
                worst_first.into_iter().find(|verdict| said.contains(verdict)).unwrap_or(Verdict::NotListed)
            });
            let body: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
            prop_assert_eq!(of(200, &body.join("\n")).ok(), expected, "{:?}", body);
        }
    }
}
