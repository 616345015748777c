use duet::wire::resp::{Command, FrameReader, command};

/// The frames of a replication stream: found the same however they arrive, and written again they say the same.
pub fn frames(data: &[u8]) {
    let (step, data) = super::choice(data);
    let whole = found(data, usize::MAX);
    assert_eq!(whole, found(data, usize::from(step).max(1)));
    for frame in whole.0.iter().filter(|frame| !frame.is_empty()) {
        let (again, failed) = found(&command(frame), usize::MAX);
        assert!(!failed && again == [frame.clone()]);
    }
}

/// The frames in `data`, read `step` bytes at a time, and whether it ends in something that is none.
fn found(data: &[u8], step: usize) -> (Vec<Vec<Vec<u8>>>, bool) {
    let (mut reader, mut frames) = (FrameReader::new(), Vec::new());
    let (mut at, mut end) = (0, 0);
    while end < data.len() {
        end = end.saturating_add(step).min(data.len());
        loop {
            match reader.next(&data[at..end]) {
                Ok(Some(length)) => {
                    let frame = Command::new(&data[at..at + length], reader.arguments());
                    frames.push(frame.args().map(<[u8]>::to_vec).collect());
                    at += length;
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(error.to_string().len() < 200);
                    return (frames, true);
                }
            }
        }
    }
    (frames, false)
}
