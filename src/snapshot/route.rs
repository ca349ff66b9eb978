//! Owns: one route, compiled: what is its own, beside the terms that it may have in common with others.
//! Always holds: what every request looks at is half a cache line.

use std::sync::Arc;

use super::terms::{Parts, SharedTerms, Terms};
use crate::{
    auth::Access,
    config::RouteConfig,
    diagnostic::{Diagnostics, KeyPath},
    http::PathPrefix,
    limit::RouteLimit,
    routing::RoutePattern,
    telemetry::RouteMetrics,
};

/// One route.
#[derive(Debug)]
#[repr(align(32))]
pub struct Route {
    /// Who may use it, where it goes, what the upstream is told.
    pub terms: Arc<Terms>,
    /// What is taken off the front of the path.
    pub strip_prefix: Option<Box<PathPrefix>>,
    /// How many requests are let through, if not as many as come.
    pub limit: Option<Box<RouteLimit>>,
    seldom: Box<Seldom>,
}

const _: () = assert!(
    size_of::<Route>() == 32,
    "of 10,000 routes each request finds another one: half a cache line that is far away"
);

/// What is asked for the log, and once by each worker.
#[derive(Debug)]
struct Seldom {
    name: Box<str>,
    metrics: RouteMetrics,
}

/// In what way less is enforced on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nothing is asked for.
    Public,
    /// Rules are only reported.
    Reports,
}

impl Route {
    /// Compiles `[routes.<name>]`. Everything wrong with it is noted, also where another part stands in the way.
    pub(super) fn compile<'a>(
        name: &str,
        raw: &'a RouteConfig,
        parts: &Parts<'_>,
        terms: &mut SharedTerms<'a>,
        diagnostics: &mut Diagnostics,
    ) -> (Option<RoutePattern>, Option<Self>) {
        let at = KeyPath::of(&["routes", name]);
        let pattern = RoutePattern::compile(&at, raw.host.as_deref(), &raw.path, raw.methods.as_deref(), diagnostics);
        let strip_prefix = match (&raw.strip_prefix, &pattern) {
            (Some(text), Some(pattern)) => {
                pattern.compile_strip_prefix(&at.key("strip_prefix"), text, diagnostics).map(Some)
            }
            (Some(_), None) => None,
            (None, _) => Some(None),
        };
        let terms = terms.compile(name, raw, pattern.as_ref(), parts, diagnostics);
        let limiting = (parts.limits, parts.shared);
        let limit = match &raw.limit {
            Some(limit) => RouteLimit::compile(name, limit, raw, limiting, diagnostics).map(Some),
            None => Some(None),
        };
        let compile = move || {
            Some(Self {
                terms: terms?,
                strip_prefix: strip_prefix?.map(Box::new),
                limit: limit?.map(Box::new),
                seldom: Box::new(Seldom { name: name.into(), metrics: parts.metrics.route(name) }),
            })
        };
        (pattern, compile())
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.seldom.name
    }

    /// Its series.
    #[must_use]
    pub fn metrics(&self) -> &RouteMetrics {
        &self.seldom.metrics
    }

    /// In what way less is enforced here, if it is.
    #[must_use]
    pub fn exposure(&self) -> Option<Exposure> {
        match &self.terms.access {
            Access::Public(_) => Some(Exposure::Public),
            Access::Protected(requirement) if requirement.report_only().is_some() => Some(Exposure::Reports),
            Access::Protected(_) => None,
        }
    }
}

impl Exposure {
    /// What it means, to stand after the route's name.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Public => "is public: everybody is let through",
            Self::Reports => "only reports: what its rules refuse is let through",
        }
    }
}
