//! Owns: the boundary to whoever answers requests: the trait, and what it is told of the connection.
//! Refuses: failing. A handler always has an answer; an error is an answer too.
//! Always holds: what [`ConnectionInfo`] says was seen on the socket, in the handshake, or in what a load balancer that is trusted
//! with it said before both; never in a field of a request.

use std::{error::Error, fmt, net::SocketAddr, rc::Rc, sync::Arc};

use arc_swap::Guard;
use bytes::Bytes;
use http_body::Body;
use rustls_pki_types::CertificateDer;

use super::{
    body::DownstreamBody,
    http1::RequestFault,
    listener::{Listener, ListenerSettings},
};
use crate::http::{Arrivals, Request, Response};

/// What answers requests. One clone of it per connection, so a clone should cost no more than a reference count.
pub trait Handler: Clone + 'static {
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + 'static;

    /// Answers one request.
    ///
    /// The connection is closed after the response if the response carries `Connection: close` (HTTP/1.1) or the
    /// extension [`CloseConnection`] (either protocol). An HTTP/1.1 upgrade (RFC 9110 section 7.8) works through
    /// [`DownstreamBody::upgrade`]: until the upgraded stream is dropped it keeps its place among the listener's connections. Over HTTP/2 it
    /// works for CONNECT that is answered with a 2xx (RFC 8441), through the `hyper::upgrade::OnUpgrade` in the request's extensions
    /// ([`super::DownstreamUpgrade::of_stream`]), and the [`super::StreamHold`] beside it is to be held as long.
    fn handle(
        &self,
        request: Request<DownstreamBody>,
        connection: &Rc<ConnectionInfo>,
    ) -> impl Future<Output = Response<Self::Body>>;

    /// Answers a request whose head was put aside for its fault, so that there is nothing to be known of it. Over HTTP/1.1 the
    /// connection is closed after that; over HTTP/2 the fault can only be that there are too many fields, or one whose name is
    /// none.
    fn put_aside(&self, fault: RequestFault, connection: &Rc<ConnectionInfo>) -> Response<Self::Body>;

    /// Answers a request that comes while there is enough to do (RFC 9110 section 15.6.4). Nothing is to be waited for.
    fn overloaded(&self, request: &Request<DownstreamBody>, connection: &Rc<ConnectionInfo>) -> Response<Self::Body>;

    /// Whether all of an answer with this body is there already, so that nobody but its reader has anything left to do.
    fn is_whole(_body: &Self::Body) -> bool {
        false
    }

    /// Another configuration is in force. Asked on every worker, also on those without requests, so that what only the
    /// one before needed can be let go of.
    fn configuration_changed(&self) {}
}

/// Put into a response's extensions: the connection is closed once the response, and every other one under way on it,
/// has been sent. Over HTTP/1.1 this is `Connection: close`, over HTTP/2 a GOAWAY (RFC 9113 section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseConnection;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, or HTTP/1.0.
    Http1,
    /// HTTP/2.
    Http2,
}

/// One connection from downstream.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// The listener that accepted it.
    pub listener: Arc<Listener>,
    /// Who connected: to us, or to the load balancer before us that says so. An IPv4 address mapped into IPv6 is given as the IPv4 address that it is.
    pub peer: SocketAddr,
    /// Where to.
    pub local: SocketAddr,
    /// What is spoken.
    pub protocol: Protocol,
    /// What the TLS handshake settled. Absent: in clear.
    pub tls: Option<TlsInfo>,
    /// What its requests have in common.
    pub arrivals: Arrivals,
}

/// What a TLS handshake settled.
pub struct TlsInfo {
    /// The name that the client asked for (RFC 6066 section 3), in lower case.
    pub server_name: Option<Box<str>>,
    /// `"TLSv1.2"` or `"TLSv1.3"`.
    pub version: &'static str,
    /// The client's own certificate, verified against the listener's client CA.
    pub client_certificate: Option<CertificateDer<'static>>,
}

impl ConnectionInfo {
    /// Whether whoever connected presented a certificate.
    #[must_use]
    pub fn brought_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_certificate.is_some())
    }

    /// The listener's name.
    #[must_use]
    pub fn listener_name(&self) -> &Arc<str> {
        self.listener.name()
    }

    /// The listener's settings as they are now, which after a reload may be later ones than those under which the
    /// connection was accepted.
    #[must_use]
    pub fn settings(&self) -> Guard<Arc<ListenerSettings>> {
        self.listener.settings()
    }
}

impl Protocol {
    /// As logs and metrics write it: `"http/1.1"` or `"h2"`, the names of the ALPN registry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}

impl fmt::Debug for TlsInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsInfo")
            .field("server_name", &self.server_name)
            .field("version", &self.version)
            .field("client_certificate", &self.client_certificate.is_some())
            .finish()
    }
}
