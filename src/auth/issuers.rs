//! Owns: all issuers of a configuration, by name and by `iss`.
//! Refuses: two issuers with one `iss`, for a token could not choose between them.
//! Always holds: `iss` is compared byte for byte (RFC 7519 section 4.1.1).

use std::{collections::BTreeMap, sync::Arc};

use super::{Issuer, Keeper};
use crate::{
    config::{Config, IssuerConfig},
    diagnostic::{Diagnostics, KeyPath},
};

/// The issuers of a configuration.
#[derive(Debug, Default)]
pub struct Issuers {
    by_name: BTreeMap<Arc<str>, Arc<Issuer>>,
    // Few, as a rule one: to compare with it takes less than to hash the name.
    by_issuer: BTreeMap<Box<str>, Arc<Issuer>>,
    with_api_keys: Option<Arc<Issuer>>,
}

/// Compiles `[issuers]`. `keeper` says who vouches for the tokens of one issuer; it notes its own diagnostics and may answer
/// with the keeper that the issuer had before, which lets the tokens verified with it stay.
pub fn compile_issuers(
    config: &Config,
    previous: Option<&Issuers>,
    mut keeper: impl FnMut(&str, &IssuerConfig, &mut Diagnostics) -> Option<Keeper>,
    diagnostics: &mut Diagnostics,
) -> Option<Issuers> {
    let mut issuers = Issuers::default();
    let mut sound = true;
    for (name, raw) in &config.issuers {
        let keeper = keeper(name, raw, diagnostics);
        let previous = previous.and_then(|previous| previous.by_name(name)).map(Arc::as_ref);
        let compiled = Issuer::compile(name, raw, config, previous, keeper, diagnostics);
        let Some(issuer) = compiled.map(Arc::new) else {
            sound = false;
            continue;
        };
        if let Some(other) = issuers.by_issuer.insert(issuer.issuer().into(), Arc::clone(&issuer)) {
            let key = if raw.embedded { "embedded" } else { "issuer" };
            let message = format!("issuer `{}` has the same `iss` already", other.name());
            let remedy = "keep one of the two: a token says only `iss`, and could not choose between them";
            diagnostics.error(&KeyPath::of(&["issuers", name, key]), message, remedy);
            sound = false;
        }
        if issuer.accepts_api_keys() {
            issuers.with_api_keys = Some(Arc::clone(&issuer));
        }
        issuers.by_name.insert(Arc::clone(issuer.name()), issuer);
    }
    sound.then_some(issuers)
}

impl Issuers {
    /// The issuer that the configuration calls `name`.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.by_name.get(name)
    }

    /// The issuer whose tokens have `issuer` in `iss`.
    #[must_use]
    pub fn by_issuer(&self, issuer: &str) -> Option<&Arc<Issuer>> {
        self.by_issuer.get(issuer)
    }

    /// The issuer of the tokens that are sent as `X-API-Key`. There is one at most: the embedded one.
    #[must_use]
    pub const fn with_api_keys(&self) -> Option<&Arc<Issuer>> {
        self.with_api_keys.as_ref()
    }

    /// Whether `X-API-Key` is a credential. Otherwise it is a field like any other.
    #[must_use]
    pub const fn accepts_api_keys(&self) -> bool {
        self.with_api_keys.is_some()
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.by_name.values()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{auth::forge::FixedKeys, config::HumanDuration};

    fn config(issuers: serde_json::Value) -> Config {
        serde_json::from_value(serde_json::json!({ "issuers": issuers })).unwrap()
    }

    fn compile(config: &Config, previous: Option<&Issuers>, source: &Arc<FixedKeys>) -> Result<Issuers, Vec<String>> {
        let mut diagnostics = Diagnostics::new();
        let keeper = |_: &str, _: &IssuerConfig, _: &mut Diagnostics| {
            Some(Keeper {
                keys: Arc::<FixedKeys>::clone(source),
                standing: None,
                introspection: None,
                revocation: None,
            })
        };
        compile_issuers(config, previous, keeper, &mut diagnostics).ok_or_else(|| {
            assert!(diagnostics.has_errors());
            diagnostics.iter().map(|entry| format!("{}: {} | {}", entry.path, entry.message, entry.remedy)).collect()
        })
    }

    #[test]
    fn every_problem_is_found_at_once() {
        let config = config(serde_json::json!({
            "corp": { "issuer": "https://a/", "algorithms": ["HS256", "rs256", "none", "X"], "leeway": "6m" },
            "twin": { "issuer": "https://b/" },
            "twin2": { "issuer": "https://b/" },
            "nameless": {},
            "local": { "embedded": true, "issuer": "x", "jwks_uri": "y", "key_set": { "max_age": "1m" } },
            "empty": { "issuer": "", "algorithms": [], "audience": [], "max_lifetime": "0s", "required_claims": [""] },
        }));
        let problems = compile(&config, None, &FixedKeys::new(Vec::new())).unwrap_err();
        for expected in [
            "issuers.corp.algorithms[0]: `HS256` is symmetric",
            "did you mean \"RS256\"?",
            "issuers.corp.algorithms[2]: `none`",
            "issuers.corp.algorithms[3]: `X` is no algorithm",
            "issuers.corp.leeway",
            "issuers.twin2.issuer: issuer `twin` has the same `iss`",
            "issuers.nameless: the issuer does not say",
            "issuers.local.issuer",
            "issuers.local.jwks_uri",
            "issuers.local.key_set",
            "issuers.local.embedded: there is no embedded issuer",
            "issuers.empty.issuer",
            "issuers.empty.algorithms",
            "issuers.empty.audience",
            "issuers.empty.max_lifetime",
            "issuers.empty.required_claims[0]",
        ] {
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} in {problems:#?}");
        }
        assert_eq!(problems.len(), 16, "{problems:#?}");
    }

    #[test]
    fn issuers_are_found_byte_for_byte() {
        let config = config(serde_json::json!({ "corp": { "issuer": "https://a/" } }));
        let issuers = compile(&config, None, &FixedKeys::new(Vec::new())).unwrap();
        assert!(issuers.by_issuer("https://a/").is_some() && issuers.by_name("corp").is_some());
        assert!(issuers.by_issuer("https://a").is_none() && issuers.by_issuer("https://A/").is_none());
    }

    #[test]
    fn what_verification_depends_on_is_kept_only_while_it_is_the_same() {
        let source = FixedKeys::new(Vec::new());
        let mut config = config(serde_json::json!({ "corp": { "issuer": "https://a/" } }));
        let first = compile(&config, None, &source).unwrap();
        let kept = |config: &Config, source: &Arc<FixedKeys>| {
            let second = compile(config, Some(&first), source).unwrap();
            Arc::ptr_eq(first.by_name("corp").unwrap().verification(), second.by_name("corp").unwrap().verification())
        };
        assert!(kept(&config, &source));
        assert!(!kept(&config, &FixedKeys::new(Vec::new())), "other keys");
        let corp = |config: &mut Config| std::mem::take(&mut config.issuers).remove("corp").unwrap();
        let mut raw = corp(&mut config);
        raw.audience = Some(crate::config::OneOrMany(vec!["b".to_owned()]));
        config.issuers.insert("corp".to_owned(), raw.clone());
        assert!(kept(&config, &source), "the audience is the routes' business");
        raw.leeway = HumanDuration(Duration::from_secs(1));
        config.issuers.insert("corp".to_owned(), raw);
        assert!(!kept(&config, &source), "another leeway");
    }
}
