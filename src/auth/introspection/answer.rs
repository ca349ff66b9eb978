//! Owns: reading what an issuer says of a token (RFC 7662 section 2.2).
//! Refuses: any status but 200, anything but one JSON object without repeated members, an `active` that is no boolean.
//! Always holds: only the boolean `true` is active, only the boolean `false` is not, and all else says nothing of the token.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    auth::inquiry::{Blame, Failure, Said, pause_after, pause_of},
    jose::{JsonFault, parse_object},
    outbound::{OutboundAnswer, OutboundError},
};

const OK: u16 = 200;
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;
/// What says whether the token is good. It is no claim of the token.
const ACTIVE: &str = "active";

/// What was said of a token.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::auth) enum Answer {
    /// It is good, and means this.
    Active(Arc<Map<String, Value>>),
    /// It is not good, for whatever reason.
    Inactive,
}

/// Why nothing was said of it.
#[derive(Debug, Error)]
pub(in crate::auth) enum Unanswered {
    /// There was no answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// Postern's own credentials are not accepted there.
    #[error("it answered {0} to the `client_id` and `client_secret` of the configuration")]
    CredentialsRefused(u16),
    /// Another status.
    #[error("it answered with status {status}")]
    Status {
        /// Which.
        status: u16,
        /// For how long it has no answers for anybody, if it says so.
        pause: Option<Duration>,
    },
    /// It is no JSON object that can be read in one way only.
    #[error("its answer is not one JSON object: {0:?}")]
    NotAnObject(JsonFault),
    /// `active` is missing, or no boolean.
    #[error("its answer has no boolean `active`")]
    ActiveNotBoolean,
}

/// Reads an answer.
pub(in crate::auth) fn read(answer: &OutboundAnswer) -> Result<Answer, Unanswered> {
    match answer.status {
        OK => {}
        refused @ (UNAUTHORIZED | FORBIDDEN) => return Err(Unanswered::CredentialsRefused(refused)),
        status => return Err(Unanswered::Status { status, pause: pause_after(answer) }),
    }
    let mut members = parse_object(&answer.body).map_err(Unanswered::NotAnObject)?;
    match members.remove(ACTIVE) {
        Some(Value::Bool(true)) => Ok(Answer::Active(Arc::new(members))),
        Some(Value::Bool(false)) => Ok(Answer::Inactive),
        _ => Err(Unanswered::ActiveNotBoolean),
    }
}

impl Said for Answer {
    fn name(&self) -> &'static str {
        match self {
            Self::Active(_) => "active",
            Self::Inactive => "inactive",
        }
    }

    fn is_good(&self) -> bool {
        matches!(self, Self::Active(_))
    }
}

impl Failure for Unanswered {
    fn reason(&self) -> &'static str {
        match self {
            Self::Outbound(error) => error.reason(),
            Self::CredentialsRefused(_) => "credentials_refused",
            Self::Status { .. } => "status",
            Self::NotAnObject(_) => "not_an_object",
            Self::ActiveNotBoolean => "active_not_boolean",
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::CredentialsRefused(_) => Blame::Configuration,
            Self::Outbound(_) | Self::Status { .. } | Self::NotAnObject(_) | Self::ActiveNotBoolean => Blame::Issuer,
        }
    }

    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Outbound(error) => pause_of(error),
            Self::Status { pause, .. } => *pause,
            // It concerns every question, and answers at once: there is nothing to be spared by not asking.
            Self::CredentialsRefused(UNAUTHORIZED) => Some(Duration::ZERO),
            Self::CredentialsRefused(_) | Self::NotAnObject(_) | Self::ActiveNotBoolean => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(status: u16, body: &str) -> Result<Answer, &'static str> {
        let answer = OutboundAnswer { status, headers: HeaderMap::new(), body: body.to_owned().into() };
        read(&answer).map_err(|error| error.reason())
    }

    #[test]
    fn only_a_boolean_says_whether_it_is_active() {
        let active = json!({ "sub": "s" }).as_object().unwrap().clone();
        assert_eq!(of(200, r#"{"active":true,"sub":"s"}"#), Ok(Answer::Active(Arc::new(active))));
        assert_eq!(of(200, r#"{"active":false,"sub":"s"}"#), Ok(Answer::Inactive));
        for wrong in ["\"true\"", "\"false\"", "1", "0", "null", "[true]", "{}", "1.0"] {
            assert_eq!(of(200, &format!(r#"{{"active":{wrong}}}"#)), Err("active_not_boolean"), "{wrong}");
        }
        for missing in ["{}", r#"{"Active":true}"#, r#"{"active ":true}"#] {
            assert_eq!(of(200, missing), Err("active_not_boolean"), "{missing}");
        }
        for no_object in ["", "true", "[]", "<html>", r#"{"active":true"#, r#"{"active":true}x"#] {
            assert_eq!(of(200, no_object), Err("not_an_object"), "{no_object}");
        }
        assert_eq!(of(200, r#"{"active":false,"active":true}"#), Err("not_an_object"));
        assert_eq!(of(200, r#"{"active":true,"\u0061ctive":true}"#), Err("not_an_object"));
    }

    #[test]
    fn only_200_is_an_answer() {
        for (status, reason) in [(201, "status"), (302, "status"), (500, "status"), (429, "status"), (404, "status")] {
            assert_eq!(of(status, r#"{"active":true}"#), Err(reason), "{status}");
        }
        for status in [401, 403] {
            assert_eq!(of(status, r#"{"active":false}"#), Err("credentials_refused"));
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z]{0,6}|true|false".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("active|exp|sub|[a-z]{1,4}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_but_true_is_active(document in any_json(), cut in 0usize..200, status in 100u16..600) {
            let text = document.to_string();
            let said = of(status, &text);
            let expected = status == 200 && document.get("active") == Some(&Value::Bool(true)) && document.is_object();
            prop_assert_eq!(matches!(said, Ok(Answer::Active(_))), expected);
            prop_assert_eq!(
                matches!(said, Ok(Answer::Inactive)),
                status == 200 && document.is_object() && document.get("active") == Some(&Value::Bool(false))
            );
            if let Some(part) = text.get(..cut.min(text.len())).filter(|part| part.len() < text.len()) {
                prop_assert!(of(200, part).is_err(), "{}", part);
            }
        }

        #[test]
        fn no_bytes_panic(body in "\\PC{0,60}") {
            let _ = of(200, &body);
        }
    }
}
