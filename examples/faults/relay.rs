//! What stands between the gateway and an upstream, and treats connections as badly as it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// What it does with what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It passes everything on.
    Passing,
    /// It passes answers on, each piece so much later.
    Late(Duration),
    /// It resets a connection once so many bytes of answers have passed.
    CutAfter(usize),
    /// It passes requests on, and no answer.
    Silent,
    /// It closes a connection on which nothing has moved for so long.
    ClosesIdle(Duration),
}

/// A relay at one address, as long as it is up.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    target: SocketAddr,
    manner: Arc<watch::Sender<Manner>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Relay {
    /// One to `target` that passes everything on.
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let relay =
            Self { address, target, manner: Arc::new(watch::Sender::new(Manner::Passing)), task: Mutex::default() };
        relay.serve(listener);
        relay
    }

    /// Behaves like this from now on, towards connections that are there, too.
    pub(crate) fn behave(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// Goes away with all its connections: whoever connects is refused.
    pub(crate) async fn go_down(&self) {
        let task = self.task.lock().expect("not poisoned").take();
        if let Some(task) = task {
            task.abort();
            // The socket is closed once the task is gone.
            let _ = task.await;
        }
    }

    /// Comes back at the same address.
    pub(crate) async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.expect("its own port");
        self.serve(listener);
    }

    fn serve(&self, listener: TcpListener) {
        let (target, manner) = (self.target, Arc::clone(&self.manner));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        connections.spawn(carry(stream, target, manner.subscribe()));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        *self.task.lock().expect("not poisoned") = Some(task);
    }
}

async fn carry(mut downstream: TcpStream, target: SocketAddr, mut manner: watch::Receiver<Manner>) {
    let Ok(mut upstream) = TcpStream::connect(target).await else { return };
    // Nothing may be late but what is told to be.
    if downstream.set_nodelay(true).and(upstream.set_nodelay(true)).is_err() {
        return;
    }
    let (mut questions, mut answers) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let (mut passed, mut swallowed) = (0, false);
    loop {
        let now = *manner.borrow_and_update();
        let idle = if let Manner::ClosesIdle(idle) = now { idle } else { Duration::from_secs(3600) };
        tokio::select! {
            changed = manner.changed() => {
                passed = 0;
                // What was swallowed is missing in the middle of the stream.
                if changed.is_err() || swallowed {
                    return reset(downstream);
                }
            }
            () = sleep(idle) => return,
            read = downstream.read(&mut questions) => match read {
                Ok(bytes @ 1..) if upstream.write_all(&questions[..bytes]).await.is_ok() => {}
                _ => return,
            },
            read = upstream.read(&mut answers) => {
                let Ok(mut bytes @ 1..) = read else { return };
                match now {
                    Manner::Silent => {
                        swallowed = true;
                        continue;
                    }
                    Manner::Late(pause) => sleep(pause).await,
                    Manner::CutAfter(most) => bytes = bytes.min(most.saturating_sub(passed)),
                    Manner::Passing | Manner::ClosesIdle(_) => {}
                }
                passed += bytes;
                if downstream.write_all(&answers[..bytes]).await.is_err() {
                    return;
                }
                if matches!(now, Manner::CutAfter(most) if passed >= most) {
                    return reset(downstream);
                }
            }
        }
    }
}

/// Ends a connection by a reset instead of a close (RFC 9293 section 3.10.7), as a process that dies does.
fn reset(stream: TcpStream) {
    // Where it cannot be, it is closed, which is as good an end in the middle of an answer.
    let _ = stream.set_zero_linger();
}
