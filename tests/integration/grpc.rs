//! gRPC through the gateway: calls, streams, trailers, and refusals that a gRPC client understands.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    client::Grpc,
    codegen::{BoxStream, Service},
    metadata::MetadataValue,
    server::{ClientStreamingService, NamedService, ServerStreamingService, StreamingService, UnaryService},
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use postern::clock::{ManualClock, UnixTime};

use crate::support::{
    connection::{Connection, Protocol, piecewise},
    corp::Corp,
    forge::now,
    gateway::{Gateway, GatewayBuilder},
    served_upstream::ServedUpstream,
    wait::PATIENCE,
};

/// The only message there is.
#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

/// A service as its generated code would have it, by hand.
#[derive(Clone, Default)]
struct Greeter {
    calls: Arc<AtomicUsize>,
}

impl NamedService for Greeter {
    const NAME: &'static str = "test.Greeter";
}

struct Say;
struct Count;
struct Chat;
struct Join;

type Answering<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

impl UnaryService<Text> for Say {
    type Response = Text;
    type Future = Answering<Text>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        Box::pin(async move {
            let client = request.metadata().get("x-client-id").map_or("nobody", |value| value.to_str().unwrap_or("?"));
            let text = &request.get_ref().text;
            if text == "fail" {
                let mut status = Status::failed_precondition("not today: 100 % sure");
                status.metadata_mut().insert("x-why", MetadataValue::from_static("because"));
                return Err(status);
            }
            let mut response = Response::new(Text { text: format!("hello {text}, says {client}") });
            response.metadata_mut().insert("x-answered", MetadataValue::from_static("yes"));
            Ok(response)
        })
    }
}

impl ServerStreamingService<Text> for Count {
    type Response = Text;
    type ResponseStream = BoxStream<Text>;
    type Future = Answering<BoxStream<Text>>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let to: usize = request.get_ref().text.parse().unwrap_or(0);
        let numbers = stream::iter((0..to).map(|number| Ok(Text { text: number.to_string() })));
        // It ends by an error, which only trailers can tell.
        let broken = stream::iter([Err(Status::aborted("that is all"))]);
        Box::pin(async move { Ok(Response::new(Box::pin(numbers.chain(broken)) as BoxStream<Text>)) })
    }
}

impl StreamingService<Text> for Chat {
    type Response = Text;
    type ResponseStream = BoxStream<Text>;
    type Future = Answering<BoxStream<Text>>;

    fn call(&mut self, request: Request<tonic::Streaming<Text>>) -> Self::Future {
        let echo = request.into_inner().map(|text| text.map(|Text { text }| Text { text: text.to_uppercase() }));
        Box::pin(async move { Ok(Response::new(Box::pin(echo) as BoxStream<Text>)) })
    }
}

impl ClientStreamingService<Text> for Join {
    type Response = Text;
    type Future = Answering<Text>;

    fn call(&mut self, request: Request<tonic::Streaming<Text>>) -> Self::Future {
        let timeout =
            request.metadata().get("grpc-timeout").map_or("none", |value| value.to_str().unwrap_or("?")).to_owned();
        Box::pin(async move {
            let (mut words, mut said) = (Vec::new(), request.into_inner());
            while let Some(Text { text }) = said.message().await? {
                words.push(text);
            }
            Ok(Response::new(Text { text: format!("{} within {timeout}", words.join(" ")) }))
        })
    }
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Text, Text>::default());
            Ok(match request.uri().path() {
                "/test.Greeter/Say" => grpc.unary(Say, request).await,
                "/test.Greeter/Count" => grpc.server_streaming(Count, request).await,
                "/test.Greeter/Join" => grpc.client_streaming(Join, request).await,
                "/test.Greeter/Chat" => grpc.streaming(Chat, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

struct Scene {
    corp: Corp,
    greeter: Greeter,
    gateway: Gateway,
}

impl Scene {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(change: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let greeter = Greeter::default();
        let server = Server::builder().add_service(greeter.clone());
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let corp = Corp::start().await;
        let config = "protocol = \"http2\"\n[routes.orders.identity]\nheaders = { \"x-client-id\" = \"client_id\" }\n";
        let gateway = change(corp.before(&url, config)).start().await;
        Self { corp, greeter, gateway }
    }

    async fn client(&self) -> Grpc<Channel> {
        let channel = Channel::from_shared(self.gateway.url("")).expect("a URL").connect().await.expect("connected");
        let mut client = Grpc::new(channel);
        client.ready().await.expect("ready");
        client
    }
}

fn call<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("a value");
        request.metadata_mut().insert("authorization", value);
    }
    request
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

async fn say(client: &mut Grpc<Channel>, said: &str, token: Option<&str>) -> Result<Response<Text>, Status> {
    client.ready().await.expect("ready");
    let path = PathAndQuery::from_static("/test.Greeter/Say");
    client.unary(call(text(said), token), path, ProstCodec::<Text, Text>::default()).await
}

#[tokio::test]
async fn a_call_is_answered_and_the_caller_is_named() {
    let scene = Scene::start().await;
    let mut client = scene.client().await;
    let token = scene.corp.token();
    let mut request = call(text("world"), Some(&token));
    // Nobody can name itself.
    request.metadata_mut().insert("x-client-id", MetadataValue::from_static("root"));
    let path = PathAndQuery::from_static("/test.Greeter/Say");
    let answer = client.unary(request, path, ProstCodec::<Text, Text>::default()).await.expect("an answer");
    assert_eq!(answer.metadata().get("x-answered").expect("metadata"), "yes");
    assert_eq!(answer.get_ref().text, "hello world, says billing");
}

#[tokio::test]
async fn a_stream_arrives_whole_and_its_status_in_the_trailers() {
    let scene = Scene::start().await;
    let mut client = scene.client().await;
    let path = PathAndQuery::from_static("/test.Greeter/Count");
    let request = call(text("1000"), Some(&scene.corp.token()));
    let answer = client.server_streaming(request, path, ProstCodec::<Text, Text>::default()).await.expect("a stream");
    let mut numbers = answer.into_inner();
    for expected in 0..1000 {
        let Text { text } = numbers.message().await.expect("no error yet").expect("a number");
        assert_eq!(text, expected.to_string());
    }
    let end = numbers.message().await.expect_err("the error at the end");
    assert_eq!((end.code(), end.message()), (Code::Aborted, "that is all"));
}

#[tokio::test]
async fn both_sides_may_speak_in_turn() {
    let scene = Scene::start().await;
    let mut client = scene.client().await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Text>(1);
    let said = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let path = PathAndQuery::from_static("/test.Greeter/Chat");
    let request = call(said, Some(&scene.corp.token()));
    let answer = client.streaming(request, path, ProstCodec::<Text, Text>::default()).await.expect("a stream");
    let mut answers = answer.into_inner();
    for word in ["one", "two", "three"] {
        sender.send(text(word)).await.expect("sent");
        assert_eq!(answers.message().await.expect("no error").expect("an answer").text, word.to_uppercase());
    }
    drop(sender);
    assert_eq!(answers.message().await.expect("no error"), None);
}

#[tokio::test]
async fn an_error_without_a_message_arrives_with_its_metadata() {
    let scene = Scene::start().await;
    let mut client = scene.client().await;
    let status = say(&mut client, "fail", Some(&scene.corp.token())).await.expect_err("a failure");
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "not today: 100 % sure"));
    assert_eq!(status.metadata().get("x-why").expect("metadata"), "because");
}

