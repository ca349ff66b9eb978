//! What is put aside before hyper reads it, and that everything else goes on as before.

use tokio::io::AsyncWriteExt;

use super::support::*;
use crate::config::LimitsConfig;

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_bad_head_is_answered_in_its_turn_and_nothing_behind_it() {
    let mut server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    let before = "GET /wait HTTP/1.1\r\nhost: a\r\n\r\nGET /who HTTP/1.1\r\nhost: a\r\n\r\n";
    send(&mut stream, &format!("{before}GET / HTTP/1.1\nhost: a\n\n{SMUGGLED}")).await;
    server.arrived("/wait").await;
    server.let_one_go();
    assert_eq!(answer(&mut stream).await.body, "waited");
    assert!(answer(&mut stream).await.body.starts_with("public http/1.1"));
    let refused = answer(&mut stream).await;
    assert_eq!((refused.status(), refused.body.as_str()), ("400", "Malformed"));
    assert!(refused.head.contains("connection: close"), "{}", refused.head);
    assert!(closed(&mut stream).await);
    assert_eq!(server.server.workers().map(|worker| worker.requests_begun()).sum::<u64>(), 3);
    assert_eq!(server.listener().counters().malformed(), 1);
    // Whoever still sends is not reset before it has read that.
    let mut stream = server.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n").await;
    assert_eq!(answer(&mut stream).await.body, "FramingAmbiguous");
    for _ in 0..10 {
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
    }
}

#[tokio::test]
async fn a_bad_head_may_come_in_pieces() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(answer(&mut stream).await.status(), "501");
    assert!(closed(&mut stream).await);
}

#[tokio::test]
async fn what_follows_a_refused_upgrade_is_judged_as_a_request() {
    let server = TestServer::with_limits(LimitsConfig::default());
    let upgrade = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: rope\r\n\r\n";
    let mut stream = server.connect().await;
    send(&mut stream, &format!("{upgrade}{upgrade}GET /who HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    for expected in ["hello", "hello", "public http/1.1"] {
        assert!(answer(&mut stream).await.body.starts_with(expected), "{expected}");
    }
    send(&mut stream, &format!("{upgrade}\0\r\n{SMUGGLED}")).await;
    assert_eq!(answer(&mut stream).await.body, "hello");
    assert_eq!(answer(&mut stream).await.body, "Malformed");
    assert!(closed(&mut stream).await);
}

#[tokio::test]
async fn who_leaves_while_an_upgrade_is_waited_for_is_noticed() {
    let mut server = TestServer::with_limits(LimitsConfig::default());
    for behind in ["", "early", "GET /"] {
        let mut stream = server.connect().await;
        let wish = "GET /wait HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: rope\r\n\r\n";
        send(&mut stream, &format!("{wish}{behind}")).await;
        server.arrived("/wait").await;
        drop(stream);
        eventually(|| server.server.requests_under_way() == 0).await;
    }
}
