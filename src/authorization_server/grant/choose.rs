//! Owns: which of a client's grants a request means, and what of it.
//! Refuses: what was not granted; scopes that the API no longer has.
//! Always holds: no request at all means all that was granted; a request for nothing is malformed.

use crate::{
    authorization_server::{api::Api, client::Client, settings::Settings},
    oauth::{IssueRefusal, ScopeSet},
};

/// The grant that the request means, and its scopes.
pub(super) fn choose_grant<'a>(
    settings: &'a Settings,
    client: &'a Client,
    asked: Option<&str>,
) -> Result<(&'a Api, &'a ScopeSet), IssueRefusal> {
    let mut grants = client.grants.iter();
    let (audience, granted) = match asked {
        Some(asked) if settings.api(asked).is_none() => return Err(IssueRefusal::UnknownAudience),
        _ if client.grants.is_empty() => return Err(IssueRefusal::NoGrants),
        Some(asked) => match client.grants.get_key_value(asked) {
            Some(grant) => grant,
            None => return Err(IssueRefusal::AudienceNotGranted),
        },
        None => match (grants.next(), grants.next()) {
            (Some(only), None) => only,
            _ => return Err(IssueRefusal::AudienceMissing),
        },
    };
    let api = settings.api(audience).ok_or(IssueRefusal::UnknownAudience)?;
    Ok((api, granted))
}

/// The scopes of the token: those asked for, or all that were granted. A registered client may have been granted what its API
/// has lost since.
pub(super) fn choose_scope(api: &Api, granted: &ScopeSet, asked: Option<&str>) -> Result<Option<String>, IssueRefusal> {
    let available = granted.iter().filter(|scope| api.scopes.contains(scope));
    let available = ScopeSet::collect(available).map_err(|_| IssueRefusal::MalformedScope)?;
    let asked = match asked {
        None => available.clone(),
        Some(text) => match ScopeSet::parse(text) {
            // The grammar asks for one at least; nothing at all must not come to mean everything.
            Ok(asked) if !asked.is_empty() => asked,
            _ => return Err(IssueRefusal::MalformedScope),
        },
    };
    if !available.contains_all(&asked) {
        return Err(IssueRefusal::ScopeNotGranted);
    }
    Ok((!asked.is_empty()).then(|| asked.to_string()))
}

/// The organisation that the token is for.
pub(super) fn choose_organization<'a>(
    client: &Client,
    asked: Option<&'a str>,
) -> Result<Option<&'a str>, IssueRefusal> {
    match asked {
        Some(asked) if client.organizations.iter().any(|allowed| **allowed == *asked) => Ok(Some(asked)),
        Some(_) => Err(IssueRefusal::OrganizationNotAllowed),
        None => Ok(None),
    }
}
