//! Requests that wait for room, and answers that are kept until there is a better one.

use tokio::sync::Semaphore;

use super::*;

/// An upstream that answers as many requests as it has permits, each with `status`.
async fn gated(status: u16, permits: usize) -> (SocketAddr, Rc<Semaphore>) {
    let (listener, address) = listen().await;
    let gate = Rc::new(Semaphore::new(permits));
    let opened = Rc::clone(&gate);
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let gate = Rc::clone(&opened);
            let service = service_fn(move |_request: Request<Incoming>| {
                let gate = Rc::clone(&gate);
                async move {
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, BoxError>(Response::builder().status(status).body(full("gated")).unwrap())
                }
            });
            tokio::task::spawn_local(server1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, gate)
}

#[test]
fn those_who_wait_for_a_connection_do_not_wake_each_other() {
    run(async {
        let (address, gate) = gated(200, 0).await;
        let worker = Worker::new(json!({
            "endpoints": [format!("http://{address}")],
            "max_connections": 1,
            "max_waiting": 9,
            "wait_timeout": "15s",
        }));
        let endpoint = Arc::clone(&worker.upstream.endpoints()[0]);
        let four = futures_util::future::join_all((0..4).map(|_| worker.get("/")));
        let watching = async {
            until(|| worker.upstream.requests_waiting() == 3).await;
            // Each looks for a connection once more after it has begun to wait, and asks for idle ones then.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let mut asked = 0;
            let _ = tokio::time::timeout(Duration::from_millis(300), async {
                loop {
                    endpoint.recalled().notified().await;
                    asked += 1;
                }
            })
            .await;
            assert_eq!((asked, worker.counts().requests), (0, 1));
            gate.add_permits(4);
        };
        let (answers, ()) = tokio::join!(four, watching);
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!((worker.counts().requests, worker.upstream.requests_waiting()), (4, 0));
    });
}

#[test]
fn one_that_was_put_out_is_not_where_a_full_one_passes_requests_on_to() {
    run(async {
        let (full, gate) = gated(200, 0).await;
        let ejected = Recorder::start(Spoken::Http1).await;
        let worker = Worker::new(json!({
            "endpoints": [format!("http://{full}"), format!("http://{}", ejected.address)],
            "max_requests": 1,
            "max_waiting": 9,
            "wait_timeout": "15s",
            "outlier": {},
        }));
        worker.upstream.endpoints()[1].availability().eject(tick::Tick::now(), |_| Duration::from_secs(1000));
        let two = futures_util::future::join(worker.get("/"), worker.get("/"));
        let watching = async {
            until(|| worker.upstream.requests_waiting() == 1).await;
            gate.add_permits(2);
        };
        let ((first, second), ()) = tokio::join!(two, watching);
        assert_eq!((&*first.unwrap().1, &*second.unwrap().1), (&b"gated"[..], &b"gated"[..]));
        assert_eq!(ejected.requests().len(), 0);
    });
}

#[test]
fn whoever_waits_does_not_try_again_what_has_failed() {
    run(async {
        let (full, gate) = gated(200, 0).await;
        let worker = Worker::new(json!({
            "endpoints": [format!("http://{full}"), format!("http://{}", dead().await)],
            "balance": "round_robin",
            "max_requests": 1,
            "max_waiting": 9,
            "wait_timeout": "15s",
        }));
        let failures = || worker.upstream.endpoints()[1].counts().connect_failures;
        let two = futures_util::future::join(worker.get("/"), worker.get("/"));
        let watching = async {
            until(|| worker.upstream.requests_waiting() == 1).await;
            for _ in 0..5 {
                worker.upstream.room.opened();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            gate.add_permits(2);
        };
        let ((first, second), ()) = tokio::join!(two, watching);
        assert!(first.is_ok() && second.is_ok());
        assert!(failures() <= 2, "{} connections", failures());
    });
}

#[test]
fn an_answer_is_kept_until_a_better_one_has_come() {
    run(async {
        let (busy, _gate) = gated(503, 9).await;
        let (good, _gate) = gated(200, 9).await;
        for (other, expected) in [(dead().await, 503), (good, 200)] {
            let busy = json!({ "url": format!("http://{busy}"), "weight": 60000 });
            let worker = Worker::new(json!({
                "endpoints": [busy, { "url": format!("http://{other}") }],
                "balance": "round_robin",
                "retry": { "on": [503, "connect"] },
            }));
            let answer = worker.send(get("/")).await.unwrap().response;
            assert_eq!(answer.head.status.as_u16(), expected);
            assert_eq!(answer.body.collect().await.unwrap().to_bytes(), "gated");
            assert_eq!((worker.upstream.retry_counts().status, worker.upstream.retry_counts().connect), (1, 0));
            until(|| worker.counts().requests_under_way == 0).await;
        }
    });
}

#[test]
fn a_stream_that_was_answered_early_does_not_keep_its_connection() {
    run(async {
        let (listener, address) = listen().await;
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    let mut bodies = Vec::new();
                    while let Some(Ok((request, mut answer))) = connection.accept().await {
                        bodies.push(request.into_body());
                        let early = Response::builder().status(503).body(()).unwrap();
                        answer.send_response(early, true).unwrap();
                    }
                });
            }
        });
        let worker = Worker::new(json!({
            "endpoints": [format!("http://{address}")],
            "protocol": "http2",
            "idle_timeout": "50ms",
            "retry": { "on": [503] },
        }));
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let first = futures_util::stream::once(async { Ok(Frame::data(Bytes::from_static(b"a piece"))) });
        let rest = futures_util::stream::once(async move {
            let _ = ended.await;
            Ok(Frame::data(Bytes::from_static(b"the rest")))
        });
        let slow = futures_util::StreamExt::chain(first, rest);
        let mut request = post(StreamBody::new(Box::pin(slow)).boxed_unsync());
        *request.method_mut() = http::Method::PUT;
        let forwarded = worker.send(request).await.unwrap();
        assert_eq!((forwarded.response.head.status.as_u16(), worker.upstream.retry_counts().status), (503, 1));
        drop((forwarded, end));
        until(|| worker.counts().connections_open == 0).await;
    });
}
