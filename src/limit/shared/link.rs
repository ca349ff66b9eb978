//! Owns: the connection to the server: whether there is one, and asking over it.
//! Refuses: a question while the server is away; it is looked for once a second by nobody's request.
//! Always holds: a question ends within the timeout; one that fails is counted, and fails for nobody else. What ends a connection
//! is that it breaks, that the server is silent for a while, or that it refuses what it is tried with; that is logged, once.

use std::{num::NonZeroU32, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, Value,
    aio::MultiplexedConnection,
};
use tokio::{
    sync::watch,
    time::{Instant, error::Elapsed, sleep, timeout, timeout_at},
};
use tracing::{info, warn};

use super::{
    Away, Rate,
    failure::{Failure, Failures},
    scripts::Scripts,
    settings::SharedSettings,
    silence::Silence,
};

/// How long until the server is looked for again, and how often a connection is tried on which nobody asks.
const PAUSE: Duration = Duration::from_secs(1);
/// How long connecting may take. It is nobody's request that waits for it.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How many questions may wait to be written.
const MOST_QUESTIONS: usize = 1024;
/// What a connection is tried with. No number of replicas uses it up, so that it is written each time: a server that only reads,
/// or that is full, does not pass.
const TRIAL: Rate = Rate { requests: NonZeroU32::MAX, per: Duration::from_secs(1) };

/// The connection to the server.
pub(super) struct Link {
    /// None if the settings are no address, which compiling them has ruled out.
    client: Option<Client>,
    timeout: Duration,
    /// The key that a connection is tried with.
    trial: String,
    state: watch::Sender<State>,
    silence: Silence,
    failures: Failures,
}

/// Whether there is a connection.
enum State {
    /// It is not known yet.
    Untried,
    /// The one of that number.
    Up(u64, MultiplexedConnection),
    /// There is none.
    Away,
}

impl Link {
    pub(super) fn new(settings: &SharedSettings) -> Self {
        Self {
            client: settings.connection_info().and_then(|info| Client::open(info).ok()),
            timeout: settings.timeout(),
            trial: settings.full_name("trial"),
            state: watch::Sender::new(State::Untried),
            silence: Silence::default(),
            failures: Failures::default(),
        }
    }

