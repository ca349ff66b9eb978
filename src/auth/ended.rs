//! Owns: whether a token that was good when something began is so still, for what goes on for longer than a moment.
//! Refuses: asking anybody. A token ends when its time is over, or when its issuer's memory, its key set or the configuration says so;
//! that the issuer cannot be reached, or that its keys are old, ends nothing that was begun.
//! Always holds: it is judged by the configuration that it is given, which may be a later one than the token was verified under.

use super::{Issuer, Issuers, TrustedKey, TrustedKeySet, VerifiedToken, VerifyError};
use crate::{clock::UnixTime, jose::Member};

impl VerifiedToken {
    /// Judges at `now` whether it has ended since it was verified.
    ///
    /// # Errors
    /// It has expired, it, its client or its key was withdrawn, or its issuer is switched off or gone.
    pub fn judge_end(&self, issuers: &Issuers, now: UnixTime) -> Result<(), VerifyError> {
        let issuer = self.issuer_among(issuers).ok_or(VerifyError::UnknownIssuer)?;
        let name = || issuer.name().clone();
        if !issuer.is_enabled() {
            return Err(VerifyError::IssuerDisabled { issuer: name() });
        }
        if self.expires_at().is_some_and(|expires_at| now >= expires_at.plus(issuer.leeway())) {
            return Err(VerifyError::Expired);
        }
        let unknown = |key: &TrustedKey| {
            let key_id = key.key().key_id().unwrap_or_default().into();
            VerifyError::UnknownKey { issuer: name(), key_id }
        };
        if let Some(key) = self.key().filter(|key| key.is_withdrawn()) {
            return Err(unknown(key));
        }
        // Where keys are fetched may have changed since; the old ones are then let go of without being withdrawn.
        if let Some(key) = self.key()
            && let TrustedKeySet::Usable(listed) = issuer.key_source().current(now)
            && !listed.iter().any(|other| other.key() == key.key())
        {
            return Err(unknown(key));
        }
        let Some(standing) = issuer.standing() else { return Ok(()) };
        standing.judge(self).map_err(|withdrawal| VerifyError::Withdrawn { issuer: name(), withdrawal })
    }

    /// The moment at which it ends by itself, its issuer's leeway included; none if it does not expire.
    #[must_use]
    pub fn good_until(&self, issuers: &Issuers) -> Option<UnixTime> {
        let leeway = self.issuer_among(issuers).map_or(std::time::Duration::ZERO, Issuer::leeway);
        self.expires_at().map(|expires_at| expires_at.plus(leeway))
    }

    /// Its issuer, if that is still there under its name and has not become another one.
    fn issuer_among<'i>(&self, issuers: &'i Issuers) -> Option<&'i Issuer> {
        let issuer = issuers.by_name(self.issuer())?;
        let told = self.claim("iss").and_then(Member::as_text);
        told.is_none_or(|told| told == issuer.issuer()).then_some(issuer)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        auth::{
            Claims,
            forge::{EC, ED, FixedKeys, SigningKey, issuers, trusted},
            verified_token::TokenProof,
        },
        jose::TokenType,
    };

    fn world(config: Value) -> Issuers {
        let keys = FixedKeys::of(&[&EC]);
        issuers(config, &[&keys], None)
    }

    #[test]
    fn a_token_ends_with_its_time_its_key_and_its_issuer() {
        let corp = world(json!({ "corp": { "issuer": "https://a/", "leeway": "60s" } }));
        let key = trusted(&[EC.jwk()]).remove(0);
        let token = |expires: Value| {
            let Value::Object(members) = json!({ "iss": "https://a/", "exp": expires }) else { panic!("an object") };
            let claims = Claims::read(members, TokenType::Jwt, corp.by_name("corp").unwrap().verification()).unwrap();
            VerifiedToken::new("corp".into(), TokenProof::Signature(Arc::clone(&key)), claims)
        };
        let token = token(json!(1000));
        let at = |seconds: u64| UnixTime::from_seconds(seconds);
        assert_eq!(token.good_until(&corp), Some(at(1060)));
        assert_eq!(token.judge_end(&corp, at(0)), Ok(()), "a clock that was set back ends nothing");
        assert_eq!(token.judge_end(&corp, at(1060).minus(Duration::from_millis(1))), Ok(()));
        assert_eq!(token.judge_end(&corp, at(1060)), Err(VerifyError::Expired));
        for (other, why) in [
            (json!({ "club": { "issuer": "https://a/" } }), "another name"),
            (json!({ "corp": { "issuer": "https://b/" } }), "another issuer of that name"),
        ] {
            assert_eq!(token.judge_end(&world(other), at(0)), Err(VerifyError::UnknownIssuer), "{why}");
        }
        let stricter = world(json!({ "corp": { "issuer": "https://a/", "leeway": "0s" } }));
        assert_eq!(token.judge_end(&stricter, at(1000)), Err(VerifyError::Expired));
        let elsewhere = |keys: &[&SigningKey]| {
            issuers(json!({ "corp": { "issuer": "https://a/" } }), &[&FixedKeys::of(keys)], None)
        };
        assert_eq!(token.judge_end(&elsewhere(&[&ED, &EC]), at(0)), Ok(()), "the same key, found elsewhere");
        assert!(matches!(token.judge_end(&elsewhere(&[&ED]), at(0)), Err(VerifyError::UnknownKey { .. })));
        let silent = FixedKeys::new(Vec::new());
        silent.set(TrustedKeySet::Unavailable);
        let silent = issuers(json!({ "corp": { "issuer": "https://a/" } }), &[&silent], None);
        assert_eq!(token.judge_end(&silent, at(0)), Ok(()), "nobody says that the key is gone");
        key.withdraw();
        assert!(matches!(token.judge_end(&corp, at(0)), Err(VerifyError::UnknownKey { .. })));
    }
}
