//! TLS from downstream: certificates by name, client certificates, what is refused at compiling.

use std::{path::Path, sync::Arc, time::Duration};

use rustls::{ClientConfig, HandshakeKind, RootCertStore, client::Resumption, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::support::*;
use crate::{
    clock::Clock,
    config::{CertificateConfig, ClientCertificateConfig, Config, FilePath, LimitsConfig, ListenerConfig},
    diagnostic::{Diagnostics, Severity},
};

const LONG: i64 = 365;

struct Setting {
    folder: TempDir,
    authority: Authority,
}

impl Setting {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), authority: Authority::new("servers") }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, file: &str, names: &[&str]) -> (FilePath, FilePath) {
        write_pair(self.path(), file, &self.authority.issue(names, LONG))
    }

    fn listener(&self) -> ListenerConfig {
        tls_listener(self.write("server", &["default.test"]), LimitsConfig::default())
    }

    fn client(&self, alpn: &[&str], identity: Option<&(String, String)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect(),
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

async fn connect(server: &TestServer, client: &Arc<ClientConfig>, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    soon(TlsConnector::from(Arc::clone(client)).connect(name, server.connect().await)).await
}

/// The first DNS name of the certificate that the server showed.
fn shown(stream: &TlsStream<TcpStream>) -> String {
    let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    names.value.general_names[0].to_string()
}

fn public(listener: &ListenerConfig) -> Config {
    config([("public", listener.clone())])
}

fn said(diagnostics: &Diagnostics) -> Vec<(Severity, String, String)> {
    diagnostics.iter().map(|entry| (entry.severity, entry.path.to_string(), entry.message.clone())).collect()
}

#[tokio::test]
async fn alpn_settles_the_protocol() {
    let setting = Setting::new();
    let server = TestServer::start(&public(&setting.listener()));
    let client = Arc::new(setting.client(&["h2", "http/1.1"], None));
    let (mut http2, _connection) = http2(connect(&server, &client, "default.test").await.unwrap()).await;
    let response = soon(http2.send_request(request("/who"))).await.unwrap();
    assert_eq!(body_of(response).await, r#"public h2 127.0.0.1 Some("default.test") TLSv1.3 false"#);
    for alpn in [vec!["http/1.1"], vec![]] {
        let client = Arc::new(setting.client(&alpn, None));
        let mut stream = connect(&server, &client, "default.test").await.unwrap();
        let answer = get(&mut stream, "/who").await;
        assert_eq!(answer.body, r#"public http/1.1 127.0.0.1 Some("default.test") TLSv1.3 false"#);
    }
    // HTTP/1.1 where HTTP/2 was agreed on is not answered.
    let client = Arc::new(setting.client(&["h2"], None));
    let mut stream = connect(&server, &client, "default.test").await.unwrap();
    send(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(closed(&mut stream).await);
    eventually(|| server.listener().counters().malformed() == 1).await;
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_an_answer() {
    let setting = Setting::new();
    let server = TestServer::start(&public(&setting.listener()));
    let mut stream = connect(&server, &Arc::new(setting.client(&["http/1.1"], None)), "default.test").await.unwrap();
    for _ in 0..3 {
        send(&mut stream, "GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
        // As long as nothing is read, the last of it waits to be sent.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(answer(&mut stream).await.body.len(), LARGE);
    }
    assert_eq!(get(&mut stream, "/").await.body, "hello");
}

#[tokio::test]
async fn the_name_asked_for_chooses_the_certificate() {
    let setting = Setting::new();
    let mut listener = setting.listener();
    for (file, names) in [("one", vec!["one.test", "uno.test"]), ("wild", vec!["*.wild.test"])] {
        let (certificate, private_key) = setting.write(file, &names);
        listener.tls.as_mut().unwrap().certificates.push(CertificateConfig { certificate, private_key });
    }
    let server = TestServer::start(&public(&listener));
    let mut client = setting.client(&[], None);
    client.dangerous().set_certificate_verifier(Arc::new(Anybody));
    let client = Arc::new(client);
    for (name, expected) in [
        ("one.test", "DNSName(one.test)"),
        ("UNO.test", "DNSName(one.test)"),
        ("a.wild.test", "DNSName(*.wild.test)"),
        ("a.b.wild.test", "DNSName(default.test)"),
        ("wild.test", "DNSName(default.test)"),
        ("unknown.test", "DNSName(default.test)"),
        ("127.0.0.1", "DNSName(default.test)"),
    ] {
        assert_eq!(shown(&connect(&server, &client, name).await.unwrap()), expected, "{name}");
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_and_drops_no_connection() {
    let setting = Setting::new();
    let listener = setting.listener();
    let mut server = TestServer::start(&public(&listener));
    let client = Arc::new(setting.client(&["http/1.1"], None));
    let mut old = connect(&server, &client, "default.test").await.unwrap();
    get(&mut old, "/").await;
    assert_eq!(server.reload(&public(&listener)).changed.len(), 0);

    setting.write("server", &["other.test", "default.test"]);
    assert_eq!(server.reload(&public(&listener)).changed.len(), 1);
    let new = connect(&server, &Arc::new(setting.client(&[], None)), "default.test").await.unwrap();
    assert_eq!(shown(&new), "DNSName(other.test)");
    assert_eq!(get(&mut old, "/").await.status(), "200");
    let certificates: Vec<_> = server.listeners.certificates().map(|(_, facts)| facts.names.clone()).collect();
    assert_eq!(certificates, [["other.test", "default.test"]]);
    assert_eq!(server.listeners.files().count(), 2);
}

#[tokio::test]
async fn client_certificates_are_optional_or_required() {
    let setting = Setting::new();
    let clients = Authority::new("clients");
    let known = clients.issue(&["client.test"], LONG);
    let stranger = Authority::new("strangers").issue(&["client.test"], LONG);
    std::fs::write(setting.path().join("clients.pem"), &clients.pem).unwrap();
    let mut listener = setting.listener();
    let tls = listener.tls.as_mut().unwrap();
    tls.client_ca = Some(FilePath(setting.path().join("clients.pem")));
    for (demand, without) in [
        (Some(ClientCertificateConfig::Optional), true),
        (Some(ClientCertificateConfig::Required), false),
        (None, false),
    ] {
        listener.tls.as_mut().unwrap().client_certificate = demand;
        let server = TestServer::start(&public(&listener));
        for (identity, welcome) in [(Some(&known), true), (Some(&stranger), false), (None, without)] {
            let client = Arc::new(setting.client(&["http/1.1"], identity));
            // In TLS 1.3 the client learns of a refusal only when it reads.
            let served = async {
                let mut stream = connect(&server, &client, "default.test").await.ok()?;
                stream.write_all(b"GET /who HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.ok()?;
                let mut text = String::new();
                tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.ok()?;
                Some(text)
            };
            let served = soon(served).await;
            assert_eq!(served.is_some(), welcome, "{demand:?} {}", identity.is_some());
            if let Some(text) = served {
                assert!(text.ends_with(&format!("TLSv1.3 {}", identity.is_some())), "{text}");
            }
        }
        let refused = if without { 1 } else { 2 };
        eventually(|| server.listener().counters().tls_handshake_failures() == refused).await;
    }
}

#[tokio::test]
async fn sessions_are_resumed_but_not_across_a_change_of_the_client_ca() {
    let setting = Setting::new();
    let clients = Authority::new("clients");
    let identity = clients.issue(&["client.test"], LONG);
    let ca = setting.path().join("clients.pem");
    std::fs::write(&ca, &clients.pem).unwrap();
    let mut listener = setting.listener();
    listener.tls.as_mut().unwrap().client_ca = Some(FilePath(ca.clone()));
    let mut server = TestServer::start(&public(&listener));
    let mut client = setting.client(&["http/1.1"], Some(&identity));
    client.resumption = Resumption::in_memory_sessions(16);
    let client = Arc::new(client);
    let shake = async |server: &TestServer| {
        let mut stream = connect(server, &client, "default.test").await.unwrap();
        let served = get(&mut stream, "/who").await;
        assert!(served.body.ends_with("TLSv1.3 true"), "{}", served.body);
        stream.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(shake(&server).await, HandshakeKind::Full);
    assert_eq!(shake(&server).await, HandshakeKind::Resumed);
    setting.write("server", &["default.test"]);
    server.reload(&public(&listener));
    assert_eq!(shake(&server).await, HandshakeKind::Resumed, "another certificate leaves sessions alone");
    std::fs::write(&ca, format!("{}{}", clients.pem, Authority::new("more clients").pem)).unwrap();
    server.reload(&public(&listener));
    assert_eq!(shake(&server).await, HandshakeKind::Full, "a session must not outlive the client CA");
    assert_eq!(shake(&server).await, HandshakeKind::Resumed);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let setting = Setting::new();
    let mut listener = setting.listener();
    listener.limits.handshake_timeout = milliseconds(100);
    let server = TestServer::start(&public(&listener));
    let mut silent = server.connect().await;
    assert!(closed(&mut silent).await);
    eventually(|| server.listener().counters().tls_handshake_failures() == 1).await;
}

#[test]
fn files_that_are_wrong_are_named() {
    let setting = Setting::new();
    let good = setting.listener();
    let file = |name: &str| setting.path().join(name);
    let wrong = |change: &dyn Fn(&mut crate::config::ListenerTlsConfig)| {
        let mut listener = good.clone();
        change(listener.tls.as_mut().unwrap());
        let (listeners, diagnostics) = compile(&public(&listener), None);
        assert!(listeners.is_none());
        assert!(diagnostics.iter().all(|entry| !entry.remedy.is_empty()));
        said(&diagnostics).into_iter().map(|(_, path, message)| format!("{path}: {message}")).collect::<Vec<_>>()
    };
    std::fs::write(file("empty.pem"), "").unwrap();
    std::fs::write(file("garbled.pem"), "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    let (_, other_key) = setting.write("other", &["other.test"]);
    let nameless = setting.write("nameless", &[]);

    let lines = wrong(&|tls| tls.certificate = FilePath(file("missing.pem")));
    assert!(
        lines[0].starts_with("listeners.public.tls.certificate: ") && lines[0].contains("missing.pem cannot be read")
    );
    let lines = wrong(&|tls| tls.certificate = FilePath(file("empty.pem")));
    assert!(lines[0].ends_with("empty.pem contains no certificate"), "{lines:?}");
    let lines = wrong(&|tls| tls.certificate = FilePath(file("garbled.pem")));
    assert!(lines[0].contains("garbled.pem is not readable as PEM"), "{lines:?}");
    let lines = wrong(&|tls| tls.private_key = FilePath(file("empty.pem")));
    assert!(lines[0].starts_with("listeners.public.tls.private_key: "), "{lines:?}");
    let lines = wrong(&|tls| tls.private_key = other_key.clone());
    assert!(lines[0].contains("other.key is not the private key of") && lines[0].contains("server.pem"), "{lines:?}");
    let lines = wrong(&|tls| tls.client_ca = Some(FilePath(file("empty.pem"))));
    assert!(lines[0].starts_with("listeners.public.tls.client_ca: "), "{lines:?}");
    let lines = wrong(&|tls| tls.client_certificate = Some(ClientCertificateConfig::Required));
    assert!(lines[0].starts_with("listeners.public.tls.client_certificate: "), "{lines:?}");
    let lines = wrong(&|tls| {
        let (certificate, private_key) = nameless.clone();
        tls.certificates.push(CertificateConfig { certificate, private_key });
    });
    assert!(lines[0].starts_with("listeners.public.tls.certificates[0].certificate: "), "{lines:?}");
    assert!(lines[0].contains("nameless.pem names no host"), "{lines:?}");
    // All of them at once.
    let lines = wrong(&|tls| {
        tls.certificate = FilePath(file("missing.pem"));
        tls.private_key = FilePath(file("missing.key"));
        tls.client_ca = Some(FilePath(file("missing.ca")));
    });
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn a_certificate_is_warned_of_before_its_end_and_refused_after() {
    let setting = Setting::new();
    let pair = write_pair(setting.path(), "short", &setting.authority.issue(&["a.test"], 20));
    let raw = public(&tls_listener(pair, LimitsConfig::default()));
    let now = Clock::system().now();
    let at = |days: u64| compile_at(&raw, None, now.plus(Duration::from_secs(days * 86_400)));

    let (listeners, diagnostics) = at(0);
    let (_, facts) = listeners.as_ref().unwrap().certificates().next().unwrap();
    assert!(facts.not_after.abs_diff(now.as_seconds() + 20 * 86_400) < 60);
    assert_eq!(said(&diagnostics).len(), 0);

    let (listeners, diagnostics) = at(7);
    assert!(listeners.is_some());
    assert!(matches!(&said(&diagnostics)[..], [(Severity::Warning, path, message)]
        if path == "listeners.public.tls.certificate" && message.contains("short.pem expires at")));

    let (listeners, diagnostics) = at(21);
    assert!(listeners.is_none());
    assert!(matches!(&said(&diagnostics)[..], [(Severity::Error, _, message)] if message.contains("expired at")));

    let (listeners, diagnostics) = compile_at(&raw, None, now.minus(Duration::from_secs(90 * 86_400)));
    assert!(listeners.is_some());
    assert!(
        matches!(&said(&diagnostics)[..], [(Severity::Warning, _, message)] if message.contains("not valid before"))
    );
}

/// A client that takes any certificate, so that the test can see which one it was shown.
#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
