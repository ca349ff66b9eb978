//! Owns: taking exactly one credential out of a request (RFC 6750 section 2).
//! Refuses: two of them, in whatever places; tokens in the query, where logs would keep them; other schemes.
//! Always holds: `X-API-Key` is a credential only where the embedded issuer has tokens that are sent so; elsewhere it is a
//! field like any other, and the upstream's business.

use std::fmt;

use http::header::AUTHORIZATION;

use super::{
    BearerToken,
    bearer::{self, CredentialError},
};
use crate::http::{FieldLines, headers::X_API_KEY};

/// The query parameter of RFC 6750 section 2.3.
const QUERY_PARAMETER: &str = "access_token";

/// The one credential of a request, and where it stood.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'a> {
    token: BearerToken<'a>,
    header: CredentialHeader,
}

/// The one field of a request in which a credential stands. Whether it is one has not been looked at, see [`Self::read`]: a token
/// that was verified before is found by its bytes alone, and one that is taken apart is looked at by that.
#[derive(Clone, Copy)]
pub struct CredentialField<'a> {
    value: &'a [u8],
    header: CredentialHeader,
}

/// The field in which a credential stands. Each token belongs into one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialHeader {
    /// `Authorization: Bearer` (RFC 6750 section 2.1).
    Authorization,
    /// `X-API-Key`, in which users' and tenants' own access tokens are sent.
    ApiKey,
}

/// The one credential of a request with these fields and this query, if there is one. `X-API-Key` is looked at only if
/// `api_keys`; see [`super::Issuers::accepts_api_keys`].
///
/// # Errors
/// There is more than one, or it is no token.
pub fn extract<'a>(
    fields: &'a impl FieldLines,
    query: Option<&str>,
    api_keys: bool,
) -> Result<Option<Credential<'a>>, CredentialError> {
    credential_field(fields, query, api_keys)?.map(CredentialField::read).transpose()
}

/// The field in which the one credential of a request stands, if there is one; otherwise like [`extract`].
///
/// # Errors
/// There is more than one, or its scheme is another one.
pub fn credential_field<'a>(
    fields: &'a impl FieldLines,
    query: Option<&str>,
    api_keys: bool,
) -> Result<Option<CredentialField<'a>>, CredentialError> {
    let names = (AUTHORIZATION, X_API_KEY);
    let authorizations = fields.lines(&names.0).map(|value| (CredentialHeader::Authorization, value));
    let keys = api_keys.then(|| fields.lines(&names.1)).into_iter().flatten();
    let mut found = authorizations.chain(keys.map(|value| (CredentialHeader::ApiKey, value)));
    match (found.next(), found.next(), query.is_some_and(holds_token)) {
        (None, _, false) => Ok(None),
        (None, _, true) => Err(CredentialError::InQuery),
        (Some((header, value)), None, false) => CredentialField::of(header, value).map(Some),
        (Some(_), _, _) => Err(CredentialError::Several),
    }
}

impl<'a> CredentialField<'a> {
    fn of(header: CredentialHeader, value: &'a [u8]) -> Result<Self, CredentialError> {
        let value = match header {
            CredentialHeader::Authorization => bearer::after_scheme(value)?,
            CredentialHeader::ApiKey => value,
        };
        Ok(Self { value, header })
    }

    /// Reads what stands in it.
    ///
    /// # Errors
    /// It is not one token.
    pub fn read(self) -> Result<Credential<'a>, CredentialError> {
        Ok(Credential { token: bearer::from_list_of_one(self.value)?, header: self.header })
    }

    /// The bytes where a token should be.
    pub(super) const fn value(self) -> &'a [u8] {
        self.value
    }

    /// Which field it is.
    pub(super) const fn header(self) -> CredentialHeader {
        self.header
    }
}

impl fmt::Debug for CredentialField<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CredentialField").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<'a> Credential<'a> {
    /// The token, to be verified.
    #[must_use]
    pub const fn token(self) -> BearerToken<'a> {
        self.token
    }

    /// Where it stood.
    #[must_use]
    pub const fn header(self) -> CredentialHeader {
        self.header
    }
}

/// As if it had not been read.
impl<'a> From<Credential<'a>> for CredentialField<'a> {
    fn from(Credential { token, header }: Credential<'a>) -> Self {
        Self { value: token.as_str().as_bytes(), header }
    }
}

/// Somebody presents it as RFC 6750 says.
impl<'a> From<BearerToken<'a>> for Credential<'a> {
    fn from(token: BearerToken<'a>) -> Self {
        Self { token, header: CredentialHeader::Authorization }
    }
}

