//! Keys that a region's server has removed by itself, and that the other region, which was not told, may hold for a while
//! longer: until its own clock says the same.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::claim::replaces;
use super::exchange::Name;
use crate::command::{Access, Spec, Unit};
use crate::wire::resp::Command;

/// What the other region may hold longer. It outlives sessions of the link that reads the region: all places are in that
/// region's stream.
#[derive(Debug, Default)]
pub struct Lingering {
    keys: HashMap<Name, Removals>,
    /// When each ends, and where it was removed: in the order of the stream.
    ends: VecDeque<(i64, u64, Name)>,
    /// Of these it is not known yet whether somebody had prolonged them: where they were removed.
    unsure: VecDeque<(u64, Name)>,
}

/// The removals of a key, in the order of the stream: behind those that are over, those that are not.
#[derive(Debug, Default)]
struct Removals(VecDeque<Lingers>);

/// A removal.
#[derive(Debug)]
struct Lingers {
    at: u64,
    /// What removes it in the other region.
    removal: Bytes,
    /// Of the whole key.
    whole: bool,
    /// Where the key was written since: it is removed there by then, or does not matter any more.
    over: Option<u64>,
}

impl Lingering {
    /// A session begins to read behind `from`.
    pub fn begin(&mut self, from: u64) {
        self.keys.retain(|_, Removals(removals)| {
            removals.retain(|removal| removal.at <= from);
            for removal in &mut *removals {
                removal.over = removal.over.filter(|over| *over <= from);
            }
            !removals.is_empty()
        });
        self.ends.retain(|(_, at, _)| *at <= from);
        self.unsure.retain(|(at, _)| *at <= from);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The region's server has removed something of this key at `at`, as `removal` does: the `whole` of it, or fields; the
    /// other region does so before its clock, as it is known here, says `until_ms`.
    pub fn departed(&mut self, name: Name, removal: Bytes, whole: bool, at: u64, until_ms: i64) {
        if whole {
            self.unsure.push_back((at, name.clone()));
        }
        self.keys.entry(name.clone()).or_default().0.push_back(Lingers { at, removal, whole, over: None });
        self.ends.push_back((until_ms, at, name));
    }

    /// A write of the region at `at` uses keys: what has to be removed in the other region before it.
    pub fn met(&mut self, command: &Command<'_>, spec: &Spec, database: u32, (at, now_ms): (u64, i64)) -> Vec<Bytes> {
        self.end(now_ms);
        let mut removals = Vec::new();
        for used in spec.keys(command) {
            let name = (used.database.unwrap_or(database), used.key.to_vec());
            let Some(all) = self.keys.get_mut(&name) else { continue };
            if used.access != Access::Write || !replaces(command, spec, &used) {
                removals.extend(all.wanted());
            }
            all.end_at(at);
        }
        removals
    }

    /// The other region's write to these keys has arrived at `at`: they are as it wrote them. Tells whether it read one, or
    /// built on one, that the region's server had removed, which may have been there still where it was made.
    pub fn wrote(&mut self, command: &Command<'_>, spec: &Spec, database: u32, at: u64) -> bool {
        let mut misses = false;
        for used in spec.keys(command) {
            let name = (used.database.unwrap_or(database), used.key.to_vec());
            let Some(all) = self.keys.get_mut(&name) else { continue };
            misses |= !replaces(command, spec, &used) && all.matter_to(command, spec, used.access);
            if used.access != Access::Read {
                all.end_at(at);
            }
        }
        misses
    }

    /// Keys that were removed at places up to `stable`, and not written since, each once.
    pub fn stable(&mut self, stable: u64) -> Vec<Name> {
        let mut names = Vec::new();
        while self.unsure.front().is_some_and(|(at, _)| *at <= stable) {
            let Some((at, name)) = self.unsure.pop_front() else { break };
            let last = self.keys.get(&name).and_then(Removals::last_open);
            if last.is_some_and(|removal| removal.at == at) {
                names.push(name);
            }
        }
        names
    }

    /// Everything was removed at `at`.
    pub fn clear(&mut self, at: u64) {
        self.keys.values_mut().for_each(|removals| removals.end_at(at));
    }

    fn end(&mut self, now_ms: i64) {
        while self.ends.front().is_some_and(|(until, ..)| *until < now_ms) {
            let Some((_, at, name)) = self.ends.pop_front() else { break };
            if let Some(Removals(removals)) = self.keys.get_mut(&name) {
                // They end in the order in which they came.
                if removals.front().is_some_and(|removal| removal.at == at) {
                    removals.pop_front();
                }
                if removals.is_empty() {
                    self.keys.remove(&name);
                }
            }
        }
    }
}

impl Removals {
    /// Where those begin that are not over.
    fn open(&self) -> usize {
        self.0.partition_point(|removal| removal.over.is_some())
    }

