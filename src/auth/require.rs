//! Owns: turning a `require` table into rules.
//! Refuses: what could not be enforced: unknown issuers, no audience, parameters that the path does not have, scopes
//! outside the grammar, empty lists; two issuers that could be shown one opaque token.
//! Always holds: every problem of the table is noted, each with what to write instead.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Issuer, Issuers,
    issuer::audiences,
    rules::{AcceptedIssuer, Rule},
};
use crate::{
    config::{ClaimValue, OneOrMany, RequireConfig},
    diagnostic::{Diagnostics, KeyPath, nearest},
    oauth::ScopeSet,
};

/// Compiles one `require` table.
pub(super) struct RequireCompiler<'a> {
    pub(super) path: KeyPath,
    pub(super) issuers: &'a Issuers,
    pub(super) parameters: &'a [&'a str],
    pub(super) diagnostics: &'a mut Diagnostics,
}

/// What a `require` table says.
pub(super) struct CompiledRequire {
    /// The rules in the order in which they are judged.
    pub(super) rules: Box<[Rule]>,
    /// The issuer that is asked about opaque tokens.
    pub(super) introspecting: Option<Arc<Issuer>>,
}

impl RequireCompiler<'_> {
    /// All parts are looked at before the first error ends it.
    pub(super) fn compile(mut self, raw: &RequireConfig) -> Option<CompiledRequire> {
        let accepted = self.accepted_issuers(raw);
        let introspecting = accepted.as_deref().and_then(|accepted| self.introspecting(raw, accepted));
        let audience = accepted.as_deref().and_then(|accepted| self.audience(raw, accepted));
        let scopes = self.scopes("scopes", &raw.scopes);
        let any_scope = self.scopes("any_scope", &raw.any_scope);
        let claims = self.claims(&raw.claims);
        let path_claims = self.path_claims(&raw.path_claims);

        let mut rules = vec![audience?];
        let (scopes, any_scope) = (scopes?, any_scope?);
        if !scopes.is_empty() {
            rules.push(Rule::AllScopes { needed: Arc::from(scopes.to_string()), scopes });
        }
        if !any_scope.is_empty() {
            rules.push(Rule::AnyScope { needed: Arc::from(any_scope.to_string()), scopes: any_scope });
        }
        rules.extend(claims?);
        rules.extend(path_claims?);
        Some(CompiledRequire { rules: rules.into_boxed_slice(), introspecting: introspecting? })
    }

    /// An opaque token does not say whose it is, and must not be shown to an issuer whose it is not.
    fn introspecting(&mut self, raw: &RequireConfig, accepted: &[Arc<Issuer>]) -> Option<Option<Arc<Issuer>>> {
        let mut asked = accepted.iter().filter(|issuer| issuer.introspection().is_some());
        let first = asked.next().map(Arc::clone);
        let others: Vec<&str> = asked.map(|issuer| &**issuer.name()).collect();
        let Some(one) = first.as_ref().filter(|_| !others.is_empty()) else { return Some(first) };
        let message = format!(
            "an opaque token could be one of issuer `{}` or of `{}`, and must not be shown to the wrong one",
            one.name(),
            others.join("`, `")
        );
        let remedy = "name one of them in `issuers`, and give the tokens of the other a route of their own";
        if raw.issuers.is_some() {
            self.diagnostics.error(&self.path.key("issuers"), message, remedy);
        } else {
            self.diagnostics.key_error(&self.path, message, remedy);
        }
        None
    }

    fn audience(&mut self, raw: &RequireConfig, issuers: &[Arc<Issuer>]) -> Option<Rule> {
        let own = match &raw.audience {
            Some(own) => Some(audiences(own, &self.path.key("audience"), self.diagnostics)?),
            None => None,
        };
        let mut accepted = Vec::new();
        for issuer in issuers {
            let audience: Box<[Box<str>]> = own.clone().unwrap_or_else(|| issuer.audience().into());
            if audience.is_empty() {
                let message = format!("the route needs an audience for tokens of issuer `{}`", issuer.name());
                let remedy = format!(
                    "write `audience = \"...\"` here or in [issuers.{}]; without one, a token made for another API would do",
                    issuer.name()
                );
                self.diagnostics.key_error(&self.path, message, remedy);
                return None;
            }
            accepted.push(AcceptedIssuer { name: Arc::clone(issuer.name()), audience });
        }
        Some(Rule::Audience(accepted.into_boxed_slice()))
    }

    fn accepted_issuers(&mut self, raw: &RequireConfig) -> Option<Vec<Arc<Issuer>>> {
        let Some(names) = &raw.issuers else {
            if self.issuers.is_empty() {
                let remedy = "add an [issuers.<name>] table for whoever signs the tokens";
                self.diagnostics.key_error(&self.path, "no issuer is configured, so no token satisfies it", remedy);
                return None;
            }
            return Some(self.issuers.iter().map(Arc::clone).collect());
        };
        let path = self.path.key("issuers");
        if names.is_empty() {
            let remedy = "name the issuers whose tokens are accepted, or remove it to accept every issuer's";
            self.diagnostics.error(&path, "no issuer is accepted", remedy);
            return None;
        }
        let mut accepted = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            if let Some(issuer) = self.issuers.by_name(name) {
                accepted.push(Arc::clone(issuer));
                continue;
            }
            let known = || self.issuers.iter().map(|issuer| &**issuer.name());
            let remedy = nearest(name, known()).map_or_else(
                || format!("name one of the issuers: {}", known().collect::<Vec<_>>().join(", ")),
                |nearest| format!("did you mean \"{nearest}\"?"),
            );
            self.diagnostics.error(&path.index(index), format!("there is no issuer `{name}`"), remedy);
        }
        (accepted.len() == names.len()).then_some(accepted)
    }

    fn scopes(&mut self, key: &str, raw: &[String]) -> Option<ScopeSet> {
        let mut sound = true;
        for (index, scope) in raw.iter().enumerate() {
            if ScopeSet::collect([scope.as_str()]).is_err() {
                let message = format!("`{}` is no scope", scope.escape_debug());
                let remedy =
                    "write one scope a string, of visible ASCII without spaces, `\"` and `\\` (RFC 6749 section 3.3)";
                self.diagnostics.error(&self.path.key(key).index(index), message, remedy);
                sound = false;
            }
        }
        if !sound {
            return None;
        }
        ScopeSet::collect(raw.iter().map(String::as_str)).ok()
    }

    fn claims(&mut self, raw: &BTreeMap<String, OneOrMany<ClaimValue>>) -> Option<Vec<Rule>> {
        let mut rules = Vec::with_capacity(raw.len());
        for (name, values) in raw {
            if name.is_empty() {
                let path = self.path.key("claims").key(name);
                self.diagnostics.key_error(&path, "the claim has no name", "write the name of a claim");
                continue;
            }
            if values.0.is_empty() {
                let remedy = "name the values that are accepted, or remove the claim";
                self.diagnostics.error(&self.path.key("claims").key(name), "no value is accepted", remedy);
                continue;
            }
            rules.push(Rule::Claim { name: Arc::from(name.as_str()), values: values.0.clone().into_boxed_slice() });
        }
        (rules.len() == raw.len()).then_some(rules)
    }

    fn path_claims(&mut self, raw: &BTreeMap<String, String>) -> Option<Vec<Rule>> {
        let mut rules = Vec::with_capacity(raw.len());
        for (parameter, claim) in raw {
            let path = || self.path.key("path_claims").key(parameter);
            if !self.parameters.contains(&parameter.as_str()) {
                let remedy = nearest(parameter, self.parameters.iter().copied()).map_or_else(
                    || format!("name a parameter of the path, or put {{{parameter}}} into it"),
                    |nearest| format!("did you mean `{nearest}`?"),
                );
                self.diagnostics.key_error(&path(), format!("the path has no parameter {{{parameter}}}"), remedy);
            } else if claim.is_empty() {
                self.diagnostics.error(&path(), "the claim has no name", "write the name of the claim to compare with");
            } else {
                rules.push(Rule::PathClaim {
                    parameter: Arc::from(parameter.as_str()),
                    claim: Arc::from(claim.as_str()),
                });
            }
        }
        (rules.len() == raw.len()).then_some(rules)
    }
}
