//! Owns: steps 4 and 8: letting no more through than a route's limit says, and telling callers how it stands.
//! Refuses: an upstream's word on a limit that is not its own.
//! Always holds: a request is counted by one limit, once.

use http::{HeaderName, HeaderValue};

use super::{Rejection, record::Record};
use crate::{
    auth::Permit,
    http::{Fields, RequestHead, forwarded, whole_seconds},
    limit::{By, RouteLimit, Taken, Whose},
    server::ConnectionInfo,
    snapshot::Route,
};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
/// What says the same in one field, in later drafts.
const OTHERS: [HeaderName; 2] = [HeaderName::from_static("ratelimit"), HeaderName::from_static("ratelimit-policy")];

/// Counts a request by its peer, where the route has it so: before anything is made of its token.
pub(super) async fn by_peer(
    route: &Route,
    head: &RequestHead,
    connection: &ConnectionInfo,
    record: &mut Record,
) -> Result<(), Rejection> {
    let Some(limit) = route.limit.as_ref().filter(|limit| *limit.by() == By::Peer) else { return Ok(()) };
    let trusted = &connection.settings().trusted_proxies;
    let caller = forwarded::caller(&head.fields, connection.peer.ip(), trusted);
    record.called_by(caller);
    count(limit, &Whose::Peer(caller), record).await
}

/// Counts a request that may be forwarded by who asks, or with all others of the route.
pub(super) async fn by_principal(route: &Route, permit: &Permit, record: &mut Record) -> Result<(), Rejection> {
    let Some(limit) = &route.limit else { return Ok(()) };
    match (limit.by(), permit.token()) {
        (By::Peer, _) => Ok(()),
        (By::Route, _) => count(limit, &Whose::Everybody, record).await,
        // It came with a token, and it is not its fault that nobody can tell whose that is: where the rules are only reported,
        // an outage of
        // the issuer would otherwise have all clients share what is left for those without token.
        (By::Claim(_), None) if record.is_unjudged() => Ok(()),
        (By::Claim(_), None) => count(limit, &Whose::NoToken, record).await,
        (By::Claim(claim), Some(token)) => {
            let value = token.claim_text(claim);
            count(limit, &Whose::Token { issuer: token.issuer(), value: value.as_deref() }, record).await
        }
    }
}

async fn count(limit: &RouteLimit, whose: &Whose<'_>, record: &mut Record) -> Result<(), Rejection> {
    let taken = limit.take(whose).await;
    record.limited(taken);
    match taken.retry_after {
        None => Ok(()),
        Some(retry_after) => Err(Rejection::LimitExceeded { retry_after }),
    }
}

/// Says how the limit stands that a request was counted by.
pub(super) fn tell(fields: &mut Fields, taken: Option<Taken>) {
    let Some(taken) = taken else { return };
    fields.keep(|name| !OTHERS.contains(name));
    fields.insert(LIMIT, HeaderValue::from(taken.limit.get()));
    fields.insert(REMAINING, HeaderValue::from(taken.remaining));
    fields.insert(RESET, HeaderValue::from(whole_seconds(taken.reset)));
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::*;

    #[test]
    fn an_upstreams_word_is_replaced_only_where_a_limit_applies() {
        let names = ["ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
        let mut fields = Fields::default();
        for name in names {
            for value in ["upstream", "twice"] {
                fields.append(HeaderName::from_static(name), value.parse().unwrap());
            }
        }
        tell(&mut fields, None);
        assert_eq!(fields.len(), 10);
        let limit = NonZeroU32::new(5).unwrap();
        tell(&mut fields, Some(Taken { limit, remaining: 4, reset: Duration::from_millis(200), retry_after: None }));
        let told = |name: &'static str| &fields[name];
        assert_eq!((told("ratelimit-limit"), told("ratelimit-remaining"), told("ratelimit-reset")), ("5", "4", "1"));
        assert_eq!(fields.len(), 3);
    }
}
