//! A server whose clock is off, for who asks it: what it answers to `TIME` is changed on the way.

use bytes::Bytes;

/// The answer to `TIME` begins so: two texts, of which the first has ten digits until the year 2286.
const BEGINS: &[u8] = b"*2\r\n$10\r\n";

/// `bytes` with each answer to `TIME` in them `ahead_ms` milliseconds later. An answer that was read in parts passes as it
/// is.
pub(super) fn shifted(bytes: &Bytes, ahead_ms: i64) -> Bytes {
    let mut shifted = Vec::with_capacity(bytes.len());
    let mut rest = bytes.as_ref();
    while let Some(at) = rest.windows(BEGINS.len()).position(|window| window == BEGINS) {
        let (before, answer) = rest.split_at(at);
        shifted.extend_from_slice(before);
        match time_us(answer) {
            Some((time_us, length)) => {
                let time_us = time_us + ahead_ms * 1_000;
                let (seconds, micros) = (time_us / 1_000_000, (time_us % 1_000_000).to_string());
                shifted.extend_from_slice(
                    format!("*2\r\n$10\r\n{seconds}\r\n${}\r\n{micros}\r\n", micros.len()).as_bytes(),
                );
                rest = &answer[length..];
            }
            None => {
                shifted.extend_from_slice(BEGINS);
                rest = &answer[BEGINS.len()..];
            }
        }
    }
    shifted.extend_from_slice(rest);
    shifted.into()
}

/// The time in an answer, and how many bytes it has.
fn time_us(answer: &[u8]) -> Option<(i64, usize)> {
    let mut lines = answer.split_inclusive(|byte| *byte == b'\n').skip(2);
    let mut number = || std::str::from_utf8(lines.next()?.strip_suffix(b"\r\n")?).ok();
    let seconds: i64 = number()?.parse().ok()?;
    let digits: usize = number()?.strip_prefix('$')?.parse().ok()?;
    let micros = number()?;
    let length = BEGINS.len() + 12 + format!("${digits}\r\n").len() + digits + 2;
    (micros.len() == digits).then_some((seconds * 1_000_000 + micros.parse::<i64>().ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_to_time_is_shifted_and_nothing_else() {
        let answers = Bytes::from_static(
            b"+OK\r\n*2\r\n$10\r\n1700000000\r\n$6\r\n999000\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n7\r\n*2\r\n$10\r\nthousandth\r\n$1\r\nx\r\n",
        );
        let expected =
            b"+OK\r\n*2\r\n$10\r\n1700000003\r\n$4\r\n1000\r\n*2\r\n$10\r\n1700000002\r\n$4\r\n2007\r\n*2\r\n$10\r\nthousandth\r\n$1\r\nx\r\n";
        assert_eq!(shifted(&answers, 2_002), expected.as_slice());
    }

    #[test]
    fn an_answer_in_parts_passes_as_it_is() {
        for part in [b"*2\r\n$10\r\n17000".as_slice(), b"*2\r\n$10\r\n1700000000\r\n$6\r\n99"] {
            assert_eq!(shifted(&Bytes::copy_from_slice(part), 5), part);
        }
    }
}
