//! What can be wrong with a provider, and what its clients are answered then.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::provider::{Conduct, Said, ScriptedProvider};

/// How many of the requests under a fault reach the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Each, once.
    Always,
    /// None.
    Never,
    /// Each once at most.
    Once,
}

/// One fault.
pub(super) struct Fault {
    pub(super) name: &'static str,
    /// How many requests each caller makes.
    pub(super) requests: usize,
    pub(super) reaches: Reach,
    /// What somebody is answered whose proof is good.
    pub(super) right: &'static [u16],
    /// What somebody is answered whose proof the provider has to judge, and would not find good.
    pub(super) wrong: &'static [u16],
    pub(super) kind: Kind,
}

/// What to do for it.
pub(super) enum Kind {
    /// The provider behaves so.
    Conduct(fn() -> Conduct),
    /// The provider says this about the lifetime of its tokens.
    Lifetime(fn() -> Option<Value>),
    /// The provider is gone.
    Down,
    /// The provider closes whatever connection there is, all the time.
    ClosesIdle,
}

const SERVED: &[u16] = &[200];
const FAILED: &[u16] = &[503];
const JUDGED: &[u16] = &[401];

impl Fault {
    /// None at all.
    pub(super) const NONE: Self = Self {
        name: "nothing",
        requests: 3,
        reaches: Reach::Always,
        right: SERVED,
        wrong: JUDGED,
        kind: Kind::Conduct(|| Conduct::Honest),
    };

    /// An answer that says nothing about anybody.
    const fn failing(name: &'static str, conduct: fn() -> Conduct) -> Self {
        Self { name, right: FAILED, wrong: FAILED, kind: Kind::Conduct(conduct), ..Self::NONE }
    }

    const fn lifetime(name: &'static str, right: &'static [u16], lifetime: fn() -> Option<Value>) -> Self {
        Self { name, right, kind: Kind::Lifetime(lifetime), ..Self::NONE }
    }
}

fn json_of(status: u16, body: &Value) -> Conduct {
    Said::json(status, body).into()
}

/// An answer that grants something, but for one thing that is wrong with it.
fn granting(change: &Value) -> Conduct {
    let mut body = json!({ "access_token": "canary-token", "token_type": "Bearer", "expires_in": 60 });
    let members = body.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    json_of(200, &body)
}

pub(super) const FAULTS: &[Fault] = &[
    Fault { name: "slow", kind: Kind::Conduct(|| Conduct::Slow(Duration::from_millis(60))), ..Fault::NONE },
    Fault { requests: 1, ..Fault::failing("too slow", || Conduct::Slow(Duration::from_secs(20))) },
    Fault { requests: 1, ..Fault::failing("silent", || Conduct::Silent) },
    Fault { kind: Kind::Down, reaches: Reach::Never, ..Fault::failing("away", || Conduct::Honest) },
    Fault {
        name: "closing idle connections",
        requests: 40,
        kind: Kind::ClosesIdle,
        // A connection may be closed in the very moment in which it is used: then nobody knows what came of the request.
        right: &[200, 503],
        wrong: &[401, 503],
        reaches: Reach::Once,
    },
    Fault::failing("closing instead of answering", || Conduct::Closes),
    Fault::failing("half an answer", || Conduct::Truncated),
    Fault { requests: 2, ..Fault::failing("100 MB", || Conduct::Oversized(100 << 20)) },
    Fault::failing("a page", || Said::html(200).into()),
    Fault::failing("a redirect", || Said::html(302).with("location", "http://127.0.0.1:1/canary").into()),
    Fault::failing("a redirect to be repeated", || Said::html(307).with("location", "/elsewhere").into()),
    Fault::failing("500", || Said::html(500).into()),
    Fault::failing("502", || Said::html(502).into()),
    Fault::failing("503", || Said::html(503).with("retry-after", "7").into()),
    Fault::failing("404", || Said::html(404).into()),
    Fault::failing("204", || Said::text(204, "application/json", "").into()),
    Fault::failing("201 with a token", || {
        json_of(201, &json!({ "access_token": "canary-token", "token_type": "Bearer", "expires_in": 60 }))
    }),
    Fault::failing("a page with 401", || Said::html(401).with("www-authenticate", "Basic realm=\"canary\"").into()),
    Fault::failing("a page with 400", || Said::html(400).into()),
    Fault::failing("a page with 403", || Said::html(403).into()),
    Fault::failing("401 without words", || json_of(401, &json!({}))),
    Fault::failing("400 that says it cannot", || json_of(400, &json!({ "error": "temporarily_unavailable" }))),
    Fault::failing("200 that says it is none", || json_of(200, &json!({ "error": "invalid_client" }))),
    Fault {
        right: &[429],
        wrong: &[429],
        ..Fault::failing("429", || Said::json(429, &json!({ "error": "slow_down" })).with("retry-after", "7").into())
    },
    Fault::failing("nothing", || Said::text(200, "application/json", "").into()),
    Fault::failing("a list", || json_of(200, &json!([]))),
    Fault::failing("JSON and more", || {
        Said::text(200, "application/json", r#"{"access_token":"canary-token","token_type":"Bearer"} x"#).into()
    }),
    Fault::failing("two tokens", || {
        Said::text(
            200,
            "application/json",
            r#"{"access_token":"canary-a","access_token":"canary-b","token_type":"Bearer"}"#,
        )
        .into()
    }),
    Fault::failing("an empty token", || granting(&json!({ "access_token": "" }))),
    Fault::failing("a token that is a number", || granting(&json!({ "access_token": 7 }))),
    Fault::failing("a token with a line break", || granting(&json!({ "access_token": "canary\r\nset-cookie: a=b" }))),
    Fault::failing("a token that is a space away from two", || granting(&json!({ "access_token": "canary token" }))),
    Fault::failing("a token of another type", || granting(&json!({ "token_type": "mac" }))),
    Fault::lifetime("a lifetime as text", SERVED, || Some(json!("3600"))),
    Fault::lifetime("no lifetime", SERVED, || None),
    Fault::lifetime("a lifetime of null", SERVED, || Some(Value::Null)),
    Fault::lifetime("a long lifetime", SERVED, || Some(json!(1_000_000_000_000_u64))),
    Fault::lifetime("a lifetime beyond measure", FAILED, || Some(json!(1e300))),
    Fault::lifetime("a lifetime below zero", FAILED, || Some(json!(-1))),
    Fault::lifetime("a lifetime in words", FAILED, || Some(json!("an hour"))),
    Fault::lifetime("a lifetime that is a list", FAILED, || Some(json!([60]))),
];

impl Fault {
    pub(super) async fn begin(&self, provider: &ScriptedProvider) {
        match self.kind {
            Kind::Conduct(conduct) => provider.conduct(conduct()),
            Kind::Lifetime(lifetime) => provider.lifetime(lifetime()),
            Kind::Down => provider.go_down().await,
            Kind::ClosesIdle => {}
        }
    }

    pub(super) async fn end(&self, provider: &ScriptedProvider) {
        provider.conduct(Conduct::Honest);
        provider.lifetime(Some(json!(3600)));
        if matches!(self.kind, Kind::Down) {
            provider.come_back().await;
        }
    }
}
