//! Owns: WebSocket over one stream of HTTP/2 (RFC 8441) before an upstream that takes it over HTTP/1.1 (RFC 6455).
//! Refuses: every other protocol that an extended CONNECT may name; an upstream's word that it has become a WebSocket without the proof
//! that goes with it.
//! Always holds: the request is matched, judged and forwarded as the GET that it becomes; nothing but a WebSocket is answered with a
//! 2xx, which would be taken for one.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Method, StatusCode, Version, header};
use hyper::ext::Protocol;

use crate::{
    http::{Fields, RequestHead, Response},
    server::StreamHold,
    upstream::ForwardError,
};

/// What is appended to a key before it is hashed (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// An extended CONNECT on its way to become a WebSocket.
pub(super) struct Bridge {
    key: HeaderValue,
    accept: HeaderValue,
}

impl Bridge {
    /// Takes a request that asks for a WebSocket over HTTP/2, and makes it the GET that it stands for.
    pub(super) fn of(head: &mut RequestHead) -> Option<Self> {
        if head.method != Method::CONNECT || head.version != Version::HTTP_2 {
            return None;
        }
        let protocol = head.extensions.get::<Protocol>()?;
        if protocol.as_ref() != b"websocket" || head.uri.path_and_query().is_none() {
            return None;
        }
        head.method = Method::GET;
        let key = BASE64_STANDARD.encode(rand::random::<[u8; 16]>());
        let accept = accept(key.as_bytes());
        Some(Self { key: HeaderValue::from_str(&key).ok()?, accept: HeaderValue::from_str(&accept).ok()? })
    }

    /// Gives the request the form that it has over HTTP/1.1, with a key of our own: over HTTP/2 there is none.
    pub(super) fn form(&self, head: &mut RequestHead) {
        head.version = Version::HTTP_11;
        head.extensions.remove::<Protocol>();
        head.fields.insert(header::UPGRADE, const { HeaderValue::from_static("websocket") });
        head.fields.insert(header::CONNECTION, const { HeaderValue::from_static("upgrade") });
        head.fields.insert(header::SEC_WEBSOCKET_KEY, self.key.clone());
    }

    /// Gives the answer the form that it has over HTTP/2.
    ///
    /// # Errors
    /// It looks like a WebSocket and is none.
    pub(super) fn answer<B>(
        &self,
        response: &mut Response<B>,
        upgraded: bool,
        endpoint: &Arc<str>,
    ) -> Result<(), ForwardError> {
        let refused = |why| Err(ForwardError::NotUpgraded { endpoint: Arc::clone(endpoint), why });
        if !upgraded {
            let why = "it answered a request for a WebSocket as if it were none";
            return if response.head.status.is_success() { refused(why) } else { Ok(()) };
        }
        if !self.is_accepted(&response.head.fields) {
            return refused("its Sec-WebSocket-Accept does not follow from the key");
        }
        response.head.status = StatusCode::OK;
        for name in [header::UPGRADE, header::CONNECTION, header::SEC_WEBSOCKET_ACCEPT, header::CONTENT_LENGTH] {
            response.head.fields.remove(&name);
        }
        Ok(())
    }

    fn is_accepted(&self, fields: &Fields) -> bool {
        fields.only(&header::SEC_WEBSOCKET_ACCEPT) == Some(self.accept.as_bytes())
    }
}

/// What keeps the connection from counting as idle while the stream is open.
pub(super) fn take_hold(head: &mut RequestHead) -> Option<StreamHold> {
    head.extensions.remove::<StreamHold>()
}

/// The proof that belongs to a key (RFC 6455 section 4.2.2).
fn accept(key: &[u8]) -> String {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(GUID);
    BASE64_STANDARD.encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(method: Method, version: Version, protocol: Option<&'static str>) -> RequestHead {
        let mut request = Request::builder().method(method).version(version).uri("https://a/chat").body(()).unwrap();
        if let Some(protocol) = protocol {
            request.extensions_mut().insert(Protocol::from_static(protocol));
        }
        request.into_parts().0.into()
    }

    #[test]
    fn the_proof_is_that_of_the_document() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_an_extended_connect_for_a_websocket_becomes_a_get() {
        for (method, version, protocol) in [
            (Method::CONNECT, Version::HTTP_2, None),
            (Method::CONNECT, Version::HTTP_2, Some("connect-udp")),
            (Method::CONNECT, Version::HTTP_11, Some("websocket")),
            (Method::GET, Version::HTTP_2, Some("websocket")),
        ] {
            let mut parts = parts(method.clone(), version, protocol);
            assert!(Bridge::of(&mut parts).is_none() && parts.method == method, "{method} {version:?} {protocol:?}");
        }
        let mut parts = parts(Method::CONNECT, Version::HTTP_2, Some("websocket"));
        parts.fields.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("not over HTTP/2"));
        let bridge = Bridge::of(&mut parts).unwrap();
        assert_eq!(parts.method, Method::GET);
        bridge.form(&mut parts);
        assert!(crate::http::headers::requested_upgrade(&parts).is_some());
        let key = &parts.fields["sec-websocket-key"];
        assert_eq!(BASE64_STANDARD.decode(key).unwrap().len(), 16);
        assert_eq!(accept(key.as_bytes()), bridge.accept.to_str().unwrap());
    }

    #[test]
    fn nothing_else_looks_like_a_websocket() {
        let bridge = Bridge::of(&mut parts(Method::CONNECT, Version::HTTP_2, Some("websocket"))).unwrap();
        let endpoint = Arc::from("e");
        let answer = |status: u16, accepts: &[&HeaderValue], upgraded: bool| {
            let mut response = Response::new(StatusCode::from_u16(status).unwrap(), ());
            for accept in accepts {
                response.head.fields.append(header::SEC_WEBSOCKET_ACCEPT, (*accept).clone());
            }
            bridge.answer(&mut response, upgraded, &endpoint).map(|()| response.head.status.as_u16()).ok()
        };
        let wrong = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(answer(101, &[&bridge.accept], true), Some(200));
        assert_eq!(answer(101, &[], true), None);
        assert_eq!(answer(101, &[&wrong], true), None);
        assert_eq!(answer(101, &[&bridge.accept, &wrong], true), None);
        assert_eq!(answer(200, &[&bridge.accept], false), None);
        assert_eq!(answer(204, &[], false), None);
        assert_eq!(answer(403, &[], false), Some(403));
        assert_eq!(answer(302, &[], false), Some(302));
    }
}
