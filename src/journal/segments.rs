//! The files of the record: one is written, the others wait to be the oldest.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Entry;
use super::recent::MOST_IDS;
use super::ring::MOST_RECENT;
use crate::observe::ConflictCounts;

/// Files that share the room.
const SHARES: u64 = 8;
/// Most bytes of one file, whatever room there is: a start reads some of them.
const MOST_SEGMENT: u64 = 16 * 1024 * 1024;
/// The form of the files.
const FORM: u32 = 1;

/// Lines that are written together, and what they count.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    pub bytes: Vec<u8>,
    pub counts: ConflictCounts,
}

/// What the files of earlier runs hold.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// All that were ever written.
    pub counts: ConflictCounts,
    /// Of these, how many had to make room.
    pub dropped: u64,
    /// Lines that could not be read.
    pub unreadable: u64,
    /// The last ids, oldest first.
    pub ids: VecDeque<u64>,
    /// The last records with the lengths of their lines, oldest first.
    pub last: VecDeque<(Arc<Entry>, usize)>,
}

/// The files of one pair in one directory, which no other process writes.
#[derive(Debug)]
pub(super) struct Segments {
    directory: PathBuf,
    pair: String,
    budget: u64,
    list: VecDeque<Segment>,
    /// The last of the list, while it can be written.
    open: Option<File>,
    counts: ConflictCounts,
    dropped: u64,
    /// Held as long as this lives.
    _lock: File,
}

#[derive(Debug)]
struct Segment {
    number: u32,
    bytes: u64,
    records: u64,
}

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    journal: u32,
    pair: String,
    /// What was written before it.
    before: ConflictCounts,
    /// How many of these had made room.
    dropped: u64,
}

impl Segments {
    /// Takes the directory, makes it where there is none, and reads what is there.
    ///
    /// # Errors
    /// It cannot be made, read or written, or another process writes the record of this pair there.
    pub(super) fn open(directory: &Path, pair: &str, budget: u64) -> io::Result<(Self, Restored)> {
        make(directory)?;
        let lock = options().create(true).write(true).open(directory.join(format!("{pair}.lock")))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::other("another process writes the record of this pair there"),
        })?;
        let mut segments = Self {
            directory: directory.to_owned(),
            pair: pair.to_owned(),
            budget,
            list: VecDeque::new(),
            open: None,
            counts: ConflictCounts::default(),
            dropped: 0,
            _lock: lock,
        };
        let restored = segments.read()?;
        segments.counts = restored.counts.clone();
        segments.dropped = restored.dropped;
        Ok((segments, restored))
    }

    /// Writes lines; gives how many older records made room for them.
    ///
    /// # Errors
    /// The disk's own. What was written of the lines is taken back, or left as the end of a file that nobody goes on with.
    pub(super) fn append(&mut self, chunk: &Chunk) -> io::Result<u64> {
        let length = chunk.bytes.len() as u64;
        let room = self.list.back().is_some_and(|last| last.bytes + length <= self.share());
        let before = self.dropped;
        let mut file = match self.open.take() {
            Some(file) if room => file,
            _ => self.begin()?,
        };
        let Some(last) = self.list.back_mut() else { return Err(io::Error::other("no file was begun")) };
        if let Err(error) = file.write_all(&chunk.bytes) {
            self.open = file.set_len(last.bytes).is_ok().then_some(file);
            return Err(error);
        }
        last.bytes += length;
        last.records += chunk.counts.total();
        self.counts.add(&chunk.counts);
        self.open = Some(file);
        Ok(self.dropped - before)
    }

    fn share(&self) -> u64 {
        (self.budget / SHARES).min(MOST_SEGMENT)
    }

    /// Begins a file, and deletes the oldest ones until there is room for it.
    fn begin(&mut self) -> io::Result<File> {
        while self.list.iter().map(|segment| segment.bytes).sum::<u64>() + self.share() > self.budget {
            let Some(oldest) = self.list.front() else { break };
            match std::fs::remove_file(self.path(oldest.number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            self.dropped += self.list.pop_front().map_or(0, |oldest| oldest.records);
        }
        let number = self.list.back().map_or(0, |last| last.number).checked_add(1);
        let number = number.ok_or_else(|| io::Error::other("the files have used up their numbers: move them away"))?;
        make(&self.directory)?;
        let head = Head { journal: FORM, pair: self.pair.clone(), before: self.counts.clone(), dropped: self.dropped };
        let mut line = serde_json::to_vec(&head)?;
        line.push(b'\n');
        let path = self.path(number);
        let mut file = options().create_new(true).append(true).open(&path)?;
        if let Err(error) = file.write_all(&line) {
            std::fs::remove_file(&path)?;
            return Err(error);
        }
        self.list.push_back(Segment { number, bytes: line.len() as u64, records: 0 });
        Ok(file)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{}-{number:08}.jsonl", self.pair))
    }

    /// Looks at all files, and reads the last ones.
    fn read(&mut self) -> io::Result<Restored> {
        let mut numbers = Vec::new();
        for file in std::fs::read_dir(&self.directory)? {
            numbers.extend(file?.file_name().to_str().and_then(|name| number_in(name, &self.pair)));
        }
        numbers.sort_unstable();
        let mut restored = Restored::default();
        let mut newer: Option<u64> = None;
        for number in numbers.into_iter().rev() {
            let path = self.path(number);
            let head = head(&path)?;
            // The newest is read for its counts, older ones only as far as their ids may be found again.
            let lines = if newer.is_none() || restored.ids.len() < MOST_IDS { Some(read(&path)?) } else { None };
            let begun_at = head.as_ref().map(|head| head.before.total());
            let records = match (&lines, begun_at, newer) {
                (Some(lines), _, _) => lines.counts.total(),
                (None, Some(begun_at), Some(newer)) => newer.saturating_sub(begun_at),
                (None, _, _) => 0,
            };
            if newer.is_none() {
                let Head { before, dropped, .. } = head.unwrap_or_else(|| Head::nothing(&self.pair));
                (restored.counts, restored.dropped) = (before, dropped);
                restored.counts.add(lines.as_ref().map(|lines| &lines.counts).unwrap_or(&ConflictCounts::default()));
            }
            newer = begun_at.or(newer).or(Some(0));
            self.list.push_front(Segment { number, bytes: std::fs::metadata(&path)?.len(), records });
            if let Some(lines) = lines {
                restored.put_before(lines);
            }
        }
        self.go_on_with_last()?;
        Ok(restored)
    }

    /// The last file is gone on with, unless a line in it was begun and not ended.
    fn go_on_with_last(&mut self) -> io::Result<()> {
        let Some(last) = self.list.back() else { return Ok(()) };
        let path = self.path(last.number);
        let mut end = Vec::new();
        let mut file = File::open(&path)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(last.bytes.saturating_sub(1)))?;
        file.take(1).read_to_end(&mut end)?;
        if end == b"\n" {
            self.open = Some(options().append(true).open(&path)?);
        }
        Ok(())
    }
}

