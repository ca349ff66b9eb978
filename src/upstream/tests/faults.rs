//! Upstreams that are away, silent, slow or wrong.

use std::{io::Read as _, io::Write as _, sync::mpsc, thread};

use tokio::io::AsyncWriteExt;

use super::*;

/// An upstream of which every connection is treated by `treat`.
async fn scripted<F: Future<Output = ()> + 'static>(treat: impl Fn(TcpStream) -> F + 'static) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::task::spawn_local(treat(stream));
        }
    });
    address
}

#[test]
fn an_endpoint_that_cannot_be_connected_to_costs_no_request() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let endpoints = [format!("http://{}", dead().await), format!("http://{}", recorder.address)];
        for balance in [json!("least_requests"), json!("round_robin"), json!({ "hash": { "header": "host" } })] {
            let worker = Worker::new(json!({ "endpoints": endpoints, "balance": balance }));
            for _ in 0..10 {
                let body = full("charge once");
                let forwarded = worker.send(post(body)).await.unwrap();
                assert_eq!(*forwarded.endpoint, recorder.address.to_string());
            }
            let failures = worker.counts().connect_failures;
            assert!(failures > 0 || balance.is_object(), "{balance}");
        }
        let seen = recorder.requests();
        assert_eq!(seen.len(), 30);
        assert!(seen.iter().all(|seen| &*seen.body == b"charge once"));
    });
}

#[test]
fn with_no_endpoint_to_connect_to_each_is_tried_once() {
    run(async {
        let endpoints = [format!("http://{}", dead().await), format!("http://{}", dead().await)];
        let worker = Worker::new(json!({ "endpoints": endpoints }));
        let error = worker.get("/").await.unwrap_err();
        assert_eq!((error.reason(), error.fault()), ("upstream_connect_failed", Fault::Upstream));
        assert!(error.endpoint().is_some());
        for endpoint in worker.upstream.endpoints() {
            assert_eq!((endpoint.counts().connect_failures, endpoint.counts().connections_open), (1, 0));
        }
    });
}

#[test]
fn a_name_without_an_address_is_a_failed_connection() {
    run(async {
        let worker = Worker::new(json!({ "endpoints": ["http://nowhere.invalid:9"] }));
        assert_eq!(worker.get("/").await.unwrap_err().reason(), "upstream_connect_failed");
    });
}

#[test]
fn a_name_is_looked_up() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::new(json!({ "endpoints": [format!("http://localhost:{}", recorder.address.port())] }));
        worker.get("/").await.unwrap();
    });
}

/// A kept connection is closed by its endpoint in the same moment in which a request is about to use it.
#[test]
fn a_kept_connection_that_was_closed_is_replaced_and_the_request_sent_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let signal = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, signal_address) = (listener.local_addr().unwrap(), signal.local_addr().unwrap());
    let (close, closing) = mpsc::channel::<()>();
    let (closed, was_closed) = mpsc::channel::<()>();
    let server = thread::spawn(move || {
        let (mut signal, _) = signal.accept().unwrap();
        let answer_one = || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            stream
        };
        let first = answer_one();
        closing.recv().unwrap();
        // The signal comes before the end of the connection; the other side sees both at once.
        signal.write_all(b"x").unwrap();
        drop(first);
        closed.send(()).unwrap();
        drop(answer_one());
    });
    run(async move {
        let mut signal = TcpStream::connect(signal_address).await.unwrap();
        let worker = Worker::to(address);
        worker.get("/first").await.unwrap();
        close.send(()).unwrap();
        was_closed.recv().unwrap();
        signal.read_u8().await.unwrap();
        assert_eq!(worker.get("/second").await.unwrap().1, "ok");
        assert_eq!(worker.counts().stale_connections, 1);
    });
    server.join().unwrap();
}

