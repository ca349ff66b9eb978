//! Owns: turning `[upstreams.*]` into [`Upstreams`].
//! Refuses: an upstream that could not be reached as written; every mistake is reported, each with what to write.
//! Always holds: an endpoint whose description did not change is the very one of before, with its counts and connections.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use http::HeaderName;

use super::{
    Limits, Upstream, Upstreams,
    address::{Address, Host},
    balance::{Balance, HashOf},
    compile_retry,
    endpoint::{Description, Endpoint, EndpointTls, Protocol},
    membership::{Membership, Origin, Share},
    names::{self, Name, Place, Resolver},
    retry::RetryPolicy,
    room::Room,
    tick::Tick,
    tls::{SystemAuthorities, TlsClient, server_name},
    vigilance::Vigilance,
};
use crate::{
    config::{
        BalanceConfig, Config, HashConfig, HumanDuration, UpstreamConfig, UpstreamProtocolConfig, UpstreamTlsConfig,
    },
    diagnostic::{Diagnostics, KeyPath},
};

/// Compiles every upstream of `config`. What did not change is taken over from `previous`; the contents of certificate files count
/// as part of what may change. Nothing comes of it if there is any error.
pub fn compile(config: &Config, previous: Option<&Upstreams>, diagnostics: &mut Diagnostics) -> Option<Upstreams> {
    let errors_before = diagnostics.error_count();
    let checks = previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.checks));
    let lookups = previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.lookups));
    let resolver = names::compile(&config.dns, diagnostics).map(|settings| {
        let before = previous.and_then(|previous| previous.resolver.clone());
        before.filter(|resolver| resolver.is_of(&settings)).unwrap_or_else(|| Arc::new(Resolver::new(settings)))
    });
    let mut system = SystemAuthorities::default();
    let mut by_name = BTreeMap::new();
    for (name, raw) in &config.upstreams {
        let previous = previous.and_then(|upstreams| upstreams.by_name(name));
        let room = previous.as_ref().map_or_else(Arc::default, |previous| Arc::clone(&previous.room));
        let mut compiling = Compiling {
            name,
            path: KeyPath::of(&["upstreams", name]),
            raw,
            room,
            previous: previous.as_deref(),
            resolver: resolver.as_ref(),
            system: &mut system,
            diagnostics,
        };
        if let Some(compiled) = compiling.upstream() {
            let same = previous.filter(|previous| previous.is_like(&compiled));
            let upstream = same.unwrap_or_else(|| Arc::new(compiled));
            by_name.insert(Arc::clone(&upstream.name), upstream);
        }
    }
    (diagnostics.error_count() == errors_before).then_some(Upstreams { by_name, resolver, checks, lookups })
}

/// One upstream on its way from raw to compiled.
struct Compiling<'a> {
    name: &'a str,
    path: KeyPath,
    raw: &'a UpstreamConfig,
    room: Arc<Room>,
    previous: Option<&'a Upstream>,
    resolver: Option<&'a Arc<Resolver>>,
    system: &'a mut SystemAuthorities,
    diagnostics: &'a mut Diagnostics,
}

impl Upstream {
    fn is_like(&self, other: &Self) -> bool {
        self.members.is_like(&other.members)
            && self.balance.is_like(&other.balance)
            && self.limits == other.limits
            && self.retry == other.retry
            && self.vigilance.is_like(&other.vigilance)
    }
}

