//! Owns: what a route asks of its callers, compiled: nothing, or a list of rules.
//! Refuses: routes that say neither or both, and public ones that only report.
//! Always holds: a [`PublicAccess`] or a [`ReportOnly`] exists only because the operator wrote `public = true` or
//! `mode = "report"`.

use std::sync::Arc;

use super::{
    Claims, Denial, Issuer, Issuers,
    require::{CompiledRequire, RequireCompiler},
    rules::Rule,
};
use crate::{
    config::{ModeConfig, RequireConfig, RouteConfig},
    diagnostic::{Diagnostics, KeyPath},
    http::PathParameters,
};

/// What a route asks of its callers.
#[derive(Debug)]
pub enum Access {
    /// Nothing.
    Public(PublicAccess),
    /// A token that satisfies rules.
    Protected(Requirement),
}

/// The operator's word that no token is needed.
#[derive(Debug)]
pub struct PublicAccess(());

/// The operator's word that rules are only reported.
#[derive(Debug)]
pub struct ReportOnly(());

/// What a token must show. It does not say where: routes that ask the same of their callers may have one in common.
#[derive(Debug)]
pub struct Requirement {
    rules: Box<[Rule]>,
    introspecting: Option<Arc<Issuer>>,
    report_only: Option<ReportOnly>,
}

/// What one rule says to one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Where the rule stands in `require`.
    pub rule: String,
    /// Whether it is satisfied, and if not, why.
    pub outcome: Result<(), Denial>,
    /// What it asks for and what the token has.
    pub words: String,
}

impl Access {
    /// Compiles what `routes.<name>` asks of its callers. `parameters` are the names in its path. Without `issuers`, because
    /// something is wrong elsewhere, rules cannot be judged; whether there are any can. Every problem is noted; `None` if one
    /// of them is an error.
    pub fn compile(
        name: &str,
        raw: &RouteConfig,
        issuers: Option<&Issuers>,
        parameters: &[&str],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let path = KeyPath::of(&["routes", name]);
        match (raw.public, &raw.require) {
            (true, Some(_)) => {
                let remedy = "remove `public` to enforce the rules, or remove `require` to let everyone through";
                diagnostics.error(&path.key("public"), "the route is public and has a `require` table", remedy);
                None
            }
            (false, None) => {
                let remedy = format!("add a [routes.{name}.require] table, or `public = true` to let everyone through");
                diagnostics.key_error(&path, "the route does not say who may use it", remedy);
                None
            }
            (true, None) if raw.mode == ModeConfig::Report => {
                let remedy = "remove `mode`: a public route has no rules to report on";
                diagnostics.error(&path.key("mode"), "the route is public and only reports", remedy);
                None
            }
            (true, None) => Some(Self::Public(PublicAccess(()))),
            (false, Some(require)) => {
                let compiler =
                    RequireCompiler { path: path.key("require"), issuers: issuers?, parameters, diagnostics };
                let CompiledRequire { rules, introspecting } = compiler.compile(require)?;
                let report_only = (raw.mode == ModeConfig::Report).then_some(ReportOnly(()));
                Some(Self::Protected(Requirement { rules, introspecting, report_only }))
            }
        }
    }
}

impl Requirement {
    /// Compiles the `require` table at `path`, which is not a route's but that of something of Postern's own, and always enforced.
    /// Every problem is noted; `None` if one of them is an error, or if something is wrong with the issuers.
    pub fn compile(
        path: &KeyPath,
        raw: &RequireConfig,
        issuers: Option<&Issuers>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let compiler = RequireCompiler { path: path.clone(), issuers: issuers?, parameters: &[], diagnostics };
        let CompiledRequire { rules, introspecting } = compiler.compile(raw)?;
        Some(Self { rules, introspecting, report_only: None })
    }

    /// The issuer that may be shown an opaque token here and asked what it means: the only one of those accepted that can be asked.
    #[must_use]
    pub const fn introspecting(&self) -> Option<&Arc<Issuer>> {
        self.introspecting.as_ref()
    }

    /// The operator's word that the rules are only reported, with which [`super::Permit::report_only`] lets a request
    /// through that they refuse.
    #[must_use]
    pub const fn report_only(&self) -> Option<&ReportOnly> {
        self.report_only.as_ref()
    }

    /// Whether it has a rule about a parameter of the path. Without, no parameters need be given.
    #[must_use]
    pub fn is_about_path(&self) -> bool {
        self.rules.iter().any(Rule::is_about_path)
    }

    /// What every rule says to what a token of `issuer` claims, for an operator who asks.
    #[must_use]
    pub fn verdicts(&self, issuer: &Arc<str>, claims: &Claims, parameters: &PathParameters) -> Vec<Verdict> {
        self.rules
            .iter()
            .map(|rule| Verdict {
                rule: rule.name(),
                outcome: rule.judge(issuer, claims, parameters),
                words: rule.words(issuer, claims, parameters),
            })
            .collect()
    }

