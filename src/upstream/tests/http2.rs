//! HTTP/2 to an upstream: shared connections, goodbyes, waiting for one that is being opened.

use super::*;

fn worker(address: SocketAddr) -> Worker {
    Worker::new(json!({ "endpoints": [format!("http://{address}")], "protocol": "http2" }))
}

#[test]
fn requests_share_one_connection_in_clear_also_when_there_is_none_yet() {
    run(async {
        let recorder = Recorder::start(Spoken::Http2 { streams: 100 }).await;
        let worker = worker(recorder.address);
        let many = (0..20).map(|_| worker.get("/a?b"));
        for result in futures_util::future::join_all(many).await {
            result.unwrap();
        }
        assert_eq!((recorder.record.connections.get(), worker.counts().connections_open), (1, 1));
        for seen in recorder.requests() {
            assert_eq!(seen.line, "GET http://api.example/a?b HTTP/2.0");
            assert!(!seen.headers.contains_key("host"));
        }
        assert_eq!(worker.counts().requests_under_way, 0);
    });
}

#[test]
fn trailers_pass_both_ways() {
    run(async {
        let recorder = Recorder::start(Spoken::Http2 { streams: 100 }).await;
        let worker = worker(recorder.address);
        let sum: http::HeaderMap = [("x-sum".parse().unwrap(), "7".parse().unwrap())].into_iter().collect();
        let body = frames(vec![Ok(Frame::data("abc".into())), Ok(Frame::trailers(sum.clone()))]);
        let answer = worker.send(post(body)).await.unwrap().response.body.collect().await.unwrap();
        assert_eq!(answer.trailers(), Some(&sum));
        assert_eq!(recorder.requests()[0].trailers, Some(sum));
    });
}

#[test]
fn a_full_connection_is_joined_by_another() {
    run(async {
        let recorder = Recorder::start(Spoken::Http2 { streams: 1 }).await;
        let worker = worker(recorder.address);
        // The peer's settings are known once it has answered.
        worker.get("/").await.unwrap();
        let held = worker.send(get("/held")).await.unwrap();
        let beside = worker.send(get("/beside")).await.unwrap();
        assert_eq!(recorder.record.connections.get(), 2);
        drop((held, beside));
        worker.get("/after").await.unwrap();
        assert_eq!(recorder.record.connections.get(), 2);
    });
}

#[test]
fn a_connection_that_says_goodbye_is_replaced() {
    run(async {
        let (listener, address) = listen().await;
        let record = Rc::new(Record::default());
        let served = Rc::clone(&record);
        let goodbye = Rc::new(tokio::sync::Notify::new());
        let farewell = Rc::clone(&goodbye);
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                served.connections.set(served.connections.get() + 1);
                let (record, farewell) = (Rc::clone(&served), Rc::clone(&farewell));
                tokio::task::spawn_local(async move {
                    let service = service_fn(move |request| answer(request, Rc::clone(&record)));
                    let connection =
                        server2::Builder::new(LocalExecutor).serve_connection(TokioIo::new(stream), service);
                    tokio::pin!(connection);
                    tokio::select! {
                        _ = connection.as_mut() => {}
                        () = farewell.notified() => {
                            connection.as_mut().graceful_shutdown();
                            let _ = connection.await;
                        }
                    }
                });
            }
        });
        let worker = worker(address);
        worker.get("/before").await.unwrap();
        goodbye.notify_one();
        for _ in 0..3 {
            worker.get("/after").await.unwrap();
        }
        until(|| worker.counts().connections_open == 1).await;
        assert_eq!((record.connections.get(), record.requests.borrow().len()), (2, 4));
    });
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    run(async {
        let recorder = Recorder::start(Spoken::Http2 { streams: 10 }).await;
        let endpoint = format!("http://{}", recorder.address);
        let settings = json!({ "endpoints": [endpoint], "protocol": "http2", "idle_timeout": "30ms" });
        let worker = Worker::new(settings);
        let held = worker.send(get("/held")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(worker.counts().connections_open, 1);
        drop(held);
        until(|| worker.counts().connections_open == 0).await;
    });
}

#[test]
fn those_who_wait_for_a_connection_learn_that_there_is_none() {
    run(async {
        let worker = worker(dead().await);
        let many = (0..5).map(|_| worker.get("/"));
        for result in futures_util::future::join_all(many).await {
            assert_eq!(result.unwrap_err().reason(), "upstream_connect_failed");
        }
        assert_eq!(worker.counts().connect_failures, 1);
    });
}

#[test]
fn what_does_not_speak_http2_is_said_so() {
    run(async {
        let recorder = Recorder::start(Spoken::Http1).await;
        let error = worker(recorder.address).get("/").await.unwrap_err();
        assert_eq!(error.fault(), Fault::Upstream);
        assert!(recorder.requests().is_empty());
    });
}
