//! Reuse as forwarding sees it: over a provider that is a function.

mod ends;

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::{super::Lasting, *};
use crate::{
    clock::UnixTime,
    outbound::Outbound,
    secret::Secret,
    token_endpoint::{ProviderRefusal, ProviderRefusalKind},
};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const LIFETIME: u64 = 3600;

fn at(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

/// A provider that numbers its tokens, and answers when its gate is open.
struct Provider {
    asked: AtomicUsize,
    gate: Semaphore,
}

/// An endpoint with `reuse`.
struct House {
    reuse: Arc<Reuse>,
    provider: Arc<Provider>,
    lasting: Lasting,
}

fn settings() -> Settings {
    Settings { min_remaining: Duration::from_mins(5), most_bytes: 1 << 20, drop_on_upstream_401: false }
}

fn reuse(lasting: &Lasting, endpoint: &str, settings: Settings) -> Arc<Reuse> {
    let memory = lasting.reuse.of(endpoint, "https://id.test/token").unwrap();
    Arc::new(Reuse { endpoint: endpoint.into(), settings, memory, control: lasting.outbound.control().cloned() })
}

fn refusal(kind: ProviderRefusalKind) -> Failure {
    Failure::Refused(ProviderRefusal { kind, code: None, description: None, retry_after: None, nonce: None })
}

impl House {
    fn open() -> Self {
        Self::with(settings())
    }

    fn with(settings: Settings) -> Self {
        let lasting = Lasting::new(Arc::new(Outbound::new(Some(Handle::current()))));
        let provider = Provider { asked: AtomicUsize::new(0), gate: Semaphore::new(Semaphore::MAX_PERMITS) };
        Self { reuse: reuse(&lasting, "corp", settings), provider: Arc::new(provider), lasting }
    }

    fn asked(&self) -> usize {
        self.provider.asked.load(Ordering::SeqCst)
    }

    fn asker(&self, client_id: &str, secret: &str) -> Asker {
        self.reuse.asker(client_id, &[("secret", Some(secret.as_bytes()))])
    }

    fn key(&self, asker: Asker, scope: &str) -> ReuseKey {
        self.reuse.key(asker).field("scope", Some(scope.as_bytes())).finish()
    }

    /// What `client_id` gets with `secret` for `scope` at `now`, if the provider would answer as `answer` says.
    async fn obtain_as(
        &self,
        (client_id, secret, scope): (&str, &str, &str),
        now: UnixTime,
        answer: impl FnOnce(ProviderToken) -> Result<ProviderToken, Failure> + Send + 'static,
    ) -> Result<Obtained, Failure> {
        let asker = self.asker(client_id, secret);
        let provider = Arc::clone(&self.provider);
        let ask = || async move {
            let number = provider.asked.fetch_add(1, Ordering::SeqCst);
            provider.gate.acquire().await.unwrap().forget();
            provider.gate.add_permits(1);
            answer(testing::token(&format!("token-{number}"), LIFETIME, now))
        };
        self.reuse.obtain(asker, self.key(asker, scope), now, ask).await
    }

    async fn obtain(&self, client_id: &str, secret: &str, now: UnixTime) -> Obtained {
        self.obtain_as((client_id, secret, "a"), now, Ok).await.unwrap()
    }

    async fn text(&self, client_id: &str, secret: &str, now: UnixTime) -> String {
        self.obtain(client_id, secret, now).await.token.access_token.expose().to_owned()
    }

    async fn fails(&self, client_id: &str, secret: &str, now: UnixTime, kind: ProviderRefusalKind) {
        let failed = self.obtain_as((client_id, secret, "a"), now, move |_| Err(refusal(kind))).await;
        assert!(failed.is_err(), "{failed:?}");
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.reuse.memory.counts.dropped().find(|(it, _)| *it == reason).unwrap().1
    }

    async fn until_asked(&self, times: usize) {
        while self.asked() < times || self.reuse.memory.flights.under_way() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_handed_out_until_too_little_is_left_and_says_how_much_is() {
    let house = House::open();
    let first = house.obtain("billing", "s", NOW).await;
    assert_eq!((first.lifetime, first.is_reused), (Some(Duration::from_secs(LIFETIME)), false));
    // Later by more than this test takes, so that the clock in hand decides.
    for after in [120, 600, 2400, 2639] {
        let again = house.obtain("billing", "s", at(after)).await;
        assert_eq!((again.lifetime, again.is_reused), (Some(Duration::from_secs(LIFETIME - after)), true), "{after}");
        assert_eq!(again.token.access_token.expose(), "token-0");
    }
    assert_eq!(house.asked(), 1);
    let next = house.obtain("billing", "s", at(3301)).await;
    assert_eq!((next.token.access_token.expose(), next.is_reused), ("token-1", false));
    assert_eq!(house.reuse.memory.counts.reused(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_second_are_not_promised() {
    let house = House::open();
    house.obtain("billing", "s", NOW).await;
    let again = house.obtain("billing", "s", NOW.plus(Duration::from_millis(1))).await;
    assert_eq!(again.lifetime, Some(Duration::from_secs(LIFETIME - 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_in_anything_is_not_met() {
    let house = House::open();
    for (who, times) in [
        (("billing", "s", "a"), 1),
        (("billing", "s", "b"), 2),
        (("billing", "t", "a"), 3),
        (("shipping", "s", "a"), 4),
        (("shipping", "s", "a"), 4),
    ] {
        house.obtain_as(who, NOW, Ok).await.unwrap();
        assert_eq!(house.asked(), times, "{who:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_too_short_or_without_end_or_takes_a_key_is_not_kept() {
    let house = House::open();
    for answer in [
        |token| ProviderToken { lifetime: Some(Duration::from_mins(5)), ..token },
        |token| ProviderToken { lifetime: None, ..token },
        |token| ProviderToken { token_type: AccessTokenType::Dpop, ..token },
    ] {
        for _ in 0..2 {
            let before = house.asked();
            let obtained = house.obtain_as(("billing", "s", "a"), NOW, move |token| Ok(answer(token))).await.unwrap();
            assert!(!obtained.is_reused);
            assert_eq!(house.asked(), before + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_one_question_and_another_credential_fails_alone() {
    let house = Arc::new(House::open());
    house.provider.gate.forget_permits(Semaphore::MAX_PERMITS);
    let good: Vec<_> = (0..100)
        .map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.obtain("billing", "s", NOW).await })
        })
        .collect();
    let bad = {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.fails("billing", "wrong", NOW, ProviderRefusalKind::InvalidClient).await })
    };
    while house.asked() < 2 {
        tokio::task::yield_now().await;
    }
    house.provider.gate.add_permits(1);
    bad.await.unwrap();
    let mut reused = 0;
    let mut texts = std::collections::BTreeSet::new();
    for obtained in good {
        let obtained = obtained.await.unwrap();
        reused += u32::from(obtained.is_reused);
        texts.insert(obtained.token.access_token.expose().to_owned());
    }
    assert_eq!((house.asked(), reused, texts.len()), (2, 99, 1));
    // The failure was not kept, and took nothing from the other.
    house.fails("billing", "wrong", NOW, ProviderRefusalKind::InvalidClient).await;
    assert_eq!(house.asked(), 3);
    assert!(house.obtain("billing", "s", NOW).await.is_reused);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_joins_gets_no_token_that_is_bound_and_no_refresh_token() {
    let house = Arc::new(House::open());
    let together = async |answer: fn(ProviderToken) -> ProviderToken| {
        house.provider.gate.forget_permits(Semaphore::MAX_PERMITS);
        let before = house.asked();
        let one = || {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                house.obtain_as(("billing", "s", "a"), NOW, move |token| Ok(answer(token))).await.unwrap()
            })
        };
        let both = [one(), one()];
        while house.asked() == before {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        house.provider.gate.add_permits(1);
        let [first, second] = both;
        [first.await.unwrap(), second.await.unwrap()]
    };
    let bound = together(|token| ProviderToken { token_type: AccessTokenType::Dpop, ..token }).await;
    assert!(bound.iter().all(|obtained| !obtained.is_reused));
    assert_eq!(house.asked(), 2, "each its own");
    let refreshable =
        together(|token| ProviderToken { refresh_token: Some(Secret::new("once".to_owned())), ..token }).await;
    let with_refresh = refreshable.iter().filter(|obtained| obtained.token.refresh_token.is_some()).count();
    assert_eq!((with_refresh, house.asked()), (1, 3));
    assert!(house.obtain("billing", "s", NOW).await.token.refresh_token.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_token_is_had_in_the_background_while_this_one_goes_on() {
    let house = House::open();
    house.obtain("billing", "s", NOW).await;
    let due = at(LIFETIME - 300 - 299);
    assert_eq!(house.text("billing", "s", due).await, "token-0", "nobody waits");
    house.until_asked(2).await;
    assert_eq!(house.text("billing", "s", due).await, "token-1");
    assert_eq!(house.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_fails_is_paused_and_the_old_token_goes_on() {
    let house = House::open();
    house.obtain("billing", "s", NOW).await;
    let due = at(LIFETIME - 300 - 290);
    let away = |_| Err(Failure::Status { status: 503 });
    for (after, asked) in [(0, 2), (1, 2), (29, 2), (31, 3), (32, 3)] {
        let now = due.plus(Duration::from_secs(after));
        let again = house.obtain_as(("billing", "s", "a"), now, away).await.unwrap();
        assert_eq!(again.token.access_token.expose(), "token-0");
        house.until_asked(asked).await;
        assert_eq!(house.asked(), asked, "{after}");
    }
    // Too little is left of it: now it is the client's to hear.
    assert!(house.obtain_as(("billing", "s", "a"), at(LIFETIME - 299), away).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_bounded_and_what_is_in_use_stays() {
    let house = House::with(Settings { most_bytes: 16 * 1100, ..settings() });
    for number in 0..200 {
        house.obtain(&format!("client-{number}"), "s", NOW).await;
        assert_eq!(house.text("client-0", "s", NOW).await, "token-0", "{number}");
    }
    let (tokens, bytes) = house.reuse.memory.size(NOW);
    assert!((15..=17).contains(&tokens) && bytes <= 16 * 1100, "{tokens} {bytes}");
    assert_eq!(house.dropped(DropReason::NoRoom), 200 - u64::try_from(tokens).unwrap());
    assert!(!house.reuse.drop_token("token-1", DropReason::Refused), "nothing names what is gone");
    let huge = |token| Ok(ProviderToken { access_token: Secret::new("x".repeat(20_000)), ..token });
    house.obtain_as(("huge", "s", "a"), NOW, huge).await.unwrap();
    assert_eq!(house.reuse.memory.size(NOW), (tokens, bytes), "what fits nowhere displaces nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_cleared_away() {
    let house = House::open();
    for number in 0..10 {
        house.obtain(&format!("client-{number}"), "s", NOW).await;
    }
    assert_eq!(house.reuse.memory.size(at(LIFETIME - 1)).0, 10);
    assert_eq!(house.reuse.memory.size(at(LIFETIME)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_forgets_nothing_and_another_endpoint_knows_nothing() {
    let mut house = House::open();
    house.obtain("billing", "s", NOW).await;
    house.reuse = reuse(&house.lasting, "corp", Settings { min_remaining: Duration::from_mins(10), ..settings() });
    assert!(house.obtain("billing", "s", at(1800)).await.is_reused);
    assert!(!house.obtain("billing", "s", at(3001)).await.is_reused, "the new settings are in force");
    let corp = Arc::clone(&house.reuse);
    house.reuse = reuse(&house.lasting, "other", settings());
    assert!(!house.obtain("billing", "s", at(3001)).await.is_reused);
    house.reuse = reuse(&house.lasting, "corp", settings());
    assert!(house.obtain("billing", "s", at(3001)).await.is_reused);
    drop(corp);
    house.reuse = reuse(&house.lasting, "other", settings());
    house.reuse = reuse(&house.lasting, "corp", settings());
    assert!(!house.obtain("billing", "s", at(3001)).await.is_reused, "the endpoint had gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_shown() {
    let house = House::open();
    let obtained = house.obtain("billing-canary", "secret-canary", NOW).await;
    let asker = house.asker("billing-canary", "secret-canary");
    let shown = format!("{obtained:?} {:?} {asker:?} {:?}", house.reuse, house.key(asker, "scope-canary"));
    assert!(!shown.contains("canary") && !shown.contains("token-0"), "{shown}");
}

#[test]
fn only_a_secret_alone_is_reused_for() {
    let secret = || Secret::new("s".to_owned());
    let basic = || ClientAuthentication::basic("billing".to_owned(), secret());
    let arrival = Arrival { peer: std::net::Ipv4Addr::LOCALHOST.into(), at: NOW, with_certificate: false };
    let proof = HeaderValue::from_static("a.b.c");
    for (authentication, proof, with_certificate, expected) in [
        (basic(), None, false, true),
        (ClientAuthentication::post("billing".to_owned(), secret()), None, false, true),
        (basic(), Some(&proof), false, false),
        (basic(), None, true, false),
        (basic().beside(secret()), None, false, false),
        (ClientAuthentication::assertion(Some("billing".to_owned()), secret()), None, false, false),
        (ClientAuthentication::assertion(None, secret()), None, false, false),
    ] {
        let is_for = Reuse::is_for(&authentication, proof, Arrival { with_certificate, ..arrival });
        assert_eq!(is_for, expected, "{authentication:?} {proof:?} {with_certificate}");
    }
}

#[test]
fn what_makes_no_sense_does_not_compile() {
    let messages = |lines: &str| {
        let endpoint = "[token_endpoints.a]\npath = \"/t\"\nforward = \"http://127.0.0.1:1/t\"\n";
        let config: crate::config::Config =
            toml::from_str(&format!("{endpoint}[token_endpoints.a.reuse]\n{lines}")).unwrap();
        let mut diagnostics = crate::diagnostic::Diagnostics::new();
        let compiled = crate::token_endpoint::compile(&config, None, &Lasting::offline(), None, &mut diagnostics);
        let found: Vec<_> = diagnostics.iter().map(|it| format!("{}: {}", it.path, it.message)).collect();
        assert_eq!(compiled.is_some(), found.is_empty());
        found
    };
    assert_eq!(messages("min_remaining = \"5m\""), [""; 0]);
    assert_eq!(messages("min_remaining = \"24h\"\nmax_bytes = \"64KiB\""), [""; 0]);
    for remaining in ["0s", "999ms", "25h"] {
        let found = messages(&format!("min_remaining = \"{remaining}\""));
        assert_eq!(
            found,
            ["token_endpoints.a.reuse.min_remaining: a token would be handed out to its very end, or never"],
            "{remaining}"
        );
    }
    let found = messages("min_remaining = \"5m\"\nmax_bytes = \"63KiB\"");
    assert_eq!(found, ["token_endpoints.a.reuse.max_bytes: hardly any token fits in so little"]);
}
