//! Streams in an older form: what each version of Redis added to them lies beside what was there before.

use super::layout::{Part, Step};
use super::measure::{Walk, extent};

/// The type codes that a stream can be written in, the newest first.
pub(super) const FORMS: [u8; 4] = [26, 21, 19, 15];

/// The encoded stream `body`, of the layout `steps`, as a value of the type code `to`.
///
/// `None` when it isn't of that layout, or has entries that are pending at no consumer, which older servers don't expect.
pub(super) fn stream(steps: &'static [Step], mut body: &[u8], to: u8) -> Option<Vec<u8>> {
    let mut older = Vec::with_capacity(body.len());
    let mut walk = Walk::new(steps);
    while let Some(step) = walk.step() {
        let extent = extent(step, body).ok()??;
        let (bytes, rest) = body.split_at_checked(usize::try_from(extent.size).ok()?)?;
        let part = match step {
            Step::Number(part) | Step::String(part) | Step::Packed(_, part) | Step::Raw(_, part) => part,
            Step::Each(Part::Unowned, _) if extent.number > 0 => return None,
            Step::Each(part, _) => part,
            Step::Digits | Step::Count | Step::Repeat(_) | Step::Tagged | Step::Opcodes => return None,
        };
        if part.since() <= to {
            older.extend_from_slice(bytes);
        }
        walk.pass(extent.number).ok()?;
        body = rest;
    }
    body.is_empty().then_some(older)
}
