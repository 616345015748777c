use std::sync::Arc;

use bytes::BytesMut;
use duet::command::Capabilities;
use duet::engine::apply::{Applier, Bounds, Identity};
use duet::engine::conflict::departed::{DeletePolicy, Deletes};
use duet::engine::origin::ReservedKeys;
use duet::engine::position::{Position, ReplicationId};
use duet::engine::source::StreamClock;
use duet::engine::stream::{Beginning, Now, Rules, Stream};
use duet::wire::resp::push_command;

use super::target::Server;

/// The clients of two regions, a command a line (`_` is a space in a word), and both links between them. A line that begins with
/// `<` is of the second region; `!`, with the time in milliseconds behind it, lets both links read what there is. Requests that come out are whole, in
/// transactions that begin with a marker, and what each region executed goes on to the other link.
pub fn stream(data: &[u8]) {
    let mut pair = Pair::new();
    for line in data.split(|byte| *byte == b'\n') {
        match line.split_first() {
            Some((b'!', time)) => {
                let time = std::str::from_utf8(time).ok().and_then(|time| time.trim().parse().ok());
                pair.now_ms = time.filter(|time| (0..1 << 52).contains(time)).unwrap_or(pair.now_ms + 100);
                if !pair.turn() {
                    return;
                }
            }
            Some((b'<', line)) => pair.client(1, line),
            _ => pair.client(0, line),
        }
    }
    for _ in 0..4 {
        pair.now_ms += 1_000;
        if !pair.turn() {
            return;
        }
    }
}

struct Pair {
    links: [Stream; 2],
    inputs: [BytesMut; 2],
    servers: [Server; 2],
    now_ms: i64,
}

impl Pair {
    fn new() -> Self {
        let (exchange, ontos) = (Arc::default(), [Arc::default(), Arc::default()]);
        let links = [0, 1].map(|region: usize| {
            let names = if region == 0 { ["a", "b"] } else { ["b", "a"] };
            let reserved = ReservedKeys::new("duet:", "p");
            let identity =
                Identity { marker: reserved.marker(names[0]), gate: reserved.gate(names[0]), epoch: 3, first_id: 1 };
            let rules = Rules {
                publish: true,
                flush: true,
                swapdb: true,
                target: Capabilities::all(),
                databases: 16,
                heartbeat_expire_ms: 60_000,
                reserved,
                exchange: Arc::clone(&exchange),
                departed: Arc::default(),
                deletes: DeletePolicy { expiry: Deletes::Compare, eviction: Deletes::Compare },
                fields_expire: true,
                linger_ms: 1_000,
                region,
                seed: 1,
                causal: true,
                source_onto: Arc::clone(&ontos[region]),
                target_onto: Arc::clone(&ontos[1 - region]),
                origin: names[0].to_owned(),
                peer: names[1].to_owned(),
            };
            let replication_id: ReplicationId = names[0].repeat(40).parse().expect("40 digits");
            let position = Position { replication_id, offset: 1000, database: 0 };
            let clock = StreamClock::new((1000, 999_000), (1000, 999_000), 250);
            let bounds = Bounds { batch_commands: 8, batch_bytes: 4096, in_flight: 4 };
            Stream::new(rules, Applier::new(identity, bounds), clock, Beginning::fresh(position), None)
        });
        Self { links, inputs: Default::default(), servers: Default::default(), now_ms: 1_000_000 }
    }

    /// A client of this region writes.
    fn client(&mut self, region: usize, line: &[u8]) {
        let word = |word: &[u8]| word.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect::<Vec<u8>>();
        let mut request = Vec::new();
        push_command(&mut request, &line.split(|byte| *byte == b' ').map(word).collect::<Vec<_>>());
        self.inputs[region].extend_from_slice(&request);
    }

    /// Both links read what there is, until nothing comes of it any more; false when one of them has failed.
    fn turn(&mut self) -> bool {
        let now = Now { source_ms: self.now_ms, beating: true };
        for _ in 0..20 {
            let mut moved = false;
            for region in [0, 1] {
                let (link, target) = (&mut self.links[region], &mut self.servers[1 - region]);
                if link.on_source(&mut self.inputs[region], now).is_err() {
                    return false;
                }
                link.events().count();
                let out = link.applier().out().drain(..).collect::<Vec<_>>().concat();
                moved |= !out.is_empty();
                let mut replies = target.execute(&out);
                if link.on_target(&mut replies, now, &mut Vec::new()).is_err() {
                    return false;
                }
                link.events().count();
                let executed = target.stream.split();
                self.inputs[1 - region].extend_from_slice(&executed);
            }
            if !moved {
                return true;
            }
        }
        true
    }
}
