//! Owns: the closed list of reasons, and the sentence that a caller gets for each.
//! Refuses: a sentence made of what the caller, an issuer or an upstream sent.
//! Always holds: a sentence contains neither `"` nor `\`, so that it fits into a challenge (RFC 6750 section 3).

use super::Rejection;

/// Every reason for which a request is refused or fails, with the sentence for its caller. Sorted by reason; each is a row
/// of `docs/errors.md`.
pub const REASONS: &[(&str, &str)] = &[
    ("algorithm_not_accepted", "The token is signed with an algorithm that is not accepted."),
    ("api_tokens_disabled", "API tokens are switched off."),
    ("audience_mismatch", "The token is not meant for this API."),
    ("bad_signature", "The token's signature does not verify."),
    ("body_aborted", "The request's body broke off."),
    ("body_timeout", "The request's body paused for too long."),
    ("body_too_large", "The request's body is larger than is accepted here."),
    ("claim_invalid", "A claim of the token is not of the type that it must be."),
    ("claim_mismatch", "A claim of the token does not have a value that is accepted here."),
    ("claim_missing", "The token lacks a claim that its issuer's tokens must have."),
    ("claim_not_forwardable", "A claim of the token holds characters that cannot be passed on."),
    ("client_disabled", "The client that the token was issued to is disabled."),
    ("deadline_exceeded", "The request took too long to arrive."),
    ("framing_ambiguous", "The request does not say in exactly one way where its body ends."),
    ("head_too_large", "The request's line and header fields are too long."),
    ("header_not_accepted", "The token's header says something that is not accepted."),
    ("host_ambiguous", "The request names more than one host."),
    ("host_malformed", "The request's host is neither a name nor an address."),
    ("host_missing", "The request names no host."),
    ("introspection_unavailable", "The issuer of the token cannot be asked about it at the moment."),
    ("issuer_disabled", "The issuer of the token is switched off."),
    ("issuer_not_accepted", "Tokens of this issuer are not accepted here."),
    ("issuer_too_slow", "The issuer of the token could not be asked about it within the time of the request."),
    ("key_id_missing", "The token does not say which key signed it."),
    ("key_mismatch", "The key that the token names is not for the token's algorithm."),
    ("keys_unavailable", "The keys of the token's issuer cannot be had at the moment."),
    ("lifetime_too_long", "The token lasts longer than is accepted."),
    ("malformed_request", "The request is not written as HTTP has it."),
    ("method_not_allowed", "This method is not available here."),
    ("method_not_forwarded", "This method is never forwarded."),
    ("no_route", "There is nothing here."),
    ("no_token", "A bearer token is needed."),
    ("not_an_access_token", "The token was not made for access."),
    ("overloaded", "There are too many requests at the moment."),
    ("path_ambiguous", "The request's path can be read in more than one way."),
    ("path_claim_mismatch", "The token is not for what the path names."),
    ("path_malformed", "The request's path is malformed."),
    ("path_too_long", "The request's path is too long."),
    ("rate_limited", "More requests came than are let through here."),
    ("revocation_unavailable", "The issuer of the token cannot be asked at the moment whether it was revoked."),
    ("scheme_not_accepted", "A bearer token is needed; other credentials are not accepted."),
    ("scope_missing", "The token lacks a scope that is needed here."),
    ("several_credentials", "The request brings more than one credential."),
    ("token_bound_to_key", "The token is bound to a key whose possession cannot be proven here."),
    ("token_encrypted", "The token is encrypted, which is not accepted."),
    ("token_expired", "The token has expired."),
    ("token_from_future", "The token was issued in the future."),
    ("token_in_query", "The token must be in the Authorization header, not in the query."),
    ("token_inactive", "The token is not active."),
    ("token_issued_before", "All tokens as old as this one were revoked."),
    ("token_malformed", "The token is malformed."),
    ("token_not_yet_valid", "The token is not valid yet."),
    ("token_refused_by_issuer", "The issuer of the token does not accept it."),
    ("token_revoked", "The token was revoked."),
    ("token_too_large", "The token is too large."),
    ("token_type_not_accepted", "The token is not of an accepted type."),
    ("too_many_headers", "The request has too many header fields."),
    ("transfer_coding_not_accepted", "The request's body is under a transfer coding that is not accepted."),
    ("unknown_issuer", "The token's issuer is not known here."),
    ("unknown_key", "The token's issuer lists no key of the token's key id."),
    ("unknown_token", "The token is not known here."),
    ("upstream_connect_failed", "The service behind could not be reached."),
    ("upstream_connect_timeout", "The service behind could not be reached in time."),
    ("upstream_deadline", "The service behind did not answer within the time of the whole request."),
    ("upstream_not_upgraded", "The service behind did not become a WebSocket."),
    ("upstream_protocol_error", "The service behind answered in a way that cannot be passed on."),
    ("upstream_reset", "The service behind broke off before its answer."),
    ("upstream_response_header_timeout", "The service behind did not begin its answer in time."),
    ("upstream_saturated", "The service behind has no room at the moment."),
    ("upstream_unasked_upgrade", "The service behind switched protocols without being asked to."),
    ("wrong_credential_header", "The token must be sent in the other one of Authorization and X-API-Key."),
];

/// What the log gives as the reason where an answer had begun and then broke off, so that no caller could be told.
pub const REASONS_AFTER_THE_HEAD: &[&str] =
    &["downstream_aborted", "token_ended", "upstream_body_aborted", "upstream_body_timeout"];

impl Rejection {
    /// The fixed sentence that the caller gets.
    #[must_use]
    pub fn detail(&self) -> &'static str {
        let found = REASONS.binary_search_by_key(&self.reason(), |(reason, _)| reason);
        found.ok().and_then(|index| REASONS.get(index)).map_or("The request was refused.", |(_, sentence)| sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_its_sentences_fit_a_challenge() {
        assert!(REASONS.is_sorted_by(|left, right| left.0 < right.0));
        for (reason, sentence) in REASONS {
            assert!(sentence.ends_with('.') && !sentence.contains(['"', '\\']), "{reason}");
            assert!(reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{reason}");
        }
    }

    #[test]
    fn a_rejection_finds_its_sentence() {
        assert_eq!(Rejection::NoRoute.detail(), "There is nothing here.");
        assert_eq!(Rejection::NoToken.detail(), "A bearer token is needed.");
    }
}
