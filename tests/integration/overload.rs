//! More requests than the process may have: answered at the door, while operators are answered as ever.

use http::{Method, StatusCode};

use crate::support::{
    client::{HttpClient, request},
    corp::{Corp, ISSUER, ROUTE},
    gateway::{Gateway, GatewayBuilder},
    openmetrics::scrape,
    upstream::RecordedUpstream,
    wait::until,
};

async fn small(corp: &Corp, upstream: &RecordedUpstream, workers: u32) -> Gateway {
    let config = format!(
        r#"
[process]
workers = {workers}
max_requests = 2
[telemetry]
access_log_to = "access.log"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
{ISSUER}{ROUTE}
[upstreams.orders]
endpoints = ["${{UPSTREAM}}"]
"#
    );
    GatewayBuilder::whole(&config).issuer(&corp.issuer).upstream(upstream).start().await
}

#[tokio::test]
async fn what_is_too_much_is_answered_at_once_and_before_anything_is_verified() {
    for workers in [1, 2] {
        let (corp, upstream) = (Corp::start().await, RecordedUpstream::start().await);
        let gateway = small(&corp, &upstream, workers).await;
        upstream.hold();
        let (url, token) = (gateway.url("/a"), corp.token());
        let held: Vec<_> = (0..2)
            .map(|_| {
                let (url, token) = (url.clone(), token.clone());
                tokio::spawn(async move { HttpClient::http1().get(&url, Some(&token)).await.status })
            })
            .collect();
        until("two are under way", async || (upstream.count() == 2).then_some(())).await;
        // Good ones, and such as would be refused for themselves, over either protocol.
        for client in [HttpClient::http1(), HttpClient::http2()] {
            for token in [Some(&*token), Some("not-a-token"), None] {
                let answer = client.send(request(Method::GET, &url, token)).await;
                assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (503, "overloaded"), "{token:?}");
                assert_eq!(answer.header("retry-after"), "1");
                assert_eq!(answer.header("www-authenticate"), "");
            }
        }
        assert_eq!(upstream.count(), 2);
        let metrics = scrape(&HttpClient::http1(), &gateway).await;
        assert_eq!(metrics.value("postern_requests_shed_total", &[]), Some(6.0), "and the admin listener answers");
        upstream.release();
        for held in held {
            assert_eq!(held.await.expect("no panic"), StatusCode::OK);
        }
        let after = HttpClient::http1().get(&url, Some(&token)).await;
        assert_eq!(after.status, 200);
    }
}
