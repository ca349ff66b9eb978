//! Owns: from `[issuers.*]` and its `key_set`, where keys are fetched, whom to trust there, and how long they are good.
//! Refuses: addresses in clear beyond loopback, unreadable authorities, times that cannot work together.
//! Always holds: two settings are equal exactly if their key sets may be one and the same.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use thiserror::Error;

use super::discovery::{Discovery, DiscoveryPlaceError};
use crate::{
    config::{HumanDuration, IssuerConfig, KeySetConfig},
    diagnostic::{Diagnostics, KeyPath},
    outbound::{RemoteUrl, RemoteUrlError, TrustAnchors},
};

/// Everything that tells one remote key set from another. A reload keeps a set whose settings are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeySetSettings {
    pub(super) place: Place,
    pub(super) trust: TrustAnchors,
    /// How long an answer is fresh that does not say; also the least that `max_stale` can be.
    pub(super) max_age: Duration,
    /// The age at which keys are no longer used.
    pub(super) max_stale: Duration,
    /// The shortest time between two fetches on account of unknown keys.
    pub(super) unknown_key_cooldown: Duration,
}

/// Keys are not fetched from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("keys cannot be fetched from here: {0}")]
pub struct UnusableJwksUri(RemoteUrlError);

/// How the key document is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The operator says where it is.
    Given(RemoteUrl),
    /// The issuer says where it is.
    Discovered(Discovery),
}

impl KeySetSettings {
    /// Reads the settings of the issuer that the configuration calls `name`; not for the embedded one, whose keys are
    /// never fetched. Reads the file of authorities.
    #[must_use]
    pub fn compile(name: &str, issuer: &IssuerConfig, diagnostics: &mut Diagnostics) -> Option<Self> {
        let path = KeyPath::of(&["issuers", name]);
        let place = compile_place(&path, issuer, diagnostics);
        let trust = compile_trust(&path, issuer, place.as_ref(), diagnostics);
        let timings_hold = judge_timings(&path.key("key_set"), issuer, diagnostics);
        let (place, trust) = (place?, trust?);
        timings_hold.then_some(Self {
            place,
            trust,
            max_age: issuer.key_set.max_age.0,
            max_stale: issuer.key_set.max_stale.0,
            unknown_key_cooldown: issuer.key_set.unknown_key_cooldown.0,
        })
    }

    /// The settings of a set at this address that no issuer's table describes: the system's authorities, and the times that
    /// an issuer's table has by default.
    ///
    /// # Errors
    /// If nothing is fetched from there.
    pub fn of_jwks_uri(jwks_uri: &str) -> Result<Self, UnusableJwksUri> {
        let place = Place::Given(RemoteUrl::parse(jwks_uri).map_err(UnusableJwksUri)?);
        let KeySetConfig { max_age, max_stale, unknown_key_cooldown, .. } = KeySetConfig::default();
        let trust = TrustAnchors::System;
        let (max_age, max_stale, unknown_key_cooldown) = (max_age.0, max_stale.0, unknown_key_cooldown.0);
        Ok(Self { place, trust, max_age, max_stale, unknown_key_cooldown })
    }

    /// Where the keys are looked for, for a log or an operator.
    pub(super) fn place_in_words(&self) -> String {
        match &self.place {
            Place::Given(url) => url.to_string(),
            Place::Discovered(discovery) => format!("discovered from {}", discovery.issuer()),
        }
    }

    /// What tells whose keys these are, without the timings: keys may be carried over between two sets that share it, from
    /// memory or from disk.
    pub(super) fn origin(&self) -> Origin {
        let place = match &self.place {
            Place::Given(url) => format!("given\n{url}"),
            Place::Discovered(discovery) => format!("discovered\n{}", discovery.issuer()),
        };
        let mut text = format!("postern key set\n{place}\n").into_bytes();
        text.extend(self.trust.digest().map_or(b"system".as_slice(), <[u8; 32]>::as_slice));
        Origin { digest: hexadecimal(digest(&SHA256, &text).as_ref()) }
    }
}

/// Whose keys a set holds: its address and the authorities trusted there, as SHA-256 in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    digest: String,
}

