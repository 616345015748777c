//! Bytes in JSON: as text that can be shown anywhere, and exactly.

use base64::prelude::{BASE64_STANDARD, Engine};

/// Bytes as text, with everything that isn't printable ASCII as `\x..`; and in base64 where that is not the same.
pub(super) fn shown(bytes: &[u8]) -> (String, Option<String>) {
    let text = bytes.escape_ascii().to_string();
    let base64 = (text.as_bytes() != bytes).then(|| encoded(bytes));
    (text, base64)
}

/// Bytes in base64.
pub(super) fn encoded(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The bytes that were [`shown`]; `None` when the base64 is none.
pub(super) fn bytes(text: &str, base64: Option<&str>) -> Option<Vec<u8>> {
    match base64 {
        None => Some(text.as_bytes().to_vec()),
        Some(base64) => BASE64_STANDARD.decode(base64).ok(),
    }
}

/// The words of a request, the last one as far as it is there; whatever else the bytes are, as one word.
pub(super) fn words(request: &[u8]) -> Vec<&[u8]> {
    let mut reader = crate::wire::resp::FrameReader::new();
    match reader.next(request) {
        Err(_) => vec![request],
        Ok(whole_or_not) => {
            let mut words: Vec<_> = reader.arguments().iter().filter_map(|place| request.get(place.clone())).collect();
            if whole_or_not.is_none() {
                let end = reader.arguments().last().map_or(0, |last| last.end + 2);
                words.extend(begun(request.get(end..).unwrap_or_default()));
            }
            words
        }
    }
}

/// What is there of a word that was cut: what follows its length.
fn begun(rest: &[u8]) -> Option<&[u8]> {
    let length = rest.iter().position(|&byte| byte == b'$')?;
    let start = length + rest.get(length..)?.iter().position(|&byte| byte == b'\n')? + 1;
    rest.get(start..).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::resp::command;
    use proptest::prelude::*;

    #[test]
    fn a_request_that_was_cut_shows_what_is_there() {
        let request = command(&["SET", "key", "0123456789"]);
        assert_eq!(words(&request), [b"SET".as_slice(), b"key", b"0123456789"]);
        let cut = &request[..request.len() - 6];
        assert_eq!(words(cut), [b"SET".as_slice(), b"key", b"012345"]);
        assert_eq!(words(&request[..13]), [b"SET".as_slice()]);
        assert_eq!(words(b"nonsense"), [b"nonsense"]);
    }

    #[test]
    fn plain_text_needs_no_base64_and_other_bytes_have_it() {
        assert_eq!(shown(b"user:7"), ("user:7".into(), None));
        assert_eq!(shown(b"k\xff"), ("k\\xff".into(), Some("a/8=".into())));
        assert_eq!(bytes("x", Some("no base64!")), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_back(given in prop::collection::vec(any::<u8>(), 0..60)) {
            let (text, base64) = shown(&given);
            prop_assert_eq!(bytes(&text, base64.as_deref()), Some(given));
        }

        #[test]
        fn no_cut_panics(arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..6), at in 0usize..60) {
            let request = command(&arguments);
            let _ = words(&request[..at.min(request.len())]);
        }
    }
}
