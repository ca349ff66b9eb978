//! docs/errors.md holds every way in which managing is refused that a route does not know too, in the shape of both dialects.

use std::{collections::BTreeSet, iter::successors};

use http::Response;
use http_body_util::Full;

use super::*;
use crate::{
    authorization_server::{ApiTokenError, NotAllowed},
    token_endpoint::{frontegg, plgd},
};

/// Every variant once; one that joins does not compile until it has its place here.
fn next(refusal: &ManagementRefusal) -> Option<ManagementRefusal> {
    Some(match refusal {
        ManagementRefusal::MalformedQuery => ManagementRefusal::OwnerMissing,
        ManagementRefusal::OwnerMissing => ManagementRefusal::IdFilterMissing,
        ManagementRefusal::IdFilterMissing => ManagementRefusal::AmbiguousOwnership,
        ManagementRefusal::AmbiguousOwnership => ManagementRefusal::ApiToken(ApiTokenError::NotFound),
        ManagementRefusal::ApiToken(error) => ManagementRefusal::ApiToken(next_of_issuer(error)?),
        // Those of routes and of requests for tokens, and the issuer's own failures, stand in other tables or below.
        ManagementRefusal::Request(_)
        | ManagementRefusal::NoToken
        | ManagementRefusal::Credential(_)
        | ManagementRefusal::Token(_)
        | ManagementRefusal::Denied(_)
        | ManagementRefusal::Issuer(_) => return None,
    })
}

fn next_of_issuer(error: &ApiTokenError) -> Option<ApiTokenError> {
    Some(match error {
        ApiTokenError::NotFound => ApiTokenError::Disabled,
        ApiTokenError::Disabled => ApiTokenError::OtherStrategy,
        ApiTokenError::OtherStrategy => ApiTokenError::UnknownRole { role: "canary".to_owned() },
        ApiTokenError::UnknownRole { .. } => ApiTokenError::ExpiresAtOnce,
        ApiTokenError::ExpiresAtOnce => ApiTokenError::TooLarge { what: "metadata", bytes: 1 },
        ApiTokenError::TooLarge { .. } => ApiTokenError::NotAllowed(NotAllowed::OtherTenant),
        ApiTokenError::NotAllowed(why) => match why {
            NotAllowed::OtherTenant => ApiTokenError::NotAllowed(NotAllowed::OtherUser),
            NotAllowed::OtherUser => ApiTokenError::NotAllowed(NotAllowed::NobodyMeant),
            NotAllowed::NobodyMeant => ApiTokenError::NotAllowed(NotAllowed::GrantsMore),
            NotAllowed::GrantsMore => {
                let permission = "canary".to_owned();
                ApiTokenError::NotAllowed(NotAllowed::PermissionMissing { permission })
            }
            NotAllowed::PermissionMissing { .. } => ApiTokenError::NoKey,
        },
        // The rest is our own failure, and told as one reason.
        ApiTokenError::NoKey
        | ApiTokenError::NoRandomness
        | ApiTokenError::Signing(_)
        | ApiTokenError::Unrecorded(_)
        | ApiTokenError::Change(_) => return None,
    })
}

fn cell(response: Response<Full<Bytes>>) -> String {
    let status = response.status().as_u16();
    let body = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains("canary"), "{body:?}");
    let json: Value = serde_json::from_slice(&body).unwrap();
    json.get("code").map_or_else(|| status.to_string(), |code| format!("{status} `{code}`"))
}

#[test]
fn the_page_of_errors_tells_all_of_them_and_nothing_else() {
    let rows: BTreeSet<String> = successors(Some(ManagementRefusal::MalformedQuery), next)
        .map(|refusal| {
            let (plgd, frontegg) = (plgd::refuse_management(&refusal), frontegg::refuse_management(&refusal));
            format!("| `{}` | {} | {} |", refusal.reason(), cell(plgd), cell(frontegg))
        })
        .collect();
    assert_eq!(rows.len(), 16, "a reason of its own for each");
    let page = include_str!("../../../docs/errors.md");
    let (_, section) = page.split_once("\n## Management at token endpoints\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| `"));
    let told: BTreeSet<String> = lines.map(|line| line.split_inclusive('|').take(4).collect()).collect();
    assert_eq!(told, rows);
}