    /// The last one, if it is not over.
    fn last_open(&self) -> Option<&Lingers> {
        self.0.back().filter(|removal| removal.over.is_none())
    }

    /// Whether what a command makes of the key depends on what was removed. Of fields alone that does not matter to those that
    /// set or remove some.
    fn matter_to(&self, command: &Command<'_>, spec: &Spec, access: Access) -> bool {
        let whole = || self.0.range(self.open()..).any(|removal| removal.whole);
        let sets = || matches!(spec.unit_of(command), Unit::Element(_)) && !prolongs_fields(spec);
        self.last_open().is_some() && (access == Access::Read || whole() || !sets())
    }

    /// What has to be removed in the other region: nothing of a key before the whole of it was.
    fn wanted(&self) -> impl Iterator<Item = Bytes> {
        let whole = self.0.iter().rev().take_while(|removal| removal.over.is_none()).position(|removal| removal.whole);
        let first = whole.map_or(self.open(), |back| self.0.len() - 1 - back);
        self.0.range(first..).map(|removal| removal.removal.clone())
    }

    /// The key is written at `at`: all of them are over.
    fn end_at(&mut self, at: u64) {
        let open = self.open();
        self.0.range_mut(open..).for_each(|removal| removal.over = Some(at));
    }
}

/// Whether a command changes for how long fields live that are there.
fn prolongs_fields(spec: &Spec) -> bool {
    matches!(spec.name, "HPEXPIREAT" | "HPERSIST")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::conflict::spec_of;
    use crate::wire::resp::{FrameReader, command as request};

    /// A key `k` whose removals took place there.
    fn removed(places: &[u64]) -> Lingering {
        let mut lingering = Lingering::default();
        for at in places {
            lingering.departed((0, b"k".to_vec()), del(), true, *at, 1_000);
        }
        lingering
    }

    fn del() -> Bytes {
        request(&[b"del".as_slice(), b"k"]).into()
    }

    fn with<T>(arguments: &[&[u8]], what: impl FnOnce(&Command<'_>, &Spec) -> T) -> T {
        let bytes = request(arguments);
        let mut reader = FrameReader::new();
        reader.next(&bytes).expect("a frame").expect("a whole one");
        what(&Command::new(&bytes, reader.arguments()), spec_of(&bytes).expect("a known command"))
    }

    fn met(lingering: &mut Lingering, arguments: &[&[u8]], at: u64, now_ms: i64) -> usize {
        with(arguments, |command, spec| lingering.met(command, spec, 0, (at, now_ms)).len())
    }

    #[test]
    fn what_builds_on_a_removed_key_removes_it_first_and_once() {
        let mut lingering = removed(&[10, 20]);
        assert_eq!(met(&mut lingering, &[b"INCR", b"other"], 25, 900), 0);
        assert_eq!(met(&mut lingering, &[b"INCR", b"k"], 30, 900), 1);
        assert_eq!(met(&mut lingering, &[b"INCR", b"k"], 40, 900), 0);
        assert_eq!(met(&mut removed(&[10]), &[b"SET", b"k", b"1"], 30, 900), 0, "nothing is left of it anyway");
        assert_eq!(met(&mut removed(&[10]), &[b"INCR", b"k"], 30, 1_001), 0, "its time is over there, too");
    }

    #[test]
    fn of_fields_only_those_are_removed_that_went_behind_the_last_write_and_the_whole_key() {
        let mut lingering = Lingering::default();
        for (at, whole) in [(10, false), (20, true), (30, false), (40, false)] {
            lingering.departed((0, b"k".to_vec()), del(), whole, at, 1_000);
        }
        assert_eq!(met(&mut lingering, &[b"HSET", b"k", b"f", b"1"], 50, 900), 3);
        lingering.departed((0, b"k".to_vec()), del(), false, 60, 2_000);
        assert_eq!(met(&mut lingering, &[b"HSET", b"k", b"f", b"1"], 70, 1_500), 1);
        assert!(!lingering.is_empty());
        assert_eq!(met(&mut lingering, &[b"HSET", b"k", b"f", b"1"], 80, 2_001), 0);
        assert!(lingering.is_empty(), "the time of each is over");
    }

    #[test]
    fn a_session_that_reads_again_meets_it_again() {
        let mut lingering = removed(&[10]);
        assert_eq!(met(&mut lingering, &[b"INCR", b"k"], 30, 900), 1);
        lingering.begin(30);
        assert_eq!(met(&mut lingering, &[b"INCR", b"k"], 40, 900), 0, "it was removed there at 30");
        lingering.begin(29);
        assert_eq!(met(&mut lingering, &[b"INCR", b"k"], 30, 900), 1);
        lingering.begin(9);
        assert!(lingering.is_empty(), "it is read again");
    }

    #[test]
    fn what_the_other_region_has_written_since_is_as_it_wrote_it() {
        let mut lingering = removed(&[10]);
        let wrote = |lingering: &mut Lingering, arguments: &[&[u8]]| {
            with(arguments, |command, spec| lingering.wrote(command, spec, 0, 20))
        };
        assert!(wrote(&mut lingering, &[b"COPY", b"k", b"to"]), "it read what was there");
        assert!(!wrote(&mut lingering, &[b"SET", b"k", b"1"]));
        assert!(!wrote(&mut lingering, &[b"COPY", b"k", b"to"]));
        assert_eq!(met(&mut lingering, &[b"INCR", b"k"], 30, 900), 0);
        assert!(lingering.stable(100).is_empty());
        assert_eq!(removed(&[10, 20]).stable(100), [(0, b"k".to_vec())]);
    }

    #[test]
    fn what_the_other_region_has_built_on_what_was_removed_here_is_told() {
        let wrote = |whole, arguments: &[&[u8]]| {
            let mut lingering = Lingering::default();
            lingering.departed((0, b"k".to_vec()), del(), whole, 10, 1_000);
            let wrote =
                |lingering: &mut Lingering| with(arguments, |command, spec| lingering.wrote(command, spec, 0, 20));
            let first = wrote(&mut lingering);
            assert!(!wrote(&mut lingering), "once: {arguments:?}");
            first
        };
        let set: &[&[u8]] = &[b"HSET", b"k", b"f", b"1"];
        let added: &[&[u8]] = &[b"HINCRBY", b"k", b"f", b"1"];
        let prolonged: &[&[u8]] = &[b"HPEXPIREAT", b"k", b"9000", b"FIELDS", b"1", b"f"];
        assert!(wrote(true, set) && wrote(true, added) && wrote(true, &[b"APPEND", b"k", b"1"]));
        assert!(wrote(true, &[b"PEXPIREAT", b"k", b"9000"]) && !wrote(true, &[b"DEL", b"k"]));
        assert!(!wrote(false, set) && wrote(false, added) && wrote(false, prolonged));
        assert!(!wrote(false, &[b"HDEL", b"k", b"f"]));
    }
}
