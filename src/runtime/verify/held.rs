//! What a region holds of a key, as a backup keeps it; and writing that again.

use super::lane::milliseconds;
use crate::config::Region;
use crate::error::{Fault, Kind};
use crate::runtime::client::{Client, Reply, TOO_LONG, elements, integer};
use crate::verify::backup::Held;

/// The largest value that is made equal, as `DUMP` gives it: what reads it takes no longer reply.
pub const MOST_BYTES: i64 = 64 * 1024 * 1024;
/// Beyond that, by the server's own estimate in bytes, `DUMP` is not tried: collections take more room in memory.
const MOST_IN_MEMORY: i64 = 4 * MOST_BYTES;

/// A value with its time to live, or why it is not taken.
#[derive(Debug)]
pub enum Taken {
    /// The value.
    Value(Held),
    /// It takes about so many bytes of memory, and more than [`MOST_BYTES`] in a dump.
    TooBig(i64),
}

/// A connection to a region.
#[derive(Debug)]
pub struct Reader {
    region: Region,
    client: Client,
    database: Option<u32>,
}

impl Reader {
    /// Connects to a region.
    ///
    /// # Errors
    /// A [`Fault`] that names the address and what failed.
    pub async fn open(region: &Region) -> Result<Self, Fault> {
        let client = Client::connect(region, region.primary()).await?;
        Ok(Self { region: region.clone(), client, database: None })
    }

    async fn select(&mut self, database: u32) -> Result<(), Fault> {
        if self.database != Some(database) {
            self.client.call(&["SELECT", &database.to_string()]).await?;
            self.database = Some(database);
        }
        Ok(())
    }

    fn strange(&self, what: &str) -> Fault {
        Fault::new(Kind::Protocol, format!("{} {what}", self.client.place()))
    }

    /// Takes a key's value as it is.
    ///
    /// # Errors
    /// A [`Fault`] when the server can't be reached, or refuses.
    pub async fn take(&mut self, database: u32, name: &[u8]) -> Result<Taken, Fault> {
        self.select(database).await?;
        let asked: [&[&[u8]]; 2] = [&[b"MEMORY", b"USAGE", name], &[b"STRLEN", name]];
        let replies = self.client.calls::<&[u8]>(&asked).await?;
        let (size, most) = match replies.as_slice() {
            // Of a string the length is known exactly; what it takes of memory may be much more.
            [_, Reply::Integer(length @ 1..)] => (*length, MOST_BYTES),
            [size @ (Reply::Integer(_) | Reply::Null), _] => (integer(size), MOST_IN_MEMORY),
            [Reply::Error(error), _] => return Err(Fault::of_reply(error, self.client.place())),
            _ => return Err(self.strange("did not tell of a key")),
        };
        if size > most {
            return Ok(Taken::TooBig(size));
        }
        // In a transaction, so that value, life and clock are of one moment.
        let asked: [&[&[u8]]; 5] = [&[b"MULTI"], &[b"DUMP", name], &[b"PTTL", name], &[b"TIME"], &[b"EXEC"]];
        let replies = match self.client.calls::<&[u8]>(&asked).await {
            Ok(replies) => replies,
            Err(fault) if fault.text.contains(TOO_LONG) => {
                // The rest of it is still on its way.
                *self = Self::open(&self.region).await?;
                return Ok(Taken::TooBig(size));
            }
            Err(fault) => return Err(fault),
        };
        let [dump, left, time] = replies.last().map(elements).unwrap_or_default() else {
            return Err(self.strange("did not tell of a key"));
        };
        let Reply::BulkString(payload) = dump else { return Ok(Taken::Value(None)) };
        let left_ms = integer(left);
        let expires_at_ms = (left_ms >= 0).then(|| milliseconds(time).saturating_add(left_ms));
        Ok(Taken::Value(Some((payload.to_vec(), expires_at_ms))))
    }

    /// Puts a value in the place of `before`, if that is still what stands there, as an ordinary client. Tells whether it was.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub async fn put(
        &mut self,
        (database, name): (u32, &[u8]),
        is_before: impl Fn(&Held) -> bool,
        value: &Held,
    ) -> Result<bool, Fault> {
        self.select(database).await?;
        self.client.call(&[b"WATCH".as_slice(), name]).await?;
        let unchanged = matches!(self.take(database, name).await?, Taken::Value(held) if is_before(&held));
        if !unchanged {
            self.client.call(&["UNWATCH"]).await?;
            return Ok(false);
        }
        let expires = value.as_ref().and_then(|(_, until)| *until).unwrap_or(0).to_string();
        let write: Vec<&[u8]> = match value {
            Some((payload, _)) => vec![b"RESTORE", name, expires.as_bytes(), payload, b"REPLACE", b"ABSTTL"],
            None => vec![b"DEL", name],
        };
        let asked: [&[&[u8]]; 3] = [&[b"MULTI"], &write, &[b"EXEC"]];
        let replies = self.client.calls::<&[u8]>(&asked).await?;
        match replies.last() {
            Some(Reply::Null) => Ok(false),
            Some(Reply::Array(executed)) => match executed.first() {
                Some(Reply::Error(error)) => Err(Fault::of_reply(error, self.client.place())),
                Some(_) | None => Ok(true),
            },
            Some(Reply::Error(error)) => Err(Fault::of_reply(error, self.client.place())),
            Some(_) | None => Err(self.strange("did not answer EXEC")),
        }
    }
}
