//! Owns: finding the route of a request: host, then path, then method.
//! Refuses: two routes that answer to the same request, and patterns that no request could match.
//! Always holds: what a request is compared with does not depend on how many routes there are; a method is compared as
//! it was sent, and `HEAD` is no `GET`.

mod builder;
mod host;
mod literal;
mod methods;
mod path;
mod pattern;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod ways;

pub(crate) use self::tree::number;
pub use self::{
    builder::RouteTableBuilder,
    host::HostPattern,
    methods::Methods,
    path::PathPattern,
    pattern::RoutePattern,
    table::{NoMatch, RouteMatch, RouteTable},
};
