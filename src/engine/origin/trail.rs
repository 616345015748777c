//! The marker that a client has removed, found in the stream of the server that held it.
//!
//! `FLUSHALL`, and a `FLUSHDB` or `SWAPDB` that touches database 0, take a link's marker away. Until it is written again
//! nothing but the stream tells how far the link has come: the last transaction that the server executed for it stands
//! there, with its marker. What stands behind it was executed without us.

use memchr::memmem;

use super::Marker;
use crate::wire::resp::{Command, FrameReader, command};

/// The marker `key` that was set last in `stream`: the end of a server's history, from any byte on, to the end of a
/// command. `None` where it was not set in there, or was deleted by its name since: that is somebody's order.
pub fn last_marker(stream: &[u8], key: &[u8]) -> Option<Marker> {
    let mut beginning = command(&[b"SET".as_slice(), key, b""]);
    // Of the third argument only the sign of its length is known.
    beginning.truncate(beginning.len() - b"0\r\n\r\n".len());
    let mut before = stream.len();
    loop {
        // From where the stream is given nobody knows where commands begin, and a value may hold what looks like one: that
        // does not go on, command by command, to the very end.
        let from = memmem::rfind(stream.get(..before)?, &beginning)?;
        if let Some(found) = read(stream.get(from..)?, key) {
            return match found {
                Found::Marker(marker) => Some(marker),
                Found::Nothing => None,
            };
        }
        before = from + beginning.len() - 1;
    }
}

/// What commands say of the marker.
enum Found {
    Marker(Marker),
    /// It was deleted, or is no marker.
    Nothing,
}

/// Reads commands, the first of which sets the marker; `None` where they are none, or don't end with the stream.
fn read(mut stream: &[u8], key: &[u8]) -> Option<Found> {
    let mut reader = FrameReader::new();
    let (mut database, mut found) = (0, Found::Nothing);
    while !stream.is_empty() {
        let length = reader.next(stream).ok()??;
        let frame = stream.get(..length)?;
        let command = Command::new(frame, reader.arguments());
        let is = |name: &str| command.name().eq_ignore_ascii_case(name.as_bytes());
        if is("SELECT") {
            database = std::str::from_utf8(command.arg(1)).ok()?.parse().ok()?;
        } else if database == 0 && is("SET") && command.arg(1) == key {
            found = Marker::believed(command.arg(2)).map_or(Found::Nothing, Found::Marker);
        } else if database == 0 && (is("DEL") || is("UNLINK")) && command.args().skip(1).any(|name| name == key) {
            found = Found::Nothing;
        }
        stream = stream.get(length..)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::checkpoint::Checkpoint;
    use crate::engine::position::Position;

    const KEY: &[u8] = b"duet:orders:marker:eu";

    fn marker(id: u64) -> Marker {
        Checkpoint::streaming(Position { offset: 500 + id, ..Position::NONE }, 9).marker(3, id)
    }

    fn sets(id: u64) -> Vec<u8> {
        command(&[b"SET".as_slice(), KEY, marker(id).to_string().as_bytes()])
    }

    fn line(text: &str) -> Vec<u8> {
        command(&text.split(' ').collect::<Vec<_>>())
    }

    fn told(parts: &[Vec<u8>]) -> Option<u64> {
        last_marker(&parts.concat(), KEY).map(|marker| marker.id)
    }

    #[test]
    fn the_last_marker_is_found_behind_half_a_command() {
        let half = b"234567\r\n$3\r\nabc\r\n".to_vec();
        let multi = [line("MULTI"), sets(7), line("incr n"), line("EXEC")].concat();
        assert_eq!(told(&[half.clone(), sets(6), multi.clone(), line("FLUSHALL"), line("SET k v")]), Some(7));
        assert_eq!(told(&[half, line("FLUSHALL")]), None);
        assert_eq!(told(&[]), None);
        assert_eq!(last_marker(&multi, b"duet:orders:marker:us"), None, "that of the other link");
    }

    #[test]
    fn what_a_value_holds_is_no_marker() {
        let value = command(&[b"SET".as_slice(), b"copied", &[sets(9), line("SET a b")].concat()]);
        assert_eq!(told(&[sets(5), value.clone(), line("FLUSHALL")]), Some(5));
        assert_eq!(told(&[value, line("FLUSHALL")]), None);
        let cut = [b"SET".as_slice(), b"copied", &sets(9)[..40]];
        assert_eq!(told(&[sets(5), command(&cut), line("FLUSHALL")]), Some(5));
    }

    #[test]
    fn a_marker_that_was_deleted_by_its_name_is_not_found() {
        let del = |name: &str| command(&[name.as_bytes(), b"other", KEY]);
        assert_eq!(told(&[sets(5), del("DEL"), line("PING")]), None);
        assert_eq!(told(&[sets(5), del("unlink")]), None);
        assert_eq!(told(&[sets(5), del("DEL"), sets(6), line("FLUSHALL")]), Some(6));
        assert_eq!(told(&[sets(5), line("SELECT 1"), del("DEL"), line("SELECT 0")]), Some(5), "where it was moved to");
        assert_eq!(told(&[sets(5), command(&[b"SET".as_slice(), KEY, b"nothing of ours"])]), None);
    }
}
