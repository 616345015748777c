//! What is looked at in the stream of one link.

use crate::command::{Class, Spec};
use crate::engine::origin::{Marker, ReservedKeys};
use crate::engine::position::ReplicationId;
use crate::error::{Fault, Kind};
use crate::wire::resp::Command;

/// What a marker's value begins with, in every version of its form.
const MARKER: &[u8] = b"duet";

/// From where on a link asks; 0 is never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// A target with so many keys is not emptied unasked.
    pub flush_keys: u64,
    /// So many more deletions than other writes within a window are asked about.
    pub deletes: u64,
    /// The same, as percent of the target's keys...
    pub delete_percent: u64,
    /// ... but never for fewer than so many.
    pub delete_floor: u64,
    /// A window, milliseconds of the source's clock.
    pub window_ms: i64,
    /// A stream in which what this link has written comes back is asked about.
    pub echo: bool,
}

/// Watches the stream of one link.
#[derive(Debug, Default)]
pub struct Guard {
    limits: Limits,
    /// Keys that the target holds, if that is known.
    keys: Option<u64>,
    /// What is before this offset is accepted by the operator.
    accepted: u64,
    /// What keys begin with that no client writes.
    prefix: Vec<u8>,
    /// This link's own marker: it is written to the target, so the source never holds it.
    own_marker: Vec<u8>,
    /// The other link's marker, which is found in this stream.
    other_marker: Vec<u8>,
    /// The target's history.
    target: Option<ReplicationId>,
    window_from: Option<i64>,
    /// Deletions beyond other writes, of the window.
    surplus: u64,
    /// How many windows the first one counts for: what was written while the link was away is read in a moment.
    patience: u64,
}

impl Guard {
    /// A guard with these limits, of the link from the region `source` to `target`, which has this `history`, and which was
    /// away for so long; `keys` are the pair's own.
    pub fn new(
        limits: Limits,
        keys: &ReservedKeys,
        [source, target]: [&str; 2],
        history: ReplicationId,
        away_ms: i64,
    ) -> Self {
        let windows = if limits.window_ms > 0 { away_ms.max(0) / limits.window_ms } else { 0 };
        let patience = u64::try_from(windows).unwrap_or(0).saturating_add(1);
        Self {
            limits,
            prefix: keys.prefix().to_vec(),
            own_marker: keys.marker(source),
            other_marker: keys.marker(target),
            target: Some(history),
            patience,
            ..Self::default()
        }
    }

    /// The target holds so many keys.
    pub fn set_keys(&mut self, keys: u64) {
        self.keys = Some(keys);
    }

    /// The operator accepts everything before this offset of the source's history.
    pub fn accept(&mut self, offset: u64) {
        self.accepted = offset;
    }

    /// The source's clock at this place of the stream, milliseconds.
    pub fn heartbeat(&mut self, time_ms: i64) {
        match self.window_from {
            Some(from) if time_ms - from < self.limits.window_ms => {}
            before => {
                // What was read before the first of them is of its window.
                if before.is_some() {
                    self.patience = 1;
                    self.surplus = 0;
                }
                self.window_from = Some(time_ms);
            }
        }
    }

    /// A command of a client of the source, which ends at `offset`, before anything is made of it. `begins` where it is
    /// alone, or the first of a transaction.
    ///
    /// # Errors
    /// The [`Fault`] on account of which the link holds.
    pub fn look(
        &mut self,
        command: &Command<'_>,
        spec: &Spec,
        offset: u64,
        database: u32,
        begins: bool,
    ) -> Result<(), Fault> {
        if offset <= self.accepted {
            return Ok(());
        }
        if begins && self.limits.echo && spec.name == "SET" {
            self.look_for_echo(command, database)?;
        }
        match spec.class {
            Class::Database if spec.name != "SWAPDB" => self.look_at_flush(spec, database),
            Class::Write if command.arg(1).starts_with(&self.prefix) => Ok(()),
            Class::Write if spec.is_deletion() => self.look_at_deletion(command.len() as u64 - 1),
            Class::Write => {
                self.surplus = self.surplus.saturating_sub(1);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn look_for_echo(&self, command: &Command<'_>, database: u32) -> Result<(), Fault> {
        let (key, value) = (command.arg(1), command.arg(2));
        if !value.starts_with(MARKER) {
            return Ok(());
        }
        let echo = |text: String| Err(Fault::new(Kind::EchoGrows, text));
        let marker = Marker::parse(value);
        if database == 0 && key == self.own_marker {
            return echo(
                "what this link writes to its target is copied back to its source by another program".to_owned(),
            );
        }
        if database == 0 && key == self.other_marker {
            return match marker {
                Some(_) => Ok(()),
                None => {
                    echo("the other link's marker has a form that is not known: a Duet of another version?".to_owned())
                }
            };
        }
        match marker {
            Some(marker) if Some(marker.high.replication_id) == self.target => {
                let key = key.escape_ascii().to_string();
                echo(format!("another Duet copies between these two servers (its marker is {key})"))
            }
            _ => Ok(()),
        }
    }

    fn look_at_flush(&self, spec: &Spec, database: u32) -> Result<(), Fault> {
        let keys = self.keys.unwrap_or(0);
        if self.limits.flush_keys == 0 || keys < self.limits.flush_keys {
            return Ok(());
        }
        let of = if spec.name == "FLUSHALL" { String::new() } else { format!(" of database {database}") };
        Err(Fault::new(Kind::FlushSeen, format!("{}{of} at the source, and the target holds {keys} keys", spec.name)))
    }

    fn look_at_deletion(&mut self, keys: u64) -> Result<(), Fault> {
        self.surplus = self.surplus.saturating_add(keys);
        let Limits { deletes, delete_percent, delete_floor, .. } = self.limits;
        let most = deletes.saturating_mul(self.patience);
        if deletes > 0 && self.surplus > most {
            return self.mass_delete(format!("more than {most}"));
        }
        let held = self.keys.unwrap_or(0);
        let share = (held.saturating_mul(delete_percent) / 100).max(delete_floor);
        if delete_percent > 0 && self.keys.is_some() && self.surplus > share {
            return self.mass_delete(format!("more than {share} of the target's {held}"));
        }
        Ok(())
    }

    fn mass_delete(&self, what: String) -> Result<(), Fault> {
        let seconds = self.limits.window_ms.unsigned_abs().saturating_mul(self.patience) / 1000;
        let text = format!("clients of the source deleted {what} keys within {seconds} s and wrote few");
        Err(Fault::new(Kind::MassDelete, text))
    }
}

/// Whether the marker at a target is further behind what this daemon knew to be there than a failover explains: `known_ms`
/// and `found_ms` are the source's clock at the two places.
///
/// # Errors
/// The [`Fault`] on account of which the link holds.
pub fn went_back(known_ms: i64, found_ms: i64, limit_ms: i64) -> Result<(), Fault> {
    let back = known_ms.saturating_sub(found_ms);
    if limit_ms <= 0 || known_ms <= 0 || back <= limit_ms {
        return Ok(());
    }
    let text = format!(
        "the target's marker is {} s behind what was there before: more than a failover loses. Was it restored?",
        back / 1000
    );
    Err(Fault::new(Kind::MarkerBack, text))
}
