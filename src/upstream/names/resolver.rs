//! Owns: asking servers for the addresses of a name, by hickory-resolver, in the order in which they are written.
//! Refuses: remembering answers: that is done with the names.
//! Always holds: a server that is silent or broken costs its timeout once; from then on another is asked first.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    path::Path,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::{Either, select};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
    },
    system_conf::read_system_conf,
};
use tokio::time::timeout;

use super::{Family, LookupError, candidates::candidates, settings::Settings, usable};

/// Where the system says whom to ask and what it knows by itself.
const SYSTEM_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Looks names up as one `[dns]` says.
#[derive(Debug)]
pub(in crate::upstream) struct Resolver {
    settings: Settings,
    servers: Mutex<Option<Arc<Servers>>>,
    /// The server to ask first.
    first: AtomicUsize,
}

/// Those who are asked, and for what.
#[derive(Debug)]
struct Servers {
    /// One for each server: hickory would take an error of one of them for the word of all.
    each: Box<[TokioResolver]>,
    search: Box<[Name]>,
    least_dots: usize,
    made_of: Stamp,
}

/// What the system's files looked like: when each was written, and how long it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64)>; 2]);

/// What is said of one kind of address.
enum Answer {
    Found { addresses: Vec<IpAddr>, ttl: Duration },
    Absent,
    Failed(LookupError),
}

impl Resolver {
    pub(in crate::upstream) const fn new(settings: Settings) -> Self {
        Self { settings, servers: Mutex::new(None), first: AtomicUsize::new(0) }
    }

    /// Whether it was made of these settings.
    pub(in crate::upstream) fn is_of(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }

    /// Looks `host` up, telling `found` the addresses of each family as soon as they are known. A family of which nothing could be
    /// learned is not told of; one that has none, while the other has some, is. Gives how long that is good for.
    ///
    /// # Errors
    /// If no address of any family was found; `found` has not been called then.
    pub(super) async fn look_up(
        &self,
        host: &str,
        mut found: impl FnMut(Family, Vec<IpAddr>),
    ) -> Result<Duration, LookupError> {
        let servers = self.servers()?;
        let names = candidates(host, &servers.search, servers.least_dots);
        if names.is_empty() {
            return Err(LookupError::NoName);
        }
        for name in &names {
            let first = pin!(self.ask(&servers, name, Family::Ipv4));
            let second = pin!(self.ask(&servers, name, Family::Ipv6));
            // Whoever waits for a first address need not wait for a server that has a word for one family only.
            let answers = match select(first, second).await {
                Either::Left((ipv4, ipv6)) => {
                    tell(&mut found, Family::Ipv4, &ipv4);
                    let ipv6 = ipv6.await;
                    tell(&mut found, Family::Ipv6, &ipv6);
                    (ipv4, ipv6)
                }
                Either::Right((ipv6, ipv4)) => {
                    tell(&mut found, Family::Ipv6, &ipv6);
                    let ipv4 = ipv4.await;
                    tell(&mut found, Family::Ipv4, &ipv4);
                    (ipv4, ipv6)
                }
            };
            let ttl = match answers {
                (Answer::Found { ttl, .. }, Answer::Found { ttl: other, .. }) => ttl.min(other),
                (Answer::Found { ttl, .. }, Answer::Absent) => {
                    found(Family::Ipv6, Vec::new());
                    ttl
                }
                (Answer::Absent, Answer::Found { ttl, .. }) => {
                    found(Family::Ipv4, Vec::new());
                    ttl
                }
                (Answer::Found { ttl, .. }, Answer::Failed(_)) | (Answer::Failed(_), Answer::Found { ttl, .. }) => ttl,
                // The same name in the next search domain could be somebody else's.
                (Answer::Failed(error), _) | (_, Answer::Failed(error)) => return Err(error),
                (Answer::Absent, Answer::Absent) => continue,
            };
            return Ok(self.settings.lifetime(ttl));
        }
        Err(LookupError::NoAddress)
    }

    /// One kind of address of a name, from the first server that has a word on it.
    async fn ask(&self, servers: &Servers, name: &Name, family: Family) -> Answer {
        let count = servers.each.len();
        let first = self.first.load(Relaxed);
        let mut failure = LookupError::TimedOut;
        for step in 0..count {
            let position = (first + step) % count.max(1);
            let Some(server) = servers.each.get(position) else { break };
            match self.ask_one(server, name, family).await {
                Answer::Failed(error) => failure = error,
                answer => {
                    self.first.store(position, Relaxed);
                    return answer;
                }
            }
        }
        Answer::Failed(failure)
    }

