//! A key whose value came whole.

use super::decoder::{Decoder, Progress};
use super::payload::payload;
use super::text::Span;
use super::{Dialect, DumpError, Element, Fault, Key, Kind, Restorable, layout, older};
use bytes::Bytes;
use std::sync::Arc;

/// A key with its encoded value, exactly as in the dump. It shares the memory that the dump was read into: who keeps it
/// for long should copy it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Key,
    /// The dialect that the value is written in.
    pub dialect: Dialect,
    /// The code of the value's type and encoding (`rdb.h`, RDB_TYPE_*).
    pub type_code: u8,
    /// The encoded value.
    pub body: Bytes,
}

impl Record {
    /// The value as it is, where it is a string; `None` where it isn't one.
    ///
    /// # Errors
    /// [`DumpError`] when it is compressed and doesn't expand.
    pub fn text(&self) -> Option<Result<Bytes, DumpError>> {
        if self.type_code != 0 {
            return None;
        }
        let text = match Span::read(&self.body).and_then(|span| span.ok_or(Fault::Truncated)?.bounded("a string")) {
            Ok(span) if span.size() == self.body.len() as u64 => span.decode(self.body.clone()),
            Ok(_) => Err(Fault::Truncated),
            Err(fault) => Err(fault),
        };
        Some(text.map_err(|fault| self.error(fault)))
    }

    /// What `RESTORE` takes at a server that takes the value as it is, see [`Restorable::takes`], and reads `rdb_version`.
    pub fn payload(&self, rdb_version: u32) -> Vec<u8> {
        payload(self.type_code, &self.body, rdb_version)
    }

    /// What `RESTORE` takes at `target`, or `None` where the value can only be written by its elements.
    ///
    /// A stream in a form that is too new for the target is written in an older one, without what that has no place for:
    /// a restored stream keeps entries that are pending but were deleted, which no command can write.
    pub fn payload_for(&self, target: &Restorable) -> Option<Vec<u8>> {
        if target.takes(self.dialect, self.type_code) {
            return Some(self.payload(target.rdb_version));
        }
        if self.key.kind != Kind::Stream {
            return None;
        }
        let older = older::FORMS.into_iter().find(|&code| code < self.type_code && target.takes(self.dialect, code))?;
        let (_, steps) = layout::of_type(self.dialect, self.type_code)?;
        Some(payload(older, &older::stream(steps, &self.body, older)?, target.rdb_version))
    }

    /// All elements of the value, in the order in which they rebuild it.
    ///
    /// # Errors
    /// As [`Self::pieces`].
    pub fn elements(&self) -> Result<Vec<Element>, DumpError> {
        self.pieces(usize::MAX).next().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// The elements of the value, in pieces of about `piece_bytes` of memory: a compressed value can take a hundred
    /// times its own size.
    ///
    /// # Errors
    /// [`DumpError`] when the value is not as its type demands, or of a kind that can't be taken apart.
    pub fn pieces(&self, piece_bytes: usize) -> impl Iterator<Item = Result<Vec<Element>, DumpError>> + '_ {
        let steps = layout::of_type(self.dialect, self.type_code);
        let steps = steps
            .filter(|(kind, _)| !matches!(kind, Kind::Module | Kind::Array | Kind::Unknown))
            .map(|(_, steps)| steps);
        let opaque = steps.is_none().then(|| Err(self.error(Fault::Opaque(self.type_code))));
        let mut decoding = steps.map(|steps| (Decoder::new(steps, piece_bytes, Arc::default()), self.body.clone()));
        let pieces = std::iter::from_fn(move || {
            let (decoder, body) = decoding.as_mut()?;
            let progress = match decoder.run(body) {
                Ok(Progress::Finished) if !body.is_empty() => Err(Fault::Malformed("bytes follow the value")),
                Ok(Progress::Starved) => Err(Fault::Truncated),
                progress => progress,
            };
            let piece = decoder.take();
            match progress {
                Ok(Progress::Full) => return Some(Ok(piece)),
                Ok(_) => decoding = None,
                Err(fault) => {
                    decoding = None;
                    return Some(Err(self.error(fault)));
                }
            }
            (!piece.is_empty()).then_some(Ok(piece))
        });
        opaque.into_iter().chain(pieces)
    }

    fn error(&self, fault: Fault) -> DumpError {
        DumpError { at: 0, key: Some(self.key.name.clone()), fault }
    }
}
