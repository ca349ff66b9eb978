//! Owns: the names of the claims that are read of every token.
//! Refuses: judging what they say.
//! Always holds: no two have one name.

/// Names each claim, and tells it by that.
macro_rules! claims {
    ($($(#[$source:meta])* $claim:ident = $name:literal,)+) => {
        /// A claim that is read of every token: where each of them stands is known as soon as the members are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ClaimName {
            $($(#[$source])* $claim,)+
        }

        impl ClaimName {
            /// All of them.
            pub(super) const ALL: [Self; [$(ClaimName::$claim),+].len()] = [$(Self::$claim),+];

            /// The claim with this name, if it is one of these.
            pub(super) const fn of(name: &[u8]) -> Option<Self> {
                // As bytes: they are told apart by their lengths first, texts would be compared with each.
                match name {
                    $($name => Some(Self::$claim),)+
                    _ => None,
                }
            }

            /// Its name, as it stands in a token.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$claim => const { text($name) },)+
                }
            }
        }
    };
}

claims! {
    /// RFC 7519 section 4.1.1.
    Issuer = b"iss",
    /// RFC 7519 section 4.1.2.
    Subject = b"sub",
    /// RFC 7519 section 4.1.3.
    Audience = b"aud",
    /// RFC 7519 section 4.1.4.
    ExpirationTime = b"exp",
    /// RFC 7519 section 4.1.5.
    NotBefore = b"nbf",
    /// RFC 7519 section 4.1.6.
    IssuedAt = b"iat",
    /// RFC 7519 section 4.1.7.
    TokenId = b"jti",
    /// RFC 8693 section 4.3.
    ClientId = b"client_id",
    /// OpenID Connect Core section 2.
    AuthorizedParty = b"azp",
    /// What Okta calls the client.
    Cid = b"cid",
    /// RFC 8693 section 4.2.
    Scope = b"scope",
    /// What Okta and Microsoft call the scopes.
    Scp = b"scp",
    /// What others call the scopes.
    Scopes = b"scopes",
    /// The kind of a token, as Keycloak says it.
    Type = b"typ",
    /// The same, as Cognito says it.
    TokenUse = b"token_use",
    /// OpenID Connect Core section 2.
    Nonce = b"nonce",
    /// OpenID Connect Core section 3.1.3.6.
    AccessTokenHash = b"at_hash",
    /// OpenID Connect Core section 3.3.2.11.
    CodeHash = b"c_hash",
    /// RFC 8417 section 2.2.
    Events = b"events",
    /// RFC 7800 section 3.1.
    Confirmation = b"cnf",
}

/// Names are ASCII.
const fn text(name: &'static [u8]) -> &'static str {
    match str::from_utf8(name) {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// Where the claims of an object stand among its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClaimPlaces {
    /// By claim; [`NOWHERE`] and [`FAR_BEHIND`] are none.
    places: [u8; ClaimName::ALL.len()],
}

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimPlace {
    /// It is not there.
    Nowhere,
    /// After so many other members.
    After(u8),
    /// Behind more members than any honest token has. It is found as any other.
    FarBehind,
}

const NOWHERE: u8 = u8::MAX;
const FAR_BEHIND: u8 = u8::MAX - 1;

impl ClaimPlaces {
    pub(super) fn of(&self, claim: ClaimName) -> ClaimPlace {
        match self.places.get(claim as usize) {
            None | Some(&NOWHERE) => ClaimPlace::Nowhere,
            Some(&FAR_BEHIND) => ClaimPlace::FarBehind,
            Some(&before) => ClaimPlace::After(before),
        }
    }

    /// Notes that a claim stands after so many other members.
    pub(super) fn note(&mut self, claim: ClaimName, before: usize) {
        if let Some(place) = self.places.get_mut(claim as usize) {
            *place = u8::try_from(before).map_or(FAR_BEHIND, |before| before.min(FAR_BEHIND));
        }
    }
}

impl Default for ClaimPlaces {
    fn default() -> Self {
        Self { places: [NOWHERE; ClaimName::ALL.len()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_by_its_name_alone() {
        for claim in ClaimName::ALL {
            let name = claim.name();
            assert_eq!(ClaimName::of(name.as_bytes()), Some(claim));
            for other in [name.to_uppercase(), format!("{name} "), name.chars().skip(1).collect()] {
                assert_eq!(ClaimName::of(other.as_bytes()), None, "{other:?}");
            }
        }
        assert_eq!(ClaimName::of(b""), None);
    }

    #[test]
    fn each_has_a_place_of_its_own() {
        for claim in ClaimName::ALL {
            let mut places = ClaimPlaces::default();
            assert_eq!(places.of(claim), ClaimPlace::Nowhere);
            for (before, place) in [
                (0, ClaimPlace::After(0)),
                (253, ClaimPlace::After(253)),
                (254, ClaimPlace::FarBehind),
                (255, ClaimPlace::FarBehind),
                (256, ClaimPlace::FarBehind),
                (usize::MAX, ClaimPlace::FarBehind),
            ] {
                places.note(claim, before);
                assert_eq!(places.of(claim), place);
                let others = ClaimName::ALL.into_iter().filter(|other| *other != claim);
                assert!(others.into_iter().all(|other| places.of(other) == ClaimPlace::Nowhere));
            }
        }
    }
}
