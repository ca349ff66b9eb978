//! Owns: the listeners as they are configured, and the part of each that outlives a reload.
//! Refuses: two listeners on one address; settings that take effect before the whole configuration does.
//! Always holds: a listener of the same name and address is the same one, with its connections and its counters;
//! compiling changes nothing that lives.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::{ArcSwap, Guard};
use ipnet::IpNet;

use super::{
    counters::ListenerCounters,
    limits::Limits,
    overload::Bounds,
    slots::{ConnectionSlots, PeerCounts},
    tls::{CertificateFacts, TlsSettings},
};
use crate::{
    clock::UnixTime,
    config,
    diagnostic::{Diagnostics, KeyPath},
};

/// What may change about a listener while it stays bound.
#[derive(Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// What one connection and one request may cost.
    pub limits: Limits,
    /// The networks of proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The networks of load balancers that say who connected to them before anything else.
    pub proxy_protocol_from: Vec<IpNet>,
    pub(super) tls: Option<Arc<TlsSettings>>,
}

/// One listener, for as long as its name and address stay the same.
#[derive(Debug)]
pub struct Listener {
    name: Arc<str>,
    address: SocketAddr,
    settings: ArcSwap<ListenerSettings>,
    counters: ListenerCounters,
    slots: ConnectionSlots,
    peers: PeerCounts,
}

/// All listeners of one configuration. [`super::Server::apply`] brings them to life.
#[derive(Debug, Default)]
pub struct Listeners {
    compiled: Vec<Compiled>,
    bounds: Bounds,
}

#[derive(Debug)]
struct Compiled {
    listener: Arc<Listener>,
    settings: Arc<ListenerSettings>,
}

impl ListenerSettings {
    /// Whether `peer` is a proxy whose forwarding headers are believed.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        contain(&self.trusted_proxies, peer)
    }

    /// Whether a connection of `peer` begins with a PROXY protocol header.
    #[must_use]
    pub fn expects_proxy_header(&self, peer: IpAddr) -> bool {
        contain(&self.proxy_protocol_from, peer)
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Its certificates, the default one first; none without TLS.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateFacts] {
        self.tls.as_deref().map(TlsSettings::certificates).unwrap_or_default()
    }
}

impl Listener {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its address as configured, perhaps with port 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The settings in force. Not to be kept across an await.
    #[must_use]
    pub fn settings(&self) -> Guard<Arc<ListenerSettings>> {
        self.settings.load()
    }

    /// What happened to its connections.
    #[must_use]
    pub const fn counters(&self) -> &ListenerCounters {
        &self.counters
    }

    /// Connections open now, upgraded ones included, over all workers.
    #[must_use]
    pub fn connections_open(&self) -> usize {
        self.slots.open()
    }

    pub(super) fn settings_now(&self) -> Arc<ListenerSettings> {
        self.settings.load_full()
    }

    pub(super) const fn slots(&self) -> &ConnectionSlots {
        &self.slots
    }

    pub(super) const fn peers(&self) -> &PeerCounts {
        &self.peers
    }
}

impl Listeners {
    /// Compiles `[listeners]`. A listener of `previous` with the same name and address goes on being that one; its new
    /// settings wait until they are applied. Reads the files that are named; `now` is what certificates are held against.
    ///
    /// `None` if anything is wrong, which `diagnostics` then says.
    #[must_use]
    pub fn compile(
        config: &config::Config,
        previous: Option<&Self>,
        now: UnixTime,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let root = KeyPath::of(&["listeners"]);
        let before = diagnostics.error_count();
        if config.listeners.is_empty() {
            let remedy = "write a table like [listeners.public] with an address like \"0.0.0.0:8080\"";
            diagnostics.error(&root, "no listener is configured, so nobody could connect", remedy);
        }
        refuse_shared_addresses(config, &root, diagnostics);
        let bounds = Bounds::compile(&config.process, diagnostics);
        let compile_one = |(name, raw): (&String, &config::ListenerConfig)| {
            let kept = previous.and_then(|previous| previous.find(name, raw.address));
            let path = root.key(name);
            let limits = Limits::compile(&path.key("limits"), &raw.limits, diagnostics);
            let tls = match &raw.tls {
                None => None,
                Some(tls) => {
                    let previous = kept.and_then(|kept| kept.settings.tls.as_ref());
                    Some(TlsSettings::compile(&path.key("tls"), tls, previous, now, diagnostics)?)
                }
            };
            let everybody = "whoever connects is believed to be a proxy, so everybody can claim any address";
            judge_proxies(&path.key("trusted_proxies"), &raw.trusted_proxies, everybody, diagnostics);
            let everybody = "everybody must send a PROXY protocol header, and can claim any address in it";
            judge_proxies(&path.key("proxy_protocol_from"), &raw.proxy_protocol_from, everybody, diagnostics);
            let settings = Arc::new(ListenerSettings {
                limits: limits?,
                trusted_proxies: raw.trusted_proxies.clone(),
                proxy_protocol_from: raw.proxy_protocol_from.clone(),
                tls,
            });
            Some(match kept {
                Some(kept) => Compiled { listener: Arc::clone(&kept.listener), settings },
                None => Compiled::fresh(name, raw.address, settings),
            })
        };
        let compiled: Vec<_> = config.listeners.iter().filter_map(compile_one).collect();
        let bounds = bounds?;
        (diagnostics.error_count() == before).then_some(Self { compiled, bounds })
    }