impl Head {
    fn nothing(pair: &str) -> Self {
        Self { journal: FORM, pair: pair.to_owned(), before: ConflictCounts::default(), dropped: 0 }
    }
}

impl Restored {
    /// What an older file holds goes before what is there.
    fn put_before(&mut self, mut lines: Lines) {
        self.unreadable += lines.unreadable;
        lines.ids.append(&mut self.ids);
        self.ids = lines.ids;
        lines.last.append(&mut self.last);
        let surplus = lines.last.len().saturating_sub(MOST_RECENT);
        lines.last.drain(..surplus);
        self.last = lines.last;
    }
}

/// What one file holds.
#[derive(Debug, Default)]
struct Lines {
    counts: ConflictCounts,
    unreadable: u64,
    ids: VecDeque<u64>,
    last: VecDeque<(Arc<Entry>, usize)>,
}

/// The first line; `None` when it cannot be read.
fn head(path: &Path) -> io::Result<Option<Head>> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?).take(MOST_SEGMENT).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line).ok().filter(|head: &Head| head.journal == FORM))
}

/// All lines but the first, those that can be read.
fn read(path: &Path) -> io::Result<Lines> {
    let mut lines = Lines::default();
    let mut file = BufReader::new(File::open(path)?.take(2 * MOST_SEGMENT));
    let mut line = Vec::new();
    let mut first = true;
    while file.read_until(b'\n', &mut line)? > 0 {
        match serde_json::from_slice::<Entry>(&line) {
            Ok(entry) => {
                lines.counts.add(&entry.count());
                lines.ids.push_back(entry.id.0);
                lines.last.push_back((Arc::new(entry), line.len()));
                if lines.last.len() > MOST_RECENT {
                    lines.last.pop_front();
                }
            }
            Err(_) if first && serde_json::from_slice::<Head>(&line).is_ok() => {}
            Err(_) => lines.unreadable += 1,
        }
        first = false;
        line.clear();
    }
    Ok(lines)
}

/// Makes a directory that is for this user alone, where there is none.
fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// The number of the file `name`, when it is one of the pair's.
fn number_in(name: &str, pair: &str) -> Option<u32> {
    name.strip_prefix(pair)?.strip_prefix('-')?.strip_suffix(".jsonl")?.parse().ok()
}

/// Files hold keys and values: nobody else may read them.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_full_disk_it_goes_on_and_nothing_is_written_twice() {
        let place = tempfile::tempdir().unwrap();
        let chunk = |text: &str| Chunk { bytes: format!("{text}\n").into_bytes(), ..Chunk::default() };
        let mut segments = Segments::open(place.path(), "orders", 1 << 20).unwrap().0;
        segments.append(&chunk("first")).unwrap();
        segments.open = Some(options().write(true).open("/dev/full").unwrap());
        let error = segments.append(&chunk("second")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        segments.append(&chunk("second")).unwrap();
        let written = [1, 2].map(|number| std::fs::read_to_string(segments.path(number)).unwrap());
        assert!(written[0].ends_with("}\nfirst\n"), "{written:?}");
        assert!(written[1].ends_with("}\nsecond\n"), "{written:?}");
    }
}
