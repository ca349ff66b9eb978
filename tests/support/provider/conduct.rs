//! What the provider does with those who ask.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use super::{asked::Asked, ledger::Issued, shape::Shape};

/// How the provider answers.
#[derive(Clone, Debug)]
pub(crate) enum Conduct {
    /// Truly.
    Honest,
    /// Truly, after a pause.
    Slow(Duration),
    /// Never; the connection stays open.
    Silent,
    /// With exactly this, whoever asks.
    Says(Said),
    /// Not at all: the request is read, and the connection is closed.
    Closes,
    /// Truly as far as the half of the body; then the connection is closed.
    Truncated,
    /// With 200 and the beginning of a true answer, and then this many bytes of white space before its end.
    Oversized(u64),
}

/// An answer, to the letter.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Said {
    /// JSON with this status.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body: body.to_string() }
    }

    /// A page of HTML with this status.
    pub(crate) fn html(status: u16) -> Self {
        let body = "<!doctype html><title>Sign in</title><p>not today".to_owned();
        Self { status, headers: vec![("content-type", "text/html".to_owned())], body }
    }

    /// Anything with this status.
    pub(crate) fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.to_owned() }
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl From<Said> for Conduct {
    fn from(said: Said) -> Self {
        Self::Says(said)
    }
}

/// Makes the token that an entry of the ledger is to have.
pub(super) type Mint = Arc<dyn Fn(&Issued) -> String + Send + Sync>;

/// All that can be changed while it runs.
pub(super) struct Script {
    pub(super) shape: Shape,
    pub(super) secrets: HashMap<String, Vec<String>>,
    pub(super) asserting: Vec<String>,
    pub(super) conduct: Conduct,
    pub(super) next: VecDeque<Conduct>,
    pub(super) at: HashMap<String, Conduct>,
    pub(super) expires_in: Option<Value>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) mint: Mint,
}

impl Script {
    pub(super) fn speaking(shape: Shape) -> Self {
        Self {
            shape,
            secrets: HashMap::new(),
            asserting: Vec::new(),
            conduct: Conduct::Honest,
            next: VecDeque::new(),
            at: HashMap::new(),
            expires_in: Some(json!(3600)),
            headers: Vec::new(),
            mint: Arc::new(|issued| format!("opaque-{}-of-{}", issued.number, issued.client_id)),
        }
    }

    /// What is done with this request.
    pub(super) fn conduct_for(&mut self, path: &str) -> Conduct {
        let here = self.at.get(path).cloned();
        here.or_else(|| self.next.pop_front()).unwrap_or_else(|| self.conduct.clone())
    }

    /// The client that has proved who it is.
    pub(super) fn authenticated(&self, asked: &Asked) -> Option<String> {
        let presented = asked.presented()?;
        let known = match presented.placed {
            super::Placed::Assertion => self.asserting.contains(&presented.client_id),
            super::Placed::Basic | super::Placed::Body => {
                self.secrets.get(&presented.client_id).is_some_and(|secrets| secrets.contains(&presented.secret))
            }
        };
        known.then_some(presented.client_id)
    }
}
