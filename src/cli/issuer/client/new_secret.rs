//! Owns: handing over a secret that was just made.
//! Always holds: on standard output it is a line of its own with nothing beside it, or a member of the answer for machines; in a
//! file it is nowhere else.

use serde_json::{Value, json};

use super::super::{OpenIssuer, SecretFile};
use crate::{cli::terminal, secret::Secret};

/// The member of an answer that holds it.
const MEMBER: &str = "secret";

/// A secret out of an answer.
pub(super) struct NewSecret {
    secret: Secret,
}

impl NewSecret {
    /// Takes it out, if there is one.
    pub(super) fn taken_from(answer: &mut Value) -> Option<Self> {
        match answer.as_object_mut()?.shift_remove(MEMBER)? {
            Value::String(secret) => Some(Self { secret: Secret::new(secret) }),
            _ => None,
        }
    }

    /// Writes it into `file`, or to standard output if there is none; machines get the rest of the answer too.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn hand_over(
        &self,
        issuer: &OpenIssuer,
        mut answer: Value,
        file: Option<SecretFile>,
    ) -> anyhow::Result<()> {
        let (member, value) = match &file {
            Some(file) => ("secret_file", json!(file.path())),
            None => (MEMBER, json!(self.secret.expose())),
        };
        if let Some(object) = answer.as_object_mut() {
            object.insert(member.to_owned(), value);
        }
        let in_file = file.is_some();
        if let Some(file) = file {
            let path = file.path().display().to_string();
            file.write(&self.secret)?;
            terminal::print_note(&format!("The secret is in {path}."));
        }
        issuer.print(&answer, |_| match in_file {
            true => String::new(),
            false => format!("{}\n", self.secret.expose()),
        })
    }
}
