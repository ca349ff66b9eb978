//! What the provider was asked, and what it issued.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::asked::Asked;

/// A token that the provider made.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    /// Counted from 1.
    pub(crate) number: usize,
    /// The client that proved who it is.
    pub(crate) client_id: String,
    /// What it is for, by whichever parameter that was said.
    pub(crate) audience: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) token: String,
}

#[derive(Default)]
pub(super) struct Ledger {
    asked: Mutex<Vec<Asked>>,
    issued: Mutex<Vec<Issued>>,
    revoked: Mutex<HashSet<String>>,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// A request under way, until it is dropped.
pub(super) struct UnderWay<'a>(&'a Ledger);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ledger {
    pub(super) fn begin(&self) -> UnderWay<'_> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        UnderWay(self)
    }

    pub(super) fn note(&self, asked: Asked) {
        self.asked.lock().expect("not poisoned").push(asked);
    }

    /// Makes and notes a token.
    pub(super) fn issue(&self, asked: &Asked, client_id: &str, mint: &super::conduct::Mint) -> Issued {
        let said = |name| asked.parameter(name).map(str::to_owned);
        let mut all = self.issued.lock().expect("not poisoned");
        let mut issued = Issued {
            number: all.len() + 1,
            client_id: client_id.to_owned(),
            audience: said("audience").or_else(|| said("resource")),
            scope: said("scope"),
            token: String::new(),
        };
        issued.token = mint(&issued);
        all.push(issued.clone());
        issued
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }

    pub(super) fn count(&self) -> usize {
        self.asked.lock().expect("not poisoned").len()
    }

    pub(super) fn issued(&self) -> Vec<Issued> {
        self.issued.lock().expect("not poisoned").clone()
    }

    pub(super) fn find(&self, token: &str) -> Option<Issued> {
        self.issued.lock().expect("not poisoned").iter().find(|issued| issued.token == token).cloned()
    }

    pub(super) fn revoke(&self, token: &str) {
        self.revoked.lock().expect("not poisoned").insert(token.to_owned());
    }

    pub(super) fn is_revoked(&self, token: &str) -> bool {
        self.revoked.lock().expect("not poisoned").contains(token)
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }
}
