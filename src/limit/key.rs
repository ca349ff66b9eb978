//! Owns: whose requests are counted together.
//! Refuses: keeping what a caller or a token says: whatever its length, it costs 16 bytes.
//! Always holds: two issuers' values never meet, nor do a missing value and one that is there.

use std::{fmt::Write as _, net::IpAddr};

use aws_lc_rs::digest::{Context, SHA256};

use crate::http::Peer;

/// Whose requests are counted together.
#[derive(Clone, Debug)]
pub enum Whose<'a> {
    /// Everybody's.
    Everybody,
    /// Those of a peer.
    Peer(IpAddr),
    /// Those with a token of this issuer in which the claim has this value, or without the claim.
    Token {
        /// The issuer's name in the configuration.
        issuer: &'a str,
        /// The claim's value.
        value: Option<&'a str>,
    },
    /// Those without a token that is believed.
    NoToken,
}

/// The same, in little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Everybody,
    Peer(Peer),
    NoToken,
    Token([u8; 16]),
}

impl Key {
    pub(super) fn of(whose: &Whose<'_>) -> Self {
        match whose {
            Whose::Everybody => Self::Everybody,
            Whose::Peer(address) => Self::Peer(Peer::of(*address)),
            Whose::NoToken => Self::NoToken,
            Whose::Token { issuer, value: None } => Self::Token(digest(&[issuer.as_bytes()])),
            Whose::Token { issuer, value: Some(value) } => Self::Token(digest(&[issuer.as_bytes(), value.as_bytes()])),
        }
    }

    /// The name of this key's counter, of the limit whose own hash is `limit`. It tells nothing of whose it is, but to somebody
    /// who tries all that it could be.
    pub(super) fn shared_name(&self, limit: &[u8; 16]) -> String {
        let hash = match self {
            Self::Everybody => digest(&[limit, b"everybody"]),
            Self::NoToken => digest(&[limit, b"no token"]),
            Self::Peer(Peer::V4(address)) => digest(&[limit, b"peer", address]),
            Self::Peer(Peer::V6(network)) => digest(&[limit, b"peer", &network.map(u16::to_be_bytes).concat()]),
            Self::Token(hash) => digest(&[limit, b"token", hash]),
        };
        let mut name = String::from("limit:");
        for byte in hash {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

/// The first half of the SHA-256 of `fields`, each with its length before it, so that no two lists look alike.
pub(super) fn digest(fields: &[&[u8]]) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    for field in fields {
        context.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(field);
    }
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    half
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn token<'a>(issuer: &'a str, value: Option<&'a str>) -> Whose<'a> {
        Whose::Token { issuer, value }
    }

    #[test]
    fn who_is_not_the_same_is_not_counted_together() {
        let all = [
            Whose::Everybody,
            Whose::NoToken,
            Whose::Peer("192.0.2.1".parse().unwrap()),
            Whose::Peer("2001:db8:1:2::1".parse().unwrap()),
            token("corp", None),
            token("corp", Some("")),
            token("corp", Some("a")),
            token("other", Some("a")),
            token("corpa", None),
            token("cor", Some("pa")),
        ];
        let names =
            |limit: &[u8; 16]| all.iter().map(|whose| Key::of(whose).shared_name(limit)).collect::<BTreeSet<_>>();
        let names_of_one = names(&[0; 16]);
        assert_eq!(names_of_one.len(), all.len());
        assert!(names_of_one.is_disjoint(&names(&[1; 16])), "another limit, other counters");
        assert!(names_of_one.iter().all(|name| name.len() == "limit:".len() + 32));
        assert_eq!(Key::of(&token("corp", Some("a"))), Key::of(&token("corp", Some("a"))));
    }

    #[test]
    fn a_network_is_one_peer() {
        let peer = |address: &str| Key::of(&Whose::Peer(address.parse().unwrap()));
        assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff::9"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
    }
}
