//! The table as a whole: built out of patterns, asked about requests.

use http::Method;
use proptest::prelude::*;

use crate::{
    diagnostic::{Diagnostics, KeyPath},
    http::{NormalHost, NormalPath},
};

use super::{NoMatch, RoutePattern, RouteTable, RouteTableBuilder};

/// `METHODS host path`, with `*` for any method and `*` for any host.
fn build(routes: &[&str]) -> (RouteTable<String>, Vec<String>) {
    let mut diagnostics = Diagnostics::new();
    let mut builder = RouteTableBuilder::new();
    for (index, route) in routes.iter().enumerate() {
        let [methods, host, path] = route.split(' ').collect::<Vec<_>>()[..] else { panic!("{route}") };
        let methods: Option<Vec<String>> = (methods != "*").then(|| methods.split(',').map(str::to_owned).collect());
        let at = KeyPath::of(&["routes", &format!("r{index}")]);
        let host = (host != "*").then_some(host);
        if let Some(pattern) = RoutePattern::compile(&at, host, path, methods.as_deref(), &mut diagnostics) {
            builder.insert(at, pattern, (*route).to_owned(), &mut diagnostics);
        }
    }
    let table = builder.build();
    let diagnostics = diagnostics.iter().map(|entry| format!("{}: {}; {}", entry.path, entry.message, entry.remedy));
    (table, diagnostics.collect())
}

fn table(routes: &[&str]) -> RouteTable<String> {
    let (table, diagnostics) = build(routes);
    assert_eq!(diagnostics, [""; 0]);
    table
}

fn find(table: &RouteTable<String>, method: &str, host: &str, path: &str) -> String {
    let (host, path) = (NormalHost::parse(host).unwrap(), NormalPath::parse(path).unwrap());
    match table.match_route(&host, &path, &method.parse::<Method>().unwrap()) {
        Ok(found) if found.parameters() == Default::default() => found.value.clone(),
        Ok(found) => format!("{} {:?}", found.value, found.parameters()),
        Err(NoMatch::NoRoute) => "404".to_owned(),
        Err(NoMatch::MethodNotAllowed { allow }) => format!("405 {}", allow.to_str().unwrap()),
    }
}

#[test]
fn the_most_specific_host_that_has_the_path_decides() {
    let table =
        table(&["* api.example.com /a", "* *.example.com /a", "* *.example.com /b", "* *.b.example.com /b", "* * /c"]);
    let find = |host, path| find(&table, "GET", host, path);
    assert_eq!(find("API.example.com.:8443", "/a"), "* api.example.com /a");
    assert_eq!(find("api.example.com", "/b"), "* *.example.com /b", "falls through to the wildcard");
    assert_eq!(find("api.example.com", "/c"), "* * /c", "falls through to any host");
    assert_eq!(find("x.y.example.com", "/a"), "* *.example.com /a", "at any depth");
    assert_eq!(find("x.b.example.com", "/b"), "* *.b.example.com /b", "the longest wildcard first");
    assert_eq!(find("x.b.example.com", "/a"), "* *.example.com /a");
    assert_eq!(find("example.com", "/a"), "404", "not the apex");
    assert_eq!(find("notexample.com", "/a"), "404");
    assert_eq!(find("[::1]", "/c"), "* * /c");
}

