//! What follows a request that wants another protocol: a request, if the answer is no.

use super::{Scene, statuses_in};
use crate::support::raw_socket::RawSocket;

#[tokio::test]
async fn what_follows_a_refused_upgrade_is_a_request_and_judged_as_one() {
    let scene = Scene::new().await;
    for wish in [
        "connection: upgrade\r\nupgrade: websocket\r\n",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
        "upgrade: rope\r\n",
    ] {
        let upgrade = format!("GET /up HTTP/1.1\r\n{}{wish}\r\n", scene.fields());
        // The second has no token, and is not let in by the first one's.
        let before = scene.upstream.count();
        let mut socket = RawSocket::connect(scene.gateway.address()).await;
        socket.send(format!("{upgrade}GET /second HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        let text = socket.rest().await;
        let statuses = statuses_in(&text);
        assert_eq!(statuses, ["200", "401"], "{wish:?}: {text}");
        assert_eq!(scene.upstream.count(), before + 1, "{wish:?}");
        // With one it is.
        let (answer, seen) = scene.attack(&upgrade).await;
        assert_eq!(answer.text.matches("HTTP/1.1 200").count(), 2, "{wish:?}: {}", answer.text);
        let targets: Vec<_> = seen.iter().map(|request| &*request.target).collect();
        assert_eq!(targets, ["/up", "/smuggled"], "{wish:?}");
        // And what is none is refused: frames of another protocol, a second preface.
        for behind in ["\u{81}\u{5}hello\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let (answer, seen) = scene.attack(format!("{upgrade}{behind}")).await;
            let statuses = statuses_in(&answer.text);
            assert_eq!(statuses, ["200", "400"], "{wish:?} {behind:?}: {}", answer.text);
            assert_eq!(seen.len(), 1, "{wish:?} {behind:?}: {seen:?}");
        }
        scene.control(wish).await;
    }
}

#[tokio::test]
async fn a_tunnel_is_refused_with_whatever_comes_behind_it() {
    let scene = Scene::new().await;
    let fields = format!("authorization: Bearer {}\r\n", scene.token);
    let inner = scene.smuggled();
    for framing in
        [String::new(), format!("content-length: {}\r\n", inner.len()), "transfer-encoding: chunked\r\n".to_owned()]
    {
        let body = match framing.as_str() {
            "" => String::new(),
            chunked if chunked.starts_with("transfer") => format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()),
            _ => inner.clone(),
        };
        let connect = format!("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n{fields}{framing}\r\n{body}");
        scene.is_refused(connect, 501, "method_not_forwarded").await;
    }
}
