//! From a credential to a permit.

use std::{hint::black_box, sync::Arc};

use postern::{
    auth::{
        Access, CredentialField, Issuers, Requirement, SharedTokenCache, UnverifiedToken, VerifiedToken,
        WorkerTokenCache, credential_field, extract as extract_credential, recall, verify, verify_at_once,
    },
    config::Config,
    diagnostic::Diagnostics,
    http::{Fields, PathParameters},
    jose::{CompactJws, KeyDocument},
};

use super::{
    Counter,
    scene::{self, ISSUER_AND_RULES, NOW},
};

struct Scene {
    config: Arc<Config>,
    issuers: Issuers,
    fields: Fields,
}

impl Scene {
    fn set(algorithm: &str) -> Self {
        let config = scene::config(
            &(ISSUER_AND_RULES.to_owned() + "[upstreams.orders]\nendpoints = [\"http://127.0.0.1:1\"]\n"),
        );
        Self::of(config, algorithm)
    }

    fn of(config: Arc<Config>, signed: &str) -> Self {
        let signed = scene::signed(signed);
        let fields = scene::request(&signed.token).fields;
        Self { issuers: scene::issuers(&config, &signed.key), config, fields }
    }

    fn field(&self) -> CredentialField<'_> {
        credential_field(&self.fields, None, false).expect("one field").expect("a field")
    }

    fn verify(&self, cache: &WorkerTokenCache) -> Arc<VerifiedToken> {
        let field = black_box(self.field());
        let verified = verify_at_once(field, &self.issuers, cache, NOW);
        // One that is remembered from under another issuer goes the way on which issuers are asked, though nobody is.
        let anew = || scene::at_once(verify(field.read().expect("a token"), &self.issuers, None, cache, NOW));
        verified.unwrap_or_else(anew).expect("verified")
    }

    fn requirement(&self) -> Requirement {
        let route = self.config.routes.get("orders").expect("a route");
        let access =
            Access::compile("orders", route, Some(&self.issuers), &["tenant", "rest"], &mut Diagnostics::new());
        match access.expect("rules") {
            Access::Protected(requirement) => requirement,
            Access::Public(_) => panic_of_public(),
        }
    }
}

#[expect(clippy::panic, reason = "a benchmark that cannot be set up has to stop")]
fn panic_of_public() -> ! {
    panic!("the route asks for a token")
}

fn cache() -> WorkerTokenCache {
    WorkerTokenCache::new(Arc::new(SharedTokenCache::new()))
}

/// Finding the one credential of a request.
pub(crate) fn extract(counter: &mut Counter) {
    let parts = scene::request(&scene::signed("RS256").token);
    let query = parts.uri.query();
    counter.count(200, || extract_credential(black_box(&parts.fields), query, false).expect("one").is_some());
}

/// Taking a token apart, strictly.
pub(crate) fn parse(counter: &mut Counter) {
    let token = scene::signed("RS256").token;
    counter.count(200, || UnverifiedToken::parse(black_box(&token)).expect("a token"));
}

/// A token that this worker has seen before: looking it up, judging its time and its key.
pub(crate) fn cache_hit(counter: &mut Counter) {
    let scene = Scene::set("RS256");
    let cache = cache();
    // The second time it is found among the newcomers, and kept by the worker from then on.
    for _ in 0..2 {
        scene.verify(&cache);
    }
    let field = scene.field();
    counter.count(500, || recall(black_box(field), &scene.issuers, &cache, NOW).expect("kept").expect("good"));
}

/// A token that nobody has seen, on a worker that knows its header: it has verified one with the same header twice.
pub(crate) fn cache_miss(counter: &mut Counter, algorithm: &str) {
    let scene = Scene::set(algorithm);
    // Two issuers, as before and after a reload: what was verified under one is verified anew under the other.
    let before = [(); 2].map(|()| Scene::of(Arc::clone(&scene.config), &format!("{algorithm} before")));
    let used_cache = || {
        let cache = cache();
        for scene in &before {
            scene.verify(&cache);
        }
        cache
    };
    counter.count_each(30, used_cache, |cache| scene.verify(cache));
}

/// The signature alone: what no gateway can spare.
pub(crate) fn signature(counter: &mut Counter, algorithm: &str) {
    let signed = scene::signed(algorithm);
    let document = KeyDocument::parse(format!("{{\"keys\":[{}]}}", signed.key).as_bytes()).expect("a key");
    let key = document.keys.first().expect("a key");
    let token = CompactJws::parse(&signed.token).expect("a token");
    let algorithm = token.header().algorithm();
    counter.count(30, || key.verify(algorithm, black_box(token.signing_input()), token.signature()).expect("good"));
}

/// Judging a verified token by a route's rules: a scope, a claim that agrees with the path.
pub(crate) fn authorize(counter: &mut Counter) {
    let scene = Scene::set("RS256");
    let verified = scene.verify(&cache());
    let requirement = scene.requirement();
    let mut parameters = PathParameters::with_capacity(2, 32);
    parameters.push("tenant", "acme");
    parameters.push("rest", "orders/17");
    counter.count(500, || requirement.authorize(black_box(&verified), &parameters).expect("a permit"));
}

/// Looking into a token for what upstreams, limits and logs are told: two claims by name, who it is, its id.
pub(crate) fn claims(counter: &mut Counter) {
    let verified = Scene::set("RS256").verify(&cache());
    counter.count(500, || {
        let token = black_box(&verified);
        let told = [token.claim_text("client_id"), token.claim_text("tenant_id")];
        (told.iter().flatten().count(), token.principal().client_id.is_some(), token.token_id().is_some())
    });
}