    /// The listeners, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.compiled.iter().map(|compiled| &compiled.listener)
    }

    /// The settings that this configuration gives the listener of that name, whether or not they are in force yet.
    #[must_use]
    pub fn settings_of(&self, name: &str) -> Option<&Arc<ListenerSettings>> {
        self.compiled.iter().find(|compiled| &*compiled.listener.name == name).map(|compiled| &compiled.settings)
    }

    /// The files that these listeners were compiled from; a change of one calls for a reload.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.compiled
            .iter()
            .flat_map(|compiled| compiled.settings.tls.iter())
            .flat_map(|tls| tls.files())
            .map(PathBuf::as_path)
    }

    /// Every certificate with the name of its listener.
    pub fn certificates(&self) -> impl Iterator<Item = (&Arc<str>, &CertificateFacts)> {
        self.compiled.iter().flat_map(|compiled| {
            compiled.settings.certificates().iter().map(|certificate| (&compiled.listener.name, certificate))
        })
    }

    /// How much the process may have to do.
    pub(super) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Puts the settings in force. Names those whose settings are other ones than before.
    pub(super) fn commit(&self) -> Vec<Arc<str>> {
        let mut changed = Vec::new();
        for Compiled { listener, settings } in &self.compiled {
            if listener.settings.load().as_ref() != settings.as_ref() {
                changed.push(Arc::clone(&listener.name));
            }
            listener.settings.store(Arc::clone(settings));
            listener.slots.limit_changed();
        }
        changed
    }

    fn find(&self, name: &str, address: SocketAddr) -> Option<&Compiled> {
        self.compiled.iter().find(|compiled| &*compiled.listener.name == name && compiled.listener.address == address)
    }
}

impl Compiled {
    fn fresh(name: &str, address: SocketAddr, settings: Arc<ListenerSettings>) -> Self {
        let listener = Listener {
            name: Arc::from(name),
            address,
            settings: ArcSwap::new(Arc::clone(&settings)),
            counters: ListenerCounters::default(),
            slots: ConnectionSlots::default(),
            peers: PeerCounts::default(),
        };
        Self { listener: Arc::new(listener), settings }
    }
}

fn refuse_shared_addresses(config: &config::Config, root: &KeyPath, diagnostics: &mut Diagnostics) {
    let mut taken: Vec<(SocketAddr, String)> = Vec::new();
    taken.extend(config.admin.iter().map(|admin| (admin.address, "the admin listener".to_owned())));
    for (name, raw) in &config.listeners {
        if let Some((address, other)) = taken.iter().find(|(address, _)| overlap(*address, raw.address)) {
            let message = match *address == raw.address {
                true => format!("{address} is the address of {other} already"),
                false => format!("{} and {address}, the address of {other}, overlap", raw.address),
            };
            diagnostics.error(&root.key(name).key("address"), message, "write another port or address");
        } else {
            taken.push((raw.address, format!("listener `{name}`")));
        }
    }
}

/// Whether a connection could be meant for either. An unspecified address takes in every one of its family, and that of IPv6
/// also those of IPv4.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let takes_in = |one: SocketAddr, other: SocketAddr| one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4());
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || takes_in(one, other) || takes_in(other, one))
}

fn contain(networks: &[IpNet], peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    networks.iter().any(|network| network.contains(&peer))
}

/// Tells of networks that are not what they seem.
fn judge_proxies(path: &KeyPath, networks: &[IpNet], everybody: &str, diagnostics: &mut Diagnostics) {
    for (index, network) in networks.iter().enumerate() {
        let path = path.index(index);
        if network.prefix_len() == 0 {
            diagnostics.warning(&path, everybody, "name the networks of the proxies only");
        }
        if let IpNet::V6(mapped) = network
            && mapped.addr().to_ipv4_mapped().is_some()
        {
            let message = "peers with IPv4 addresses are known by those, so none is ever in this network";
            diagnostics.error(&path, message, "write it as an IPv4 network, like \"10.0.0.0/8\"");
        }
    }
}
