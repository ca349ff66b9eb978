//! TLS towards upstreams: whom they are believed by, ALPN, client certificates.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate authority and what it issues, in files.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: tempfile::tempdir().unwrap() };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// A certificate for `name` and its private key, as `name.pem` and `name.key`.
    pub(super) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        self.write(&format!("{name}.pem"), &certificate);
        self.write(&format!("{name}.key"), &key.serialize_pem());
        (certificate, key.serialize_pem())
    }

    fn acceptor(&self, name: &str, protocols: &[&str], ask_client: bool) -> TlsAcceptor {
        let (certificate, key) = self.issue(name);
        let chain = vec![rustls::pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = if ask_client {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.unwrap().with_client_cert_verifier(verifier)
        } else {
            builder.unwrap().with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn tls_recorder(acceptor: TlsAcceptor, spoken: Spoken) -> Recorder {
    let (listener, address) = listen().await;
    let record = Rc::new(Record::default());
    let seen = Rc::clone(&record);
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            seen.connections.set(seen.connections.get() + 1);
            tokio::task::spawn_local(serve(stream, spoken, Rc::clone(&seen)));
        }
    });
    Recorder { address, record }
}

fn worker(recorder: &Recorder, protocol: &str, tls: Value) -> Worker {
    Worker::new(json!({ "endpoints": [format!("https://{}", recorder.address)], "protocol": protocol, "tls": tls }))
}

#[test]
fn the_protocol_is_agreed_on_by_alpn() {
    run(async {
        let authority = Authority::new();
        let tls = json!({ "ca": authority.path("ca.pem") });
        let http2 = Spoken::Http2 { streams: 10 };
        for (offered, spoken, protocol, version) in [
            (&["h2", "http/1.1"][..], http2, "http2", "HTTP/2.0"),
            (&["h2", "http/1.1"], http2, "auto", "HTTP/2.0"),
            (&["http/1.1"], Spoken::Http1, "auto", "HTTP/1.1"),
            (&[], Spoken::Http1, "auto", "HTTP/1.1"),
            (&["h2", "http/1.1"], Spoken::Http1, "http1", "HTTP/1.1"),
            (&[], Spoken::Http1, "http1", "HTTP/1.1"),
        ] {
            let recorder = tls_recorder(authority.acceptor("127.0.0.1", offered, false), spoken).await;
            let worker = worker(&recorder, protocol, tls.clone());
            for result in futures_util::future::join_all((0..3).map(|_| worker.get("/"))).await {
                result.unwrap();
            }
            worker.get("/").await.unwrap();
            for seen in recorder.requests() {
                assert!(seen.line.ends_with(version), "{offered:?} {protocol} {}", seen.line);
            }
            let connections = if version == "HTTP/2.0" { 1 } else { 3 };
            assert_eq!(recorder.record.connections.get(), connections, "{offered:?} {protocol}");
        }
    });
}

#[test]
fn http2_without_alpn_is_refused() {
    run(async {
        let authority = Authority::new();
        let recorder = tls_recorder(authority.acceptor("127.0.0.1", &[], false), Spoken::Http1).await;
        let worker = worker(&recorder, "http2", json!({ "ca": authority.path("ca.pem") }));
        let ForwardError::Connect { source, .. } = worker.get("/").await.unwrap_err() else { panic!() };
        assert!(matches!(*source, ConnectError::NoHttp2), "{source:?}");
    });
}

#[test]
fn a_certificate_must_carry_the_name_and_come_from_the_authority() {
    run(async {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let recorder = tls_recorder(authority.acceptor("orders.internal", &[], false), Spoken::Http1).await;
        let (ca, other_ca) = (authority.path("ca.pem"), stranger.path("ca.pem"));
        for wrong in [
            json!({ "ca": ca }),
            json!({ "ca": other_ca, "server_name": "orders.internal" }),
            json!({ "server_name": "orders.internal" }),
        ] {
            let error = worker(&recorder, "http1", wrong).get("/").await.unwrap_err();
            let ForwardError::Connect { source, .. } = error else { panic!("{error}") };
            assert!(matches!(*source, ConnectError::Tls(_)), "{source:?}");
        }
        assert!(recorder.requests().is_empty());
        let right = json!({ "ca": ca, "server_name": "orders.internal" });
        worker(&recorder, "http1", right).get("/").await.unwrap();
    });
}

#[test]
fn a_client_certificate_is_shown() {
    run(async {
        let authority = Authority::new();
        authority.issue("postern.internal");
        let recorder = tls_recorder(authority.acceptor("127.0.0.1", &[], true), Spoken::Http1).await;
        let ca = authority.path("ca.pem");
        assert!(worker(&recorder, "http1", json!({ "ca": ca })).get("/").await.is_err());
        let shown = json!({
            "ca": ca,
            "certificate": authority.path("postern.internal.pem"),
            "private_key": authority.path("postern.internal.key"),
        });
        worker(&recorder, "http1", shown).get("/").await.unwrap();
        assert_eq!(recorder.requests().len(), 1);
    });
}

#[test]
fn a_handshake_that_stalls_is_given_up_in_time() {
    run(async {
        let authority = Authority::new();
        let (listener, address) = listen().await;
        let tls = json!({ "ca": authority.path("ca.pem") });
        let endpoints = json!([format!("https://{address}")]);
        let worker = Worker::new(json!({ "endpoints": endpoints, "tls": tls, "connect_timeout": "30ms" }));
        let error = worker.get("/").await.unwrap_err();
        assert_eq!((error.reason(), worker.counts().connect_failures), ("upstream_connect_timeout", 1));
        drop(listener);
    });
}

#[test]
fn when_the_one_who_connects_goes_away_another_connects() {
    run(async {
        let authority = Authority::new();
        let acceptor = authority.acceptor("127.0.0.1", &["h2"], false);
        let (listener, address) = listen().await;
        let record = Rc::new(Record::default());
        let seen = Rc::clone(&record);
        let stalled = Rc::new(Cell::new(false));
        let stalls = Rc::clone(&stalled);
        tokio::task::spawn_local(async move {
            // The first connection is accepted, and that is all.
            let _first = listener.accept().await.unwrap();
            stalls.set(true);
            let (stream, _) = listener.accept().await.unwrap();
            serve(acceptor.accept(stream).await.unwrap(), Spoken::Http2 { streams: 10 }, seen).await;
        });
        let recorder = Recorder { address, record };
        let worker = Rc::new(worker(&recorder, "http2", json!({ "ca": authority.path("ca.pem") })));
        let get = |path: &'static str| {
            let worker = Rc::clone(&worker);
            tokio::task::spawn_local(async move { worker.get(path).await.map(|(_, body)| body) })
        };
        let first = get("/first");
        until(|| stalled.get()).await;
        let (second, third) = (get("/second"), get("/third"));
        tokio::task::yield_now().await;
        first.abort();
        second.await.unwrap().unwrap();
        third.await.unwrap().unwrap();
        assert_eq!(recorder.requests().len(), 2);
        assert_eq!(worker.counts().connections_open, 1);
    });
}