impl Compiling<'_> {
    fn upstream(&mut self) -> Option<Upstream> {
        let addresses = self.addresses();
        let limits = self.limits();
        let balance = self.balance();
        let retry = self.retry();
        let vigilance = self.vigilance();
        let addresses = addresses?;
        let over_tls = addresses.first().is_some_and(|address| address.tls);
        let protocol = self.protocol(over_tls);
        let tls = self.tls(over_tls, protocol)?;
        let weights = self.raw.endpoints.iter().map(|endpoint| endpoint.weight);
        let share = |(address, weight)| {
            let origin = self.origin(address, protocol, tls.as_ref())?;
            Some(Share { origin, weight })
        };
        let shares = addresses.into_iter().zip(weights).map(share).collect::<Option<_>>()?;
        let before = self.previous.map(|previous| &previous.retries);
        Some(Upstream {
            name: self.name.into(),
            members: Membership::new(shares, Arc::clone(&self.room)),
            balance: balance?,
            limits: limits?,
            retry: retry?,
            vigilance: vigilance?,
            retries: before.map_or_else(Arc::default, Arc::clone),
            room: Arc::clone(&self.room),
        })
    }

    fn vigilance(&mut self) -> Option<Vigilance> {
        let lasting = self.previous.map(|previous| &previous.vigilance.lasting);
        Vigilance::compile(self.name, self.raw, lasting, (&self.path, self.diagnostics))
    }

    /// The endpoints' addresses, if all of them are good.
    fn addresses(&mut self) -> Option<Vec<Address>> {
        let path = self.path.key("endpoints");
        if self.raw.endpoints.is_empty() {
            let remedy = "name at least one address, like `endpoints = [\"http://10.0.0.1:9001\"]`";
            self.diagnostics.error(&path, "an upstream without endpoints can be sent nothing", remedy);
            return None;
        }
        let mut addresses = Vec::new();
        let mut seen = HashSet::new();
        let mut good = true;
        for (position, endpoint) in self.raw.endpoints.iter().enumerate() {
            let path = path.index(position);
            if endpoint.weight == 0 {
                let remedy = "write a weight of at least 1, or take the endpoint out";
                self.diagnostics.error(&path, "an endpoint of weight 0 would never be chosen", remedy);
                good = false;
            }
            match Address::parse(&endpoint.url) {
                Ok(address) => {
                    if !seen.insert(address.to_string()) {
                        let remedy = "name it once; for a larger share write { url = \"...\", weight = 2 }";
                        self.diagnostics.error(&path, format!("{address} is named twice"), remedy);
                        good = false;
                    }
                    addresses.push(address);
                }
                Err(error) => {
                    let remedy = "write scheme, host and port and nothing else, like \"http://10.0.0.1:9001\"";
                    self.diagnostics.error(&path, error.to_string(), remedy);
                    good = false;
                }
            }
        }
        if addresses.iter().any(|address| address.tls) && addresses.iter().any(|address| !address.tls) {
            let remedy = "make all of them http or all https; an upstream that needs both is two upstreams";
            self.diagnostics.error(&path, "some endpoints are http and some https", remedy);
            good = false;
        }
        good.then_some(addresses)
    }

    fn limits(&mut self) -> Option<Limits> {
        let raw = self.raw;
        let connect_timeout = self.duration("connect_timeout", raw.connect_timeout);
        let response_header_timeout = self.duration("response_header_timeout", raw.response_header_timeout);
        let idle_timeout = self.duration("idle_timeout", raw.idle_timeout);
        let wait_timeout = self.duration("wait_timeout", raw.wait_timeout);
        for (key, most) in [("max_connections", Some(raw.max_connections)), ("max_requests", raw.max_requests)] {
            if most == Some(0) {
                let remedy = "write a number of at least 1, or take the key out for the default";
                let message = format!("with `{key} = 0` nothing can be sent");
                self.diagnostics.error(&self.path.key(key), message, remedy);
                return None;
            }
        }
        Some(Limits {
            connect_timeout: connect_timeout?,
            response_header_timeout: response_header_timeout?,
            idle_timeout: idle_timeout?,
            max_connections: raw.max_connections,
            max_requests: raw.max_requests,
            max_waiting: raw.max_waiting,
            wait_timeout: wait_timeout?,
        })
    }

    /// When requests are tried again; outer nothing on a mistake.
    fn retry(&mut self) -> Option<Option<RetryPolicy>> {
        let Some(raw) = &self.raw.retry else { return Some(None) };
        compile_retry::compile(raw, &self.path.key("retry"), self.diagnostics).map(Some)
    }

    fn duration(&mut self, key: &str, written: HumanDuration) -> Option<Duration> {
        if written.0.is_zero() {
            let remedy = "write a duration above zero, like \"2s\", or take the key out for the default";
            self.diagnostics.error(&self.path.key(key), format!("`{key}` leaves no time at all"), remedy);
            return None;
        }
        Some(written.0)
    }

    fn balance(&mut self) -> Option<Balance> {
        let path = self.path.key("balance").key("hash");
        match &self.raw.balance {
            BalanceConfig::LeastRequests => Some(Balance::LeastRequests),
            BalanceConfig::RoundRobin => Some(Balance::RoundRobin(AtomicUsize::new(0))),
            BalanceConfig::Hash(HashConfig::Peer) => Some(Balance::Hash(HashOf::Peer)),
            BalanceConfig::Hash(HashConfig::Claim(claim)) if claim.is_empty() => {
                let remedy = "name a claim of the tokens, like { hash = { claim = \"tenant_id\" } }";
                self.diagnostics.error(&path.key("claim"), "no claim is named", remedy);
                None
            }
            BalanceConfig::Hash(HashConfig::Claim(claim)) => Some(Balance::Hash(HashOf::Claim(claim.as_str().into()))),
            BalanceConfig::Hash(HashConfig::Header(header)) => match HeaderName::try_from(header) {
                Ok(name) => Some(Balance::Hash(HashOf::Header(name))),
                Err(_) => {
                    let remedy = "name a header, like { hash = { header = \"x-tenant\" } }";
                    self.diagnostics.error(
                        &path.key("header"),
                        format!("`{header}` cannot be a header's name"),
                        remedy,
                    );
                    None
                }
            },
        }
    }

    fn protocol(&mut self, over_tls: bool) -> Protocol {
        match (self.raw.protocol, over_tls) {
            (UpstreamProtocolConfig::Http1, _) => Protocol::Http1,
            (UpstreamProtocolConfig::Http2, _) => Protocol::Http2,
            (UpstreamProtocolConfig::Auto, true) => Protocol::Auto,
            (UpstreamProtocolConfig::Auto, false) => {
                self.diagnostics.warning(
                    &self.path.key("protocol"),
                    "without TLS there is nothing to choose the protocol by: HTTP/1.1 is spoken",
                    "write \"http1\" or \"http2\", or make the endpoints https",
                );
                Protocol::Http1
            }
        }
    }

    /// TLS, where it is spoken; outer nothing on a mistake.
    fn tls(&mut self, over_tls: bool, protocol: Protocol) -> Option<Option<Arc<TlsClient>>> {
        let path = self.path.key("tls");
        match (&self.raw.tls, over_tls) {
            (None, false) => Some(None),
            (Some(_), false) => {
                let remedy = "write the endpoints with https://, or take the table out";
                self.diagnostics.key_error(&path, "there is a `tls` table, but the endpoints are http", remedy);
                None
            }
            (raw, true) => {
                let default = UpstreamTlsConfig::default();
                let (raw, path) = match raw {
                    Some(raw) => (raw, path),
                    None => (&default, self.path.key("endpoints")),
                };
                let previous = self.previous.iter().flat_map(|upstream| upstream.members.descriptions());
                let previous = previous.filter_map(|description| description.tls.as_ref()).map(|tls| &tls.client);
                TlsClient::compile(raw, protocol, self.system, previous, (&path, self.diagnostics)).map(Some)
            }
        }
    }

    /// The endpoint at a written address, or the name that stands for endpoints; the very one of before if it is described alike.
    fn origin(&mut self, address: Address, protocol: Protocol, client: Option<&Arc<TlsClient>>) -> Option<Origin> {
        let tls = match client {
            None => None,
            Some(client) => {
                let server_name = self.server_name(&address.host)?;
                Some(EndpointTls { client: Arc::clone(client), server_name })
            }
        };
        let Ok(authority) = address.to_string().parse() else {
            let remedy = "write a host that can stand in a URL";
            let message = format!("`{address}` cannot be an authority");
            self.diagnostics.error(&self.path.key("endpoints"), message, remedy);
            return None;
        };
        let host = address.host.clone();
        let description = Description { address, authority, protocol, tls };
        let mut before = self.previous.iter().flat_map(|upstream| upstream.members.origins());
        let before = before.find(|origin| origin.description().is_like(&description));
        match host {
            Host::Ip(ip) => {
                if let Some(Origin::Address(same)) = before {
                    return Some(Origin::Address(Arc::clone(same)));
                }
                let endpoint = Endpoint::new(description, ip, Arc::clone(&self.room));
                if self.previous.is_some() {
                    endpoint.availability().begin_anew(Tick::now());
                }
                Some(Origin::Address(endpoint))
            }
            Host::Name(host) => {
                let resolver = self.resolver?;
                let known = match before {
                    Some(Origin::Name(same)) if same.is_looked_up_by(resolver) => {
                        return Some(Origin::Name(Arc::clone(same)));
                    }
                    // Whom to ask has changed: what was found before is kept until they have answered.
                    Some(Origin::Name(same)) => same.endpoints(),
                    _ => Arc::default(),
                };
                let place = Place {
                    upstream: self.name.into(),
                    room: Arc::clone(&self.room),
                    is_in_use: self.previous.is_some(),
                };
                Some(Origin::Name(Name::new(place, &host, description, Arc::clone(resolver), known)))
            }
        }
    }

    fn server_name(&mut self, host: &Host) -> Option<rustls::pki_types::ServerName<'static>> {
        match self.raw.tls.as_ref().and_then(|tls| tls.server_name.as_deref()) {
            Some(name) => server_name(name, &self.path.key("tls").key("server_name"), self.diagnostics),
            None => server_name(&host.to_string(), &self.path.key("endpoints"), self.diagnostics),
        }
    }
}
