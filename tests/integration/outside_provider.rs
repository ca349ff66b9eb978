//! A provider that was not written here, and a gateway in front of it and behind it: npm's oidc-provider, which
//! scripts/with-provider puts in place. What it says of itself is all that the gateway is told, beside its URL.

mod house;
mod opaque;
mod outage;
mod rotation;
mod tokens;

use http::StatusCode;

use self::house::House;
use crate::support::{
    issuing::{claims_of, key_of},
    real_provider::{LEDGER, ORDERS},
};

#[tokio::test]
#[ignore = "needs npm's oidc-provider: run by the step `provider` of scripts/test"]
async fn its_keys_are_found_and_its_tokens_are_judged_by_the_rules() {
    let house = House::open("").await;
    for (resource, path, algorithm) in [(ORDERS, "/orders/1", "RS256"), (LEDGER, "/ledger/1", "ES256")] {
        let token = house.ask_provider(resource, "orders:read").await;
        assert_eq!(claims_of(&token)["client_id"], "reports");
        assert!(key_of(&token).ends_with(algorithm));
        let answer = house.get(path, &token).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        assert_eq!(house.upstream.last().headers["x-client-id"], "reports");
        let other = if path == "/orders/1" { "/ledger/1" } else { "/orders/1" };
        let before = house.upstream.count();
        let refused = house.get(other, &token).await;
        assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (403, "audience_mismatch"));
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let begun = if signature.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{signed}.{begun}{}", signature.chars().skip(1).collect::<String>());
        let refused = house.get(path, &forged).await;
        assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (401, "bad_signature"));
        assert_eq!(house.upstream.count(), before);
    }
    let poor = house.ask_provider(ORDERS, "orders:write").await;
    let refused = house.get("/orders/1", &poor).await;
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (403, "scope_missing"));
}