#[tokio::test]
async fn refused_calls_get_a_grpc_status_and_never_arrive() {
    let scene = Scene::start().await;
    let mut client = scene.client().await;
    let poor = scene.corp.token_with(|claims| claims["scope"] = "other".into());
    for (token, code) in [
        (None, Code::Unauthenticated),
        (Some("no.good.token"), Code::Unauthenticated),
        (Some(poor.as_str()), Code::PermissionDenied),
    ] {
        let status = say(&mut client, "world", token).await.expect_err("a refusal");
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.metadata().contains_key("x-request-id"), "{status:?}");
    }
    assert_eq!(scene.greeter.calls.load(Ordering::SeqCst), 0);
    say(&mut client, "world", Some(&scene.corp.token())).await.expect("the control");
    assert_eq!(scene.greeter.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn many_messages_get_one_answer_and_the_time_that_the_caller_has_arrives() {
    let scene = Scene::start().await;
    let mut client = scene.client().await;
    let path = PathAndQuery::from_static("/test.Greeter/Join");
    let words = stream::iter(["many", "words", "make", "one"].map(text));
    let mut request = call(words, Some(&scene.corp.token()));
    request.set_timeout(Duration::from_secs(15));
    let answer = client.client_streaming(request, path, ProstCodec::<Text, Text>::default()).await.expect("an answer");
    assert_eq!(answer.get_ref().text, "many words make one within 15000000u");
}

#[tokio::test]
async fn a_stream_ends_with_its_token_by_a_status() {
    let clock = ManualClock::starting_at(UnixTime::from_seconds(now()));
    let tied = "upstream = \"orders\"\nend_with_token = true\n";
    let scene = Scene::with(|builder| builder.with("upstream = \"orders\"\n", tied).clock(clock.clock())).await;
    let mut client = scene.client().await;
    let mut chats = Vec::new();
    let long = scene.corp.token_with(|claims| claims["exp"] = (now() + 100_000).into());
    for token in [scene.corp.token(), long] {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Text>(1);
        let said = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
        let path = PathAndQuery::from_static("/test.Greeter/Chat");
        client.ready().await.expect("ready");
        let answer = client.streaming(call(said, Some(&token)), path, ProstCodec::<Text, Text>::default()).await;
        let mut answers = answer.expect("a stream").into_inner();
        sender.send(text("one")).await.expect("sent");
        assert_eq!(answers.message().await.expect("no error").expect("an answer").text, "ONE");
        chats.push((sender, answers));
    }
    clock.advance(Duration::from_secs(10_000));
    let (_sender, ended) = &mut chats[0];
    let status = tokio::time::timeout(PATIENCE, ended.message()).await.expect("in time").expect_err("an end");
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "The token has ended."));
    let (sender, goes_on) = &mut chats[1];
    sender.send(text("two")).await.expect("sent");
    assert_eq!(goes_on.message().await.expect("no error").expect("an answer").text, "TWO");
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_the_caller_waits() {
    let corp = Corp::start().await;
    let upstream = ServedUpstream::start(|_| std::future::pending()).await;
    let gateway = corp.before(&upstream.url(), "protocol = \"http2\"\n").start().await;
    let mut connection = Connection::open(gateway.address(), Protocol::Http2).await;
    let (_still_open, body) = piecewise();
    let request = http::Request::post(gateway.url("/test.Greeter/Say"))
        .header("authorization", format!("Bearer {}", corp.token()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "200m");
    // The route would wait for a minute.
    let answer = connection.exchange(request.body(body).expect("a request")).await;
    assert_eq!((answer.status, &answer.headers["grpc-status"]), (200, &http::HeaderValue::from_static("4")));
    assert_eq!(upstream.requests(), 1);
}