    async fn ask_one(&self, server: &TokioResolver, name: &Name, family: Family) -> Answer {
        let record_type = match family {
            Family::Ipv4 => RecordType::A,
            Family::Ipv6 => RecordType::AAAA,
        };
        // Once by UDP, and once by TCP what did not fit; hickory bounds each.
        let bound = self.settings.timeout.saturating_mul(3);
        let lookup = match bounded(bound, server.lookup(name.clone(), record_type)).await {
            Ok(lookup) => lookup,
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain) =>
            {
                return Answer::Absent;
            }
            Err(NetError::Timeout) => return Answer::Failed(LookupError::TimedOut),
            Err(error) => return failed(error),
        };
        // The chain of aliases is as short-lived as its shortest-lived record.
        let seconds = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or_default();
        let addresses = usable::addresses(lookup.answers().iter().filter_map(|record| match record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        }));
        if addresses.is_empty() {
            return Answer::Absent;
        }
        Answer::Found { addresses, ttl: Duration::from_secs(seconds.into()) }
    }

    /// Whom to ask, made anew when the system's files were written since.
    fn servers(&self) -> Result<Arc<Servers>, LookupError> {
        let own = !self.settings.servers.is_empty();
        let stamp = if own { Stamp([None; 2]) } else { Stamp(SYSTEM_FILES.map(stamp)) };
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(servers) = servers.as_ref().filter(|servers| servers.made_of == stamp) {
            return Ok(Arc::clone(servers));
        }
        let made = if own { self.own(stamp) } else { self.system(stamp) };
        let made = Arc::new(made.map_err(|error| LookupError::System(Arc::new(error)))?);
        *servers = Some(Arc::clone(&made));
        Ok(made)
    }

    /// The servers of `[dns]`, which know names as they are written, and nothing of this machine.
    fn own(&self, made_of: Stamp) -> Result<Servers, NetError> {
        let server = |address: &SocketAddr| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = address.port();
            }
            let mut options = ResolverOpts::default();
            options.use_hosts_file = ResolveHosts::Never;
            self.build(NameServerConfig::new(address.ip(), true, connections), options)
        };
        let each = self.settings.servers.iter().map(server).collect::<Result<_, _>>()?;
        Ok(Servers { each, search: Box::default(), least_dots: 1, made_of })
    }

    /// The system's servers, search domains and hosts.
    fn system(&self, made_of: Stamp) -> Result<Servers, NetError> {
        let (config, options) = match read_system_conf() {
            Ok(read) => read,
            // As the system's own resolver does where nothing is said, resolv.conf(5).
            Err(_) if made_of.says_nothing() => {
                let here = NameServerConfig::udp_and_tcp(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
                (ResolverConfig::from_parts(None, Vec::new(), vec![here]), ResolverOpts::default())
            }
            Err(error) => return Err(error),
        };
        let mut search = config.search().to_vec();
        if search.is_empty() {
            search.extend(config.domain().cloned());
        }
        let server = |server: &NameServerConfig| self.build(server.clone(), options.clone());
        let each = config.name_servers().iter().map(server).collect::<Result<_, _>>()?;
        Ok(Servers { each, search: search.into(), least_dots: options.ndots, made_of })
    }

    fn build(&self, server: NameServerConfig, mut options: ResolverOpts) -> Result<TokioResolver, NetError> {
        options.timeout = self.settings.timeout;
        options.attempts = 0;
        options.num_concurrent_reqs = 1;
        options.cache_size = 0;
        options.try_tcp_on_error = false;
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build()
    }
}

impl Stamp {
    /// Whether there is no file that names servers.
    const fn says_nothing(self) -> bool {
        matches!(self.0, [None, _])
    }
}

fn stamp(file: &str) -> Option<(SystemTime, u64)> {
    let about = Path::new(file).metadata().ok()?;
    Some((about.modified().ok()?, about.len()))
}

async fn bounded<T>(bound: Duration, lookup: impl Future<Output = Result<T, NetError>>) -> Result<T, NetError> {
    timeout(bound, lookup).await.unwrap_or(Err(NetError::Timeout))
}

fn failed(error: NetError) -> Answer {
    Answer::Failed(LookupError::Failed(Arc::new(error)))
}

fn tell(found: &mut impl FnMut(Family, Vec<IpAddr>), family: Family, answer: &Answer) {
    if let Answer::Found { addresses, .. } = answer {
        found(family, addresses.clone());
    }
}