    pub(super) fn judge(&self, issuer: &Arc<str>, claims: &Claims, parameters: &PathParameters) -> Result<(), Denial> {
        self.rules.iter().try_for_each(|rule| rule.judge(issuer, claims, parameters))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        auth::{
            Permit, VerifiedToken,
            forge::{EC, FixedKeys, issuers, trusted},
            verified_token::TokenProof,
        },
        jose::TokenType,
    };

    fn two_issuers() -> Issuers {
        let keys = FixedKeys::of(&[&EC]);
        let config =
            json!({ "corp": { "issuer": "https://a/", "audience": "api" }, "local": { "issuer": "https://b/" } });
        issuers(config, &[&keys, &keys], None)
    }

    fn compile(route: Value) -> Result<Access, Vec<String>> {
        let mut raw = json!({ "path": "/t/{tenant}", "upstream": "u" });
        raw.as_object_mut().unwrap().extend(route.as_object().unwrap().clone());
        // By way of TOML, whose integers are always signed.
        let raw: RouteConfig = toml::Value::try_from(raw).unwrap().try_into().unwrap();
        let mut diagnostics = Diagnostics::new();
        Access::compile("r", &raw, Some(&two_issuers()), &["tenant"], &mut diagnostics).ok_or_else(|| {
            diagnostics.iter().map(|entry| format!("{}: {} | {}", entry.path, entry.message, entry.remedy)).collect()
        })
    }

    fn requirement(require: Value) -> Requirement {
        match compile(json!({ "require": require })).unwrap() {
            Access::Protected(requirement) => requirement,
            Access::Public(_) => panic!("public"),
        }
    }

    fn token(issuer: &str, claims: Value) -> Arc<VerifiedToken> {
        let mut members = claims.as_object().unwrap().clone();
        members.insert("exp".to_owned(), json!(9));
        let issuers = two_issuers();
        let claims = Claims::read(members, TokenType::Jwt, issuers.by_name(issuer).unwrap().verification()).unwrap();
        let proof = TokenProof::Signature(trusted(&[EC.jwk()]).remove(0));
        Arc::new(VerifiedToken::new(issuer.into(), proof, claims))
    }

