//! What arrives on a connection.

use super::commands::{Reply, needs_memory};
use super::{Flavour, Replica, Server, Session, Text, encoded};
use crate::server::dump::dump;

impl Server {
    /// Executes the next request of a connection; tells whether there was a whole one.
    pub fn execute_next(&mut self, id: u64) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        let Some((args, length)) = request(&session.input) else { return false };
        session.input.drain(..length);
        if let Some(error) = self.refusal(id, &args) {
            return self.answer(id, &error);
        }
        let name = args[0].clone();
        let session = self.sessions.get_mut(&id).expect("it was there");
        match (&mut session.queue, name.as_slice()) {
            (Some(_), b"EXEC") => self.exec(id),
            (Some(queue), _) => {
                queue.push(args);
                session.output.extend_from_slice(b"+QUEUED\r\n");
                true
            }
            (None, _) => self.direct(id, args),
        }
    }

    /// Why the request is refused before it is executed or queued.
    fn refusal(&mut self, id: u64, args: &[Text]) -> Option<Reply> {
        let session = self.sessions.get_mut(&id)?;
        let queue = session.queue.as_ref();
        let queued = args[0] == b"EXEC" && queue.is_some_and(|queue| queue.iter().any(|args| needs_memory(&args[0])));
        let error = if self.denied.is_some_and(|name| name.as_bytes() == args[0]) {
            "NOPERM this user has no permissions to run this command"
        } else if args[0] == b"PEXPIRETIME" && self.flavour == Flavour::Redis62 {
            "ERR unknown command `PEXPIRETIME`"
        } else if self.full && (needs_memory(&args[0]) || queued) {
            "OOM command not allowed when used memory > 'maxmemory'."
        } else {
            return None;
        };
        if args[0] == b"EXEC" {
            session.queue = None;
            session.refused = false;
            session.watched.clear();
            session.dirty = false;
            return Some(Reply::Error(format!("EXECABORT Transaction discarded because of: {error}")));
        }
        session.refused |= session.queue.is_some();
        Some(Reply::Error(error.to_owned()))
    }

    fn answer(&mut self, id: u64, reply: &Reply) -> bool {
        if let Some(session) = self.sessions.get_mut(&id)
            && session.replica.is_none()
        {
            reply.encode(&mut session.output);
        }
        true
    }

    fn exec(&mut self, id: u64) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return true };
        let queue = session.queue.take().unwrap_or_default();
        let (refused, dirty) = (std::mem::take(&mut session.refused), std::mem::take(&mut session.dirty));
        session.watched.clear();
        let mut database = session.database;
        if refused {
            return self
                .answer(id, &Reply::Error("EXECABORT Transaction discarded because of previous errors.".to_owned()));
        }
        if dirty {
            self.sessions.get_mut(&id).expect("it was there").output.extend_from_slice(b"*-1\r\n");
            return true;
        }
        let (mut replies, mut effects) = (Vec::with_capacity(queue.len()), Vec::new());
        let is_marker = |args: &Vec<Text>| args[0] == b"SET" && args[1] == self.watched_key;
        let all_shown = self.defects.unchanged_shown && queue.iter().any(is_marker);
        for args in &queue {
            if args[0] == b"SELECT" {
                database = selected(args);
                replies.push(Reply::Ok);
                continue;
            }
            let before = effects.len();
            let reply = self.run(database, args, &mut effects);
            if all_shown && effects.len() == before && !matches!(reply, Reply::Error(_)) {
                effects.push((database, args.clone()));
            }
            replies.push(reply);
        }
        self.sessions.get_mut(&id).expect("it was there").database = database;
        if queue.iter().any(|args| args[0] == b"SET" && args[1] == self.watched_key) {
            let line = |args: &Vec<Text>| String::from_utf8_lossy(&args.join(&b' ')).into_owned();
            crate::trace(|| format!("  executed: {:?}", queue.iter().map(line).collect::<Vec<_>>()));
        }
        self.propagate(effects, true);
        self.answer(id, &Reply::Array(replies))
    }

    /// A request outside of a transaction.
    fn direct(&mut self, id: u64, args: Vec<Text>) -> bool {
        let session = self.sessions.get_mut(&id).expect("it was there");
        let reply = match args[0].as_slice() {
            b"MULTI" => {
                session.queue = Some(Vec::new());
                Reply::Ok
            }
            b"WATCH" => {
                session.watched.extend(args[1..].iter().map(|key| (session.database, key.clone())));
                Reply::Ok
            }
            b"SELECT" => {
                session.database = selected(&args);
                Reply::Ok
            }
            b"PING" if !session.patterns.is_empty() => {
                let echoed = args.get(1).cloned().unwrap_or_default();
                Reply::Array(vec![Reply::Bulk(Some(b"pong".to_vec())), Reply::Bulk(Some(echoed))])
            }
            b"PING" => Reply::Ok,
            b"PSUBSCRIBE" => return self.subscribe(id, &args[1..]),
            b"CONFIG" => self.configure(&args),
            b"CLIENT" => self.connections(id, &args),
            b"INFO" => Reply::Bulk(Some(self.info().into_bytes())),
            b"TIME" => {
                let parts = [self.now_ms / 1000, self.now_ms % 1000 * 1000];
                Reply::Array(parts.map(|part| Reply::Bulk(Some(part.to_string().into_bytes()))).to_vec())
            }
            b"SCAN" => {
                let names = self.keys.0[session.database as usize].keys();
                let names = names.map(|key| Reply::Bulk(Some(key.clone()))).collect();
                Reply::Array(vec![Reply::Bulk(Some(b"0".to_vec())), Reply::Array(names)])
            }
            b"REPLCONF" => return self.replconf(id, &args),
            b"PSYNC" => return self.psync(id, &args),
            _ => {
                let (database, mut effects) = (session.database, Vec::new());
                let reply = self.run(database, &args, &mut effects);
                self.propagate(effects, false);
                reply
            }
        };
        self.answer(id, &reply)
    }

    fn subscribe(&mut self, id: u64, patterns: &[Text]) -> bool {
        let session = self.sessions.get_mut(&id).expect("it was there");
        for pattern in patterns {
            session.patterns.push(pattern.clone());
            let word = |text: &[u8]| Reply::Bulk(Some(text.to_vec()));
            let count = Reply::Integer(session.patterns.len() as i64);
            Reply::Array(vec![word(b"psubscribe"), word(pattern), count]).encode(&mut session.output);
        }
        true
    }

    /// `CONFIG GET` and `SET` of what a server tells of its keys.
    fn configure(&mut self, args: &[Text]) -> Reply {
        match (args[1].as_slice(), args.get(2).map(Vec::as_slice), args.get(3)) {
            (b"GET", Some(name @ b"notify-keyspace-events"), _) => {
                let texts = [name.to_vec(), self.events.clone()];
                Reply::Array(texts.map(|text| Reply::Bulk(Some(text))).to_vec())
            }
            (b"SET", Some(b"notify-keyspace-events"), Some(value)) => {
                self.events.clone_from(value);
                Reply::Ok
            }
            _ => Reply::Error("ERR the model knows no other parameter than notify-keyspace-events".to_owned()),
        }
    }

    fn connections(&mut self, id: u64, args: &[Text]) -> Reply {
        match args[1].as_slice() {
            b"SETNAME" => {
                self.sessions.get_mut(&id).expect("it was there").name = args[2].clone();
                Reply::Ok
            }
            b"ID" => Reply::Integer(id as i64),
            b"KILL" => {
                let victim = String::from_utf8_lossy(&args[3]).parse().unwrap_or(0);
                Reply::Integer(i64::from(self.sessions.remove(&victim).is_some()))
            }
            _ => {
                let line = |(id, session): (&u64, &Session)| {
                    format!("id={id} name={}\n", String::from_utf8_lossy(&session.name))
                };
                Reply::Bulk(Some(self.sessions.iter().map(line).collect::<String>().into_bytes()))
            }
        }
    }

    /// What INFO tells of server, replication and keyspace.
    pub fn info(&self) -> String {
        let history = &self.history;
        let version = match self.flavour {
            Flavour::Redis62 => "6.2.14",
            Flavour::Redis70 => "7.0.15",
        };
        let (second, to) = history.second.clone().map_or(("0".repeat(40), -1), |(id, to)| (id, to as i64));
        let (active, first, length) = match &history.backlog {
            None => (0, 0, 0),
            Some(backlog) => (1, backlog.first, backlog.bytes.len()),
        };
        let mut text = format!(
            "redis_version:{version}\r\nrun_id:{:040x}\r\nrole:master\r\nmaster_replid:{}\r\nmaster_replid2:{second}\r\n\
             master_repl_offset:{}\r\nsecond_repl_offset:{to}\r\nrepl_backlog_active:{active}\r\n\
             repl_backlog_first_byte_offset:{first}\r\nrepl_backlog_histlen:{length}\r\n",
            self.run_id, history.id, history.offset
        );
        for (index, database) in self.keys.0.iter().enumerate().filter(|(_, database)| !database.is_empty()) {
            text += &format!("db{index}:keys={},expires=0,avg_ttl=0\r\n", database.len());
        }
        text
    }

    fn replconf(&mut self, id: u64, args: &[Text]) -> bool {
        let session = self.sessions.get_mut(&id).expect("it was there");
        match args[1].as_slice() {
            b"ACK" => {
                if let Some(Replica::Waiting(held)) = &mut session.replica {
                    let held = std::mem::take(held);
                    session.output.extend_from_slice(&held);
                    session.replica = Some(Replica::Online);
                }
                return true;
            }
            b"rdb-filter-only" if self.flavour == Flavour::Redis62 => {
                return self.answer(id, &Reply::Error("ERR Unrecognized REPLCONF option: rdb-filter-only".to_owned()));
            }
            b"rdb-filter-only" => session.empty_dump = true,
            _ => {}
        }
        self.answer(id, &Reply::Ok)
    }

    fn psync(&mut self, id: u64, args: &[Text]) -> bool {
        let wanted = String::from_utf8_lossy(&args[2]).parse().unwrap_or(0);
        let replid = String::from_utf8_lossy(&args[1]).into_owned();
        let session = self.sessions.get_mut(&id).expect("it was there");
        if let Some(rest) = self.history.after(&replid, wanted) {
            session.output.extend_from_slice(format!("+CONTINUE {}\r\n", self.history.id).as_bytes());
            session.output.extend_from_slice(rest);
            session.replica = Some(Replica::Online);
            return true;
        }
        self.history.begin();
        self.history.selected = None;
        let version = u32::from(super::dump::version(self.flavour == Flavour::Redis70));
        let dump = if session.empty_dump { dump(&Default::default(), version) } else { dump(&self.keys, version) };
        let out = &mut session.output;
        out.extend_from_slice(format!("\n+FULLRESYNC {} {}\r\n\n", self.history.id, self.history.offset).as_bytes());
        if self.diskless {
            let mark = "e".repeat(40);
            out.extend_from_slice(format!("$EOF:{mark}\r\n").as_bytes());
            out.extend_from_slice(&dump);
            out.extend_from_slice(mark.as_bytes());
            session.replica = Some(Replica::Waiting(Vec::new()));
        } else {
            out.extend_from_slice(format!("${}\r\n", dump.len()).as_bytes());
            out.extend_from_slice(&dump);
            session.replica = Some(Replica::Online);
        }
        true
    }
}

