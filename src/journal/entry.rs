//! One record as it stands in the files and is given over HTTP: a JSON object.
//!
//! Keys, names and words are text with everything that isn't printable ASCII as `\x..`. Where that is not the same as
//! the bytes, a field `..._base64` beside it has them exactly. Keys, names and requests longer than 4096 bytes are cut.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::inbox::Report;
use super::text::{bytes, encoded, shown, words};
use crate::engine::conflict::{Done, Side, Unit};
use crate::observe::{ConflictCounts, UnitCounts};

/// One conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The same for the same conflict.
    pub id: Id,
    /// When it was found, by the clock of Duet's machine.
    pub time: Timestamp,
    /// The region where it was found.
    pub found_at: String,
    /// The key's database.
    pub database: u32,
    /// The key as text.
    pub key: String,
    /// The key's bytes, where its text is not the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<String>,
    /// How long the whole key is, where it was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_length: Option<usize>,
    /// What of the key both writes decide.
    pub unit: UnitEntry,
    /// The write that stays.
    pub winner: SideEntry,
    /// The write that lost.
    pub loser: SideEntry,
    /// The losing write; absent where a value was copied.
    pub write: Option<WriteEntry>,
    /// The write that stays; where the key is held, the other one. Absent where a value was copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<WriteEntry>,
    /// What was done.
    pub done: Done,
}

/// What of a key a conflict is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitEntry {
    /// What kind of part it is.
    pub kind: UnitKind,
    /// Which element, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its bytes, where the text is not the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_base64: Option<String>,
}

/// The kinds of parts of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// The whole key.
    Whole,
    /// A field, a member, a bit.
    Element,
    /// Its time to live.
    Lifetime,
    /// The order of what was done to it.
    Sequence,
}

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideEntry {
    /// The region.
    pub region: String,
    /// When it was written there, by that region's clock; absent for what a server did by itself.
    pub time: Option<Timestamp>,
}

/// A losing write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteEntry {
    /// The request, word by word, as text.
    pub words: Vec<String>,
    /// The same as bytes, where one of the texts is not the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words_base64: Option<Vec<String>>,
    /// How long the whole request is, bytes.
    pub length: usize,
    /// Whether only its beginning was kept.
    pub truncated: bool,
}

impl Entry {
    /// The form of a record between these regions.
    pub(super) fn new(report: Report, regions: &[String; 2]) -> Self {
        let Report { record, key_length, at } = report;
        let region = |index: usize| regions.get(index).cloned().unwrap_or_default();
        let side = |side: Side| SideEntry {
            region: region(side.region),
            time: Timestamp::from_microsecond(side.stamp.time_us).ok(),
        };
        let (key, key_base64) = shown(&record.key);
        Self {
            id: Id(record.id),
            time: at,
            found_at: region(record.found_at),
            database: record.database,
            key_length: (key_length > record.key.len()).then_some(key_length),
            key,
            key_base64,
            unit: UnitEntry::new(&record.unit),
            winner: side(record.winner),
            loser: side(record.loser),
            write: (!record.write.is_empty()).then(|| WriteEntry::new(&record.write, record.length)),
            against: (!record.against.is_empty()).then(|| WriteEntry::new(&record.against, record.against_length)),
            done: record.done,
        }
    }

    /// Whether it is about this key, given as it is shown or as it is.
    pub fn is_about(&self, key: &str) -> bool {
        let exact = || bytes(&self.key, Some(self.key_base64.as_deref()?));
        self.key == key || exact().is_some_and(|bytes| bytes == key.as_bytes())
    }

    /// It alone, as counts.
    pub(super) fn count(&self) -> ConflictCounts {
        let mut unit = UnitCounts::default();
        *match self.unit.kind {
            UnitKind::Whole => &mut unit.whole,
            UnitKind::Element => &mut unit.element,
            UnitKind::Lifetime => &mut unit.lifetime,
            UnitKind::Sequence => &mut unit.sequence,
        } = 1;
        let mut counts = ConflictCounts { by_unit: unit, ..ConflictCounts::default() };
        *match self.done {
            Done::Replayed => &mut counts.replayed,
            Done::Dropped => &mut counts.dropped,
            Done::Reconciled => &mut counts.reconciled,
            Done::Held => &mut counts.held,
        } = 1;
        counts
    }
}

impl UnitEntry {
    fn new(unit: &Unit) -> Self {
        let (name, name_base64) = match unit {
            Unit::Element(name) => {
                let (name, base64) = shown(name);
                (Some(name), base64)
            }
            Unit::Whole | Unit::Lifetime | Unit::Sequence => (None, None),
        };
        Self { kind: UnitKind::of(unit), name, name_base64 }
    }
}

impl UnitKind {
    /// The kind of a unit.
    pub fn of(unit: &Unit) -> Self {
        match unit {
            Unit::Whole => Self::Whole,
            Unit::Element(_) => Self::Element,
            Unit::Lifetime => Self::Lifetime,
            Unit::Sequence => Self::Sequence,
        }
    }
}

impl WriteEntry {
    fn new(request: &[u8], length: usize) -> Self {
        let texts: Vec<_> = words(request).into_iter().map(|word| (word, shown(word))).collect();
        let exact = texts.iter().all(|(_, (_, base64))| base64.is_none());
        let words_base64 = (!exact).then(|| {
            // A word of which the others have no need is there too, so that both lists go side by side.
            texts.iter().map(|(word, _)| encoded(word)).collect()
        });
        Self {
            words: texts.into_iter().map(|(_, (text, _))| text).collect(),
            words_base64,
            length,
            truncated: length > request.len(),
        }
    }

    /// The words of the request as they are; `None` when it was cut, or its bytes cannot be read.
    pub fn request(&self) -> Option<Vec<Vec<u8>>> {
        if self.truncated || self.words.is_empty() {
            return None;
        }
        match &self.words_base64 {
            None => Some(self.words.iter().map(|word| word.as_bytes().to_vec()).collect()),
            Some(encoded) => encoded.iter().map(|word| bytes("", Some(word))).collect(),
        }
    }
}

impl fmt::Display for UnitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "whole",
            Self::Element => "element",
            Self::Lifetime => "lifetime",
            Self::Sequence => "sequence",
        })
    }
}

/// What a conflict is called: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        id.map(Self).ok_or_else(|| "an id has 16 hexadecimal digits".to_owned())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
