//! A request's head on its way, and an answer's.

use std::{hint::black_box, net::IpAddr};

use http::{HeaderName, HeaderValue, Method, header};
use postern::{
    diagnostic::{Diagnostics, KeyPath},
    http::{
        Fields, NormalHost, NormalPath, RequestHead,
        forwarded::{self, Hop},
        headers::{self, IdentityHeaderNames},
    },
    id::RequestId,
    routing::{RoutePattern, RouteTable, RouteTableBuilder},
};

use super::{
    Counter,
    scene::{self, NOW},
};

/// How many tables of routes are asked, and for how many paths each.
const TABLES: u32 = 8;
const PATHS: u32 = 64;

/// Reading the host.
pub(crate) fn host(counter: &mut Counter) {
    let parts = scene::request("e30");
    counter.count(500, || NormalHost::from_request(black_box(&parts)).expect("a host"));
}

/// Reading the path, and writing it for the upstream.
pub(crate) fn path(counter: &mut Counter) {
    normalise(counter, "/v1/tenants/acme/orders/17?expand=lines");
}

/// The same where something has to be rewritten.
pub(crate) fn path_with_escapes(counter: &mut Counter) {
    normalise(counter, "/v1/tenants/%61cme/orders/caf%c3%a9/%7E17?expand=lines");
}

fn normalise(counter: &mut Counter, target: &str) {
    let mut parts = scene::request("e30");
    parts.uri = target.parse().expect("a target");
    counter.count(500, || {
        let uri = black_box(&parts.uri);
        NormalPath::parse(uri.path()).expect("a path").path_and_query(uri, None).expect("a target")
    });
}

/// Everything that is done to a request's fields between authorization and forwarding.
pub(crate) fn fields(counter: &mut Counter) {
    let peer: IpAddr = "192.0.2.1".parse().expect("an address");
    let host = NormalHost::parse("api.example.com").expect("a host");
    let names = ["x-client-id", "x-scope", "x-tenant"].map(HeaderName::from_static);
    let identity = IdentityHeaderNames::new(&names);
    let rewrite = |head: &mut RequestHead| {
        let fields = &mut head.fields;
        let id = headers::request_id(fields, NOW);
        headers::strip_credentials(fields, false);
        headers::strip_hop_by_hop_from_request(fields, false);
        identity.strip(fields);
        forwarded::rewrite(fields, &Hop { peer, tls: true, host: &host }, &[]);
        headers::set_request_id(fields, &id);
        fields.insert(header::HOST, host.header_value().clone());
        fields.append(HeaderName::from_static("x-client-id"), HeaderValue::from_static("billing"));
    };
    counter.count_each(500, || scene::request("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"), rewrite);
}

/// Everything that is done to an answer's.
pub(crate) fn response_fields(counter: &mut Counter) {
    let id = RequestId::parse(b"0190a3c4-7b1e-7cc0-8000-0123456789ab").expect("an id");
    let answer = || -> Fields {
        let fields = [
            ("content-type", "application/json"),
            ("content-length", "200"),
            ("date", "Sat, 21 Nov 2026 07:00:00 GMT"),
            ("server", "orders/2.1"),
            ("etag", "\"5f2b\""),
            ("connection", "keep-alive"),
        ];
        fields
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect()
    };
    counter.count_each(500, answer, |fields| {
        headers::strip_hop_by_hop_from_response(fields, false);
        headers::set_request_id(fields, &id);
    });
}

fn table(routes: usize) -> RouteTable<usize> {
    let mut diagnostics = Diagnostics::new();
    let mut builder = RouteTableBuilder::new();
    for index in 0..routes {
        let at = KeyPath::of(&["routes", &format!("r{index}")]);
        let host = ["api.example.com", "*.example.org"].get(index % 3).copied();
        let path = format!("/v1/service{}/tenants/{{tenant}}/orders{}/{{*rest}}", index / 10, index % 10);
        let methods = ["GET".to_owned(), "HEAD".to_owned()];
        let pattern = RoutePattern::compile(&at, host, &path, Some(&methods), &mut diagnostics).expect("a pattern");
        builder.insert(at, pattern, index, &mut diagnostics);
    }
    builder.build()
}

/// Finding the route of a path among so many. Where a host and a segment lie in a table depends on the table's seed: several tables,
/// each with a seed of its own, are asked for routes from all over them.
pub(crate) fn route(counter: &mut Counter, routes: usize) {
    let host = NormalHost::parse("api.example.com").expect("a host");
    let services = routes / 10;
    // Every third service has this route on this host.
    let service = |number: usize| number * services / PATHS as usize / 3 * 3;
    let path = |number: usize| format!("/v1/service{}/tenants/acme/orders6/17/lines", service(number));
    let texts: Vec<String> = (0..PATHS as usize).map(path).collect();
    let paths: Vec<NormalPath<'_>> = texts.iter().map(|text| NormalPath::parse(text).expect("a path")).collect();
    for _ in 0..TABLES {
        let table = table(routes);
        let mut turn = paths.iter().cycle();
        let next = || turn.next().expect("one of a circle");
        let find = |path: &mut &NormalPath<'_>| {
            *table.match_route(black_box(&host), path, &Method::GET).expect("a route").value
        };
        counter.count_each(2 * PATHS, next, find);
    }
}

/// The values of a path's parameters, for a rule about them.
pub(crate) fn parameters(counter: &mut Counter) {
    let host = NormalHost::parse("api.example.com").expect("a host");
    let path = NormalPath::parse("/v1/service0/tenants/acme/orders6/17/lines").expect("a path");
    let table = table(10);
    let matched = table.match_route(&host, &path, &Method::GET).expect("a route");
    counter.count(500, || black_box(&matched).parameters());
}
