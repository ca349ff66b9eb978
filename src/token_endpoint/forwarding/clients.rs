//! Owns: the clients that are known here under an id and secret of their own, and stand for others at the provider.
//! Refuses: passing on what such a client presents; clients that are not known, where the operator says so.
//! Always holds: every attempt by secret costs one hash and two comparisons of 32 bytes, whoever the client is and whatever comes
//! of it, so that the time says nothing of who is known here, how many secrets it has, or how much of a guess was right.

use std::{collections::BTreeMap, fmt, sync::Arc};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
};

use super::super::{AuthenticationMethod, ClientAuthentication, IssueError, authentication::unverified_subject};
use crate::{
    config::{ForwardedClientConfig, UnmappedClientsConfig},
    secret::Secret,
};

/// The clients of one forwarded endpoint.
pub(super) struct ClientMap {
    clients: BTreeMap<Box<str>, MappedClient>,
    refuses_unmapped: bool,
}

/// What a secret is compared by, which is as long for every secret. A plain hash, since the secret itself is in memory beside it.
#[derive(Clone, Copy)]
struct Fingerprint([u8; SHA256_OUTPUT_LEN]);

struct MappedClient {
    client_id: Arc<str>,
    /// Of its one secret, or of its two.
    secrets: [Fingerprint; 2],
    provider_client_id: String,
    provider_secret: Secret,
}

/// Who a client is, and what the provider is told.
#[derive(Debug)]
pub(super) struct Presented {
    /// The id that it says it has here; none if it says none.
    pub(super) client_id: Option<Arc<str>>,
    /// What it proves it with at the provider.
    pub(super) authentication: ClientAuthentication,
    /// Whether it has proven itself here, and the provider is told other credentials than its own.
    pub(super) is_mapped: bool,
}

impl ClientMap {
    pub(super) fn new(raw: &BTreeMap<String, ForwardedClientConfig>, unmapped: Option<UnmappedClientsConfig>) -> Self {
        let client = |(id, raw): (&String, &ForwardedClientConfig)| {
            let secret = Fingerprint::of(raw.secret.secret());
            let other = raw.other_secret.as_ref().map(|other| Fingerprint::of(other.secret()));
            let client = MappedClient {
                client_id: Arc::from(id.as_str()),
                secrets: [secret, other.unwrap_or(secret)],
                provider_client_id: raw.provider_client_id.clone().unwrap_or_else(|| id.clone()),
                provider_secret: raw.provider_secret.secret().clone(),
            };
            (Box::from(id.as_str()), client)
        };
        Self {
            clients: raw.iter().map(client).collect(),
            refuses_unmapped: unmapped == Some(UnmappedClientsConfig::Refuse),
        }
    }

    /// Who presents `authentication`, and what the provider is told instead, if something else.
    ///
    /// # Errors
    /// A client that is known here has not proven itself, or is not known and has to be.
    pub(super) fn resolve(&self, authentication: &ClientAuthentication) -> Result<Presented, IssueError> {
        let claimed = claimed(authentication)?;
        let client = claimed.as_deref().and_then(|id| self.clients.get(id));
        let proven = authentication.secret().map(|secret| is_proven(client, secret));
        let Some(client) = client else {
            if self.refuses_unmapped {
                return Err(IssueError::UnknownClient);
            }
            let client_id = claimed.map(Arc::from);
            return Ok(Presented { client_id, authentication: authentication.clone(), is_mapped: false });
        };
        match (proven, authentication.client_assertion()) {
            (None, _) | (_, Some(_)) => return Err(IssueError::AuthenticationMethodNotAllowed),
            (Some(false), None) => return Err(IssueError::WrongSecret),
            (Some(true), None) => {}
        }
        let (id, secret) = (client.provider_client_id.clone(), client.provider_secret.clone());
        let authentication = match authentication.method() {
            AuthenticationMethod::Basic => ClientAuthentication::basic(id, secret),
            AuthenticationMethod::Post | AuthenticationMethod::Assertion => ClientAuthentication::post(id, secret),
        };
        Ok(Presented { client_id: Some(Arc::clone(&client.client_id)), authentication, is_mapped: true })
    }
}

/// Who the client says it is. Everything here goes by this id, so an assertion must not be of another.
fn claimed(authentication: &ClientAuthentication) -> Result<Option<String>, IssueError> {
    let named = authentication.client_id().map(str::to_owned);
    let Some(assertion) = authentication.client_assertion() else { return Ok(named) };
    let subject = unverified_subject(assertion);
    let subject = subject.ok_or(IssueError::InvalidAssertion { what: "it does not say whose it is" })?;
    if named.is_some_and(|named| named != subject) {
        return Err(IssueError::InvalidAssertion { what: "it is of another client than the one that is named" });
    }
    Ok(Some(subject))
}