    pub(super) const fn client(&self) -> &Option<Client> {
        &self.client
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(..))
    }

    pub(super) fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.failures.counts()
    }

    /// Counts something that was not even tried.
    pub(super) fn skip(&self) {
        self.failures.count(Failure::Skipped);
    }

    /// Counts an answer that makes no sense.
    pub(super) fn misunderstood(&self) -> Away {
        self.failures.count(Failure::Refused);
        Away
    }

    /// Runs a program on the server.
    pub(super) async fn ask<T: FromRedisValue>(&self, question: &ScriptInvocation<'_>) -> Result<T, Away> {
        self.put(question).await.map_err(|_| Away)
    }

    async fn put<T: FromRedisValue>(&self, question: &ScriptInvocation<'_>) -> Result<T, Failure> {
        let asked = Instant::now();
        let deadline = asked + self.timeout;
        let (number, mut connection) = self.connection(deadline).await?;
        let answer = timeout_at(deadline, question.invoke_async(&mut connection)).await;
        self.judge(number, asked, answer)
    }

    /// Has the server carry out a command.
    pub(super) async fn command(&self, command: &Cmd) -> Result<(), Away> {
        let asked = Instant::now();
        let deadline = asked + self.timeout;
        let (number, mut connection) = self.connection(deadline).await.map_err(|_| Away)?;
        let answer = timeout_at(deadline, command.exec_async(&mut connection)).await;
        self.judge(number, asked, answer).map_err(|_| Away)
    }

    /// The connection, if there is one; right after the start it is waited for.
    async fn connection(&self, deadline: Instant) -> Result<(u64, MultiplexedConnection), Failure> {
        if matches!(&*self.state.borrow(), State::Untried) {
            let mut states = self.state.subscribe();
            let known = states.wait_for(|state| !matches!(state, State::Untried));
            // However that ends, what is there now counts.
            let _ = timeout_at(deadline, known).await.map(drop);
        }
        if let State::Up(number, connection) = &*self.state.borrow() {
            return Ok((*number, connection.clone()));
        }
        self.skip();
        Err(Failure::Skipped)
    }

    /// What came of a question on connection `number`. That one is refused concerns nobody but who asked.
    fn judge<T>(&self, number: u64, asked: Instant, answer: Result<RedisResult<T>, Elapsed>) -> Result<T, Failure> {
        let failure = match answer {
            Ok(Ok(answer)) => {
                self.silence.is_broken();
                return Ok(answer);
            }
            Ok(Err(error)) => Failure::of(&error),
            Err(_) => Failure::TimedOut,
        };
        self.failures.count(failure);
        match failure {
            Failure::Refused => self.silence.is_broken(),
            Failure::TimedOut if !self.silence.goes_on(asked, Instant::now()) => {}
            Failure::TimedOut | Failure::Unreachable | Failure::BrokenOff | Failure::Skipped => {
                self.went(number, failure);
            }
        }
        Err(failure)
    }

    /// Notes that connection `number` is of no use any more, or was not made.
    fn went(&self, number: u64, failure: Failure) {
        let went = self.state.send_if_modified(|state| match state {
            State::Up(current, _) if *current != number => false,
            State::Away => false,
            State::Up(..) | State::Untried => {
                *state = State::Away;
                true
            }
        });
        if went {
            let reason = failure.reason();
            warn!(reason, "shared counters: the server is away; until it is back this replica counts alone");
        }
    }

    fn came_up(&self, number: u64, connection: MultiplexedConnection) {
        self.silence.is_broken();
        let before = self.state.send_replace(State::Up(number, connection));
        match before {
            State::Untried => info!("shared counters: connected; replicas count together"),
            State::Away | State::Up(..) => info!("shared counters: the server is back; replicas count together again"),
        }
    }

    /// Connects and stays connected, for ever.
    pub(super) async fn keep(&self, scripts: &Scripts) {
        for number in 1.. {
            match self.connect(scripts).await {
                Ok(connection) => {
                    self.came_up(number, connection);
                    self.until_it_fails(number, scripts).await;
                }
                Err(failure) => {
                    self.failures.count(failure);
                    self.went(number, failure);
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// A connection on which the server answers as fast as it must.
    async fn connect(&self, scripts: &Scripts) -> Result<MultiplexedConnection, Failure> {
        let client = self.client.as_ref().ok_or(Failure::Unreachable)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            // Every question has a bound of its own.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(MOST_QUESTIONS);
        let connecting = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .map_err(|error| Failure::of_connecting(&error))?;
            scripts.load(&mut connection).await.map_err(|error: RedisError| Failure::of(&error))?;
            Ok(connection)
        };
        let mut connection = timeout(CONNECT_WITHIN, connecting).await.unwrap_or(Err(Failure::TimedOut))?;
        let trial = scripts.taking(&self.trial, TRIAL);
        match timeout(self.timeout, trial.invoke_async::<Value>(&mut connection)).await {
            Ok(Ok(_)) => Ok(connection),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    /// Tries the connection from time to time, so that nobody's request has to find out.
    async fn until_it_fails(&self, number: u64, scripts: &Scripts) {
        let mut states = self.state.subscribe();
        let mut pause = PAUSE;
        loop {
            let gone = states.wait_for(|state| !matches!(state, State::Up(current, _) if *current == number));
            if timeout(pause, gone).await.is_ok() {
                return;
            }
            pause = match self.put::<Value>(&scripts.taking(&self.trial, TRIAL)).await {
                // Whether that was one late answer is seen by asking again at once.
                Err(Failure::TimedOut) => Duration::ZERO,
                Err(failure) => {
                    self.went(number, failure);
                    PAUSE
                }
                Ok(_) => PAUSE,
            };
        }
    }
}
