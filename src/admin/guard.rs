//! Owns: who may speak to the management API.
//! Refuses: a caller without the token, where one is configured; a browser that acts for another site; a host name that an
//! attacker's DNS points here.
//! Always holds: `/livez` and `/readyz` need no token, since probes have none; everything else does, `/metrics` too, since
//! it names routes, issuers and upstreams.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Operations, problem::Problem};

/// Paths that answer without a token.
const OPEN_PATHS: [&str; 2] = ["/livez", "/readyz"];

/// Lets a request through, or answers it.
pub(super) async fn guard(State(operations): State<Arc<dyn Operations>>, request: Request, next: Next) -> Response {
    match admit(&*operations, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn admit(operations: &dyn Operations, request: &Request) -> Result<(), Problem> {
    let (headers, path) = (request.headers(), request.uri().path());
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        refuse_other_sites(headers)?;
    }
    match operations.token() {
        // Whoever reaches a loopback address without a token might be a web page whose name was pointed here.
        None => refuse_foreign_hosts(request.uri(), headers),
        Some(_) if OPEN_PATHS.contains(&path) => Ok(()),
        Some(token) => match bearer(headers) {
            Some(presented) if token.matches(presented) => Ok(()),
            _ => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Present the admin token as \"Authorization: Bearer TOKEN\".",
            )),
        },
    }
}

/// The one bearer token of a request. Two Authorization headers are none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    // RFC 9110 section 11.1: the scheme is compared without regard to case.
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// A browser says where a request that changes something comes from. Tools do not, and pages of our own do not exist.
fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Problem> {
    let origin_is_foreign = headers.get(header::ORIGIN).is_some_and(|origin| {
        let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        origin.is_none() || origin != own
    });
    let site_is_foreign =
        headers.get("sec-fetch-site").is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    if origin_is_foreign || site_is_foreign {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "A browser sent this on behalf of another site; it was not carried out.",
        ));
    }
    Ok(())
}

fn refuse_foreign_hosts(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    // An absolute target must name the same host (RFC 9112 section 3.2.2).
    let agrees = uri.authority().is_none_or(|authority| Some(authority.as_str()) == host);
    if agrees && host.is_some_and(is_loopback) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "foreign_host",
        "Without an admin token only requests to localhost or a loopback address are answered.",
    ))
}

/// Whether a Host header names this machine: `localhost`, `127.0.0.0/8` or `[::1]`, with any port.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST:9090", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:9090"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.evil.example",
            "127.0.0.1.evil.example:9090",
            "192.0.2.1",
            "[::2]",
            "localhost:x",
            "127.0.0.1@evil.example",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
