//! HTTP/1.1 to an upstream: framing, bodies and trailers, which connections are used again.

use tokio::io::AsyncWriteExt;

use super::*;

#[test]
fn one_connection_serves_requests_one_after_the_other() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        for number in ["1", "2", "3"] {
            let (endpoint, body) = worker.get("/v1/orders?x=%20").await.unwrap();
            assert_eq!((&*endpoint, &*body), (&*recorder.address.to_string(), number.as_bytes()));
        }
        assert_eq!(recorder.record.connections.get(), 1);
        for seen in recorder.requests() {
            assert_eq!(seen.line, "GET /v1/orders?x=%20 HTTP/1.1");
            assert_eq!(seen.headers.len(), 1, "{:?}", seen.headers);
            assert_eq!(seen.headers["host"], "api.example");
        }
        let counts = worker.counts();
        assert_eq!((counts.requests, counts.requests_under_way, counts.connections_open), (3, 0, 1));
    });
}

#[test]
fn timings_tell_a_kept_connection_from_a_new_one() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        for reused in [false, true] {
            let forwarded = worker.send(get("/")).await.unwrap();
            assert_eq!(forwarded.timings.reused, reused);
            forwarded.response.body.collect().await.unwrap();
        }
    });
}

#[test]
fn requests_at_the_same_time_have_a_connection_each() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        let (one, two) = tokio::join!(worker.send(get("/1")), worker.send(get("/2")));
        assert_eq!(worker.counts().requests_under_way, 2);
        drop((one, two));
        assert_eq!(worker.counts().requests_under_way, 0);
        assert_eq!(recorder.record.connections.get(), 2);
    });
}

#[test]
fn a_request_that_names_its_authority_in_the_uri_gets_a_host() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        let mut absolute = get("https://shop.example/a?b");
        absolute.headers_mut().remove("host");
        *absolute.version_mut() = http::Version::HTTP_2;
        let mut bare = get("/c");
        bare.headers_mut().remove("host");
        for request in [absolute, bare] {
            worker.send(request).await.unwrap().response.body.collect().await.unwrap();
        }
        let seen = recorder.requests();
        assert_eq!(
            (seen[0].line.as_str(), &seen[0].headers["host"]),
            ("GET /a?b HTTP/1.1", &"shop.example".parse().unwrap())
        );
        assert_eq!(seen[1].headers["host"], recorder.address.to_string());
    });
}

#[test]
fn cookies_in_several_fields_are_joined() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        for (fields, joined) in [(&["a=1", "b=2; c=3", "d=4"][..], "a=1; b=2; c=3; d=4"), (&["a=1; b=2"], "a=1; b=2")] {
            let mut request = get("/");
            *request.version_mut() = http::Version::HTTP_2;
            for field in fields {
                request.headers_mut().append("cookie", field.parse().unwrap());
            }
            worker.send(request).await.unwrap().response.body.collect().await.unwrap();
            let headers = recorder.requests().pop().unwrap().headers;
            assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), [joined]);
        }
    });
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        let sum: http::HeaderMap = [("x-sum".parse().unwrap(), "7".parse().unwrap())].into_iter().collect();
        for _ in 0..2 {
            let body = frames(vec![Ok(Frame::data("abc".into())), Ok(Frame::trailers(sum.clone()))]);
            let mut request = post(body);
            request.headers_mut().insert("trailer", "x-sum".parse().unwrap());
            request.headers_mut().insert("te", "trailers".parse().unwrap());
            let answer = worker.send(request).await.unwrap().response.body.collect().await.unwrap();
            assert_eq!(answer.trailers(), Some(&sum));
        }
        let seen = recorder.requests();
        assert_eq!((&*seen[0].body, &seen[0].trailers), (&b"abc"[..], &Some(sum)));
        assert_eq!(recorder.record.connections.get(), 1);
    });
}

