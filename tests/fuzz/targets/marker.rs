use duet::engine::conflict::{Note, field, held_value, parse_held};
use duet::engine::origin::{Marker, last_marker};
use duet::engine::position::Position;
use duet::engine::source::heartbeats;
use duet::wire::resp::command;

/// What stands in reserved keys, and in a stream of which nobody knows where commands begin.
pub fn marker(data: &[u8]) {
    if let Some((marker, note)) = Marker::parse_with_note(data) {
        let written = match &note {
            Note::Writes => marker.to_string(),
            note => format!("{marker} {note}"),
        };
        assert_eq!(Marker::parse_with_note(written.as_bytes()), Some((marker, note)));
        // What is counted on from what is believed is a marker, too.
        if let Some(Marker { id, epoch, time_ms, .. }) = Marker::believed(data) {
            let next = Marker { id: id + 1, epoch: epoch + 1, time_ms: time_ms + 1_000, ..marker };
            assert_eq!(Marker::parse(next.to_string().as_bytes()), Some(next));
        }
        let stream = [data, &command(&[b"SET".as_slice(), b"m", data])].concat();
        assert_eq!(last_marker(&stream, b"m"), Marker::believed(data));
    }
    let half = data.len() / 2;
    if let Some((name, order)) = parse_held(&data[..half], &data[half..]) {
        assert_eq!(parse_held(&field(&name), held_value(order).as_bytes()), Some((name, order)));
    }
    last_marker(data, b"m");
    heartbeats(data, Position::NONE, b"m");
}
