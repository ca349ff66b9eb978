//! The configuration of the gateway that is put to the test, in two rule sets, behind a symlink.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// What all configurations of a run have in common.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) issuer: String,
    pub(crate) upstreams: [SocketAddr; 2],
}

/// Where the gateway of a site listens: public, and for its operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// A configuration file of one site.
#[derive(Clone)]
pub(crate) struct File {
    /// What the gateway is given.
    pub(crate) path: PathBuf,
    folder: PathBuf,
    name: String,
}

/// The two rule sets.
pub(crate) const SETS: [&str; 2] = ["a", "b"];

impl File {
    /// Writes both rule sets of `site` into `folder`, and links to the first.
    pub(crate) fn write(folder: &Path, name: &str, site: Site, surroundings: &Surroundings) -> Self {
        let file = Self { path: folder.join(format!("{name}.toml")), folder: folder.to_owned(), name: name.to_owned() };
        for set in SETS {
            fs::write(file.version(set), text(site, surroundings, set)).expect("written");
        }
        file.link(SETS[0]);
        file
    }

    fn version(&self, set: &str) -> PathBuf {
        self.folder.join(format!("{}-{set}.toml", self.name))
    }

    /// The text of a rule set.
    pub(crate) fn text_of(&self, set: &str) -> String {
        fs::read_to_string(self.version(set)).expect("readable")
    }

    /// Puts a symlink to a rule set in the file's place, at once.
    pub(crate) fn link(&self, set: &str) {
        let aside = self.folder.join(format!("{}.aside", self.name));
        symlink(self.version(set), &aside).expect("linked");
        fs::rename(aside, &self.path).expect("moved");
    }

    /// Takes the link away, and what is behind it stays.
    pub(crate) fn delete(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }

    /// Writes this in place, into a file that is no link.
    pub(crate) fn put(&self, bytes: &[u8]) {
        if self.path.is_symlink() {
            self.delete();
        }
        fs::write(&self.path, bytes).expect("written");
    }
}

/// A configuration of which no beginning is one: what its first lines cannot do without comes last.
fn text(site: Site, surroundings: &Surroundings, set: &str) -> String {
    let Surroundings { issuer, upstreams: [first, second] } = surroundings;
    let Site { public, admin } = site;
    format!(
        r#"
[issuers.own]
embedded = true
audience = "https://api.test/orders"
[process]
workers = 2
grace_period = "10s"
data_directory = "data"
[listeners.public]
address = "{public}"
[listeners.public.limits]
connections_per_peer = 5000
header_timeout = "3s"
body_idle_timeout = "3s"
[admin]
address = "{admin}"
[issuers.corp]
issuer = "{issuer}"
audience = "https://api.test/orders"
[issuers.corp.key_set]
max_age = "2s"
unknown_key_cooldown = "1s"
[upstreams.orders]
endpoints = ["http://{first}", "http://{second}"]
connect_timeout = "1s"
response_header_timeout = "2s"
[upstreams.spare]
endpoints = ["http://{second}"]
protocol = "http2"
connect_timeout = "1s"
response_header_timeout = "2s"
[routes.orders]
path = "/orders/{{*rest}}"
upstream = "orders"
[routes.orders.require]
scopes = ["orders:read"]
[routes.orders.identity]
headers = {{ "x-client-id" = "client_id" }}
[routes.spare]
path = "/spare/{{*rest}}"
upstream = "spare"
[routes.spare.require]
scopes = ["orders:read"]
[routes.spare.identity]
headers = {{ "x-client-id" = "client_id" }}
[routes.turns]
path = "/turns/{{*rest}}"
upstream = "orders"
[routes.turns.require]
scopes = ["{set}"]
[routes.turns.identity]
headers = {{ "x-set-{set}" = "client_id", "x-client-id" = "client_id" }}
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read"]
[authorization_server.clients.load]
secret = "secret-of-load-0123456789-0123456789"
grants = {{ "https://api.test/orders" = ["orders:read"] }}
[authorization_server]
store = "sqlite:data/postern.db"
issuer = "https://issuer.test/one"
"#
    )
}