#[test]
fn the_framing_of_a_request_agrees_with_its_body() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        let mut streamed_get = get("/streamed");
        *streamed_get.body_mut() = frames(vec![Ok(Frame::data("abc".into()))]);
        let mut empty_with_length = get("/empty");
        empty_with_length.headers_mut().insert("content-length", "20".parse().unwrap());
        for request in [streamed_get, empty_with_length, get("/after"), post(full("xy"))] {
            worker.send(request).await.unwrap().response.body.collect().await.unwrap();
        }
        let seen = recorder.requests();
        assert_eq!((&*seen[0].body, &seen[0].headers["transfer-encoding"]), (&b"abc"[..], &"chunked".parse().unwrap()));
        assert!(!seen[1].headers.contains_key("content-length"));
        assert_eq!(seen[2].line, "GET /after HTTP/1.1");
        assert_eq!((&*seen[3].body, &seen[3].headers["content-length"]), (&b"xy"[..], &"2".parse().unwrap()));
    });
}

#[test]
fn connect_is_not_forwarded() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let mut request = get("/");
        *request.method_mut() = http::Method::CONNECT;
        let error = Worker::to(recorder.address).send(request).await.unwrap_err();
        assert_eq!((error.reason(), error.fault()), ("request_not_forwardable", Fault::Downstream));
        assert!(recorder.requests().is_empty());
    });
}

#[test]
fn an_idle_connection_is_closed_in_time_and_a_used_one_is_not() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let endpoint = format!("http://{}", recorder.address);
        let worker = Worker::new(json!({ "endpoints": [endpoint], "idle_timeout": "30ms" }));
        let busy = worker.send(get("/busy")).await.unwrap();
        worker.get("/idle").await.unwrap();
        assert_eq!(worker.counts().connections_open, 2);
        until(|| worker.counts().connections_open == 1).await;
        assert_eq!(busy.response.body.collect().await.unwrap().to_bytes(), "1");
        until(|| worker.counts().connections_open == 0).await;
        // The one who watches over idle connections is there again for the next.
        worker.get("/again").await.unwrap();
        until(|| worker.counts().connections_open == 0).await;
    });
}

#[test]
fn a_connection_is_not_used_again_after_a_response_framed_twice() {
    run(async {
        let (listener, address) = listen().await;
        tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_head(&mut stream).await;
                let response =
                    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
                stream.write_all(response.as_bytes()).await.unwrap();
                assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "the connection was used again");
            }
        });
        let worker = Worker::to(address);
        for _ in 0..2 {
            let response = worker.send(get("/")).await.unwrap().response;
            assert!(!response.head.fields.contains(&http::header::CONTENT_LENGTH));
            assert_eq!(response.body.collect().await.unwrap().to_bytes(), "ok");
        }
        until(|| worker.counts().connections_open == 0).await;
    });
}

#[test]
fn a_body_that_is_dropped_closes_the_connection() {
    run(async {
        let (listener, address) = listen().await;
        let server = tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nabc").await.unwrap();
            stream.read(&mut [0; 1]).await
        });
        let worker = Worker::to(address);
        let mut response = worker.send(get("/")).await.unwrap().response;
        assert_eq!(response.body.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
        drop(response);
        assert_eq!(server.await.unwrap().unwrap_or(0), 0);
        until(|| worker.counts().connections_open == 0).await;
        assert_eq!(worker.counts().requests_under_way, 0);
    });
}

#[test]
fn a_slow_reader_bounds_what_is_kept() {
    run(async {
        let (listener, address) = listen().await;
        let server = tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n").await.unwrap();
            let piece = vec![0; 64 * 1024];
            let mut written = 0u64;
            // It goes on for as long as somebody takes it.
            while let Ok(result) = tokio::time::timeout(Duration::from_millis(300), stream.write(&piece)).await {
                written += result.unwrap() as u64;
            }
            written
        });
        let worker = Worker::to(address);
        let mut response = worker.send(get("/")).await.unwrap().response;
        let first = response.body.frame().await.unwrap().unwrap().into_data().unwrap();
        let taken_by_nobody = server.await.unwrap();
        // Both kernels' buffers are part of it.
        assert!(taken_by_nobody < 24 * 1024 * 1024, "{taken_by_nobody}");
        assert!(first.len() <= 512 * 1024);
    });
}