    fn reason(requirement: &Requirement, issuer: &str, claims: Value) -> &'static str {
        let mut parameters = PathParameters::default();
        parameters.push("tenant", "7");
        let token = token(issuer, claims);
        let outcome = requirement.authorize(&token, &parameters);
        let verdicts = requirement.verdicts(token.issuer(), token.claims(), &parameters);
        let first = verdicts.iter().find_map(|verdict| verdict.outcome.clone().err());
        assert_eq!(first.as_ref(), outcome.as_ref().err(), "explaining and deciding agree");
        match outcome {
            Ok(permit) => {
                assert!(permit.token().is_some_and(|own| Arc::ptr_eq(own, &token)));
                "permitted"
            }
            Err(denial) => denial.reason(),
        }
    }

    #[test]
    fn every_rule_refuses_what_is_one_step_off() {
        let all = requirement(json!({
            "issuers": ["corp"], "scopes": ["a", "b"], "any_scope": ["c", "d"], "path_claims": { "tenant": "tenant_id" },
            "claims": { "env": "prod", "roles": ["reader", "admin"], "level": 3, "beta": true },
        }));
        let good = json!({
            "aud": ["x", "api"], "scope": "a b c", "env": "prod", "roles": ["writer", "admin"], "level": 3, "beta": true,
            "tenant_id": "7",
        });
        for (issuer, changes, expected) in [
            ("corp", json!({}), "permitted"),
            ("corp", json!({ "aud": "api", "scope": null, "scp": ["d", "b", "a"], "roles": "reader" }), "permitted"),
            ("corp", json!({ "tenant_id": 7 }), "permitted"),
            ("local", json!({}), "issuer_not_accepted"),
            ("corp", json!({ "aud": "api/" }), "audience_mismatch"),
            ("corp", json!({ "aud": [] }), "audience_mismatch"),
            ("corp", json!({ "aud": null }), "audience_mismatch"),
            ("corp", json!({ "scope": "a c" }), "scope_missing"),
            ("corp", json!({ "scope": "a b" }), "scope_missing"),
            ("corp", json!({ "scope": "A B C" }), "scope_missing"),
            ("corp", json!({ "scope": null }), "scope_missing"),
            ("corp", json!({ "env": "production" }), "claim_mismatch"),
            ("corp", json!({ "env": null }), "claim_mismatch"),
            ("corp", json!({ "env": { "prod": true } }), "claim_mismatch"),
            ("corp", json!({ "roles": ["writer"] }), "claim_mismatch"),
            ("corp", json!({ "roles": [["admin"]] }), "claim_mismatch"),
            ("corp", json!({ "level": "3" }), "claim_mismatch"),
            ("corp", json!({ "level": 3.0 }), "claim_mismatch"),
            ("corp", json!({ "beta": "true" }), "claim_mismatch"),
            ("corp", json!({ "tenant_id": "07" }), "path_claim_mismatch"),
            ("corp", json!({ "tenant_id": ["7"] }), "path_claim_mismatch"),
            ("corp", json!({ "tenant_id": 7.0 }), "path_claim_mismatch"),
            ("corp", json!({ "tenant_id": null }), "path_claim_mismatch"),
        ] {
            let claims = crate::auth::forge::changed(good.clone(), changes.clone());
            assert_eq!(reason(&all, issuer, claims), expected, "{changes}");
        }
    }

    #[test]
    fn each_issuer_has_its_own_audience_unless_the_route_says_one() {
        let own = requirement(json!({ "audience": ["orders", "stock"] }));
        assert_eq!(reason(&own, "corp", json!({ "aud": "stock" })), "permitted");
        assert_eq!(reason(&own, "local", json!({ "aud": "orders" })), "permitted");
        assert_eq!(reason(&own, "corp", json!({ "aud": "api" })), "audience_mismatch");
        let denial = requirement(json!({ "issuers": ["corp"], "scopes": ["a", "b"] }))
            .authorize(&token("corp", json!({ "aud": "api", "scope": "a" })), &PathParameters::default())
            .unwrap_err();
        assert_eq!(denial, Denial::ScopeMissing { needed: "a b".into() });
    }

    #[test]
    fn parameters_are_asked_for_where_a_rule_is_about_them() {
        let others = json!({ "audience": "a", "scopes": ["a"], "any_scope": ["b"], "claims": { "env": "prod" } });
        assert!(!requirement(others).is_about_path());
        assert!(requirement(json!({ "audience": "a", "path_claims": { "tenant": "tenant_id" } })).is_about_path());
    }

    #[test]
    fn the_operator_alone_opens_a_route() {
        match compile(json!({ "public": true })).unwrap() {
            Access::Public(access) => assert!(Permit::public(&access).token().is_none()),
            Access::Protected(_) => panic!("protected"),
        }
        assert!(requirement(json!({ "audience": "a" })).report_only().is_none());
        match compile(json!({ "mode": "report", "require": { "audience": "a" } })).unwrap() {
            Access::Protected(requirement) => {
                let report_only = requirement.report_only().unwrap();
                assert!(Permit::report_only(report_only).token().is_none());
            }
            Access::Public(_) => panic!("public"),
        }
    }

    #[test]
    fn what_cannot_be_enforced_is_refused() {
        for (route, expected) in [
            (json!({}), vec!["routes.r: the route does not say who may use it"]),
            (json!({ "public": true, "require": {} }), vec!["routes.r.public: the route is public and has"]),
            (json!({ "public": true, "mode": "report" }), vec!["routes.r.mode: the route is public and only reports"]),
            (
                json!({ "require": {} }),
                vec!["routes.r.require: the route needs an audience for tokens of issuer `local`"],
            ),
            (json!({ "require": { "issuers": [] } }), vec!["routes.r.require.issuers: no issuer is accepted"]),
            (
                json!({ "require": {
                    "issuers": ["crop", "nobody"], "scopes": ["a b"], "any_scope": ["", "\""],
                    "claims": { "env": [] }, "path_claims": { "tenat": "t", "tenant": "" },
                } }),
                vec![
                    "routes.r.require.issuers[0]: there is no issuer `crop` | did you mean \"corp\"?",
                    "routes.r.require.issuers[1]: there is no issuer `nobody` | name one of the issuers: corp, local",
                    "routes.r.require.scopes[0]: `a b` is no scope",
                    "routes.r.require.any_scope[0]",
                    "routes.r.require.any_scope[1]",
                    "routes.r.require.claims.env: no value is accepted",
                    "routes.r.require.path_claims.tenant: the claim has no name",
                    "routes.r.require.path_claims.tenat: the path has no parameter {tenat} | did you mean `tenant`?",
                ],
            ),
            (json!({ "require": { "audience": [] } }), vec!["routes.r.require.audience: an audience is missing"]),
        ] {
            let problems = compile(route.clone()).unwrap_err();
            assert_eq!(problems.len(), expected.len(), "{route}: {problems:#?}");
            for (problem, expected) in problems.iter().zip(&expected) {
                assert!(problem.starts_with(expected), "{problem}");
            }
        }
    }
}