/// Whether a query names `access_token`, however it is spelt; `;` separates too, as some upstreams read it so.
fn holds_token(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        // Only the spellings of the name can be as long or up to three times as long as itself.
        (QUERY_PARAMETER.len()..=QUERY_PARAMETER.len() * 3).contains(&name.len())
            && percent_encoding::percent_decode_str(name).eq(QUERY_PARAMETER.bytes())
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::http::Fields;

    fn of(
        authorizations: &[&str],
        keys: &[&str],
        query: Option<&str>,
        api_keys: bool,
    ) -> Result<Option<(CredentialHeader, String)>, CredentialError> {
        let mut fields = Fields::default();
        for (name, values) in [(AUTHORIZATION, authorizations), (X_API_KEY, keys)] {
            for value in values {
                fields.append(name.clone(), HeaderValue::from_str(value).unwrap());
            }
        }
        let found = extract(&fields, query, api_keys)?;
        Ok(found.map(|found| (found.header(), found.token().as_str().to_owned())))
    }

    fn found(header: CredentialHeader, text: &str) -> Result<Option<(CredentialHeader, String)>, CredentialError> {
        Ok(Some((header, text.to_owned())))
    }

    #[test]
    fn one_credential_is_found() {
        let (authorization, api_key) = (CredentialHeader::Authorization, CredentialHeader::ApiKey);
        for api_keys in [false, true] {
            assert_eq!(of(&["Bearer a"], &[], Some("a=b&token=c"), api_keys), found(authorization, "a"));
            assert_eq!(of(&[], &[], Some("access_tokens=1&xaccess_token=2"), api_keys), Ok(None));
            assert_eq!(of(&[], &[], None, api_keys), Ok(None));
        }
        assert_eq!(of(&[], &["pst_abc"], None, true), found(api_key, "pst_abc"));
        assert_eq!(of(&[], &["a.b.c"], None, true), found(api_key, "a.b.c"));
    }

    #[test]
    fn an_api_key_is_nothing_where_nobody_issues_them() {
        assert_eq!(of(&[], &["pst_abc", "another"], None, false), Ok(None));
        assert_eq!(of(&["Bearer a"], &["b"], None, false), found(CredentialHeader::Authorization, "a"));
        assert_eq!(of(&[], &["b"], Some("access_token=c"), false), Err(CredentialError::InQuery));
    }

    #[test]
    fn more_than_one_is_refused() {
        for api_keys in [false, true] {
            for authorizations in [["Bearer a", "Bearer a"], ["Bearer a", "Basic a"]] {
                assert_eq!(of(&authorizations, &[], None, api_keys), Err(CredentialError::Several));
            }
            for query in
                ["access_token=b", "x=1&access_token", "access%5Ftoken=b", "%61ccess_token=", "x=1;access_token=b"]
            {
                assert_eq!(of(&["Bearer a"], &[], Some(query), api_keys), Err(CredentialError::Several), "{query}");
                assert_eq!(of(&[], &[], Some(query), api_keys), Err(CredentialError::InQuery), "{query}");
            }
        }
        assert_eq!(of(&["Bearer a"], &["a"], None, true), Err(CredentialError::Several));
        assert_eq!(of(&["Basic a"], &["a"], None, true), Err(CredentialError::Several));
        assert_eq!(of(&[], &["a", "a"], None, true), Err(CredentialError::Several));
        assert_eq!(of(&[], &["a, b"], None, true), Err(CredentialError::Several));
        assert_eq!(of(&[], &["a"], Some("access_token=b"), true), Err(CredentialError::Several));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for key in ["", "Bearer a", "a b", "=", "a\"b"] {
            assert_eq!(of(&[], &[key], None, true), Err(CredentialError::Malformed), "{key}");
        }
        let long = "a".repeat(crate::jose::LONGEST_TOKEN_BYTES + 1);
        assert_eq!(of(&[], &[&long], None, true), Err(CredentialError::TooLarge { bytes: long.len() }));
        assert_eq!(of(&["Basic a"], &[], None, true), Err(CredentialError::OtherScheme));
    }

    proptest! {
        #[test]
        fn no_value_panics_and_none_yields_two(
            value in proptest::collection::vec(0x20u8..=0xff, 0..60), api_key in any::<bool>(),
        ) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let fields = Fields::from_iter([(if api_key { X_API_KEY } else { AUTHORIZATION }, value)]);
                if let Ok(Some(credential)) = extract(&fields, None, true) {
                    prop_assert!(!credential.token().as_str().contains([' ', ',']));
                    prop_assert_eq!(credential.header() == CredentialHeader::ApiKey, api_key);
                }
            }
        }
    }
}
