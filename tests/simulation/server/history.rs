//! What a server can continue: its histories and its backlog.

/// The part of the history that is kept.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    /// The first offset that it holds, counted from 1 as `PSYNC` does.
    pub first: u64,
    pub bytes: Vec<u8>,
}

/// The history of a server.
#[derive(Debug)]
pub struct Histories {
    pub id: String,
    /// The history before a restart, and the first offset that is not the same there.
    pub second: Option<(String, u64)>,
    pub offset: u64,
    pub backlog: Option<Backlog>,
    /// The database in force at the end of the stream.
    pub selected: Option<u32>,
    names: u64,
    run_id: u64,
}

impl Histories {
    pub fn new(run_id: u64) -> Self {
        let mut new =
            Self { id: String::new(), second: None, offset: 0, backlog: None, selected: None, names: 0, run_id };
        new.id = new.name();
        new
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("{:08x}{:032x}", self.names, self.run_id)
    }

    /// A first replica came: the history gets a name and a backlog.
    pub fn begin(&mut self) {
        if self.backlog.is_none() {
            self.id = self.name();
            self.second = None;
            self.backlog = Some(Backlog { first: self.offset + 1, bytes: Vec::new() });
        }
    }

    /// The server restarts and knows where it was: a new name, and the old one up to here.
    pub fn rename(&mut self) {
        let new = self.name();
        self.second = Some((std::mem::replace(&mut self.id, new), self.offset + 1));
        self.selected = None;
        if let Some(backlog) = &mut self.backlog {
            *backlog = Backlog { first: self.offset + 1, bytes: Vec::new() };
        }
    }

    /// A replica that had everything up to `offset` becomes the primary.
    pub fn fork(&mut self, offset: u64) {
        let new = self.name();
        self.second = Some((std::mem::replace(&mut self.id, new), offset + 1));
        (self.offset, self.selected) = (offset, None);
        if let Some(Backlog { first, bytes }) = &mut self.backlog {
            bytes.truncate((offset + 1).saturating_sub(*first) as usize);
        }
    }

    /// The server restarts and knows nothing of its history.
    pub fn forget(&mut self) {
        *self = Self { names: self.names, ..Self::new(self.run_id) };
        self.id = self.name();
    }

    /// The backlog has been overrun.
    pub fn overrun(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            *backlog = Backlog { first: self.offset + 1, bytes: Vec::new() };
        }
    }

    /// What follows `wanted` (as `PSYNC` counts) in the history `id`, if that can be told.
    pub fn after(&self, id: &str, wanted: u64) -> Option<&[u8]> {
        let backlog = self.backlog.as_ref()?;
        let same = self.id == id || self.second.as_ref().is_some_and(|(second, to)| second == id && wanted <= *to);
        let skip = usize::try_from(wanted.checked_sub(backlog.first)?).ok()?;
        if same { backlog.bytes.get(skip..) } else { None }
    }
}
