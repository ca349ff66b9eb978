//! Tokens for the load: good ones of two issuers, and those that must not pass.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Instant,
};

use rand::{Rng as _, rngs::SmallRng};
use serde_json::json;

use crate::{
    book::Bearer,
    support::forge::{SigningKey, changed, claims, now},
};

/// How many of the embedded issuer's tokens are in use at a time: more than once each, so that remembered ones are among them.
const IN_USE: usize = 300;

/// What the callers take their tokens from.
pub(crate) struct Mint {
    issuer: String,
    key: Mutex<Arc<SigningKey>>,
    outside: Mutex<VecDeque<Arc<str>>>,
    own: Mutex<VecDeque<Arc<str>>>,
    revoked: Mutex<Vec<(Arc<str>, Instant)>>,
}

impl Mint {
    /// One for tokens of the outside issuer of this name, signed with `key`.
    pub(crate) fn new(issuer: &str, key: Arc<SigningKey>) -> Self {
        let (issuer, key) = (issuer.to_owned(), Mutex::new(key));
        Self { issuer, key, outside: Mutex::default(), own: Mutex::default(), revoked: Mutex::default() }
    }

    /// Signs with this key from now on.
    pub(crate) fn sign_with(&self, key: Arc<SigningKey>) {
        *self.key.lock().expect("not poisoned") = key;
        self.outside.lock().expect("not poisoned").clear();
    }

    /// A good token of the embedded issuer, which is never revoked.
    pub(crate) fn add_own(&self, token: &str) {
        let mut own = self.own.lock().expect("not poisoned");
        own.push_back(token.into());
        if own.len() > IN_USE {
            own.pop_front();
        }
    }

    /// A token of the embedded issuer that must be refused from that moment on.
    pub(crate) fn add_revoked(&self, token: &str, from: Instant) {
        self.revoked.lock().expect("not poisoned").push((token.into(), from));
    }

    /// A credential at random, and what to expect of it.
    pub(crate) fn any(&self, random: &mut SmallRng) -> (Bearer, Option<Arc<str>>) {
        let bearer = match random.random_range(0..100) {
            0..35 => Bearer::Own,
            35..65 => Bearer::Outside,
            65..70 => Bearer::Expired,
            70..74 => Bearer::OtherScope,
            74..82 => Bearer::Revoked,
            82..86 => Bearer::Forged,
            86..88 => Bearer::Garbage,
            88..91 => Bearer::Nothing,
            91..95 => Bearer::OnlyA,
            95..98 => Bearer::OnlyB,
            _ => Bearer::Neither,
        };
        self.of(bearer, random)
    }

    /// One of this kind, or, as long as there is none, a good one of the outside issuer.
    pub(crate) fn of(&self, bearer: Bearer, random: &mut SmallRng) -> (Bearer, Option<Arc<str>>) {
        let found = match bearer {
            Bearer::Own => {
                let own = self.own.lock().expect("not poisoned");
                if own.is_empty() { None } else { own.get(random.random_range(0..own.len())).cloned() }
            }
            Bearer::Revoked => {
                let revoked = self.revoked.lock().expect("not poisoned");
                let chosen = if revoked.is_empty() { None } else { revoked.get(random.random_range(0..revoked.len())) };
                chosen.filter(|(_, from)| *from <= Instant::now()).map(|(token, _)| Arc::clone(token))
            }
            Bearer::Nothing => return (bearer, None),
            Bearer::Garbage => Some("no.token.at-all".into()),
            Bearer::Outside => Some(self.outside(random)),
            other => Some(self.sign(other)),
        };
        match found {
            Some(token) => (bearer, Some(token)),
            None => (Bearer::Outside, Some(self.outside(random))),
        }
    }

    /// Mostly one that was used before, so that the gateway remembers it.
    fn outside(&self, random: &mut SmallRng) -> Arc<str> {
        let mut outside = self.outside.lock().expect("not poisoned");
        if !outside.is_empty() && random.random_ratio(2, 3) {
            return Arc::clone(&outside[random.random_range(0..outside.len())]);
        }
        let token = self.sign(Bearer::Outside);
        outside.push_back(Arc::clone(&token));
        if outside.len() > 50 {
            outside.pop_front();
        }
        token
    }

    fn sign(&self, bearer: Bearer) -> Arc<str> {
        let key = Arc::clone(&*self.key.lock().expect("not poisoned"));
        let base = claims(&self.issuer);
        let of_set = |name: &str| json!({ "scope": name, "client_id": name });
        match bearer {
            Bearer::Expired => key.token(&changed(base, &json!({ "iat": now() - 900, "exp": now() - 300 }))),
            Bearer::OtherScope => key.token(&changed(base, &json!({ "scope": "orders:write" }))),
            Bearer::OnlyA => key.token(&changed(base, &of_set("a"))),
            Bearer::OnlyB => key.token(&changed(base, &of_set("b"))),
            Bearer::Neither => key.token(&changed(base, &of_set("c"))),
            Bearer::Forged => SigningKey::es256(&key.key_id).token(&base),
            _ => key.token(&base),
        }
        .into()
    }
}
