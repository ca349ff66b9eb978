//! Owns: the names that are asked for in turn where one is written that may be relative to a search domain.
//! Always holds: a name with a dot at its end, and one for which there is no search domain, stands for itself alone.

use hickory_resolver::proto::rr::Name;

/// What is asked for, in this order; empty if `written` cannot be a name in DNS. A name with fewer dots than `least_dots` is asked
/// for as it is only after the search domains, as the system's own resolver does it.
pub(super) fn candidates(written: &str, search: &[Name], least_dots: usize) -> Vec<Name> {
    let Ok(relative) = Name::from_ascii(written) else { return Vec::new() };
    let mut absolute = relative.clone();
    absolute.set_fqdn(true);
    if relative.is_fqdn() || absolute.is_localhost() {
        return vec![absolute];
    }
    // What would be too long below a search domain is not below it.
    let below = search.iter().filter_map(|domain| relative.clone().append_domain(domain).ok());
    let dots = written.bytes().filter(|byte| *byte == b'.').count();
    let mut names: Vec<Name> = Vec::with_capacity(search.len() + 1);
    if dots >= least_dots {
        names.push(absolute.clone());
    }
    names.extend(below);
    if dots < least_dots {
        names.push(absolute);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_as_the_system_would() {
        let search: Vec<Name> = ["shop.svc.cluster.local", "cluster.local."].map(|name| name.parse().unwrap()).into();
        let long = format!("{}example", "a.".repeat(120));
        for (written, least_dots, expected) in [
            ("orders", 1, "orders.shop.svc.cluster.local. orders.cluster.local. orders."),
            (
                "orders.example",
                1,
                "orders.example. orders.example.shop.svc.cluster.local. orders.example.cluster.local.",
            ),
            (
                "orders.example",
                5,
                "orders.example.shop.svc.cluster.local. orders.example.cluster.local. orders.example.",
            ),
            ("orders.example.", 5, "orders.example."),
            ("localhost", 5, "localhost."),
            ("my_orders", 0, "my_orders. my_orders.shop.svc.cluster.local. my_orders.cluster.local."),
            ("a..b", 1, ""),
            (&"a".repeat(64), 1, ""),
            (&long, 1, &format!("{long}.")),
        ] {
            let found: Vec<String> = candidates(written, &search, least_dots).iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{written}");
        }
        assert_eq!(candidates("orders", &[], 5).len(), 1);
    }
}
