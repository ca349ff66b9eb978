//! Owns: what the guard of a connection and whoever answers its requests tell each other, by the number of the request.
//! Refuses: being asked about any request but the last one that it was told of.
//! Always holds: an answer that somebody waits for wakes them.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    task::Context,
};

use futures_util::task::AtomicWaker;

use super::fault::RequestFault;

/// What is told. Atomic because hyper wants the stream to be `Send`; all of it happens on one worker.
#[derive(Debug, Default)]
pub(in crate::server) struct Conversation {
    /// The number of the request whose head was put aside, and its fault.
    aside: AtomicU64,
    /// The number of the request that was answered last, and whether by a switch of protocols.
    answered: AtomicU64,
    /// Whether the framing of a body broke.
    broken: AtomicBool,
    waiting: AtomicWaker,
}

impl Conversation {
    /// Puts the head of request `number` aside.
    pub(super) fn put_aside(&self, number: u32, fault: RequestFault) {
        self.aside.store(packed(number, code(fault)), Relaxed);
    }

    /// Why the head of request `number` was put aside; nothing if it is what it seems.
    pub(in crate::server) fn fault_of(&self, number: u32) -> Option<RequestFault> {
        let faults = [
            RequestFault::Malformed,
            RequestFault::FramingAmbiguous,
            RequestFault::TransferCoding,
            RequestFault::HeadTooLarge,
            RequestFault::TooManyFields,
        ];
        let aside = self.aside.load(Relaxed);
        if aside == 0 {
            return None;
        }
        faults.into_iter().find(|fault| packed(number, code(*fault)) == aside)
    }

    /// The framing of a body is broken: nothing can be read behind it.
    pub(super) fn broke_off(&self) {
        self.broken.store(true, Relaxed);
    }

    /// Whether the framing of a body broke.
    pub(in crate::server) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Request `number` is answered.
    pub(in crate::server) fn answered(&self, number: u32, switched: bool) {
        self.answered.store(packed(number, if switched { 2 } else { 1 }), Relaxed);
        self.waiting.wake();
    }

    /// Whether the answer to request `number` was a switch of protocols; if there is none yet, the caller is woken by it.
    pub(super) fn poll_switch(&self, number: u32, context: &Context<'_>) -> Option<bool> {
        self.waiting.register(context.waker());
        let answered = self.answered.load(Relaxed);
        [false, true].into_iter().find(|switched| answered == packed(number, if *switched { 2 } else { 1 }))
    }
}

fn packed(number: u32, code: u8) -> u64 {
    (u64::from(number) << 8) | u64::from(code)
}

const fn code(fault: RequestFault) -> u8 {
    match fault {
        RequestFault::Malformed => 1,
        RequestFault::FramingAmbiguous => 2,
        RequestFault::TransferCoding => 3,
        RequestFault::HeadTooLarge => 4,
        RequestFault::TooManyFields => 5,
    }
}
