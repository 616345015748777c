//! The file that a result is kept in: SQLite, its tables `key` and `field` those of redis-full-check, with our columns behind
//! theirs. It also keeps what a run needs to be taken up again, and is what `duet repair` works from.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::{Cause, Class, Difference, Finding, Name, PartKind, Summary};

/// Says that it is a file of ours (SQLite `application_id`): "duet" in ASCII.
const APPLICATION: i64 = 0x6475_6574;
/// The version of the tables.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE key(
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, type TEXT NOT NULL, conflict_type TEXT NOT NULL, db INTEGER NOT NULL,
  source_len INTEGER NOT NULL, target_len INTEGER NOT NULL,
  key_bytes BLOB NOT NULL, cause TEXT, reason TEXT NOT NULL, source_type TEXT NOT NULL, target_type TEXT NOT NULL,
  source_expires_ms INTEGER, target_expires_ms INTEGER, source_digest TEXT NOT NULL, target_digest TEXT NOT NULL,
  differences INTEGER NOT NULL, looks INTEGER NOT NULL, seen_at TEXT NOT NULL);
CREATE UNIQUE INDEX key_name ON key(db, key_bytes);
CREATE TABLE field(
  id INTEGER PRIMARY KEY, field TEXT NOT NULL, conflict_type TEXT NOT NULL, key_id INTEGER NOT NULL,
  part TEXT NOT NULL, field_bytes BLOB NOT NULL, source_value BLOB, target_value BLOB);
CREATE INDEX field_key ON field(key_id);
CREATE TABLE undecided(db INTEGER NOT NULL, key_bytes BLOB NOT NULL, PRIMARY KEY(db, key_bytes));
CREATE TABLE run(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE suspect(db INTEGER NOT NULL, key_bytes BLOB NOT NULL, PRIMARY KEY(db, key_bytes));
";

/// A key of a result, as far as a repair needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub name: Name,
    /// In which way it differs.
    pub class: String,
    /// The types at the source and at the target of the forward link.
    pub kinds: [String; 2],
    /// The lengths.
    pub lengths: [i64; 2],
    /// Why it differs, where that is known.
    pub reason: String,
}

/// A file of a result.
#[derive(Debug)]
pub struct File {
    connection: Connection,
}

