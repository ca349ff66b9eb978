//! Owns: what it is to ask one issuer what opaque tokens mean, and for how long each answer is believed.
//! Always holds: an answer is believed for no longer than its time, nor beyond the token's `exp`.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    IntrospectionSettings,
    answer::{self, Answer, Unanswered},
    request,
};
use crate::{
    auth::{
        InquiryCount, InquiryStatus,
        inquiry::{Exchange, Fingerprint, Inquirer, Room, Told},
    },
    clock::UnixTime,
    outbound::{Outbound, OutboundClient, OutboundError},
};

/// What an entry costs beside its text.
const ENTRY_BYTES: usize = 1024;

/// Asks one issuer what opaque tokens mean.
pub struct Introspector {
    inquirer: Inquirer<IntrospectionSettings>,
}

impl Introspector {
    /// One that was told nothing yet.
    pub(in crate::auth) fn new(settings: IntrospectionSettings, outbound: &Outbound) -> Self {
        let how = settings.outbound.clone();
        Self { inquirer: Inquirer::new(settings, &how, outbound) }
    }

    /// What `token` means, as far as can be told; `None` if the issuer cannot be asked.
    pub(in crate::auth) async fn ask(&self, token: &str, now: UnixTime) -> Option<Told<Answer>> {
        let asked = || Zeroizing::new(token.to_owned());
        self.inquirer.ask(Fingerprint::of(token), asked, now).await
    }

    /// How many questions ended how.
    #[must_use]
    pub fn counts(&self) -> Vec<InquiryCount> {
        self.inquirer.counts()
    }

    /// How its questions went.
    #[must_use]
    pub fn status(&self) -> InquiryStatus {
        self.inquirer.status()
    }

    /// Why its endpoint has had no answers for anybody, if that has been so for a while at `now`.
    #[must_use]
    pub fn outage(&self, now: UnixTime) -> Option<String> {
        self.inquirer.outage(now)
    }
}

impl Exchange for IntrospectionSettings {
    type Asked = Zeroizing<String>;
    type Said = Answer;
    type Failure = Unanswered;

    // Workers remember what they made of good tokens, so these are for those that come a moment later, and for tokens that are
    // active and refused for what they say.
    const ROOM: Room = Room { good_bytes: 8 << 20, others: 10_000 };

    async fn ask(&self, client: &OutboundClient, token: &Self::Asked) -> Result<(Answer, usize), Unanswered> {
        let request = request::question(self, token).map_err(|_| OutboundError::GivenUp)?;
        let answer = client.send(request).await?;
        Ok((answer::read(&answer)?, answer.body.len().saturating_mul(2).saturating_add(ENTRY_BYTES)))
    }

    fn believed_for(&self, said: &Answer, _token: &Self::Asked, now: UnixTime) -> Duration {
        match said {
            Answer::Active(members) => self.cache_for.min(left(members, now)),
            Answer::Inactive => self.cache_inactive_for,
        }
    }

    fn endpoint(&self) -> &str {
        self.endpoint.as_str()
    }

    fn whom(&self) -> String {
        format!("issuer {}: its introspection endpoint", self.issuer)
    }
}

/// How long the token lasts. What is no time is refused by whoever reads the claims.
fn left(members: &Arc<Map<String, Value>>, now: UnixTime) -> Duration {
    let ends = members.get("exp").and_then(Value::as_f64).filter(|seconds| *seconds >= 0.0);
    let ends = ends.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    ends.map_or(Duration::MAX, |ends| UnixTime::default().plus(ends).since(now))
}

impl fmt::Debug for Introspector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Introspector").field("settings", self.inquirer.exchange()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_lasts_until_its_exp() {
        for (members, seconds) in [
            (json!({ "exp": 120 }), Some(20)),
            (json!({ "exp": 120.0 }), Some(20)),
            (json!({ "exp": 100 }), Some(0)),
            (json!({ "exp": 50 }), Some(0)),
            (json!({}), None),
            (json!({ "exp": "120" }), None),
            (json!({ "exp": -1 }), None),
            (json!({ "exp": 1e300 }), None),
        ] {
            let left = left(&Arc::new(members.as_object().unwrap().clone()), UnixTime::from_seconds(100));
            assert_eq!(left, seconds.map_or(Duration::MAX, Duration::from_secs), "{members}");
        }
    }
}