/// An upstream of which every connection is treated by `treat`, which is told how many there were before.
async fn scripted<F: Future<Output = ()> + 'static>(treat: impl Fn(TcpStream, usize) -> F + 'static) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::task::spawn_local(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::task::spawn_local(treat(stream, number));
        }
    });
    address
}

/// A body whose pieces are what is sent by the handle.
fn live() -> (tokio::sync::mpsc::UnboundedSender<&'static str>, TestBody) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let pieces =
        futures_util::stream::unfold(receiver, |mut receiver: tokio::sync::mpsc::UnboundedReceiver<_>| async {
            let piece = receiver.recv().await?;
            Some((Ok(Frame::data(Bytes::from_static(str::as_bytes(piece)))), receiver))
        });
    (sender, StreamBody::new(Box::pin(pieces)).boxed_unsync())
}

#[test]
fn bodies_of_any_pieces_arrive_as_they_were() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        let piece = |length: usize| Bytes::from((0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>());
        for lengths in [&[1][..], &[0, 5, 0], &[4096, 4097, 1, 70_000, 3], &[1 << 20, 1 << 20], &[100; 500]] {
            let whole: Vec<u8> = lengths.iter().flat_map(|length| piece(*length)).collect();
            for is_known in [false, true] {
                let mut request = post(frames(lengths.iter().map(|length| Ok(Frame::data(piece(*length)))).collect()));
                if is_known {
                    request.headers_mut().insert("content-length", whole.len().into());
                }
                worker.send(request).await.unwrap().response.body.collect().await.unwrap();
                let seen = recorder.requests().pop().unwrap();
                assert!(seen.body == whole, "{lengths:?}");
                assert_eq!(seen.headers.contains_key("content-length"), is_known);
                assert_eq!(seen.headers.contains_key("transfer-encoding"), !is_known);
            }
        }
        assert_eq!(recorder.record.connections.get(), 1);
    });
}

#[test]
fn a_body_that_is_not_as_long_as_said_is_no_request() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let worker = Worker::to(recorder.address);
        for (said, body) in [(5, "abc"), (2, "abc")] {
            let mut request = post(frames(vec![Ok(Frame::data(body.into()))]));
            request.headers_mut().insert("content-length", said.into());
            worker.send(request).await.unwrap_err();
        }
        assert!(recorder.requests().is_empty());
        worker.get("/control").await.unwrap();
    });
}

