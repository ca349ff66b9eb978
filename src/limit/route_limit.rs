//! Owns: `[routes.<name>.limit]`, compiled: how many requests, and whose are counted together.
//! Refuses: counting by a claim where there is no token.
//! Always holds: what one replica alone refuses is refused; only what it would let through is asked about together.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use super::{
    Away, Limits, Rate, SharedCounters, Taken, Whose,
    key::{Key, digest},
    limits::Identity,
    local::Local,
};
use crate::{
    config::{HumanDuration, LimitConfig, RouteConfig},
    diagnostic::{Diagnostics, KeyPath},
};

const MOST_REQUESTS: u32 = 1_000_000;
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(24);

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Those of one peer, before a token is looked at.
    Peer,
    /// All.
    Route,
    /// Those with one value of this claim, under one issuer.
    Claim(Box<str>),
}

/// How many requests of one kind a route lets through.
#[derive(Debug)]
pub struct RouteLimit {
    rate: Rate,
    by: By,
    /// What tells it from other limits where replicas count.
    hash: [u8; 16],
    local: Arc<Local>,
    shared: Option<Arc<SharedCounters>>,
}

impl RouteLimit {
    /// Compiles `[routes.<name>.limit]`, which is there. None if something is wrong with it, which is noted.
    pub fn compile(
        route: &str,
        raw: &LimitConfig,
        of: &RouteConfig,
        (limits, shared): (&Limits, Option<&Arc<SharedCounters>>),
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let at = KeyPath::of(&["routes", route, "limit"]);
        let errors_before = diagnostics.error_count();
        let requests = NonZeroU32::new(raw.requests).filter(|requests| requests.get() <= MOST_REQUESTS);
        if requests.is_none() {
            let message = format!("{} is no number of requests to let through", raw.requests);
            diagnostics.error(&at.key("requests"), message, "write a number from 1 to 1000000, or take the limit out");
        }
        if !(SHORTEST..=LONGEST).contains(&raw.per.0) {
            let message = format!("`{}` is no time to count requests in", raw.per);
            diagnostics.error(&at.key("per"), message, "write a duration from \"1ms\" to \"1d\"");
        }
        let by = match raw.by.as_str() {
            "peer" => By::Peer,
            "route" => By::Route,
            claim => By::Claim(claim.into()),
        };
        if let Some(remedy) = misspelt(&raw.by) {
            let message = format!("`{}` is probably not meant to be the name of a claim", raw.by);
            diagnostics.error(&at.key("by"), message, remedy);
        }
        match &by {
            By::Claim(claim) if claim.is_empty() => {
                let remedy = "write \"peer\", \"route\", or the name of a claim, like \"client_id\"";
                diagnostics.error(&at.key("by"), "the claim has no name", remedy);
            }
            By::Claim(claim) if of.public => {
                let message = format!("on a public route there is no token to take the claim `{claim}` from");
                diagnostics.error(
                    &at.key("by"),
                    message,
                    "write \"peer\" or \"route\", or let the route `require` a token",
                );
            }
            By::Claim(_) | By::Peer | By::Route => {}
        }
        if diagnostics.error_count() > errors_before {
            return None;
        }
        let rate = Rate { requests: requests?, per: raw.per.0 };
        let per_nanoseconds = rate.per.as_nanos().to_be_bytes();
        let hash = digest(&[route.as_bytes(), &rate.requests.get().to_be_bytes(), &per_nanoseconds, raw.by.as_bytes()]);
        let local = limits.local(Identity { route: route.into(), rate, by: by.clone() })?;
        Some(Self { rate, by, hash, local, shared: shared.cloned() })
    }

    /// Whose requests are counted together.
    #[must_use]
    pub const fn by(&self) -> &By {
        &self.by
    }

    /// Lets a request through, or does not: first as this replica has counted, then, if that lets it through and replicas share,
    /// as all of them have. Where they cannot be asked, what this one has counted stands. What they refuse together has cost
    /// nothing here, or this one would go on refusing when they no longer do.
    pub async fn take(&self, whose: &Whose<'_>) -> Taken {
        let key = Key::of(whose);
        let taken = self.local.take(&key);
        let Some(shared) = self.shared.as_ref().filter(|_| taken.retry_after.is_none()) else { return taken };
        // Boxed, since few limits are shared: else each request would carry the room for it.
        match Box::pin(shared.take(&key.shared_name(&self.hash), self.rate)).await {
            Ok(together) if together.retry_after.is_some() => {
                self.local.give_back(&key);
                together
            }
            Ok(together) => together.and(taken),
            Err(Away) => taken,
        }
    }
}

/// What to write instead of a word that would silently count by a claim that no token has.
fn misspelt(by: &str) -> Option<&'static str> {
    let letters: String =
        by.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    match (letters.as_str(), by) {
        (_, "peer" | "route" | "client_id") => None,
        ("peer" | "ip" | "address", _) => Some("write \"peer\" to count requests of one address together"),
        ("route" | "all" | "global", _) => Some("write \"route\" to count all requests together"),
        ("none", _) => Some("take the limit out, or write \"route\" to count all requests together"),
        ("clientid" | "token", _) => Some("write \"client_id\" to count requests of one client together"),
        _ => None,
    }
}