impl Origin {
    pub(super) fn as_str(&self) -> &str {
        &self.digest
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn compile_place(path: &KeyPath, issuer: &IssuerConfig, diagnostics: &mut Diagnostics) -> Option<Place> {
    let remedy = "write an https URL, such as \"https://id.example.com/jwks\"; http is accepted to 127.0.0.1, [::1] and \
                  localhost only";
    if let Some(jwks_uri) = &issuer.jwks_uri {
        return match RemoteUrl::parse(jwks_uri) {
            Ok(url) => Some(Place::Given(url)),
            Err(error) => {
                diagnostics.error(&path.key("jwks_uri"), format!("keys cannot be fetched from here: {error}"), remedy);
                None
            }
        };
    }
    let Some(name) = &issuer.issuer else {
        diagnostics.key_error(
            path,
            "neither `issuer` nor `jwks_uri` says where the keys of this issuer are",
            "write `issuer = \"https://...\"`, or `embedded = true` for the issuer of [authorization_server]",
        );
        return None;
    };
    match Discovery::of(name) {
        Ok(discovery) => Some(Place::Discovered(discovery)),
        Err(error) => {
            let cause = match error {
                DiscoveryPlaceError::Url(RemoteUrlError::NotAUrl(_)) => "it is not a URL".to_owned(),
                other => other.to_string(),
            };
            diagnostics.error(
                &path.key("issuer"),
                format!("the keys of this issuer cannot be discovered from its name: {cause}"),
                "write `jwks_uri = \"https://...\"` beside it",
            );
            None
        }
    }
}

fn compile_trust(
    path: &KeyPath,
    issuer: &IssuerConfig,
    place: Option<&Place>,
    diagnostics: &mut Diagnostics,
) -> Option<TrustAnchors> {
    let encrypted = match place {
        Some(Place::Given(url)) => url.is_encrypted(),
        Some(Place::Discovered(discovery)) => discovery.is_encrypted(),
        None => true,
    };
    let path = path.key("key_set").key("ca");
    TrustAnchors::compile(issuer.key_set.ca.as_ref(), &path, encrypted, diagnostics)
}

fn judge_timings(path: &KeyPath, issuer: &IssuerConfig, diagnostics: &mut Diagnostics) -> bool {
    let config = &issuer.key_set;
    let day = 86_400;
    let mut within = |key: &str, value: HumanDuration, shortest: HumanDuration, longest: HumanDuration| {
        let holds = (shortest..=longest).contains(&value);
        if !holds {
            diagnostics.error(
                &path.key(key),
                format!("`{value}` is out of range"),
                format!("write a duration from \"{shortest}\" to \"{longest}\""),
            );
        }
        holds
    };
    let seconds = HumanDuration::from_seconds;
    let max_age_holds = within("max_age", config.max_age, seconds(1), seconds(day));
    let cooldown_holds = within(
        "unknown_key_cooldown",
        config.unknown_key_cooldown,
        HumanDuration(Duration::from_millis(100)),
        seconds(3600),
    );
    let max_stale_holds = within("max_stale", config.max_stale, seconds(1), seconds(30 * day));
    let mut holds = max_age_holds && cooldown_holds && max_stale_holds;
    if holds && config.max_stale < config.max_age {
        diagnostics.error(
            &path.key("max_stale"),
            format!("`{}` is shorter than `max_age`, {}", config.max_stale, config.max_age),
            "write the age at which keys are given up, which is at least `max_age`",
        );
        holds = false;
    }
    holds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(toml: &str) -> (Option<KeySetSettings>, Vec<String>) {
        let issuer: IssuerConfig = toml::from_str(toml).unwrap();
        let mut diagnostics = Diagnostics::new();
        let settings = KeySetSettings::compile("corp", &issuer, &mut diagnostics);
        assert_eq!(settings.is_none(), diagnostics.has_errors());
        (settings, diagnostics.iter().map(|one| format!("{}: {}", one.path, one.message)).collect())
    }

    #[test]
    fn an_issuer_with_a_jwks_uri_or_a_discoverable_name_compiles() {
        let (given, said) = compile("issuer = 'corp'\njwks_uri = 'https://id.example/jwks'");
        assert!(matches!(given.unwrap().place, Place::Given(_)) && said.is_empty());
        let (discovered, said) = compile("issuer = 'https://id.example/'");
        assert!(matches!(discovered.unwrap().place, Place::Discovered(_)) && said.is_empty());
    }

    #[test]
    fn every_mistake_is_said_where_it_is() {
        let (settings, said) = compile(
            "issuer = 'corp'\njwks_uri = 'http://id.example/jwks'\n\
             [key_set]\nca = '/nowhere/ca.pem'\nmax_age = '0s'\nunknown_key_cooldown = '0s'\nmax_stale = '90d'",
        );
        assert!(settings.is_none());
        let places: Vec<&str> = said.iter().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(
            places,
            [
                "issuers.corp.jwks_uri",
                "issuers.corp.key_set.ca",
                "issuers.corp.key_set.max_age",
                "issuers.corp.key_set.unknown_key_cooldown",
                "issuers.corp.key_set.max_stale",
            ]
        );
    }

    #[test]
    fn a_name_that_is_no_url_needs_a_jwks_uri() {
        for name in ["corp", "http://id.example/", "https://id.example/?tenant=1", "https://id.example/#a"] {
            let (_, said) = compile(&format!("issuer = '{name}'"));
            assert!(said.iter().any(|line| line.starts_with("issuers.corp.issuer: ")), "{name}: {said:?}");
        }
        let (_, said) = compile("");
        assert_eq!(said.len(), 1);
    }

    #[test]
    fn keys_may_not_be_given_up_while_they_are_fresh() {
        let (_, said) = compile("issuer = 'https://a.example'\n[key_set]\nmax_age = '2h'\nmax_stale = '1h'");
        assert_eq!(said, ["issuers.corp.key_set.max_stale: `1h` is shorter than `max_age`, 2h"]);
    }

    #[test]
    fn identity_is_address_trust_and_timings_and_the_origin_leaves_the_timings_out() {
        let one = compile("issuer = 'a'\njwks_uri = 'https://id.example/jwks'").0.unwrap();
        let same = compile("issuer = 'b'\njwks_uri = 'https://id.example/jwks'").0.unwrap();
        let slower =
            compile("issuer = 'a'\njwks_uri = 'https://id.example/jwks'\n[key_set]\nmax_age = '20m'").0.unwrap();
        let other = compile("issuer = 'a'\njwks_uri = 'https://id.example/jwks2'").0.unwrap();
        assert_eq!(one, same);
        assert_ne!(one, slower);
        assert_eq!(one.origin(), slower.origin());
        assert_ne!(one.origin(), other.origin());
        assert_eq!(one.origin().as_str().len(), 64);
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&file, content).unwrap();
            let toml = format!("issuer = 'https://a.example'\n[key_set]\nca = '{}'", file.display());
            let (_, said) = compile(&toml);
            assert!(said[0].starts_with("issuers.corp.key_set.ca: "), "{said:?}");
        }
    }
}
