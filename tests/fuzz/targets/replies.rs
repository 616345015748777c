use bytes::Bytes;
use duet::wire::resp::{ReplyReader, TokenError};
use redis_protocol::resp2::decode::decode_bytes as decode_2;
use redis_protocol::resp3::decode::complete::decode_bytes as decode_3;

/// The replies of a server, of both protocols: their ends are found the same however they arrive, and what was found can be
/// decoded, by a decoder that calls itself.
pub fn replies(data: &[u8]) {
    let (step, data) = super::choice(data);
    let whole = ends(data, usize::MAX);
    assert_eq!(whole, ends(data, usize::from(step).max(1)));
    let mut from = 0;
    for end in whole.0 {
        let bytes = Bytes::copy_from_slice(&data[from..end]);
        // Not every decoder takes all that is found to be whole; but none takes another length.
        if let Ok(Some((_, length))) = decode_2(&bytes) {
            assert_eq!(length, end - from);
        }
        if let Ok(Some((_, length))) = decode_3(&bytes) {
            assert_eq!(length, end - from);
        }
        from = end;
    }
}

/// Where the replies in `data` end, read `step` bytes at a time, and what is wrong behind the last one.
fn ends(data: &[u8], step: usize) -> (Vec<usize>, Option<TokenError>) {
    let (mut reader, mut ends) = (ReplyReader::default(), Vec::new());
    let (mut at, mut end) = (0, 0);
    while end < data.len() {
        end = end.saturating_add(step).min(data.len());
        loop {
            match reader.next(&data[at..end]) {
                Ok(Some(length)) => {
                    at += length;
                    ends.push(at);
                }
                Ok(None) => break,
                Err(error) => return (ends, Some(error)),
            }
        }
    }
    (ends, None)
}
