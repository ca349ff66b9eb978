//! Owns: messages between replicas: sending them, and following a channel.
//! Refuses: waiting for anybody who sends.
//! Always holds: a subscription that lost its connection makes a new one, for as long as somebody listens.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use redis::{Client, RedisResult, aio::PubSub};
use tokio::{
    sync::mpsc::{Receiver, Sender},
    time::{sleep, timeout},
};

use super::link::{CONNECT_WITHIN, Link};

/// How long until a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a connection is tried on which nothing comes.
const TRIED_EVERY: Duration = Duration::from_secs(5);

/// Publishes what comes, until nobody can send any more.
pub(super) async fn publish(link: Arc<Link>, mut publications: Receiver<(String, String)>) {
    while let Some((channel, message)) = publications.recv().await {
        // That it failed is counted.
        let _ = link.command(redis::cmd("PUBLISH").arg(channel).arg(message)).await;
    }
}

/// Somebody who listens to a channel.
pub(super) struct Subscription {
    client: Option<Client>,
    channel: String,
    messages: Sender<String>,
}

impl Subscription {
    pub(super) const fn new(client: Option<Client>, channel: String, messages: Sender<String>) -> Self {
        Self { client, channel, messages }
    }

    /// Passes messages on until nobody listens.
    pub(super) async fn follow(self) {
        let Some(client) = &self.client else { return };
        tokio::select! {
            () = self.messages.closed() => {}
            () = async {
                loop {
                    if let Ok(Ok(connection)) = timeout(CONNECT_WITHIN, self.connect(client)).await {
                        self.pass_on(connection).await;
                    }
                    sleep(PAUSE).await;
                }
            } => {}
        }
    }

    async fn connect(&self, client: &Client) -> RedisResult<PubSub> {
        let mut connection = client.get_async_pubsub().await?;
        connection.subscribe(&self.channel).await?;
        Ok(connection)
    }

    /// Passes on what comes, until the connection is lost.
    async fn pass_on(&self, connection: PubSub) {
        let (mut questions, mut messages) = connection.split();
        loop {
            match timeout(TRIED_EVERY, messages.next()).await {
                Ok(Some(message)) => {
                    // What is no text was not said by a replica.
                    if let Ok(text) = message.get_payload::<String>()
                        && self.messages.send(text).await.is_err()
                    {
                        return;
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    if !matches!(timeout(CONNECT_WITHIN, questions.ping::<()>()).await, Ok(Ok(()))) {
                        return;
                    }
                }
            }
        }
    }
}