#[test]
fn the_most_specific_path_decides_then_its_methods() {
    let table = table(&[
        "GET,HEAD * /v1/orders/{id}",
        "PUT * /v1/orders/{number}",
        "* * /v1/orders/new",
        "GET * /v1/{kind}/{id}/lines",
        "* * /static/{*path}",
        "GET * /static",
        "* * /",
    ]);
    let find = |method, path| find(&table, method, "a", path);
    assert_eq!(find("GET", "/v1/orders/7"), r#"GET,HEAD * /v1/orders/{id} {"id": "7"}"#);
    assert_eq!(
        find("PUT", "/v1/orders/7"),
        r#"PUT * /v1/orders/{number} {"number": "7"}"#,
        "names are the route's own"
    );
    assert_eq!(find("POST", "/v1/orders/7"), "405 GET, HEAD, PUT");
    assert_eq!(find("get", "/v1/orders/7"), "405 GET, HEAD, PUT", "methods are case-sensitive");
    assert_eq!(find("POST", "/v1/orders/new"), "* * /v1/orders/new");
    assert_eq!(find("GET", "/v1/orders/new/lines"), r#"GET * /v1/{kind}/{id}/lines {"kind": "orders", "id": "new"}"#);
    assert_eq!(find("HEAD", "/v1/a/b/lines"), "405 GET", "HEAD is no GET");
    assert_eq!(find("GET", "/v1/orders/"), "404", "a parameter is never empty");
    assert_eq!(find("GET", "/V1/orders/7"), "404");
    assert_eq!(find("GET", "/v1/orders/new."), r#"GET,HEAD * /v1/orders/{id} {"id": "new."}"#);
    assert_eq!(find("GET", "/"), "* * /");
    assert_eq!(find("PUT", "/static/a/b"), r#"* * /static/{*path} {"path": "a/b"}"#);
    assert_eq!(find("PUT", "/static/"), r#"* * /static/{*path} {"path": ""}"#);
    assert_eq!(find("GET", "/static"), "GET * /static");
    assert_eq!(find("PUT", "/static"), "405 GET", "a route that says the path itself decides");
}

#[test]
fn a_rest_also_matches_the_path_without_it() {
    let table = table(&["GET * /t/{tenant}/{*rest}", "PUT * /t/{t}/{*r}", "* a.example /{*all}"]);
    assert_eq!(find(&table, "GET", "a", "/t/acme"), r#"GET * /t/{tenant}/{*rest} {"tenant": "acme", "rest": ""}"#);
    assert_eq!(find(&table, "PUT", "a", "/t/acme/"), r#"PUT * /t/{t}/{*r} {"t": "acme", "r": ""}"#);
    assert_eq!(find(&table, "POST", "a", "/t/acme"), "405 GET, PUT");
    assert_eq!(find(&table, "GET", "a", "/t/"), "404");
    assert_eq!(find(&table, "GET", "a.example", "/"), r#"* a.example /{*all} {"all": ""}"#);
}

#[test]
fn many_literals_at_one_place_are_told_apart_and_the_order_of_routes_makes_no_difference() {
    let literals = |way: &str| (0..30).map(|number| format!("* * /{number}{way}")).collect::<Vec<_>>();
    let others = ["* * /{any}/y", "GET * /s/{*rest}", "PUT * /s"].map(str::to_owned);
    let mut routes = [literals("/x"), literals("/{id}"), others.to_vec()].concat();
    for _ in 0..2 {
        let table = table(&routes.iter().map(String::as_str).collect::<Vec<_>>());
        let find = |path| find(&table, "GET", "a", path);
        assert_eq!((find("/0/x").as_str(), find("/29/x").as_str()), ("* * /0/x", "* * /29/x"));
        assert_eq!(find("/17/y"), r#"* * /17/{id} {"id": "y"}"#, "a literal further left goes before a parameter");
        assert_eq!(find("/30/y"), r#"* * /{any}/y {"any": "30"}"#);
        assert_eq!(find("/17/"), "404", "back from the literal, and from the parameter");
        assert_eq!(find("/s"), "405 PUT", "a path that a route says itself, put in before the rest or after it");
        assert_eq!(find("/s/"), r#"GET * /s/{*rest} {"rest": ""}"#);
        routes.reverse();
    }
}

#[test]
fn the_longest_path_and_the_most_parameters_are_found() {
    let longest = "/a".repeat(4095);
    let most: String = (0..16).map(|index| format!("/{{p{index}}}")).collect();
    let table = table(&[&format!("* * {longest}"), &format!("* * /b{most}")]);
    assert_eq!(find(&table, "GET", "a", &longest), format!("* * {longest}"));
    assert_eq!(find(&table, "GET", "a", &"/a".repeat(4094)), "404");
    let found = find(&table, "GET", "a", &format!("/b{}", "/x".repeat(16)));
    assert!(found.ends_with(r#""p14": "x", "p15": "x"}"#), "{found}");
}

#[test]
fn escapes_make_no_difference_to_a_literal_and_are_decoded_in_a_value() {
    let table = table(&["* * /caf%c3%a9/things:delete", "* * /{a}/{b}", "* * /%7Bx%7D"]);
    let find = |path| find(&table, "GET", "a", path);
    assert_eq!(find("/caf%C3%A9/%74hings%3adelete"), "* * /caf%c3%a9/things:delete");
    assert_eq!(find("/caf%c3%a9/x%20%C3%A9%40%25"), r#"* * /{a}/{b} {"a": "café", "b": "x é@%"}"#);
    assert_eq!(find("/%7bx%7d"), "* * /%7Bx%7D");
}

#[test]
fn routes_that_contradict_each_other_are_both_named() {
    let (_, diagnostics) = build(&["GET,PUT a /x/{a}", "PUT,POST a /x/{b}", "PUT b /x/{b}", "* a /y", "GET a /y"]);
    assert_eq!(
        diagnostics,
        [
            "routes.r1.path: `routes.r0` has the same host and path, and also answers to the method PUT; give each method \
             to one of the two, or change a host or path",
            "routes.r4.path: `routes.r3` has the same host and path, and also answers to the method GET; give each method \
             to one of the two, or change a host or path",
        ]
    );
    let (_, diagnostics) = build(&["* * /x/{a}/{b}", "GET * /x/{*rest}", "GET * /x/{a}/{*rest}"]);
    assert_eq!(diagnostics.len(), 2);
    assert_eq!(
        diagnostics[0],
        "routes.r1.path: after `/x/`, this path and that of `routes.r0` have one `{name}` and one `{*name}`; there can be \
         only one kind; write `/x/{name}/{*rest}` in place of `/x/{*rest}`, or literal segments"
    );
}

/// A route of any host, as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    methods: &'static str,
    path: String,
}

impl Written {
    fn answers(&self, method: &str) -> bool {
        self.methods == "*" || self.methods.split(',').any(|one| one == method)
    }

    fn route(&self) -> String {
        format!("{} * {}", self.methods, self.path)
    }

    /// The path, whatever its parameters are called.
    fn shape(&self) -> Vec<&str> {
        let nameless = |segment| match rank(segment) {
            2 => "{*}",
            1 => "{}",
            _literal => segment,
        };
        self.path.split('/').map(nameless).collect()
    }
}

fn rank(segment: &str) -> u8 {
    match segment {
        rest if rest.starts_with("{*") => 2,
        parameter if parameter.starts_with('{') => 1,
        _literal => 0,
    }
}

/// What the rules say about one host, written down as plainly as can be: of all paths that match, the one that is first segment by
/// segment, and a path that is said before one that a rest also answers to; then the method.
fn by_the_rules(routes: &[Written], method: &str, path: &str) -> String {
    let split = |path: &str| path.split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
    let given = split(path);
    let mut matching = Vec::new();
    for route in routes {
        let mut forms = vec![(split(&route.path), false)];
        if let Some((before, _)) = route.path.split_once("{*") {
            forms.push((split(before), true));
            forms.extend(before.strip_suffix('/').filter(|bare| !bare.is_empty()).map(|bare| (split(bare), true)));
        }
        for (form, implied) in forms {
            let fits = |(pattern, given): (&String, &String)| match rank(pattern) {
                0 => pattern == given,
                _ => !given.is_empty(),
            };
            let rest = form.last().is_some_and(|last| rank(last) == 2);
            let long_enough = if rest {
                given.len() >= form.len() && !given[form.len() - 1..].join("/").is_empty()
            } else {
                given.len() == form.len()
            };
            let fixed = if rest { form.len() - 1 } else { form.len() };
            if long_enough && form.iter().zip(&given).take(fixed).all(fits) {
                let ranks: Vec<u8> = form.iter().map(|segment| rank(segment)).collect();
                matching.push(((ranks, implied), route));
            }
        }
    }
    let Some(best) = matching.iter().map(|(key, _)| key).min() else { return "404".to_owned() };
    let of_best: Vec<&Written> = matching.iter().filter(|(key, _)| key == best).map(|(_, route)| *route).collect();
    if let Some(route) = of_best.iter().find(|route| route.answers(method)) {
        return route.route();
    }
    let mut allow: Vec<&str> = of_best.iter().flat_map(|route| route.methods.split(',')).collect();
    allow.sort_unstable();
    format!("405 {}", allow.join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn the_table_follows_the_rules(
        routes in proptest::collection::vec(
            (
                prop::sample::select(vec!["*", "GET", "PUT", "GET,PUT", "DELETE"]),
                // Long ones for the ways between places, short ones that often share one.
                prop_oneof![
                    "(/(a|b|ab|aab|\\{x\\})){1,4}(/|/\\{\\*rest\\})?",
                    "(/(a|\\{x\\})){0,2}(/|/\\{\\*rest\\})|/a",
                ],
            ),
            1..12,
        ),
        requests in proptest::collection::vec(
            (prop::sample::select(vec!["GET", "PUT"]), "(/(a|b|ab|aab|aa|c)){1,5}/?|(/a){0,2}/|/a"),
            1..30,
        ),
    ) {
        // Names must differ within a path, and may differ between routes of one path.
        let named = |(index, (methods, pattern)): (usize, &(&'static str, String))| {
            let mut parts = pattern.split("{x}");
            let first = parts.next().unwrap().to_owned();
            let path = parts.enumerate().fold(first, |path, (number, part)| format!("{path}{{r{index}x{number}}}{part}"));
            Written { methods, path }
        };
        let mut accepted: Vec<Written> = Vec::new();
        for route in routes.iter().enumerate().map(named) {
            let clashes = accepted.iter().any(|other| {
                other.shape() == route.shape() && ["GET", "PUT", "DELETE"].iter().any(|one| other.answers(one) && route.answers(one))
            });
            let candidate = [&accepted[..], &[route]].concat();
            let texts: Vec<String> = candidate.iter().map(Written::route).collect();
            let (_, diagnostics) = build(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            if diagnostics.is_empty() {
                prop_assert!(!clashes, "{:?}", candidate);
                accepted = candidate;
            } else {
                let expected = if clashes { "same host and path" } else { "one kind" };
                prop_assert!(diagnostics.iter().all(|told| told.contains(expected)), "{:?}", diagnostics);
            }
        }
        let texts: Vec<String> = accepted.iter().map(Written::route).collect();
        let table = table(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        for (method, path) in requests {
            let found = find(&table, method, "a", &path);
            let found = found.split_once(" {\"").map_or(found.as_str(), |(route, _)| route);
            prop_assert_eq!(found, by_the_rules(&accepted, method, &path), "{} {} in {:?}", method, path, accepted);
        }
    }
}
