//! LZF, the compression of strings in dumps (liblzf): instructions of literal bytes and of copies from the last 8 KiB.

use super::Fault;
use bytes::Bytes;

/// How far back a copy can reach, in bytes.
const WINDOW: usize = 8192;

/// How many bytes one compressed byte can become at most: a copy of 264 bytes is written in 3.
const RATIO: u64 = 88;

/// Expands a string that is there as a whole.
///
/// # Errors
/// [`Fault::Malformed`] when it isn't LZF, or doesn't become `expanded` bytes.
pub(super) fn expand(compressed: &[u8], expanded: u64) -> Result<Bytes, Fault> {
    let wanted = plausible(compressed.len() as u64, expanded)?;
    let mut out = Vec::with_capacity(wanted);
    // One byte more than is wanted tells enough.
    let used = run(compressed, &mut out, wanted.saturating_add(1))?;
    match used == compressed.len() && out.len() as u64 == expanded {
        true => Ok(out.into()),
        false => Err(Fault::Malformed("a compressed string has another length than the dump says")),
    }
}

/// Expands a string as it arrives, holding a window of it.
#[derive(Debug)]
pub(super) struct Expander {
    out: Vec<u8>,
    history: usize,
    compressed_left: u64,
    expanded_left: u64,
}

impl Expander {
    /// An expander of `compressed` bytes to `expanded`.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when so few bytes can't become so many.
    pub(super) fn new(compressed: u64, expanded: u64) -> Result<Self, Fault> {
        plausible(compressed, expanded)?;
        Ok(Self { out: Vec::new(), history: 0, compressed_left: compressed, expanded_left: expanded })
    }

    /// Whether all of the string was taken.
    pub(super) fn is_done(&self) -> bool {
        self.compressed_left == 0 && self.out.len() == self.history
    }

    /// Expands from the start of `bytes` until there are `enough` bytes to take or more are needed; returns how many
    /// bytes were used.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when it isn't LZF or becomes another number of bytes than was said.
    pub(super) fn push(&mut self, bytes: &[u8], enough: usize) -> Result<usize, Fault> {
        let left = usize::try_from(self.compressed_left).unwrap_or(usize::MAX);
        let input = bytes.get(..left).unwrap_or(bytes);
        let before = self.out.len();
        let used = run(input, &mut self.out, self.history.saturating_add(enough))?;
        self.compressed_left -= used as u64;
        let wrong = Fault::Malformed("a compressed string has another length than the dump says");
        self.expanded_left = self.expanded_left.checked_sub((self.out.len() - before) as u64).ok_or(wrong)?;
        let stuck = input.len() == left && used < left && self.ready() < enough;
        if stuck || (self.compressed_left == 0 && self.expanded_left != 0) {
            return Err(wrong);
        }
        Ok(used)
    }

    /// How many expanded bytes can be taken.
    pub(super) fn ready(&self) -> usize {
        self.out.len() - self.history
    }

    /// Whether no more compressed bytes are to come.
    pub(super) fn is_complete(&self) -> bool {
        self.compressed_left == 0
    }

    /// Takes what was expanded since the last time.
    pub(super) fn take(&mut self) -> Bytes {
        let taken = Bytes::copy_from_slice(&self.out[self.history..]);
        self.out.drain(..self.out.len().saturating_sub(WINDOW));
        self.history = self.out.len();
        taken
    }
}

/// `expanded` as a capacity, where `compressed` bytes can become so many.
fn plausible(compressed: u64, expanded: u64) -> Result<usize, Fault> {
    match expanded <= compressed.saturating_mul(RATIO) {
        true => usize::try_from(expanded).map_err(|_| Fault::Malformed("a compressed string is too long")),
        false => Err(Fault::Malformed("a compressed string claims to be longer than its bytes can become")),
    }
}

/// Carries out whole instructions until `out` has `enough` bytes or `input` ends; returns how many bytes they took.
fn run(input: &[u8], out: &mut Vec<u8>, enough: usize) -> Result<usize, Fault> {
    let mut at = 0;
    while out.len() < enough {
        let Some(&control) = input.get(at) else { break };
        let control = usize::from(control);
        if control < 32 {
            let Some(literal) = input.get(at + 1..at + 2 + control) else { break };
            out.extend_from_slice(literal);
            at += 2 + control;
            continue;
        }
        let (longer, low_at) = match control >> 5 {
            7 => match input.get(at + 1) {
                Some(&more) => (7 + usize::from(more), at + 2),
                None => break,
            },
            short => (short, at + 1),
        };
        let Some(&low) = input.get(low_at) else { break };
        copy(out, ((control & 0x1f) << 8 | usize::from(low)) + 1, longer + 2)?;
        at = low_at + 1;
    }
    Ok(at)
}

/// Appends `count` bytes from `back` bytes before the end; the copy may reach into what it appends.
fn copy(out: &mut Vec<u8>, back: usize, count: usize) -> Result<(), Fault> {
    let start =
        out.len().checked_sub(back).ok_or(Fault::Malformed("a compressed string refers to before its start"))?;
    let mut left = count;
    while left > 0 {
        let run = left.min(out.len() - start);
        out.extend_from_within(start..start + run);
        left -= run;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_reads(compressed: &[u8], expanded: usize, read: usize, piece: usize) -> Result<Vec<u8>, Fault> {
        let mut expander = Expander::new(compressed.len() as u64, expanded as u64)?;
        let (mut from, mut to, mut text) = (0, 0, Vec::new());
        while !expander.is_done() {
            let used = expander.push(&compressed[from..to], piece)?;
            from += used;
            if expander.ready() >= piece || expander.is_complete() {
                text.extend_from_slice(&expander.take());
            } else {
                to = (to + read).min(compressed.len());
            }
        }
        Ok(text)
    }

    #[test]
    fn a_copy_may_reach_into_itself() {
        assert_eq!(expand(&[0, b'a', 0xe0, 10, 0], 20).expect("valid"), vec![b'a'; 20]);
    }

    #[test]
    fn a_bomb_is_refused_before_it_expands() {
        assert!(expand(&[0, b'a', 0xe0, 255, 0], 1 << 40).is_err());
        assert!(Expander::new(5, 1 << 40).is_err());
        assert!(expand(&[0, b'a', 0xe0, 255, 9], 265).is_err());
        // It says little, and becomes much: what is over the first byte too many is not expanded.
        let mut out = Vec::new();
        let bomb = [&[0, b'a'][..], &[0xe0, 255, 0].repeat(100_000)].concat();
        assert!(expand(&bomb, 300_002).is_err());
        let used = run(&bomb, &mut out, 300_003).expect("copies");
        assert!(used < bomb.len() && out.len() < 300_003 + 264);
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(words in prop::collection::vec(0u8..6, 0..4000), read in 1usize..50, piece in 1usize..9000) {
            let text: Vec<u8> = words.iter().flat_map(|w| std::iter::repeat_n(b'a' + w, 1 + usize::from(*w) * 9)).collect();
            if let Ok(compressed) = lzf::compress(&text) {
                prop_assert_eq!(&expand(&compressed, text.len() as u64).expect("valid")[..], &text[..]);
                prop_assert_eq!(in_reads(&compressed, text.len(), read, piece).expect("valid"), text);
            }
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), expanded in 0u64..20_000, piece in 1usize..500) {
            let whole = expand(&bytes, expanded);
            let pieces = in_reads(&bytes, expanded as usize, 7, piece);
            prop_assert_eq!(whole.is_ok(), pieces.is_ok());
        }
    }
}
