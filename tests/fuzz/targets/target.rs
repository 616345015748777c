use bytes::BytesMut;
use duet::wire::resp::{Command, FrameReader, command};

/// A server that executes transactions: it answers, and keeps what a replica would be sent.
#[derive(Debug, Default)]
pub struct Server {
    waiting: Vec<u8>,
    queued: Option<Vec<Vec<u8>>>,
    /// What it would send to a replica.
    pub stream: BytesMut,
}

impl Server {
    /// Takes requests, which must be whole in the end, and gives the replies.
    pub fn execute(&mut self, requests: &[u8]) -> BytesMut {
        self.waiting.extend_from_slice(requests);
        let (mut reader, mut at, mut replies) = (FrameReader::new(), 0, BytesMut::new());
        while let Some(length) = reader.next(&self.waiting[at..]).expect("requests") {
            let request = &self.waiting[at..at + length];
            let words: Vec<&[u8]> = Command::new(request, reader.arguments()).args().collect();
            match (words[0], &mut self.queued) {
                (b"MULTI", queued @ None) => {
                    *queued = Some(Vec::new());
                    replies.extend_from_slice(b"+OK\r\n");
                }
                (b"EXEC", queued @ Some(_)) => {
                    let done = queued.take().unwrap_or_default();
                    replies.extend_from_slice(format!("*{}\r\n", done.len()).as_bytes());
                    for request in &done {
                        let refused = request.windows(7).any(|word| word == b"refused");
                        replies.extend_from_slice(if refused { b"-WRONGTYPE no\r\n" } else { b"+OK\r\n" });
                    }
                    self.stream.extend_from_slice(&command(&["MULTI"]));
                    done.iter().for_each(|request| self.stream.extend_from_slice(request));
                    self.stream.extend_from_slice(&command(&["EXEC"]));
                }
                (name, Some(queued)) => {
                    assert!(name != b"MULTI", "a transaction in a transaction");
                    if queued.is_empty() {
                        assert!(name == b"SET" && words[1].starts_with(b"duet:p:marker:"), "the marker comes first");
                    }
                    queued.push(request.to_vec());
                    replies.extend_from_slice(b"+QUEUED\r\n");
                }
                (_, None) => replies.extend_from_slice(b"+OK\r\n"),
            }
            at += length;
        }
        self.waiting.drain(..at);
        replies
    }
}
