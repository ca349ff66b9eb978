//! Owns: how one event becomes one line, for people or as JSON.
//! Always holds: every name and value went through the escaping; the colours are the only escape sequences in a line.

use std::{
    error::Error,
    fmt::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::{
    clock::Clock,
    telemetry::{LogFormat, Rfc3339, escape::Escaping, json_line, line_writer::LineWriter},
};

/// The layer that makes the lines.
pub(super) struct LineLayer {
    pub(super) lines: Arc<LineWriter>,
    pub(super) format: Arc<AtomicU8>,
    pub(super) colour: bool,
}

/// The fields of an event in their order, the message first.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = match LogFormat::from_code(self.format.load(Ordering::Relaxed)) {
            LogFormat::Text => fields.text_line(event, self.colour),
            LogFormat::Json => fields.json_line(event),
        };
        match line {
            Some(line) => self.lines.push(line),
            None => self.lines.note_dropped(),
        }
    }
}

impl Fields {
    fn json_line(self, event: &Event<'_>) -> Option<Vec<u8>> {
        let metadata = event.metadata();
        let mut object = Map::new();
        object.insert("time".to_owned(), Rfc3339(Clock::system().now()).to_string().into());
        object.insert("level".to_owned(), metadata.level().as_str().into());
        object.insert("target".to_owned(), metadata.target().into());
        object.insert("message".to_owned(), self.message.into());
        for (name, value) in self.others {
            // A field must not be able to change the level or the time.
            object.entry(name).or_insert(value);
        }
        json_line::to_line(&object, 256)
    }

    fn text_line(&self, event: &Event<'_>, colour: bool) -> Option<Vec<u8>> {
        let (time, level, target) =
            (Rfc3339(Clock::system().now()), event.metadata().level(), event.metadata().target());
        let mut line = String::with_capacity(256);
        if colour {
            write!(line, "\u{1b}[2m{time}\u{1b}[0m {}{level:>5}\u{1b}[0m \u{1b}[2m{target}:\u{1b}[0m ", paint(level))
                .ok()?;
        } else {
            write!(line, "{time} {level:>5} {target}: ").ok()?;
        }
        let mut escaping = Escaping(&mut line);
        escaping.write_str(&self.message).ok()?;
        for (name, value) in &self.others {
            write!(escaping, " {name}=").ok()?;
            match value {
                Value::String(text) if is_word(text) => escaping.write_str(text).ok()?,
                // As JSON: in quotes, so that where a value ends can be seen.
                value => write!(escaping, "{value}").ok()?,
            }
        }
        line.push('\n');
        Some(line.into_bytes())
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", value) => self.message = value.to_string(),
            (name, value) => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut chain = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // An error that already speaks of its cause is not repeated.
            let text = error.to_string();
            if !chain.contains(&text) {
                chain.push_str(": ");
                chain.push_str(&text);
            }
            cause = error.source();
        }
        self.put(field, chain.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

/// Whether a value is plain enough to stand without quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

const fn paint(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}
