//! What a repair overwrites: both regions' values of each key, before it is touched. SQLite, so that single keys can be found.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};

use super::Name;

/// Says that it is a file of ours (SQLite `application_id`): "dubu" in ASCII.
const APPLICATION: i64 = 0x6475_6275;

const TABLES: &str = "
CREATE TABLE backup(
  id INTEGER PRIMARY KEY, db INTEGER NOT NULL, key_bytes BLOB NOT NULL, winner TEXT NOT NULL, loser TEXT NOT NULL,
  winner_payload BLOB, winner_expires_ms INTEGER, loser_payload BLOB, loser_expires_ms INTEGER, taken_at TEXT NOT NULL);
";

/// A value as `DUMP` gives it, and when it expires, Unix milliseconds; nothing where there is no such key.
pub type Held = Option<(Vec<u8>, Option<i64>)>;

/// A key that was repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The key.
    pub name: Name,
    /// The region whose value stayed.
    pub winner: String,
    /// The region whose value was overwritten.
    pub loser: String,
    /// What the winner held.
    pub won: Held,
    /// What the loser held.
    pub lost: Held,
}

impl Saved {
    /// Bytes of both values.
    pub fn bytes(&self) -> usize {
        [&self.won, &self.lost].into_iter().flatten().map(|(payload, _)| payload.len()).sum()
    }
}

/// Bytes of values that are held together before they are kept and made equal; one key is held whole.
pub const MOST_HELD: usize = 16 * 1024 * 1024;

/// A file of backups.
#[derive(Debug)]
pub struct Backup {
    connection: Connection,
}

impl Backup {
    /// Makes a new file.
    ///
    /// # Errors
    /// It exists already, or can't be made: a sentence with the path.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            bail!("{} exists, and a backup is never written over: give another name with --backup", path.display());
        }
        let connection = Connection::open(path).with_context(|| format!("{} can't be made", path.display()))?;
        connection.execute_batch(TABLES)?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        Ok(Self { connection })
    }

    /// Opens a file to add to, or makes it.
    ///
    /// # Errors
    /// It can't be made, or is no backup: a sentence with the path.
    pub fn append(path: &Path) -> anyhow::Result<Self> {
        if path.exists() { Self::with(path, OpenFlags::SQLITE_OPEN_READ_WRITE) } else { Self::create(path) }
    }

    /// Opens a file that was made before.
    ///
    /// # Errors
    /// There is none, or it is no backup: a sentence with the path.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            bail!("there is no file {}", path.display());
        }
        Self::with(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    fn with(path: &Path, flags: OpenFlags) -> anyhow::Result<Self> {
        let unreadable = || format!("{} can't be read", path.display());
        let connection = Connection::open_with_flags(path, flags).with_context(unreadable)?;
        let application = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0));
        if application.with_context(unreadable)? != APPLICATION {
            bail!("{} is no backup of `duet repair`", path.display());
        }
        Ok(Self { connection })
    }

    /// Keeps keys; they are on the disk when it returns.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&mut self, saved: &[Saved]) -> anyhow::Result<()> {
        let now = Timestamp::now().to_string();
        let transaction = self.connection.transaction()?;
        let mut insert = transaction.prepare("INSERT INTO backup VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        for Saved { name: (database, name), winner, loser, won, lost } in saved {
            let [(won, won_until), (lost, lost_until)] = [won, lost].map(|held| match held {
                Some((payload, until)) => (Some(payload), *until),
                None => (None, None),
            });
            insert.execute(params![database, name, winner, loser, won, won_until, lost, lost_until, now])?;
        }
        drop(insert);
        transaction.commit()?;
        Ok(())
    }

    /// Keys behind the one with the id `after`, up to `most`; each with its id.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(&self, after: i64, most: u32) -> anyhow::Result<Vec<(i64, Saved)>> {
        let mut query = self.connection.prepare(
            "SELECT id, db, key_bytes, winner, loser, winner_payload, winner_expires_ms, loser_payload, loser_expires_ms \
             FROM backup WHERE id > ? ORDER BY id LIMIT ?",
        )?;
        let saved = query.query_map(params![after, most], |row| {
            let held = |payload: usize| -> rusqlite::Result<Held> {
                let until = row.get(payload + 1)?;
                Ok(row.get::<_, Option<Vec<u8>>>(payload)?.map(|payload| (payload, until)))
            };
            let saved = Saved {
                name: (row.get(1)?, row.get(2)?),
                winner: row.get(3)?,
                loser: row.get(4)?,
                won: held(5)?,
                lost: held(7)?,
            };
            Ok((row.get(0)?, saved))
        })?;
        Ok(saved.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_read() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("backup.db");
        let saved = |name: &[u8], won: Held, lost: Held| Saved {
            name: (2, name.to_vec()),
            winner: "west".into(),
            loser: "east".into(),
            won,
            lost,
        };
        let all = [saved(b"a", Some((vec![0, 1], Some(7))), None), saved(b"\xff", None, Some((vec![2], None)))];
        let mut backup = Backup::create(&path).unwrap();
        backup.save(&all).unwrap();
        drop(backup);
        assert!(Backup::create(&path).unwrap_err().to_string().contains("never written over"));
        let backup = Backup::open(&path).unwrap();
        let read = backup.read(0, 1).unwrap();
        assert_eq!(read, [(1, all[0].clone())]);
        assert_eq!(backup.read(1, 10).unwrap(), [(2, all[1].clone())]);
    }
}