#[test]
fn a_request_that_was_sent_is_never_sent_again() {
    run(async {
        let receipts = Rc::new(Cell::new(0));
        let counted = Rc::clone(&receipts);
        let address = scripted(move |mut stream| {
            let receipts = Rc::clone(&counted);
            async move {
                read_head(&mut stream).await;
                let mut body = [0; 11];
                stream.read_exact(&mut body).await.unwrap();
                assert_eq!(&body, b"charge once");
                receipts.set(receipts.get() + 1);
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
        })
        .await;
        let recorder = Recorder::start(Spoken::Http1).await;
        let endpoints =
            json!([{ "url": format!("http://{address}"), "weight": 60000 }, format!("http://{}", recorder.address)]);
        let worker = Worker::new(json!({ "endpoints": endpoints, "balance": "least_requests" }));
        let error = worker.send(post(full("charge once"))).await.unwrap_err();
        assert_eq!((error.reason(), error.fault()), ("upstream_reset", Fault::Upstream));
        assert_eq!((receipts.get(), recorder.requests().len()), (1, 0));
        assert_eq!(worker.counts().requests_under_way, 0);
    });
}

#[test]
fn who_comes_too_late_takes_no_connection() {
    run(async {
        let accepted = Rc::new(Cell::new(0));
        let counted = Rc::clone(&accepted);
        let address = scripted(move |mut stream| {
            counted.set(counted.get() + 1);
            async move {
                while !read_head(&mut stream).await.is_empty() {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                }
            }
        })
        .await;
        let worker = Worker::to(address);
        worker.get("/").await.unwrap();
        let late = forward(
            Permit::for_test(None),
            get("/").into(),
            &worker.upstream,
            &worker.pools,
            CALLER,
            Instant::now() - Duration::from_millis(1),
        );
        assert_eq!(late.await.unwrap_err().reason(), "upstream_deadline");
        worker.get("/").await.unwrap();
        assert_eq!(accepted.get(), 1, "the kept connection is still good");
    });
}

#[test]
fn silence_is_not_waited_for_for_ever() {
    run(async {
        let address = scripted(|mut stream| async move {
            read_head(&mut stream).await;
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        })
        .await;
        let endpoint = format!("http://{address}");
        let worker = Worker::new(json!({ "endpoints": [endpoint], "response_header_timeout": "20ms" }));
        let error = worker.get("/").await.unwrap_err();
        assert_eq!((error.reason(), error.fault()), ("upstream_response_header_timeout", Fault::Upstream));

        let worker = Worker::to(address);
        let deadline = Instant::now() + Duration::from_millis(20);
        let permit = Permit::for_test(None);
        let error =
            forward(permit, get("/").into(), &worker.upstream, &worker.pools, CALLER, deadline).await.unwrap_err();
        assert_eq!(error.reason(), "upstream_deadline");
        until(|| worker.counts().connections_open == 0).await;
    });
}

#[test]
fn a_slow_upload_is_no_silence_of_the_upstream() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let endpoint = format!("http://{}", recorder.address);
        let worker = Worker::new(json!({ "endpoints": [endpoint], "response_header_timeout": "40ms" }));
        let slow = futures_util::stream::unfold(0, |sent| async move {
            // In the middle it is slower than the upstream may be.
            tokio::time::sleep(Duration::from_millis(if sent == 3 { 120 } else { 5 })).await;
            (sent < 6).then_some((Ok(Frame::data(Bytes::from_static(b"piece"))), sent + 1))
        });
        let body = StreamBody::new(Box::pin(slow)).boxed_unsync();
        worker.send(post(body)).await.unwrap();
        assert_eq!(recorder.requests()[0].body.len(), 30);
    });
}

#[test]
fn a_body_that_fails_is_the_downstreams_fault() {
    run(async {
        for spoken in [Spoken::Http1, Spoken::Http2 { streams: 10 }] {
            let recorder = Recorder::start(spoken).await;
            let protocol = if spoken == Spoken::Http1 { "http1" } else { "http2" };
            let endpoint = format!("http://{}", recorder.address);
            let worker = Worker::new(json!({ "endpoints": [endpoint], "protocol": protocol }));
            let body = frames(vec![Ok(Frame::data("abc".into())), Err("the downstream went away".into())]);
            let error = worker.send(post(body)).await.unwrap_err();
            assert_eq!((error.reason(), error.fault()), ("request_body_failed", Fault::Downstream));
            let ForwardError::RequestBody(cause) = error else { panic!("{error}") };
            assert_eq!(cause.to_string(), "the downstream went away");
            assert!(recorder.requests().is_empty());
            worker.get("/control").await.unwrap();
        }
    });
}

