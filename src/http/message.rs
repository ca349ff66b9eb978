//! Owns: a request and an answer on their way through the gateway: the head, and whatever stands for the body.
//! Refuses: deciding anything: it is data.
//! Always holds: nothing is lost or made up on the way to the forms of the `http` crate and back.

use http::{Extensions, Method, StatusCode, Uri, Version, request, response};

use super::Fields;

/// The head of a request.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target: in origin form over HTTP/1.1, with scheme and authority over HTTP/2.
    pub uri: Uri,
    /// The version that it was sent in, or is to be.
    pub version: Version,
    /// The header fields.
    pub fields: Fields,
    /// What the protocol says of it beside that.
    pub extensions: Extensions,
}

/// The head of an answer.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The version that it was sent in.
    pub version: Version,
    /// The header fields.
    pub fields: Fields,
    /// What the protocol says of it beside that.
    pub extensions: Extensions,
}

/// A request.
#[derive(Debug)]
pub struct Request<B> {
    /// All but the body.
    pub head: RequestHead,
    /// The body.
    pub body: B,
}

/// An answer.
#[derive(Debug)]
pub struct Response<B> {
    /// All but the body.
    pub head: ResponseHead,
    /// The body.
    pub body: B,
}

impl<B> Request<B> {
    /// The same with another body.
    pub fn map<T>(self, body: impl FnOnce(B) -> T) -> Request<T> {
        Request { head: self.head, body: body(self.body) }
    }
}

impl<B> Response<B> {
    /// An answer with nothing said beside its status.
    pub fn new(status: StatusCode, body: B) -> Self {
        Self { head: ResponseHead { status, ..ResponseHead::default() }, body }
    }

    /// The same with another body.
    pub fn map<T>(self, body: impl FnOnce(B) -> T) -> Response<T> {
        Response { head: self.head, body: body(self.body) }
    }
}

impl From<request::Parts> for RequestHead {
    fn from(parts: request::Parts) -> Self {
        let request::Parts { method, uri, version, headers, extensions, .. } = parts;
        Self { method, uri, version, fields: headers.into(), extensions }
    }
}

impl From<response::Parts> for ResponseHead {
    fn from(parts: response::Parts) -> Self {
        let response::Parts { status, version, headers, extensions, .. } = parts;
        Self { status, version, fields: headers.into(), extensions }
    }
}

impl<B> From<http::Request<B>> for Request<B> {
    fn from(request: http::Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        Self { head: parts.into(), body }
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self { head: parts.into(), body }
    }
}

impl<B> From<Request<B>> for http::Request<B> {
    fn from(Request { head, body }: Request<B>) -> Self {
        let mut request = Self::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.fields.into();
        *request.extensions_mut() = head.extensions;
        request
    }
}

impl<B> From<Response<B>> for http::Response<B> {
    fn from(Response { head, body }: Response<B>) -> Self {
        let mut response = Self::new(body);
        *response.status_mut() = head.status;
        *response.version_mut() = head.version;
        *response.headers_mut() = head.fields.into();
        *response.extensions_mut() = head.extensions;
        response
    }
}
