//! Owns: asking a running gateway by its admin listener, over HTTP or HTTPS.
//! Refuses: redirects, certificates that the system does not believe, answers over 16 MiB, and speaking to another machine in
//! clear unless that was asked for.
//! Always holds: an answer or an error comes within 40 s; the admin token is in no error.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Builder,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower::ServiceExt as _;
use url::{Host, Url};

use super::Call;
use crate::secret::Secret;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long everything may take; the API ends what takes longer than 30 s.
const TIMEOUT: Duration = Duration::from_secs(40);
/// The most of an answer that is read.
const LONGEST_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A running gateway.
pub(super) struct Gateway {
    url: Url,
    token: Option<Secret>,
    may_speak_in_clear: bool,
}

impl Gateway {
    /// The gateway whose admin listener is at `url`.
    ///
    /// # Errors
    /// If the URL is none of an admin listener.
    pub(super) fn new(url: &str, token: Option<Secret>, may_speak_in_clear: bool) -> anyhow::Result<Self> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let plain = |url: &Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
        // A password may be in it, so it is not repeated.
        let url = parsed
            .filter(plain)
            .ok_or_else(|| anyhow!("this is not the URL of an admin listener: write it like http://127.0.0.1:9090"))?;
        Ok(Self { url, token, may_speak_in_clear })
    }

    /// Asks it.
    ///
    /// # Errors
    /// If there is no answer.
    pub(super) fn answer(&self, call: &Call) -> anyhow::Result<Response<Bytes>> {
        let runtime = Builder::new_current_thread().enable_all().build().context("there are no events to wait for")?;
        let outcome = runtime.block_on(async {
            match timeout(TIMEOUT, self.exchange(call)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(anyhow!("it took longer than {} s", TIMEOUT.as_secs())),
            }
        });
        // A name that does not resolve would be waited for.
        runtime.shutdown_background();
        outcome.with_context(|| format!("{} does not answer", self.url))
    }

    async fn exchange(&self, call: &Call) -> anyhow::Result<Response<Bytes>> {
        let request = self.request(call)?;
        let stream = self.connect().await?;
        if self.url.scheme() == "http" {
            return converse(stream, request).await;
        }
        let name = self.server_name()?;
        let stream = tls()?.connect(name, stream).await.context("no TLS connection can be made")?;
        converse(stream, request).await
    }

    fn request(&self, call: &Call) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = call.request(self.url.authority(), self.url.path().trim_end_matches('/'))?;
        let agent = HeaderValue::from_static(concat!("postern/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        if let Some(token) = &self.token {
            let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
            let mut value = value.map_err(|_| anyhow!("the admin token has a character that no token has"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(request.map(Full::new))
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let port = self.url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        let host = self.url.host_str().unwrap_or_default();
        let place = Uri::builder().scheme(self.url.scheme()).authority(format!("{host}{port}")).path_and_query("/");
        let stream = connector.oneshot(place.build()?).await.context("no connection can be made")?.into_inner();
        self.admit(stream.peer_addr()?)?;
        Ok(stream)
    }

    /// Whether anything may be said to `peer`, whatever its name is.
    fn admit(&self, peer: SocketAddr) -> anyhow::Result<()> {
        let here = peer.ip().to_canonical().is_loopback();
        ensure!(
            here || self.url.scheme() == "https" || self.may_speak_in_clear,
            "it is on another machine, and without TLS whoever listens on the way gets the admin token and every new secret: \
             write https, or run this on that machine, or say --danger-plain-http",
        );
        Ok(())
    }

    fn server_name(&self) -> anyhow::Result<ServerName<'static>> {
        match self.url.host() {
            Some(Host::Domain(name)) => {
                ServerName::try_from(name.to_owned()).context("the host is no name that a certificate could hold")
            }
            Some(Host::Ipv4(address)) => Ok(ServerName::IpAddress(std::net::IpAddr::V4(address).into())),
            Some(Host::Ipv6(address)) => Ok(ServerName::IpAddress(std::net::IpAddr::V6(address).into())),
            None => bail!("the URL has no host"),
        }
    }
}

/// TLS that believes whom the system believes; `SSL_CERT_FILE` names others.
fn tls() -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ensure!(
        !roots.is_empty(),
        "this system has no certificate authorities to trust: install them, or set SSL_CERT_FILE"
    );
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn converse<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await.context("the exchange broke off")?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| anyhow!(error).context("the answer broke off"))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    // The connection moves the bytes while the exchange waits for them; it may well end first, its last bytes unread.
    match select(Box::pin(exchange), connection).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, exchange)) => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_an_admin_listener_are_asked() {
        for url in ["http://127.0.0.1:9090", "https://ops.example/postern/", "http://[::1]:9090/"] {
            assert!(Gateway::new(url, None, false).is_ok(), "{url}");
        }
        for url in ["", "127.0.0.1:9090", "file:///x", "http://ann:canary@127.0.0.1", "http://a/?token=canary"] {
            let error = Gateway::new(url, None, false).err().unwrap().to_string();
            assert!(error.contains("http://127.0.0.1:9090") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn nothing_goes_to_another_machine_in_clear() {
        let there = SocketAddr::from(([192, 0, 2, 1], 9090));
        let here = SocketAddr::from(([127, 0, 0, 1], 9090));
        let mapped: SocketAddr = "[::ffff:127.0.0.1]:9090".parse().unwrap();
        let admits = |url, danger, peer| Gateway::new(url, None, danger).unwrap().admit(peer).is_ok();
        assert!(admits("http://localhost:9090", false, here) && admits("http://localhost:9090", false, mapped));
        assert!(!admits("http://localhost:9090", false, there) && !admits("http://ops.example", false, there));
        assert!(admits("https://ops.example", false, there) && admits("http://ops.example", true, there));
    }

    #[test]
    fn requests_carry_the_token_and_stay_below_the_urls_path() {
        let token = Secret::new("admin-token".to_owned());
        let gateway = Gateway::new("https://ops.example:8443/postern/", Some(token), false).unwrap();
        let request = gateway.request(&Call::get(&["keys"])).unwrap();
        assert_eq!(request.uri(), "/postern/api/v1/keys");
        assert_eq!(
            (&request.headers()["host"], &request.headers()["authorization"]),
            (&"ops.example:8443".parse::<HeaderValue>().unwrap(), &HeaderValue::from_static("Bearer admin-token"))
        );
        assert!(!format!("{request:?}").contains("admin-token"));
    }
}