#[test]
fn request_and_response_go_on_at_the_same_time() {
    run(async {
        let address = scripted(|mut stream, _| async move {
            for _ in 0..2 {
                read_head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
                for _ in 0..3 {
                    let mut chunk = [0; 6];
                    stream.read_exact(&mut chunk).await.unwrap();
                    stream.write_all(&chunk).await.unwrap();
                }
                let mut end = [0; 5];
                stream.read_exact(&mut end).await.unwrap();
                stream.write_all(&end).await.unwrap();
            }
        })
        .await;
        let worker = Worker::to(address);
        for _ in 0..2 {
            let (sender, body) = live();
            let mut response = worker.send(post(body)).await.unwrap().response;
            for piece in ["a", "b", "c"] {
                // Each is sent only when the one before has come back.
                sender.send(piece).unwrap();
                assert_eq!(response.body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
            }
            drop(sender);
            assert!(response.body.frame().await.is_none());
        }
        assert_eq!(worker.counts().connections_open, 1);
    });
}

#[test]
fn what_was_answered_early_is_sent_to_its_end_and_its_connection_used_again() {
    run(async {
        let received = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&received);
        let address = scripted(move |mut stream, number| {
            let seen = Rc::clone(&seen);
            async move {
                assert_eq!(number, 0, "one connection is enough");
                read_head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                while !seen.borrow().ends_with(b"0\r\n\r\n") {
                    let byte = stream.read_u8().await.unwrap();
                    seen.borrow_mut().push(byte);
                }
                read_head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext").await.unwrap();
                let _ = stream.read_u8().await;
            }
        })
        .await;
        let worker = Worker::to(address);
        let (sender, body) = live();
        let response = worker.send(post(body)).await.unwrap().response;
        assert_eq!(response.body.collect().await.unwrap().to_bytes(), "ok");
        assert_eq!(worker.counts().requests_under_way, 0);
        sender.send("one").unwrap();
        sender.send("two").unwrap();
        drop(sender);
        until(|| received.borrow().ends_with(b"0\r\n\r\n")).await;
        assert_eq!(&*received.borrow(), b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
        assert_eq!(worker.get("/next").await.unwrap().1, "next");
    });
}

#[test]
fn a_response_that_is_dropped_takes_the_rest_of_the_request_with_it() {
    run(async {
        let address = scripted(|mut stream, _| async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let worker = Worker::to(address);
        let (sender, body) = live();
        let response = worker.send(post(body)).await.unwrap().response;
        drop(response);
        until(|| worker.counts().connections_open == 0).await;
        assert!(sender.is_closed());
    });
}

#[test]
fn an_answer_is_heard_of_an_upstream_that_reads_no_further() {
    run(async {
        let address = scripted(|mut stream, _| async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
            // With so much unread this is a reset.
        })
        .await;
        let worker = Worker::to(address);
        let piece = Bytes::from(vec![0; 1 << 20]);
        let pieces = (0..64).map(|_| Ok(Frame::data(piece.clone()))).collect();
        match worker.send(post(frames(pieces))).await {
            Ok(forwarded) => assert_eq!(forwarded.response.head.status.as_u16(), 413),
            // The kernel may have thrown it away.
            Err(error) => assert_eq!(error.reason(), "upstream_reset"),
        }
        until(|| worker.counts().connections_open == 0).await;
    });
}

#[test]
fn what_was_said_before_the_request_is_not_its_answer() {
    run(async {
        let address = scripted(|mut stream, number| async move {
            read_head(&mut stream).await;
            let said = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
            stream.write_all(said.as_bytes()).await.unwrap();
            if number == 0 {
                stream.write_all(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let worker = Worker::to(address);
        assert_eq!(worker.get("/").await.unwrap().1, "0");
        // By then it has come.
        tokio::task::yield_now().await;
        assert_eq!(worker.get("/").await.unwrap().1, "1");
    });
}

#[test]
fn a_connection_of_an_older_version_is_not_used_again() {
    run(async {
        let address = scripted(|mut stream, number| async move {
            read_head(&mut stream).await;
            let said = format!("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n{number}");
            stream.write_all(said.as_bytes()).await.unwrap();
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        })
        .await;
        let worker = Worker::to(address);
        for number in ["0", "1"] {
            assert_eq!(worker.get("/").await.unwrap().1, number);
        }
        assert_eq!(worker.counts().connections_open, 0);
    });
}

#[test]
fn an_idle_connection_that_its_upstream_closes_or_speaks_on_is_let_go_of() {
    run(async {
        for says in ["", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"] {
            let (close, closing) = tokio::sync::oneshot::channel::<()>();
            let closing = Rc::new(Cell::new(Some(closing)));
            let address = scripted(move |mut stream, _| {
                let closing = closing.take().unwrap();
                async move {
                    read_head(&mut stream).await;
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                    closing.await.unwrap();
                    if !says.is_empty() {
                        stream.write_all(says.as_bytes()).await.unwrap();
                        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
                    }
                }
            })
            .await;
            let worker = Worker::to(address);
            worker.get("/").await.unwrap();
            assert_eq!(worker.counts().connections_open, 1);
            close.send(()).unwrap();
            until(|| worker.counts().connections_open == 0).await;
        }
    });
}
