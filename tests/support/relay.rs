//! A TCP relay to the PostgreSQL of the tests, which can go away and come back.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use postern::config::StoreConfig;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::{Duration, Instant, sleep},
};

/// What it does with those who connect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It passes everything on.
    Passing,
    /// It takes connections and whatever is sent, and says nothing.
    Silent,
}

/// It listens at one port as long as it is there.
pub(crate) struct Relay {
    target: String,
    address: SocketAddr,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Relay {
    /// A relay that passes on to the server of a location.
    pub(crate) async fn to(location: &StoreConfig) -> Arc<Self> {
        let url = Self::url(location);
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let relay = Arc::new(Self { target, address, task: Mutex::default() });
        relay.serve(listener, Manner::Passing);
        relay
    }

    /// The location as it is reached by the relay.
    pub(crate) fn location(&self, location: &StoreConfig) -> StoreConfig {
        let mut url = Self::url(location);
        url.set_port(Some(self.address.port())).unwrap();
        StoreConfig::parse(url.as_str()).unwrap()
    }

    /// Closes every connection and the port.
    pub(crate) async fn go_away(&self) {
        let task = self.task.lock().unwrap().take().unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }

    /// Listens again at the same port.
    pub(crate) async fn come_back(&self, manner: Manner) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            sleep(Duration::from_millis(10)).await;
        };
        self.serve(listener, manner);
    }

    fn serve(&self, listener: TcpListener, manner: Manner) {
        let target = self.target.clone();
        let task = tokio::spawn(async move {
            // Dropped with the task, and every connection with it.
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let target = target.clone();
                connections.spawn(async move {
                    if manner == Manner::Silent {
                        return std::future::pending().await;
                    }
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        // However it ends, it has ended.
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        *self.task.lock().unwrap() = Some(task);
    }

    fn url(location: &StoreConfig) -> url::Url {
        let StoreConfig::Postgres(url) = location else { panic!("a relay leads to a PostgreSQL") };
        url::Url::parse(url.expose()).unwrap()
    }
}
