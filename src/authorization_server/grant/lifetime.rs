//! Owns: how long a token lasts.
//! Refuses: an end that the client asks for and that lies in the past or beyond what its API allows.
//! Always holds: a token without an end is for a dialect that knows such tokens, an API that says
//! `danger_allow_unlimited`, and a client that was given one.

use std::time::Duration;

use crate::{
    authorization_server::{
        api::Api,
        client::{Client, Lifetime},
    },
    clock::UnixTime,
    config::DialectConfig,
    oauth::IssueRefusal,
};

/// When the token expires; none: never. In whole seconds, as `exp` is.
pub(super) fn choose(
    client: &Client,
    api: &Api,
    dialect: DialectConfig,
    asked: Option<i64>,
    now: UnixTime,
) -> Result<Option<UnixTime>, IssueRefusal> {
    let start = UnixTime::from_seconds(now.as_seconds());
    let latest = longest(client, api, dialect).map(|longest| start.plus(longest));
    let Some(asked) = asked else { return Ok(latest) };
    // Zero is how the dialect says that nothing is asked.
    if asked == 0 {
        return Ok(latest);
    }
    let asked = u64::try_from(asked).map_err(|_| IssueRefusal::ExpirationPast)?;
    if asked <= start.as_seconds() {
        return Err(IssueRefusal::ExpirationPast);
    }
    let asked = UnixTime::from_seconds(asked);
    match latest {
        Some(latest) if asked > latest => Err(IssueRefusal::ExpirationTooFar),
        _ => Ok(Some(asked)),
    }
}

/// The longest that a token may last; none: for ever.
fn longest(client: &Client, api: &Api, dialect: DialectConfig) -> Option<Duration> {
    match client.token_lifetime {
        Some(Lifetime::Unlimited) if api.danger_allow_unlimited && knows_unlimited(dialect) => None,
        Some(Lifetime::Limited(own)) => Some(Duration::from_secs(own.min(api.token_lifetime).as_secs())),
        Some(Lifetime::Unlimited) | None => Some(Duration::from_secs(api.token_lifetime.as_secs())),
    }
}

const fn knows_unlimited(dialect: DialectConfig) -> bool {
    match dialect {
        DialectConfig::Plgd | DialectConfig::Frontegg => true,
        DialectConfig::Oauth2 | DialectConfig::Auth0 => false,
    }
}
