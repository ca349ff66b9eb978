//! Owns: the rest of a request whose response has begun before all of it was sent.
//! Always holds: it is sent whether or not the response is being read, so that neither waits for the other; the connection is given
//! back once both have ended, by whichever ends last. A response that is dropped takes the rest with it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    super::{outgoing::RequestBody, pool::EndpointPool},
    Http1Connection, Http1Error,
    body_out::Sending,
};

/// How long nothing may move of the rest of a request whose response has ended: nobody else waits for it.
const LONGEST_STANDSTILL: Duration = Duration::from_secs(30);

/// The rest of a request, as the side that reads the response sees it. Dropping it ends the sending.
pub(super) struct Rest<B: RequestBody> {
    shared: Rc<Shared<B>>,
    task: Option<JoinHandle<()>>,
}

/// What both sides know.
struct Shared<B: RequestBody> {
    connection: Rc<RefCell<Http1Connection>>,
    stage: Cell<Stage>,
    failure: Cell<Option<Http1Error>>,
    /// Where the connection goes once all was sent; set when the response has ended.
    home: RefCell<Option<Rc<EndpointPool<B>>>>,
    /// The one that waits for the other.
    reader: RefCell<Option<Waker>>,
    sender: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Both go on.
    Both,
    /// The response has ended.
    Sending,
    /// All was sent.
    Sent,
}

impl<B: RequestBody> Rest<B> {
    /// Sends on beside whoever reads.
    pub(super) fn send(connection: &Rc<RefCell<Http1Connection>>, sending: Box<Sending<B>>) -> Self {
        let shared = Rc::new(Shared {
            connection: Rc::clone(connection),
            stage: Cell::new(Stage::Both),
            failure: Cell::new(None),
            home: RefCell::default(),
            reader: RefCell::default(),
            sender: RefCell::default(),
        });
        let task = tokio::task::spawn_local(send(Rc::clone(&shared), sending));
        Self { shared, task: Some(task) }
    }

    /// Why the request's body could not be sent, as soon as that is so.
    pub(super) fn poll_failure(&self, cx: &mut Context<'_>) -> Poll<Http1Error> {
        self.shared.reader.replace(Some(cx.waker().clone()));
        self.shared.failure.take().map_or(Poll::Pending, Poll::Ready)
    }

    pub(super) fn is_sent(&self) -> bool {
        self.shared.stage.get() == Stage::Sent
    }

    /// The response has ended: what is left is sent nevertheless, and then the connection goes home, if it has one.
    pub(super) fn go_on(mut self, home: Option<Rc<EndpointPool<B>>>) {
        self.shared.home.replace(home);
        self.shared.stage.set(Stage::Sending);
        wake(&self.shared.sender);
        drop(self.task.take());
    }
}

impl<B: RequestBody> Drop for Rest<B> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn send<B: RequestBody>(shared: Rc<Shared<B>>, mut sending: Box<Sending<B>>) {
    let mut patience = pin!(sleep(LONGEST_STANDSTILL));
    let mut written = None;
    let sent = poll_fn(|cx| {
        let mut connection = shared.connection.borrow_mut();
        if let Poll::Ready(sent) = sending.poll_send(cx, &mut connection) {
            return Poll::Ready(sent);
        }
        shared.sender.replace(Some(cx.waker().clone()));
        // Nobody else would see it end.
        if shared.stage.get() == Stage::Sending {
            if written.replace(connection.total_written()) != Some(connection.total_written()) {
                patience.as_mut().reset(Instant::now() + LONGEST_STANDSTILL);
            }
            if connection.poll_disturbed(cx).is_ready() || patience.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Http1Error::Closed));
            }
        }
        Poll::Pending
    })
    .await;
    drop(sending);
    match sent {
        Ok(()) => {
            shared.stage.set(Stage::Sent);
            if let Some(pool) = shared.home.take() {
                pool.keep(Rc::clone(&shared.connection));
            }
        }
        // The response may be whole nevertheless: what the other side does not want to read it needs not.
        Err(Http1Error::Write(_)) => {}
        Err(error) => shared.failure.set(Some(error)),
    }
    wake(&shared.reader);
}

fn wake(waker: &RefCell<Option<Waker>>) {
    let waker = waker.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}