/// Whether `presented` is a secret of `client`. Somebody who is not known has two that nobody has, so that this is the same work
/// for everybody.
fn is_proven(client: Option<&MappedClient>, presented: &Secret) -> bool {
    let presented = Fingerprint::of(presented);
    let secrets = client.map_or([Fingerprint::NOBODYS; 2], |client| client.secrets);
    // Unlike `||`, this never leaves a comparison out.
    secrets.iter().fold(false, |proven, secret| proven | secret.is(&presented))
}

impl Fingerprint {
    /// Nothing is known that hashes to zeros.
    const NOBODYS: Self = Self([0; SHA256_OUTPUT_LEN]);

    fn of(secret: &Secret) -> Self {
        let mut fingerprint = Self::NOBODYS;
        let hash = digest(&SHA256, secret.expose().as_bytes());
        fingerprint.0.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        fingerprint
    }

    fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for ClientMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientMap").field("clients", &self.clients.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(unmapped: &str) -> ClientMap {
        let text = format!(
            "[token_endpoints.a]\npath = \"/t\"\nforward = \"https://id.example/t\"\nunmapped_clients = \"{unmapped}\"\n\
             [token_endpoints.a.clients.reports]\nsecret = \"own\"\nother_secret = \"next\"\n\
             provider_client_id = \"qJx8\"\nprovider_secret = \"theirs\"\n\
             [token_endpoints.a.clients.same]\nsecret = \"own\"\nprovider_secret = \"theirs\"\n"
        );
        let (loaded, diagnostics) = crate::config::load_text("postern.toml", &text, &BTreeMap::new());
        let config = loaded.config().unwrap_or_else(|| panic!("{diagnostics:?}"));
        let endpoint = &config.token_endpoints["a"];
        ClientMap::new(&endpoint.clients, endpoint.unmapped_clients)
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn resolved(map: &ClientMap, id: &str, presented: &str) -> Result<String, IssueError> {
        let resolved = map.resolve(&ClientAuthentication::basic(id.to_owned(), secret(presented)))?;
        let told = &resolved.authentication;
        let id = resolved.client_id.unwrap_or_else(|| "-".into());
        Ok(format!(
            "{id} {} {} {:?}",
            told.client_id().unwrap_or("-"),
            told.secret().map_or("-", Secret::expose),
            told.method()
        ))
    }

    #[test]
    fn the_provider_is_told_what_stands_for_the_client() {
        let map = map("forward");
        for presented in ["own", "next"] {
            assert_eq!(resolved(&map, "reports", presented).unwrap(), "reports qJx8 theirs Basic");
        }
        assert_eq!(resolved(&map, "same", "own").unwrap(), "same same theirs Basic");
        for presented in ["theirs", "ow", ""] {
            assert!(matches!(resolved(&map, "reports", presented), Err(IssueError::WrongSecret)), "{presented}");
        }
        let of_reports = assertion_of("reports");
        let assertion = ClientAuthentication::assertion(Some("reports".to_owned()), secret(&of_reports));
        assert!(matches!(map.resolve(&assertion), Err(IssueError::AuthenticationMethodNotAllowed)));
        let both = ClientAuthentication::post("reports".to_owned(), secret("own")).beside(secret(&of_reports));
        assert!(matches!(map.resolve(&both), Err(IssueError::AuthenticationMethodNotAllowed)));
    }

    /// An assertion that nobody signed.
    fn assertion_of(subject: &str) -> String {
        let payload = serde_json::json!({ "sub": subject }).to_string();
        format!("x.{}.x", base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, payload))
    }

    #[test]
    fn an_assertion_is_of_the_client_that_is_named() {
        let map = map("forward");
        let resolve = |named: Option<&str>, assertion: &str| {
            let authentication = ClientAuthentication::assertion(named.map(str::to_owned), secret(assertion));
            map.resolve(&authentication).map(|presented| presented.client_id)
        };
        let of_other = assertion_of("other");
        for named in [None, Some("other")] {
            assert_eq!(resolve(named, &of_other).unwrap().as_deref(), Some("other"));
        }
        for (named, assertion) in
            [(Some("made-up"), of_other.as_str()), (Some("other"), "a.b.c"), (None, "a.b.c"), (None, "")]
        {
            assert!(
                matches!(resolve(named, assertion), Err(IssueError::InvalidAssertion { .. })),
                "{named:?} {assertion}"
            );
        }
    }

    #[test]
    fn whoever_is_not_in_the_map_goes_on_or_is_unknown() {
        assert_eq!(resolved(&map("forward"), "other", "x").unwrap(), "other other x Basic");
        assert!(matches!(resolved(&map("refuse"), "other", "x"), Err(IssueError::UnknownClient)));
        assert!(matches!(resolved(&map("refuse"), "qJx8", "theirs"), Err(IssueError::UnknownClient)));
        assert!(!format!("{:?}", map("refuse")).contains("theirs"));
    }
}
