//! `postern explain`: which route a request takes, what each of its rules says to a token, and what the caller would get.
//!
//! Nobody is contacted, so a signature is not verified: the explanation is about rules, and says so.

use std::{fmt::Write as _, io::Read as _, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use clap::Args;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use http::{Method, Request, Uri};
use serde::Serialize;

use super::{arguments::Format, check, terminal};
use crate::{
    auth::{Access, BearerToken, Requirement, UnverifiedToken, Verdict, VerifyError},
    clock::Clock,
    gateway::{Rejection, refuse_method},
    http::{NormalHost, NormalPath, PathError, PathParameters, RequestHead},
    snapshot::{Destination, Own, Snapshot},
};

/// What `postern explain` takes.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// Configuration files, each with its own `-c`; later ones are laid over earlier ones
    #[arg(short = 'c', long = "config", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The token; `-` reads it from standard input, which keeps it out of the shell's history
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The method
    method: Method,
    /// The whole URL, like https://api.example.com/v1/orders
    url: Uri,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What would become of a request.
#[derive(Debug, Default, Serialize)]
struct Explanation {
    host: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded_as: Option<String>,
    report_only: bool,
    rules: Vec<JudgedRule>,
    outcome: Outcome,
    notes: Vec<String>,
}

/// One rule and its verdict.
#[derive(Debug, Serialize)]
struct JudgedRule {
    rule: String,
    satisfied: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    words: String,
}

/// What the caller would get.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    forwarded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    words: String,
}

