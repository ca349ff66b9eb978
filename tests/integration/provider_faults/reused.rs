//! The same faults behind an endpoint that hands out again what it was given.

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::Full;

use super::faults::{FAULTS, Kind, Reach};
use crate::support::{
    client::{Answer, HttpClient},
    gateway::{Gateway, GatewayBuilder},
    observe::metric,
    provider::{ScriptedProvider, Shape},
};

const CONFIG: &str = r#"
[token_endpoints.corp]
path = "/token"
forward = "${PROVIDER}/token"
provider = { connect_timeout = "1s", timeout = "2s" }
lockout = { failures = 0 }
reuse = { min_remaining = "1m" }
"#;

const SECRET: &str = "keeper's own";

async fn ask(gateway: &Gateway, client_id: &str, secret: &str) -> Answer {
    let pairs = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let request = Request::post(gateway.url("/token")).header("content-type", "application/x-www-form-urlencoded");
    let answer = HttpClient::http1().send(request.body(Full::from(Bytes::from(body))).unwrap()).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    answer
}

/// Who has a token goes on getting it whatever becomes of the provider; who guesses gets none, though it is there; and what
/// failed for a newcomer is asked anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_its_owners_alone_under_every_fault() {
    const KEEPERS: usize = 4;
    let provider = ScriptedProvider::start(Shape::Oauth2).await;
    provider.client("keeper", SECRET);
    let gateway = GatewayBuilder::new(CONFIG).variable("PROVIDER", &provider.url("")).start().await;
    let keepers = || join_all((0..KEEPERS).map(|_| ask(&gateway, "keeper", SECRET)));
    let kept = keepers().await[0].json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(provider.count(), 1, "they asked together");

    let faults = FAULTS.iter().filter(|fault| !matches!(fault.kind, Kind::ClosesIdle));
    let mut rounds = 0;
    for (number, fault) in faults.enumerate() {
        let (name, newcomer) = (fault.name, format!("newcomer-{number}"));
        provider.client(&newcomer, "its own");
        let before = provider.count();
        fault.begin(&provider).await;
        let guesses = ["keeper's ow", "keeper's own", "keeper's own "].map(|guess| format!("{guess}{number}"));
        let guessing = join_all(guesses.iter().map(|guess| ask(&gateway, "keeper", guess)));
        let coming = join_all((0..2).map(|_| ask(&gateway, &newcomer, "its own")));
        let (kept_again, guessed, came) = tokio::join!(keepers(), guessing, coming);
        fault.end(&provider).await;
        for answer in kept_again {
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            assert_eq!(answer.json()["access_token"], kept, "{name}");
        }
        for answer in guessed {
            assert!(fault.wrong.contains(&answer.status.as_u16()), "{name}: {}", answer.text());
        }
        for answer in came {
            assert!(fault.right.contains(&answer.status.as_u16()), "{name}: {}", answer.text());
            let token = answer.status.is_success().then(|| answer.json()["access_token"].as_str().unwrap().to_owned());
            assert!(token.is_none_or(|token| provider.owner_of(&token).as_ref() == Some(&newcomer)), "{name}");
        }
        // Each guess is asked, since nobody but the provider can judge it. The newcomers may have come one after the other.
        let asked = provider.count() - before;
        let allowed = if fault.reaches == Reach::Never { 0..=0 } else { 4..=5 };
        assert!(allowed.contains(&asked), "{name}: {asked}");
        assert_eq!(ask(&gateway, &newcomer, "its own").await.status, 200, "a failure is not kept: {name}");
        rounds += 1;
    }
    let by_the_right_secret = provider.asked().into_iter().filter(|asked| asked.secret().as_deref() == Some(SECRET));
    assert_eq!(by_the_right_secret.count(), 1, "the keepers' token was issued once");
    let reused = metric(&gateway, "postern_token_endpoint_reused_total", &[("endpoint", "corp")]).await;
    assert!(reused as usize >= KEEPERS * rounds, "{reused}");
}