impl fmt::Display for RouteLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match &self.by {
            By::Peer => "peer",
            By::Route => "route",
            By::Claim(claim) => claim,
        };
        write!(formatter, "{} per {} by {by}", self.rate.requests, HumanDuration(self.rate.per))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::{ManualClock, UnixTime};

    struct Scene {
        limits: Limits,
        clock: ManualClock,
    }

    impl Scene {
        fn set() -> Self {
            let clock = ManualClock::starting_at(UnixTime::from_seconds(1_700_000_000));
            Self { limits: Limits::new(clock.clock()), clock }
        }

        fn compile(&self, name: &str, limit: Value, public: bool) -> Result<RouteLimit, Vec<String>> {
            let route = json!({ "path": "/", "upstream": "u", "public": public, "limit": limit });
            let route: RouteConfig = serde_json::from_value(route).unwrap();
            let mut diagnostics = Diagnostics::new();
            let raw = route.limit.as_ref().unwrap();
            RouteLimit::compile(name, raw, &route, (&self.limits, None), &mut diagnostics)
                .ok_or_else(|| diagnostics.iter().map(|entry| format!("{}: {}", entry.path, entry.message)).collect())
        }
    }

    fn limit(requests: u32, per: &str, by: &str) -> Value {
        json!({ "requests": requests, "per": per, "by": by })
    }

    #[test]
    fn a_limit_has_bounds_and_says_what_it_is() {
        let scene = Scene::set();
        for (requests, per, by, public) in [
            (1, "1ms", "peer", true),
            (1_000_000, "1d", "route", true),
            (100, "1s", "client_id", false),
            (1_000_000, "1ms", "tenant_id", false),
            (1, "1s", "sub", false),
            (1, "1s", "https://corp.example/peer", false),
        ] {
            let compiled = scene.compile("r", limit(requests, per, by), public).unwrap();
            assert_eq!(compiled.to_string(), format!("{requests} per {per} by {by}"));
        }
        for (wrong, public, place) in [
            (limit(0, "1s", "peer"), false, "requests"),
            (limit(1_000_001, "1s", "peer"), false, "requests"),
            (limit(1, "0s", "peer"), false, "per"),
            (limit(1, "25h", "peer"), false, "per"),
            (limit(1, "1s", ""), false, "by"),
            (limit(1, "1s", "client_id"), true, "by"),
            (limit(1, "1s", "Peer"), false, "by"),
            (limit(1, "1s", "peer "), false, "by"),
            (limit(1, "1s", "ROUTE"), false, "by"),
            (limit(1, "1s", "clientid"), false, "by"),
            (limit(1, "1s", "Client-Id"), false, "by"),
            (limit(1, "1s", "ip"), false, "by"),
            (limit(1, "1s", "Address"), false, "by"),
            (limit(1, "1s", "all"), false, "by"),
            (limit(1, "1s", "global"), false, "by"),
            (limit(1, "1s", "none"), false, "by"),
            (limit(1, "1s", "token"), false, "by"),
        ] {
            let told = scene.compile("r", wrong.clone(), public).unwrap_err();
            assert!(told.len() == 1 && told[0].starts_with(&format!("routes.r.limit.{place}: ")), "{wrong}: {told:?}");
        }
        assert_eq!(scene.compile("r", limit(0, "0s", ""), false).unwrap_err().len(), 3, "all at once");
    }

    #[tokio::test]
    async fn a_reload_forgives_nobody_unless_the_limit_changes() {
        let scene = Scene::set();
        let whose = Whose::Token { issuer: "corp", value: Some("billing") };
        let passes = async |limit: &RouteLimit| limit.take(&whose).await.retry_after.is_none();
        let before = scene.compile("r", limit(1, "1h", "client_id"), false).unwrap();
        assert!(passes(&before).await && !passes(&before).await);
        let after = scene.compile("r", limit(1, "60m", "client_id"), false).unwrap();
        drop(before);
        assert!(!passes(&after).await);
        for (name, other) in [
            ("s", limit(1, "1h", "client_id")),
            ("r", limit(2, "1h", "client_id")),
            ("r", limit(1, "2h", "client_id")),
            ("r", limit(1, "1h", "sub")),
        ] {
            let other = scene.compile(name, other, false).unwrap();
            assert!(passes(&other).await, "{name} {other}");
            assert_ne!(other.hash, after.hash);
        }
        scene.clock.advance(Duration::from_hours(1));
        assert!(passes(&after).await);
        drop(after);
        let anew = scene.compile("r", limit(1, "1h", "client_id"), false).unwrap();
        assert!(passes(&anew).await, "nobody used it any more");
    }

    #[tokio::test]
    async fn callers_are_told_apart() {
        let scene = Scene::set();
        let limit = scene.compile("r", limit(1, "1h", "client_id"), false).unwrap();
        let token = |issuer, value| Whose::Token { issuer, value };
        for whose in [token("corp", Some("a")), token("corp", Some("b")), token("other", Some("a")), Whose::NoToken] {
            assert_eq!(limit.take(&whose).await.retry_after, None, "{whose:?}");
            assert!(limit.take(&whose).await.retry_after.is_some(), "{whose:?}");
        }
        assert_eq!(limit.take(&token("corp", None)).await.retry_after, None);
        assert!(limit.take(&token("corp", None)).await.retry_after.is_some(), "those without the claim share");
    }
}