fn selected(args: &[Text]) -> u32 {
    String::from_utf8_lossy(&args[1]).parse().unwrap_or(0)
}

/// The first whole request and its length in bytes.
fn request(input: &[u8]) -> Option<(Vec<Text>, usize)> {
    let mut at = 0;
    let number = |at: &mut usize| {
        let line = input.get(*at..)?;
        let end = line.iter().position(|&byte| byte == b'\n')?;
        *at += end + 1;
        std::str::from_utf8(&line[1..end - 1]).ok()?.parse::<usize>().ok()
    };
    let count = number(&mut at)?;
    let mut args = Vec::with_capacity(count);
    for _ in 0..count {
        let length = number(&mut at)?;
        args.push(input.get(at..at + length)?.to_vec());
        input.get(at + length..at + length + 2)?;
        at += length + 2;
    }
    Some((args, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Defects;

    fn stream_of(flavour: Flavour, requests: &[&str]) -> String {
        let mut server = Server::new(flavour, 1, false, Defects::default());
        server.history.begin();
        server.sessions.insert(7, Session::default());
        for request in requests {
            let args: Vec<Text> = request.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            server.sessions.get_mut(&7).expect("opened").input.extend(encoded(&args));
            assert!(server.execute_next(7));
        }
        let backlog = server.history.backlog.expect("begun");
        let text = String::from_utf8(backlog.bytes).expect("text");
        let words = text.split("\r\n").filter(|word| !word.starts_with(['*', '$']) && !word.is_empty());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn only_several_effects_are_wrapped_from_redis_7_on() {
        let lone = ["MULTI", "SET a 1", "DEL b", "EXEC"];
        assert_eq!(stream_of(Flavour::Redis70, &lone), "SELECT 0 SET a 1");
        assert_eq!(stream_of(Flavour::Redis62, &lone), "SELECT 0 MULTI SET a 1 EXEC");
        let two = ["MULTI", "SET a 1", "SELECT 2", "INCR c", "EXEC", "INCR c"];
        assert_eq!(stream_of(Flavour::Redis70, &two), "MULTI SELECT 0 SET a 1 SELECT 2 INCR c EXEC INCR c");
        assert_eq!(stream_of(Flavour::Redis62, &two), "SELECT 0 MULTI SET a 1 SELECT 2 INCR c EXEC INCR c");
    }

    #[test]
    fn a_command_that_fails_stops_neither_its_transaction_nor_the_server() {
        let requests = ["RPUSH l x", "MULTI", "SET a 1", "SADD l m", "INCR a", "EXEC", "INCR a"];
        let stream = stream_of(Flavour::Redis70, &requests);
        assert_eq!(stream, "SELECT 0 RPUSH l x MULTI SET a 1 INCR a EXEC INCR a");
    }

    #[test]
    fn what_a_command_finds_expired_is_deleted_before_it() {
        let requests = ["SET a 1 PXAT -5", "SET a 2"];
        assert_eq!(stream_of(Flavour::Redis70, &requests), "SELECT 0 SET a 1 PXAT -5 MULTI DEL a SET a 2 EXEC");
        assert_eq!(stream_of(Flavour::Redis62, &requests), "SELECT 0 SET a 1 PXAT -5 DEL a SET a 2");
    }

    #[test]
    fn a_payload_brings_back_the_value_that_was_dumped() {
        let mut server = Server::new(Flavour::Redis62, 1, false, Defects::default());
        let words = |text: &str| text.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<Text>>();
        let made = ["HSET h f 1", "SADD s m n", "ZADD z 3 m", "RPUSH l a b", "SET t x"].map(words);
        assert!(server.client(0, &made).is_some());
        for key in ["h", "s", "z", "l", "t"] {
            let Reply::Bulk(Some(payload)) = server.run(0, &words(&format!("DUMP {key}")), &mut Vec::new()) else {
                panic!("no payload of {key}")
            };
            let restore = [words(&format!("RESTORE copy:{key} 77")), vec![payload, b"ABSTTL".to_vec()]].concat();
            server.now_ms = 7;
            server.run(0, &restore, &mut Vec::new());
            let held = &server.keys.0[0];
            assert_eq!(held[format!("copy:{key}").as_bytes()].value, held[key.as_bytes()].value);
        }
    }

    #[test]
    fn a_subscriber_hears_what_a_server_deletes_and_then_the_answer_to_its_ping() {
        let mut server = Server::new(Flavour::Redis70, 1, false, Defects::default());
        server.events = b"Exe".to_vec();
        server.sessions.insert(7, Session::default());
        for request in [vec![b"PSUBSCRIBE".to_vec(), b"__keyevent@*__:expired".to_vec()], vec![b"PING".to_vec()]] {
            server.sessions.get_mut(&7).expect("opened").input.extend(encoded(&request));
            server.client(2, &[[b"SET".as_slice(), b"k", b"v", b"PXAT", b"-1"].map(<[u8]>::to_vec).to_vec()]);
            assert!(server.execute_next(7));
            server.expire();
        }
        let output = String::from_utf8(server.sessions[&7].output.clone()).expect("text");
        let words: Vec<&str> = output.split("\r\n").filter(|word| !word.starts_with(['*', '$', ':'])).collect();
        let (event, pong) = ("pmessage __keyevent@*__:expired __keyevent@2__:expired k", "pong");
        assert_eq!(words.join(" ").trim(), format!("psubscribe __keyevent@*__:expired {event} {pong}  {event}"));
    }

    #[test]
    fn a_watched_key_stops_a_transaction() {
        let stream = stream_of(
            Flavour::Redis70,
            &["ZADD g 1 1", "WATCH g", "ZREMRANGEBYSCORE g -inf (2", "MULTI", "SET a 1", "EXEC"],
        );
        assert!(!stream.contains("SET a 1"), "{stream}");
    }
}