#[test]
fn when_the_time_is_over_whoever_was_waited_for_is_late() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        let deadline = Instant::now() + Duration::from_millis(50);
        let endless = futures_util::stream::pending::<Result<Frame<Bytes>, BoxError>>();
        let body = StreamBody::new(endless).boxed_unsync();
        let permit = Permit::for_test(None);
        let error =
            forward(permit, post(body).into(), &worker.upstream, &worker.pools, CALLER, deadline).await.unwrap_err();
        assert_eq!((error.reason(), error.fault()), ("request_body_failed", Fault::Downstream));
        let ForwardError::RequestBody(cause) = error else { panic!("{error}") };
        assert!(matches!(cause.downcast_ref(), Some(crate::http::BodyError::DeadlinePassed)));
    });
}

#[test]
fn what_is_not_http_is_said_to_be_so() {
    run(async {
        let address = scripted(|mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(b"220 mail.example ESMTP\r\n\r\n").await.unwrap();
        })
        .await;
        let error = Worker::to(address).get("/").await.unwrap_err();
        assert_eq!((error.reason(), error.fault()), ("upstream_protocol_error", Fault::Upstream));
    });
}

#[test]
fn a_head_without_end_is_cut_off() {
    run(async {
        let address = scripted(|mut stream| async move {
            read_head(&mut stream).await;
            let endless = vec![b'a'; 1 << 20];
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
            let _ = stream.write_all(&endless).await;
        })
        .await;
        let error = Worker::to(address).get("/").await.unwrap_err();
        assert_eq!(error.reason(), "upstream_protocol_error");
    });
}

#[test]
fn connections_are_bounded_over_all_workers() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let endpoint = format!("http://{}", recorder.address);
        let one = Worker::new(json!({ "endpoints": [endpoint], "max_connections": 1 }));
        let other = Worker { upstream: Arc::clone(&one.upstream), pools: WorkerPools::new(), _all: None };
        let held = one.send(get("/held")).await.unwrap();
        for worker in [&one, &other] {
            let error = worker.get("/more").await.unwrap_err();
            assert_eq!((error.reason(), error.fault()), ("upstream_saturated", Fault::Gateway));
        }
        held.response.body.collect().await.unwrap();
        one.get("/after").await.unwrap();
        assert_eq!(recorder.requests().len(), 2);
        assert_eq!(one.counts().connect_failures, 0);
    });
}

#[test]
fn a_connection_that_one_worker_keeps_unused_is_closed_for_another_one() {
    for (spoken, protocol) in [(Spoken::Http1, "http1"), (Spoken::Http2 { streams: 10 }, "http2")] {
        run(async move {
            let recorder = Recorder::start(spoken).await;
            let endpoint = format!("http://{}", recorder.address);
            let settings = json!({ "endpoints": [endpoint], "protocol": protocol, "max_connections": 1 });
            let one = Worker::new(settings);
            let other = Worker { upstream: Arc::clone(&one.upstream), pools: WorkerPools::new(), _all: None };
            for worker in [&one, &other, &one] {
                worker.get("/").await.unwrap();
                assert_eq!(worker.counts().connections_open, 1);
            }
            assert_eq!(recorder.requests().len(), 3);
        });
    }
}

#[test]
fn a_request_given_up_leaves_nothing_behind() {
    run(async {
        let address = scripted(|mut stream| async move {
            read_head(&mut stream).await;
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        })
        .await;
        let worker = Worker::to(address);
        let sent = tokio::time::timeout(Duration::from_millis(30), worker.get("/")).await;
        assert!(sent.is_err());
        until(|| worker.counts().connections_open == 0).await;
        assert_eq!(worker.counts().requests_under_way, 0);
    });
}

#[test]
fn an_answer_before_the_whole_request_is_passed_on() {
    run(async {
        let address = scripted(|mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        })
        .await;
        let worker = Worker::to(address);
        let endless = futures_util::stream::pending::<Result<Frame<Bytes>, BoxError>>();
        let forwarded = worker.send(post(StreamBody::new(endless).boxed_unsync())).await.unwrap();
        assert_eq!(forwarded.response.head.status.as_u16(), 413);
        assert_eq!(forwarded.response.body.collect().await.unwrap().to_bytes(), "no");
        // The connection still belongs to the unfinished request: the next one has its own.
        let next = worker.send(get("/next")).await.unwrap();
        assert_eq!(worker.counts().connections_open, 2);
        // One that is dropped is closed at once.
        drop(next);
        assert_eq!(worker.counts().connections_open, 1);
    });
}
