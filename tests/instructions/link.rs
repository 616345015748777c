//! A link without sockets, and a target that executes everything.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use duet::command::Capabilities;
use duet::engine::apply::{Applied, Applier, Bounds, Identity};
use duet::engine::conflict::SharedExchange;
use duet::engine::conflict::departed::{DeletePolicy, Deletes};
use duet::engine::origin::ReservedKeys;
use duet::engine::position::{Position, ReplicationId};
use duet::engine::source::StreamClock;
use duet::engine::stream::{Beginning, Event, Now, Rules, Stream};
use duet::wire::resp::{Command, FrameReader, push_command};

use super::under_count;

/// The names of the regions.
const REGIONS: [&str; 2] = ["a", "b"];
/// Where both histories begin, bytes.
const BEGIN: u64 = 1000;
/// When, Unix milliseconds.
const BEGIN_MS: i64 = 1_000_000;
/// Bytes of one read, as the daemon's.
const READ: usize = 256 * 1024;
/// As the default configuration.
pub const BOUNDS: Bounds = Bounds { batch_commands: 512, batch_bytes: 256 * 1024, in_flight: 256 };

/// A link from one region to the other one.
pub struct Link {
    stream: Stream,
    region: usize,
    input: BytesMut,
    now_ms: i64,
}

/// Both links of a pair.
pub fn pair() -> [Link; 2] {
    let exchange = SharedExchange::default();
    [0, 1].map(|region| Link::new(region, Arc::clone(&exchange)))
}

impl Link {
    fn new(region: usize, exchange: SharedExchange) -> Self {
        let (origin, peer) = (REGIONS[region], REGIONS[1 - region]);
        let reserved = ReservedKeys::new("duet:", "p");
        let identity = Identity { marker: reserved.marker(origin), gate: reserved.gate(origin), epoch: 3, first_id: 1 };
        let rules = Rules {
            publish: false,
            flush: true,
            swapdb: true,
            target: Capabilities::all(),
            databases: 16,
            heartbeat_expire_ms: 60_000,
            reserved,
            exchange,
            departed: Arc::default(),
            deletes: DeletePolicy { expiry: Deletes::Events, eviction: Deletes::Events },
            fields_expire: false,
            linger_ms: 1_000,
            region,
            seed: 1,
            causal: true,
            source_onto: Arc::default(),
            target_onto: Arc::default(),
            origin: origin.to_owned(),
            peer: peer.to_owned(),
        };
        let replication_id: ReplicationId = origin.repeat(40).parse().expect("40 digits");
        let position = Position { replication_id, offset: BEGIN, database: 0 };
        let clock = StreamClock::new((BEGIN, BEGIN_MS), (BEGIN, BEGIN_MS), 250);
        let applier = Applier::new(identity, BOUNDS);
        let stream = Stream::new(rules, applier, clock, Beginning::fresh(position), None);
        Self { stream, region, input: BytesMut::new(), now_ms: BEGIN_MS }
    }

    /// Reads what its source has written, as far as there is room for it; counted.
    pub fn read(&mut self, mut written: &[u8]) {
        while !written.is_empty() {
            let (now, rest) = written.split_at(written.len().min(READ));
            self.input.extend_from_slice(now);
            written = rest;
            self.go_on();
        }
    }

    /// The target executes all that has been sent: what its stream then holds of it. Counted but for the target.
    pub fn execute(&mut self) -> Vec<u8> {
        let mut stream = Vec::new();
        loop {
            let sent: Vec<Bytes> = under_count(|| self.stream.applier().out().drain(..).collect());
            if sent.is_empty() {
                let (behind, left) = (self.stream.is_behind(), self.input.len());
                if !behind && left == 0 {
                    return stream;
                }
                self.go_on();
                assert!(behind || self.input.len() < left, "something is not read for want of room");
                continue;
            }
            let executed = execute(&sent.concat());
            stream.extend(executed.stream);
            let (mut replies, mut applied) = (BytesMut::from(&executed.replies[..]), Vec::<Applied>::new());
            let now = self.now();
            under_count(|| self.stream.on_target(&mut replies, now, &mut applied)).expect("replies");
            assert!(replies.is_empty(), "whole replies");
            self.go_on();
        }
    }

    /// A heartbeat at its source, some time later.
    pub fn beat(&mut self) -> Vec<u8> {
        self.now_ms += 250;
        let key = ReservedKeys::new("duet:", "p").heartbeat(REGIONS[self.region]);
        let mut beat = Vec::new();
        push_command(&mut beat, &[b"SET", &key[..], self.now_ms.to_string().as_bytes()]);
        beat
    }

    /// What others have to know.
    pub fn events(&mut self) -> Vec<Event> {
        self.stream.events().collect()
    }

    /// Transactions of the other link that were read.
    pub fn echoes(&self) -> u64 {
        self.stream.echoes()
    }

    /// Its source's writes of which it is not known whether something is concurrent.
    pub fn unstable(&self) -> usize {
        self.stream.unstable()
    }

    fn go_on(&mut self) {
        let now = self.now();
        under_count(|| self.stream.on_source(&mut self.input, now)).expect("a stream");
    }

    fn now(&self) -> Now {
        Now { source_ms: self.now_ms, beating: true }
    }
}

/// What a server does with requests.
pub struct Executed {
    /// What it answers.
    pub replies: Vec<u8>,
    /// The transactions, as its stream holds them.
    pub stream: Vec<u8>,
    /// How many commands were in transactions.
    pub commands: usize,
}

/// Executes requests, each with success.
pub fn execute(mut requests: &[u8]) -> Executed {
    let mut executed = Executed { replies: Vec::new(), stream: Vec::new(), commands: 0 };
    let (mut reader, mut queued) = (FrameReader::new(), None::<usize>);
    while let Some(length) = reader.next(requests).expect("requests") {
        let (request, rest) = requests.split_at(length);
        let command = Command::new(request, reader.arguments());
        match (command.name(), &mut queued) {
            (b"MULTI", _) => {
                queued = Some(0);
                executed.replies.extend_from_slice(b"+OK\r\n");
                executed.stream.extend_from_slice(request);
            }
            (b"EXEC", Some(count)) => {
                executed.replies.extend_from_slice(format!("*{count}\r\n").as_bytes());
                executed.replies.extend_from_slice(&b"+OK\r\n".repeat(*count));
                executed.stream.extend_from_slice(request);
                executed.commands += *count;
                queued = None;
            }
            (_, Some(count)) => {
                *count += 1;
                executed.replies.extend_from_slice(b"+QUEUED\r\n");
                executed.stream.extend_from_slice(request);
            }
            // WATCH, and the guard, which changes nothing.
            (_, None) => executed.replies.extend_from_slice(b"+OK\r\n"),
        }
        requests = rest;
    }
    assert!(requests.is_empty(), "whole requests");
    executed
}
