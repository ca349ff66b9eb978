//! Owns: why the embedded issuer did not do something, as the management API says it.
//! Always holds: each cause has a status and a stable code of its own; what may succeed later carries `Retry-After`.

use axum::http::StatusCode;
use serde_json::json;

use super::super::problem::{Problem, sentence};
use crate::{
    authorization_server::{
        ChangeError, GrantError, KeyChangeError, ManagementError, Unrecorded,
        client::{ClientFault, SecretRefusal},
    },
    store::StoreError,
};

/// After how many seconds a store that is away is worth another try.
const STORE_RETRY_SECONDS: u64 = 2;

impl From<ManagementError> for Problem {
    fn from(error: ManagementError) -> Self {
        let (status, code) = match &error {
            ManagementError::UnknownClient { .. } => (StatusCode::NOT_FOUND, "unknown_client"),
            ManagementError::ClientExists { .. } => (StatusCode::CONFLICT, "client_exists"),
            ManagementError::ConfiguredClient { .. } => (StatusCode::CONFLICT, "configured_client"),
            ManagementError::Invalid(fault) => return invalid_client(fault),
            ManagementError::UnknownToken { .. } => (StatusCode::NOT_FOUND, "unknown_token"),
            ManagementError::Keys(error) => return key_problem(error),
            ManagementError::Grant(error) => return grant_problem(error),
            ManagementError::Stopped(error) => return change_problem(error),
            ManagementError::Store(error) => return store_problem(error),
            ManagementError::Secret(SecretRefusal::TooMany) => (StatusCode::CONFLICT, "too_many_secrets"),
            ManagementError::Secret(SecretRefusal::NoRandomness(_) | SecretRefusal::Sealing(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "secret_not_made")
            }
        };
        Self::new(status, code, sentence(&error))
    }
}

fn invalid_client(fault: &ClientFault) -> Problem {
    let ClientFault { field, message, remedy } = fault;
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_client", format!("The client is not valid: {fault}."))
        .with("field", json!(field))
        .with("message", json!(message))
        .with("remedy", json!(remedy))
}

fn key_problem(error: &KeyChangeError) -> Problem {
    let problem = |status, code| Problem::new(status, code, sentence(error));
    match error {
        KeyChangeError::UnknownKey { .. } => problem(StatusCode::NOT_FOUND, "unknown_key"),
        KeyChangeError::NoNextKey => problem(StatusCode::CONFLICT, "no_next_key"),
        KeyChangeError::NextTooNew { remaining_seconds, .. } => {
            problem(StatusCode::CONFLICT, "next_key_too_new").with("remaining_seconds", json!(remaining_seconds))
        }
        KeyChangeError::StillNeeded { .. } => problem(StatusCode::CONFLICT, "key_still_needed"),
        KeyChangeError::Making(cause) => {
            log(cause);
            problem(StatusCode::INTERNAL_SERVER_ERROR, "keys_unusable")
        }
    }
}

fn grant_problem(error: &GrantError) -> Problem {
    let problem = |status, code| Problem::new(status, code, sentence(error));
    match error {
        GrantError::Refused { refusal, .. } => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "token_refused").with("refusal", json!(refusal.to_string()))
        }
        GrantError::Authentication(_) | GrantError::AssertionReplayed => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "token_refused")
        }
        GrantError::StoreAway => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable").retry_after(STORE_RETRY_SECONDS)
        }
        GrantError::NoKey | GrantError::TooSoon => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "no_signing_key").retry_after(STORE_RETRY_SECONDS)
        }
        GrantError::Signing { source, .. } => {
            log(source);
            problem(StatusCode::INTERNAL_SERVER_ERROR, "signing_failed")
        }
        GrantError::Recording { source: Unrecorded::Store(error), .. } => store_problem(error),
        GrantError::Recording { source: Unrecorded::Overloaded | Unrecorded::Stopping, .. } => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "overloaded").retry_after(STORE_RETRY_SECONDS)
        }
        GrantError::Store(error) => store_problem(error),
        GrantError::Change(error) => change_problem(error),
    }
}

fn change_problem(error: &ChangeError) -> Problem {
    match error {
        ChangeError::Store(error) => store_problem(error),
        ChangeError::Keys(error) => key_problem(error),
        ChangeError::KeysUnusable(cause) => {
            log(cause);
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "keys_unusable", sentence(error))
        }
        ChangeError::Stopping => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", sentence(error)).retry_after(STORE_RETRY_SECONDS)
        }
    }
}

fn store_problem(error: &StoreError) -> Problem {
    log(error);
    match error {
        StoreError::NulCharacter => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nul_character", sentence(error)),
        error if error.is_unavailable() => {
            let detail = "The store of the embedded issuer cannot be used at the moment. A change may have been made all the \
                          same: look before you repeat it.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after(STORE_RETRY_SECONDS)
        }
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store_failed", "The store failed; the log says why."),
    }
}

/// What the database or the cryptography said is for the log; the caller learns what it means.
fn log(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "the management API could not do what it was asked to");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{http::header, response::IntoResponse};

    use super::*;

    #[test]
    fn a_store_that_is_away_is_worth_another_try_and_nothing_else_is() {
        let away = || StoreError::TimedOut;
        let recording = |source| GrantError::Recording { client_id: "billing".into(), source };
        let cases = [
            (ManagementError::Store(away()), 503, true),
            (ManagementError::Stopped(ChangeError::Stopping), 503, true),
            (ManagementError::Grant(recording(Unrecorded::Store(Arc::new(away())))), 503, true),
            (ManagementError::Grant(recording(Unrecorded::Overloaded)), 503, true),
            (ManagementError::Grant(GrantError::Change(ChangeError::Store(away()))), 503, true),
            (ManagementError::Store(StoreError::Row { column: "document" }), 500, false),
            (ManagementError::Store(StoreError::NulCharacter), 422, false),
            (ManagementError::UnknownClient { id: "billing".to_owned() }, 404, false),
            (ManagementError::Keys(KeyChangeError::NoNextKey), 409, false),
        ];
        for (error, status, again) in cases {
            let said = error.to_string();
            let response = Problem::from(error).into_response();
            assert_eq!(response.status().as_u16(), status, "{said}");
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), again, "{said}");
        }
    }
}
