//! A value of a type that is not known: the source says what it is, and a target of the same family may take it as it
//! is.

use bytes::{Bytes, BytesMut};

use super::requests::{restore, value};
use super::{Copy, CopyEvent, unreadable};
use crate::error::Fault;
use crate::wire::rdb::{Key, Payload};

/// The value of an unknown type that the dump stands before.
#[derive(Debug)]
pub(super) struct Unknown {
    key: Key,
    type_code: u8,
    answer: Answer,
}

/// What the source says to `DUMP`.
#[derive(Debug)]
enum Answer {
    /// Nothing yet.
    Awaited,
    /// This, or that there is no such key.
    Given(Option<Bytes>),
}

impl Copy {
    /// Takes what the source answers to `DUMP` of the key of [`CopyEvent::Ask`]: `None` where it has no such key. The
    /// dump can be read on then.
    pub fn answer(&mut self, payload: Option<Bytes>) {
        if let Some(unknown) = &mut self.unknown {
            unknown.answer = Answer::Given(payload);
        }
    }

    /// Whether the answer to a question is needed before anything else.
    pub(super) fn is_asking(&self) -> bool {
        matches!(&self.unknown, Some(Unknown { answer: Answer::Awaited, .. }))
    }

    /// Asks for the value that the dump stands before.
    pub(super) fn ask(&mut self, key: Key, type_code: u8) {
        self.events.push(CopyEvent::Ask { database: key.database, key: key.name.clone() });
        self.unknown = Some(Unknown { key, type_code, answer: Answer::Awaited });
    }

    /// Passes over the value that the dump stands before, where it is of an unknown type, and copies or sets it aside.
    /// Tells whether nothing of it is left.
    pub(super) fn pass_unknown(&mut self, input: &mut BytesMut) -> Result<bool, Fault> {
        let Some(unknown) = &self.unknown else { return Ok(true) };
        let Answer::Given(given) = &unknown.answer else { return Ok(false) };
        let payload = given.as_deref().and_then(Payload::parse);
        if !self.dump.skip_body(input, payload.as_ref()).map_err(|error| unreadable(&error))? {
            return Ok(false);
        }
        if let Some(Unknown { key, type_code, answer: Answer::Given(Some(payload)) }) = self.unknown.take()
            && self.is_wanted(&key)
            && self.has_room_for(&key)
        {
            self.restore_unknown(&key, type_code, &payload);
        }
        Ok(true)
    }

    /// A target of the same family may know the type although Duet does not. If it does not either, or is too old, it
    /// says so inside of the transaction and keeps what it has: that is told as a refusal.
    fn restore_unknown(&mut self, key: &Key, type_code: u8, payload: &[u8]) {
        if self.dump.dialect() == self.rules.restorable.dialect {
            let Some(writes) = self.arrival(key) else { return };
            self.put(&key.name, value(key, restore(key, payload), 1), &writes);
        } else {
            let why = "Duet does not know this type, and the target is of another family than the source";
            self.set_aside(Some(key), format!("value of type {type_code}"), why.to_owned());
        }
    }
}
