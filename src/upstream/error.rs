//! Owns: the ways in which forwarding fails.
//! Always holds: the list is closed; every way has a reason and somebody whose fault it is.

use std::{error::Error, sync::Arc};

use thiserror::Error;

use super::{connect::ConnectError, http1::Http1Error};

/// What went wrong between a request and its response, or in the body of one.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// Over HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] Http1Error),
    /// Over HTTP/2.
    #[error(transparent)]
    Http2(#[from] hyper::Error),
}

impl ExchangeError {
    /// Whether what came back is not HTTP.
    pub(super) fn is_protocol(&self) -> bool {
        match self {
            Self::Http1(error) => error.is_protocol(),
            Self::Http2(error) => error.is_parse(),
        }
    }
}

/// Why there is no response to pass on.
#[derive(Debug, Error)]
pub enum ForwardError {
    /// No endpoint has room for one more request or connection. The last try sent nothing; one before it may have.
    #[error("every connection to upstream `{upstream}` is in use")]
    Saturated {
        /// The upstream's name.
        upstream: Arc<str>,
    },
    /// No endpoint could be connected to; the cause is that of the last one tried. That try sent nothing; one before it may have.
    #[error("no connection could be made to {endpoint}")]
    Connect {
        /// The last endpoint tried.
        endpoint: Arc<str>,
        /// Why.
        #[source]
        source: Arc<ConnectError>,
    },
    /// The endpoint had the request and was silent for `response_header_timeout`.
    #[error("{endpoint} did not begin its response in time")]
    ResponseHeaderTimeout {
        /// The endpoint.
        endpoint: Arc<str>,
    },
    /// The request's whole time was over before the response began.
    #[error("the time for the whole request was over before {endpoint} began its response")]
    Deadline {
        /// The endpoint that was being waited for.
        endpoint: Arc<str>,
    },
    /// The connection or the stream ended before the response began. The request may have been acted on.
    #[error("{endpoint} broke off before its response")]
    Reset {
        /// The endpoint.
        endpoint: Arc<str>,
        /// How it looked from here.
        #[source]
        source: ExchangeError,
    },
    /// What came back is not HTTP, or its head is larger than allowed.
    #[error("{endpoint} answered what is not HTTP")]
    Protocol {
        /// The endpoint.
        endpoint: Arc<str>,
        /// How it looked from here.
        #[source]
        source: ExchangeError,
    },
    /// The response is under a transfer coding beside `chunked`, which nobody undoes (RFC 9112 section 6.1).
    #[error("{endpoint} answered under a transfer coding that is not undone")]
    TransferCoding {
        /// The endpoint.
        endpoint: Arc<str>,
    },
    /// The response says its length more than once (RFC 9110 section 8.6).
    #[error("{endpoint} said the length of its answer more than once")]
    RepeatedLength {
        /// The endpoint.
        endpoint: Arc<str>,
    },
    /// The endpoint switched to a protocol that it was not asked for (RFC 9110 section 7.8).
    #[error("{endpoint} switched to a protocol that it was not asked for")]
    UnaskedUpgrade {
        /// The endpoint.
        endpoint: Arc<str>,
    },
    /// The endpoint was asked to become a WebSocket, and did not do so in a way that can be passed on; or it could not be asked.
    #[error("{endpoint} did not become a WebSocket: {why}")]
    NotUpgraded {
        /// The endpoint.
        endpoint: Arc<str>,
        /// What it did instead.
        why: &'static str,
    },
    /// The request's own body failed: too long, too slow, or broken off.
    #[error("the body of the request failed")]
    RequestBody(#[source] Box<dyn Error + Send + Sync>),
    /// The request is not one that can be passed on.
    #[error("the request cannot be passed on: {0}")]
    NotForwardable(&'static str),
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller's.
    Downstream,
    /// Our own bounds'.
    Gateway,
    /// The upstream's.
    Upstream,
}

impl ForwardError {
    /// A stable word for it: metric label, log field, row of the list of errors.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Saturated { .. } => "upstream_saturated",
            Self::Connect { source, .. } => match **source {
                ConnectError::Timeout(_) => "upstream_connect_timeout",
                ConnectError::NoDescriptor => "overloaded",
                ConnectError::Resolve(_)
                | ConnectError::NoAddress
                | ConnectError::Tcp(_)
                | ConnectError::Tls(_)
                | ConnectError::NoHttp2
                | ConnectError::Handshake(_)
                | ConnectError::Lost(_) => "upstream_connect_failed",
            },
            Self::ResponseHeaderTimeout { .. } => "upstream_response_header_timeout",
            Self::Deadline { .. } => "upstream_deadline",
            Self::Reset { .. } => "upstream_reset",
            Self::Protocol { .. } | Self::TransferCoding { .. } | Self::RepeatedLength { .. } => {
                "upstream_protocol_error"
            }
            Self::UnaskedUpgrade { .. } => "upstream_unasked_upgrade",
            Self::NotUpgraded { .. } => "upstream_not_upgraded",
            Self::RequestBody(_) => "request_body_failed",
            Self::NotForwardable(_) => "request_not_forwardable",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Saturated { .. } => Fault::Gateway,
            Self::Connect { source, .. } if matches!(**source, ConnectError::NoDescriptor) => Fault::Gateway,
            Self::RequestBody(_) | Self::NotForwardable(_) => Fault::Downstream,
            Self::Connect { .. }
            | Self::ResponseHeaderTimeout { .. }
            | Self::Deadline { .. }
            | Self::Reset { .. }
            | Self::Protocol { .. }
            | Self::UnaskedUpgrade { .. }
            | Self::TransferCoding { .. }
            | Self::RepeatedLength { .. }
            | Self::NotUpgraded { .. } => Fault::Upstream,
        }
    }

    /// The endpoint that it happened with, if it happened with one.
    #[must_use]
    pub const fn endpoint(&self) -> Option<&Arc<str>> {
        match self {
            Self::Connect { endpoint, .. }
            | Self::ResponseHeaderTimeout { endpoint }
            | Self::Deadline { endpoint }
            | Self::Reset { endpoint, .. }
            | Self::Protocol { endpoint, .. }
            | Self::UnaskedUpgrade { endpoint }
            | Self::TransferCoding { endpoint }
            | Self::RepeatedLength { endpoint }
            | Self::NotUpgraded { endpoint, .. } => Some(endpoint),
            Self::Saturated { .. } | Self::RequestBody(_) | Self::NotForwardable(_) => None,
        }
    }
}