impl File {
    /// Makes a new file.
    ///
    /// # Errors
    /// It exists already, or can't be made: a sentence with the path.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            bail!(
                "{} exists: give another name, remove it, or go on with an interrupted run by --resume",
                path.display()
            );
        }
        let connection = Connection::open(path).with_context(|| format!("{} can't be made", path.display()))?;
        let file = Self { connection };
        file.connection.execute_batch(TABLES)?;
        file.connection.pragma_update(None, "application_id", APPLICATION)?;
        file.connection.pragma_update(None, "user_version", VERSION)?;
        // What was written last may be missing after a loss of power; the file is whole all the same.
        file.connection.pragma_update(None, "journal_mode", "WAL")?;
        file.connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(file)
    }

    /// Opens a file that was made before.
    ///
    /// # Errors
    /// There is none, or it is none of Duet's: a sentence with the path.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let unreadable = || format!("{} can't be read", path.display());
        if !path.exists() {
            bail!("there is no file {}", path.display());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).with_context(unreadable)?;
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let application = pragma("application_id").with_context(unreadable)?;
        if application != APPLICATION {
            bail!("{} is no result of `duet verify`", path.display());
        }
        let version = pragma("user_version")?;
        if version != VERSION {
            bail!("{} is of version {version}, and this program reads version {VERSION}", path.display());
        }
        Ok(Self { connection })
    }

    /// Adds a key that differs; what was known of it before is forgotten.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn add(&mut self, finding: &Finding) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        let (database, name) = (finding.name.0, &finding.name.1);
        transaction.execute(
            "DELETE FROM field WHERE key_id IN (SELECT id FROM key WHERE db = ? AND key_bytes = ?)",
            params![database, name],
        )?;
        transaction.execute("DELETE FROM key WHERE db = ? AND key_bytes = ?", params![database, name])?;
        let [source, target] = &finding.sights;
        let kind = if source.exists() { &source.kind } else { &target.kind };
        let digests = [source, target].map(|sight| format!("{:032x}", sight.digest()));
        transaction.execute(
            "INSERT INTO key VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                shown(name),
                kind,
                finding.class.name(),
                database,
                signed(source.length),
                signed(target.length),
                name,
                finding.cause.map(Cause::name),
                finding.reason,
                source.kind,
                target.kind,
                source.expires_at_ms,
                target.expires_at_ms,
                digests[0],
                digests[1],
                signed(finding.differences.len() as u64),
                finding.looks,
                finding.seen_at.to_string(),
            ],
        )?;
        let id = transaction.last_insert_rowid();
        for difference in &finding.differences {
            let Difference::Part(part) = difference else { continue };
            let [left, right] = &part.values;
            let class = match (left, right) {
                (None, _) => Class::LackSource,
                (_, None) => Class::LackTarget,
                _ => Class::Value,
            };
            let field = match part.kind {
                PartKind::Text | PartKind::Item | PartKind::Whole => part.shown_name(),
                _ => shown(&part.name),
            };
            transaction.execute(
                "INSERT INTO field VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
                params![field, class.name(), id, part.kind.name(), part.name, left, right],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Adds a key that was never seen still.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn add_undecided(&mut self, (database, name): &Name) -> anyhow::Result<()> {
        self.connection.execute("INSERT OR IGNORE INTO undecided VALUES (?, ?)", params![database, name])?;
        Ok(())
    }

    /// Says so far a run has come: `state` in a form of its own, and the keys that are not decided.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn checkpoint(&mut self, state: &str, suspects: &[Name]) -> anyhow::Result<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute("INSERT OR REPLACE INTO run VALUES ('state', ?)", [state])?;
        transaction.execute("DELETE FROM suspect", [])?;
        let mut insert = transaction.prepare("INSERT INTO suspect VALUES (?, ?)")?;
        for (database, name) in suspects {
            insert.execute(params![database, name])?;
        }
        drop(insert);
        transaction.commit()?;
        Ok(())
    }

    /// What [`Self::checkpoint`] said last.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn state(&self) -> anyhow::Result<Option<(String, Vec<Name>)>> {
        let Some(state) = self.value("state")? else { return Ok(None) };
        let mut query = self.connection.prepare("SELECT db, key_bytes FROM suspect")?;
        let suspects = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(Some((state, suspects)))
    }

    /// Keys that differ, so far, by class; and those that were never seen still.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn counts(&self) -> anyhow::Result<(Vec<(String, u64)>, u64)> {
        let mut query = self.connection.prepare("SELECT conflict_type, count(*) FROM key GROUP BY conflict_type")?;
        let classes = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        let classes = classes.collect::<Result<_, _>>()?;
        let undecided = self.connection.query_row("SELECT count(*) FROM undecided", [], |row| row.get::<_, i64>(0))?;
        Ok((classes, undecided.unsigned_abs()))
    }

    /// Keeps the summary: the run has ended.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn finish(&mut self, summary: &Summary) -> anyhow::Result<()> {
        self.set("summary", &serde_json::to_string(summary)?)?;
        if summary.error.is_none() {
            self.connection.execute("DELETE FROM suspect", [])?;
            self.connection.execute("DELETE FROM run WHERE name = 'state'", [])?;
        }
        // One file is easier to send than three.
        self.connection.pragma_update(None, "journal_mode", "DELETE")?;
        Ok(())
    }

    /// The summary of a run that has ended.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn summary(&self) -> anyhow::Result<Option<Summary>> {
        self.value("summary")?.map(|text| serde_json::from_str(&text)).transpose().context("the summary can't be read")
    }

    /// Keeps a text under a name.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn set(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        self.connection.execute("INSERT OR REPLACE INTO run VALUES (?, ?)", [name, value])?;
        Ok(())
    }

    /// A text that was kept under a name.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn value(&self, name: &str) -> anyhow::Result<Option<String>> {
        let found = self.connection.query_row("SELECT value FROM run WHERE name = ?", [name], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Up to `most` keys that differ, behind the one with the id `after`; each with its id.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn entries(&self, after: i64, most: usize) -> anyhow::Result<Vec<(i64, Entry)>> {
        let mut query = self.connection.prepare(
            "SELECT id, db, key_bytes, conflict_type, source_type, target_type, source_len, target_len, reason \
             FROM key WHERE id > ? ORDER BY id LIMIT ?",
        )?;
        let entries = query.query_map(params![after, signed(most as u64)], entry)?;
        Ok(entries.collect::<Result<_, _>>()?)
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(i64, Entry)> {
    let entry = Entry {
        name: (row.get(1)?, row.get(2)?),
        class: row.get(3)?,
        kinds: [row.get(4)?, row.get(5)?],
        lengths: [row.get(6)?, row.get(7)?],
        reason: row.get(8)?,
    };
    Ok((row.get(0)?, entry))
}

/// A name as a text: as it is where it is one, else escaped.
fn shown(name: &[u8]) -> String {
    std::str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned)
}

/// SQLite's numbers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// When a run began that an interrupted one goes on with; now where there is none.
pub fn began(file: &File) -> anyhow::Result<Timestamp> {
    Ok(file.value("started_at")?.and_then(|text| text.parse().ok()).unwrap_or_else(Timestamp::now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{PartDifference, Plan, Sight};

    fn finding(name: &[u8]) -> Finding {
        let sight = |length| Sight { kind: "hash".into(), length, ..Sight::default() };
        let part = PartDifference {
            kind: PartKind::Field,
            name: b"mail".to_vec(),
            values: [Some(b"a".to_vec()), None],
            hashes: [1, 0],
        };
        let differences = vec![Difference::Part(part)];
        Finding::new((3, name.to_vec()), [sight(2), sight(1)], differences, 2, ([0; 2], &Plan::default()))
    }

    #[test]
    fn who_knows_redis_full_check_can_read_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("result.db");
        let mut file = File::create(&path).unwrap();
        file.add(&finding(b"user:7")).unwrap();
        file.add(&finding(b"\xff\x00")).unwrap();
        file.add(&finding(b"user:7")).unwrap();
        let plain = Connection::open(&path).unwrap();
        let names = |table: &str| -> Vec<String> {
            let mut query = plain.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
            query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(names("key")[..7], ["id", "key", "type", "conflict_type", "db", "source_len", "target_len"]);
        assert_eq!(names("field")[..4], ["id", "field", "conflict_type", "key_id"]);
        let joined = "SELECT key, type, key.conflict_type, db, source_len, target_len, field, field.conflict_type \
                      FROM key JOIN field ON field.key_id = key.id WHERE key = 'user:7'";
        let row = plain.query_row(joined, [], |row| {
            let texts = (row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?);
            let numbers = (row.get::<_, i64>(3)?, row.get::<_, i64>(4)?, row.get::<_, i64>(5)?);
            Ok((texts, numbers, (row.get::<_, String>(6)?, row.get::<_, String>(7)?)))
        });
        let texts = ("user:7".to_owned(), "hash".to_owned(), "value".to_owned());
        assert_eq!(row.unwrap(), (texts, (3, 2, 1), ("mail".to_owned(), "lack_target".to_owned())));
        let escaped: String =
            plain.query_row("SELECT key FROM key WHERE key_bytes = x'ff00'", [], |row| row.get(0)).unwrap();
        assert_eq!(escaped, "\\xff\\x00");
    }

    #[test]
    fn a_file_is_never_written_over_and_another_one_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("result.db");
        assert!(File::open(&path).unwrap_err().to_string().contains("there is no file"));
        drop(File::create(&path).unwrap());
        assert!(File::create(&path).unwrap_err().to_string().contains("exists"));
        assert!(File::open(&path).is_ok());
        let other = place.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t(a)").unwrap();
        assert!(File::open(&other).unwrap_err().to_string().contains("no result"));
    }

    #[test]
    fn an_interrupted_run_finds_what_it_had() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("result.db");
        let mut file = File::create(&path).unwrap();
        assert_eq!(file.state().unwrap(), None);
        file.checkpoint("here", &[(0, b"a".to_vec()), (1, b"b".to_vec())]).unwrap();
        file.checkpoint("there", &[(1, b"b".to_vec())]).unwrap();
        drop(file);
        let file = File::open(&path).unwrap();
        assert_eq!(file.state().unwrap(), Some(("there".to_owned(), vec![(1, b"b".to_vec())])));
    }
}
