//! Deletions that a server makes by itself, and the keyspace events that tell them from a client's (Redis `notify.c`,
//! `expire.c`, `evict.c`).

use super::{Server, Text, encoded};

/// What a server deletes a key for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    Expired,
    Evicted,
    /// No removal by the server: a client's.
    ByClient,
}

impl Removal {
    /// The event's name, and its letter in `notify-keyspace-events`.
    fn event(self) -> (&'static str, u8) {
        match self {
            Self::Expired => ("expired", b'x'),
            Self::Evicted => ("evicted", b'e'),
            Self::ByClient => ("del", b'g'),
        }
    }
}

impl Server {
    /// Removes keys whose time has come.
    pub fn expire(&mut self) {
        for database in 0..self.keys.0.len() as u32 {
            let now = self.now_ms;
            let gone: Vec<Text> = self.keys.0[database as usize]
                .iter()
                .filter(|(_, entry)| entry.expires_at_ms.is_some_and(|at| at <= now))
                .map(|(key, _)| key.clone())
                .collect();
            gone.iter().for_each(|key| self.evict(database, key, Removal::Expired));
        }
    }

    /// Removes one key, as a plain DEL.
    pub fn evict(&mut self, database: u32, key: &Text, removal: Removal) {
        if let Some(effect) = self.remove(database, key, removal) {
            self.propagate(vec![effect], false);
        }
    }

    /// Removes what of these arguments are keys whose time has come, before a command looks at them.
    pub(super) fn expire_lazily(&mut self, database: u32, args: &[Text], effects: &mut Vec<(u32, Vec<Text>)>) {
        for key in args.get(1..).unwrap_or_default() {
            let entry = self.keys.0[database as usize].get(key);
            if entry.and_then(|entry| entry.expires_at_ms).is_some_and(|at| at <= self.now_ms) {
                effects.extend(self.remove(database, key, Removal::Expired));
            }
        }
    }

    fn remove(&mut self, database: u32, key: &Text, removal: Removal) -> Option<(u32, Vec<Text>)> {
        self.keys.0[database as usize].remove(key)?;
        self.notify(database, key, removal);
        self.touch(&[(database, key.clone())]);
        Some((database, vec![b"DEL".to_vec(), key.clone()]))
    }

    pub(super) fn notify(&mut self, database: u32, key: &Text, removal: Removal) {
        let (name, letter) = removal.event();
        let wanted = |flag: u8| self.events.contains(&flag);
        if !wanted(b'E') || !(wanted(letter) || wanted(b'A')) {
            return;
        }
        let channel = format!("__keyevent@{database}__:{name}").into_bytes();
        for session in self.sessions.values_mut() {
            for pattern in session.patterns.iter().filter(|pattern| matches(pattern, &channel)) {
                let push = [b"pmessage".to_vec(), pattern.clone(), channel.clone(), key.clone()];
                session.output.extend_from_slice(&encoded(&push));
            }
        }
    }
}

/// Whether a pattern with stars fits.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| matches(rest, &text[at..])),
        Some((first, rest)) => text.first() == Some(first) && matches(rest, &text[1..]),
    }
}
