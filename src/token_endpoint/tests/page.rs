//! docs/errors.md holds every way in which a token endpoint refuses, in the shape of each dialect, and nothing else.

use std::{collections::BTreeSet, iter::successors};

use super::*;

/// Every variant once; one that joins does not compile until it has its place here.
fn next_request_error(error: RequestError) -> Option<RequestError> {
    Some(match error {
        RequestError::MethodNotAllowed => RequestError::UnsupportedMediaType,
        RequestError::UnsupportedMediaType => RequestError::BodyTooLarge,
        RequestError::BodyTooLarge => RequestError::BodyIncomplete,
        RequestError::BodyIncomplete => RequestError::MalformedBody,
        RequestError::MalformedBody => RequestError::RepeatedParameter,
        RequestError::RepeatedParameter => RequestError::ParameterMissing { name: "token" },
        RequestError::ParameterMissing { .. } => RequestError::GrantTypeMissing,
        RequestError::GrantTypeMissing => RequestError::UnsupportedGrantType { asked: Echo::of("password") },
        RequestError::UnsupportedGrantType { .. } => RequestError::TwoAudiences,
        RequestError::TwoAudiences => RequestError::TwoAuthentications,
        RequestError::TwoAuthentications => RequestError::AuthenticationMissing,
        RequestError::AuthenticationMissing => RequestError::UnsupportedAuthenticationScheme,
        RequestError::UnsupportedAuthenticationScheme => RequestError::MalformedBasicCredentials,
        RequestError::MalformedBasicCredentials => RequestError::AssertionIncomplete,
        RequestError::AssertionIncomplete => RequestError::UnsupportedAssertionType,
        RequestError::UnsupportedAssertionType => return None,
    })
}

fn next_issue_refusal(refusal: IssueRefusal) -> Option<IssueRefusal> {
    Some(match refusal {
        IssueRefusal::Disabled => IssueRefusal::ClientDisabled,
        IssueRefusal::ClientDisabled => IssueRefusal::NoGrants,
        IssueRefusal::NoGrants => IssueRefusal::AudienceMissing,
        IssueRefusal::AudienceMissing => IssueRefusal::UnknownAudience,
        IssueRefusal::UnknownAudience => IssueRefusal::AudienceNotGranted,
        IssueRefusal::AudienceNotGranted => IssueRefusal::MalformedScope,
        IssueRefusal::MalformedScope => IssueRefusal::ScopeNotGranted,
        IssueRefusal::ScopeNotGranted => IssueRefusal::OrganizationNotAllowed,
        IssueRefusal::OrganizationNotAllowed => IssueRefusal::ExpirationPast,
        IssueRefusal::ExpirationPast => IssueRefusal::ExpirationTooFar,
        IssueRefusal::ExpirationTooFar => return None,
    })
}

fn next_issue_error(error: &IssueError) -> Option<IssueError> {
    Some(match error {
        IssueError::UnknownClient => IssueError::WrongSecret,
        IssueError::WrongSecret => IssueError::InvalidAssertion { what: "it is no JWT" },
        IssueError::InvalidAssertion { .. } => IssueError::AuthenticationMethodNotAllowed,
        IssueError::AuthenticationMethodNotAllowed => IssueError::InvalidRefreshToken,
        IssueError::InvalidRefreshToken => IssueError::ApiTokensDisabled { client_id: None },
        IssueError::ApiTokensDisabled { .. } => IssueError::LockedOut { retry_after: Duration::from_secs(60) },
        IssueError::Unavailable { .. } => of_provider(ProviderRefusalKind::InvalidClient),
        IssueError::Provider(refusal) => next_of_provider(refusal.kind)
            .unwrap_or_else(|| IssueError::Refused { client_id: "c".into(), refusal: IssueRefusal::Disabled }),
        IssueError::LockedOut { .. } => IssueError::QuotaExceeded { client_id: None, exceeded: used_up() },
        IssueError::QuotaExceeded { .. } => IssueError::Unavailable { client_id: None, source: "x".into() },
        IssueError::Refused { refusal, .. } => {
            IssueError::Refused { client_id: "c".into(), refusal: next_issue_refusal(*refusal)? }
        }
    })
}

fn of_provider(kind: ProviderRefusalKind) -> IssueError {
    IssueError::Provider(ProviderRefusal { kind, code: None, description: None, retry_after: None, nonce: None })
}

fn next_of_provider(kind: ProviderRefusalKind) -> Option<IssueError> {
    Some(of_provider(match kind {
        ProviderRefusalKind::InvalidClient => ProviderRefusalKind::AccessDenied,
        ProviderRefusalKind::AccessDenied => ProviderRefusalKind::UnauthorizedClient,
        ProviderRefusalKind::UnauthorizedClient => ProviderRefusalKind::InvalidScope,
        ProviderRefusalKind::InvalidScope => ProviderRefusalKind::InvalidTarget,
        ProviderRefusalKind::InvalidTarget => ProviderRefusalKind::InvalidGrant,
        ProviderRefusalKind::InvalidGrant => ProviderRefusalKind::TooManyRequests,
        ProviderRefusalKind::TooManyRequests => ProviderRefusalKind::Other,
        ProviderRefusalKind::Other => return None,
    }))
}

fn used_up() -> Box<QuotaExceeded> {
    let retry_after = Duration::from_secs(60);
    Box::new(QuotaExceeded { whose: HolderKind::Client, retry_after, standing: Standing::default() })
}

/// Status and code of one dialect's answer, as the page writes them.
fn cell(operation: Operation, refusal: TokenRefusal) -> String {
    let mut response = Answer::refused(operation, refusal).response;
    let body = std::mem::take(response.body_mut()).collect().now_or_never().unwrap().unwrap().to_bytes();
    let json: Value = serde_json::from_slice(&body).unwrap();
    let code = match (&json["error"], &json["code"]) {
        (Value::String(code), _) => format!(" `{code}`"),
        (_, Value::Number(code)) => format!(" `{code}`"),
        _ => String::new(),
    };
    format!("{}{code}", response.status().as_u16())
}

#[test]
fn the_page_of_errors_tells_all_of_them_and_nothing_else() {
    let requests = || {
        successors(Some(RequestError::MethodNotAllowed), |error| next_request_error(error.clone()))
            .map(TokenRefusal::Request)
    };
    let issues = || successors(Some(IssueError::UnknownClient), next_issue_error).map(TokenRefusal::from);
    let all = || requests().chain(issues());
    let column = |operation| all().map(move |refusal| cell(operation, refusal)).collect::<Vec<_>>();
    let [oauth2, auth0, plgd, frontegg] = [
        Operation::Oauth2(Oauth2Operation::Token),
        Operation::Auth0,
        Operation::Plgd(PlgdOperation::Token),
        Operation::Frontegg(FronteggOperation::Exchange(Naming::CamelCase)),
    ]
    .map(column);
    let rows: BTreeSet<String> = all()
        .enumerate()
        .map(|(row, refusal)| {
            let reason = refusal.reason();
            format!("| `{reason}` | {} | {} | {} | {} |", oauth2[row], auth0[row], plgd[row], frontegg[row])
        })
        .collect();
    assert_eq!(rows.len(), all().count(), "a reason of its own for each");
    let page = include_str!("../../../docs/errors.md");
    let (_, section) = page.split_once("\n## Token endpoints\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let told: BTreeSet<String> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split_inclusive('|').take(6).collect())
        .collect();
    assert_eq!(told, rows);
}