/// Explains one request.
pub(super) fn run(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let judged = check::judge(&arguments.files);
    let Some(snapshot) = judged.snapshot else {
        eprint!("{}", judged.sources.render(&judged.diagnostics, terminal::colour_on_stderr()));
        terminal::print_error("the configuration does not compile, so nothing can be explained");
        return Ok(ExitCode::FAILURE);
    };
    let token = read_token(arguments.token.as_deref())?;
    let explanation = explain(&snapshot, arguments, token.as_deref())?;
    match arguments.format {
        Format::Json => terminal::print(&format!("{:#}\n", serde_json::to_value(&explanation)?))?,
        Format::Text => terminal::print(&in_words(arguments, &explanation))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read_token(argument: Option<&str>) -> anyhow::Result<Option<String>> {
    match argument {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("the token cannot be read from standard input")?;
            Ok(Some(text.trim().to_owned()))
        }
        other => Ok(other.map(str::to_owned)),
    }
}

fn explain(snapshot: &Snapshot, arguments: &ExplainArguments, token: Option<&str>) -> anyhow::Result<Explanation> {
    let Some(authority) = arguments.url.authority() else {
        bail!("`{}` names no host: write the whole URL, like https://api.example.com/v1/orders", arguments.url);
    };
    let request = Request::builder().method(&arguments.method).uri(&arguments.url).header("host", authority.as_str());
    let head = RequestHead::from(request.body(()).context("this is no request")?.into_parts().0);
    let mut explanation = Explanation::default();
    let rejection = match judge(snapshot, &head, token, &mut explanation) {
        Ok(()) => {
            explanation.outcome.forwarded = explanation.route.is_some();
            explanation.outcome.words = match explanation.outcome.forwarded {
                true => "the request would be forwarded".to_owned(),
                false => "the gateway itself would answer".to_owned(),
            };
            return Ok(explanation);
        }
        Err(rejection) => rejection,
    };
    explanation.outcome = Outcome {
        forwarded: explanation.report_only,
        status: Some(rejection.status().as_u16()),
        reason: Some(rejection.reason()),
        words: if explanation.report_only {
            format!("forwarded all the same, because the route only reports; otherwise: {}", rejection.detail())
        } else {
            rejection.detail().to_owned()
        },
    };
    Ok(explanation)
}

/// The same steps as a request takes, each noted down.
fn judge(
    snapshot: &Snapshot,
    head: &RequestHead,
    token: Option<&str>,
    explanation: &mut Explanation,
) -> Result<(), Rejection> {
    refuse_method(&head.method)?;
    let host = NormalHost::from_request(head)?;
    explanation.host = host.as_str().to_owned();
    let path = NormalPath::parse(head.uri.path())?;
    explanation.path = path.as_str().to_owned();
    let matched = snapshot.match_route(&host, &path, &head.method)?;
    let route = match *matched.value {
        Destination::Route(index) => snapshot.route(index).ok_or(Rejection::NoRoute)?,
        Destination::Own(index) => {
            explanation.notes.push(match snapshot.own(index).ok_or(Rejection::NoRoute)? {
                Own::TokenEndpoint(endpoint, ..) => format!("this is the token endpoint {}", endpoint.name()),
                Own::Document(_) => "this is a document that the embedded issuer publishes".to_owned(),
            });
            return Ok(());
        }
    };
    explanation.route = Some(route.name().to_owned());
    explanation.upstream = Some(route.terms.upstream.name().to_string());
    let target = path.path_and_query(&head.uri, route.strip_prefix.as_deref()).map_err(|_| PathError::TooLong)?;
    explanation.forwarded_as = Some(target.path().to_owned());
    if let Some(limit) = &route.limit {
        explanation.notes.push(format!("limit {limit}: what comes beyond that is answered 429"));
    }
    match &route.terms.access {
        Access::Public(_) => {
            explanation.notes.push("the route is public: no token is looked at".to_owned());
            Ok(())
        }
        Access::Protected(requirement) => {
            explanation.report_only = requirement.report_only().is_some();
            judge_token(snapshot, requirement, &matched.parameters(), token, explanation)
        }
    }
}

fn judge_token(
    snapshot: &Snapshot,
    requirement: &Requirement,
    parameters: &PathParameters,
    token: Option<&str>,
    explanation: &mut Explanation,
) -> Result<(), Rejection> {
    let token = BearerToken::parse(token.ok_or(Rejection::NoToken)?)?;
    if let Some(issuer) = requirement.introspecting().filter(|_| token.is_opaque()) {
        let name = issuer.name();
        explanation.notes.push(format!("the token is opaque: issuer {name} would be asked what it means, and was not"));
        return Err(VerifyError::IntrospectionUnavailable { issuer: Arc::clone(name) }.into());
    }
    let unverified = UnverifiedToken::parse(token.as_str())?;
    let issuer = Arc::clone(unverified.choose_issuer(&snapshot.issuers)?);
    let key_id = unverified.header().key_id().map(str::to_owned);
    explanation.notes.push(format!(
        "the signature was not verified, because nobody was asked for the keys of issuer {} (key id {})",
        issuer.name(),
        key_id.as_deref().unwrap_or("none"),
    ));
    if issuer.revocation().is_some() {
        explanation.notes.push("whether the token was revoked was not asked".to_owned());
    }
    let claims = unverified.into_unverified_claims(&issuer)?;
    let times = claims.judge_times(Clock::system().now(), issuer.leeway());
    explanation.rules.push(JudgedRule {
        rule: "exp, nbf, iat".to_owned(),
        satisfied: times.is_ok(),
        reason: times.as_ref().err().map(|error| error.reason()),
        words: times.as_ref().err().map_or_else(|| "it is good now".to_owned(), ToString::to_string),
    });
    let verdicts = requirement.verdicts(issuer.name(), &claims, parameters);
    let first = verdicts.iter().find_map(|verdict| verdict.outcome.clone().err());
    explanation.rules.extend(verdicts.into_iter().map(JudgedRule::of));
    times?;
    first.map_or(Ok(()), |denial| Err(denial.into()))
}

impl JudgedRule {
    fn of(verdict: Verdict) -> Self {
        Self {
            rule: verdict.rule,
            satisfied: verdict.outcome.is_ok(),
            reason: verdict.outcome.err().map(|denial| denial.reason()),
            words: verdict.words,
        }
    }
}

fn in_words(arguments: &ExplainArguments, explanation: &Explanation) -> String {
    let mut text = format!("{} {}\n", arguments.method, arguments.url);
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    line("host", &explanation.host);
    line("path", &explanation.path);
    if let Some(route) = &explanation.route {
        line("route", route);
    }
    if let (Some(upstream), Some(path)) = (&explanation.upstream, &explanation.forwarded_as) {
        line("upstream", &format!("{upstream}, asked for {path}"));
    }
    for note in &explanation.notes {
        line("note", note);
    }
    if !explanation.rules.is_empty() {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["rule", "verdict", ""]);
        for rule in &explanation.rules {
            let verdict = if rule.satisfied { "satisfied" } else { "REFUSED" };
            table.add_row([&rule.rule, verdict, &rule.words]);
        }
        let _ = writeln!(text, "{table}");
    }
    let outcome = &explanation.outcome;
    let _ = match (outcome.status, outcome.reason) {
        (Some(status), Some(reason)) => writeln!(text, "=> {status} {reason}: {}", outcome.words),
        _ => writeln!(text, "=> {}", outcome.words),
    };
    text
}
