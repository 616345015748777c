//! Parts of a value, put together to its elements.

use super::element::StreamCounters;
use super::layout::Part;
use super::length::array;
use super::node::Node;
use super::packed::{Packed, Packing};
use super::template::{Names, Templates};
use super::{Element, Fault, StreamId};
use bytes::Bytes;
use std::sync::Arc;

/// How many entries of one group may be pending, each held in 32 bytes until its consumer is known.
const MAX_PENDING: usize = 16 * 1024 * 1024;

/// The largest expiry time of a field, in milliseconds since 1970 (Redis `ebuckets.h`, EB_EXPIRE_TIME_MAX).
const MAX_EXPIRY: u64 = (1 << 48) - 2;

/// What was read of a value and is not yet part of an element.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    name: Bytes,
    value: Bytes,
    expiry: u64,
    minimum_expiry: u64,
    single_item: bool,
    node_id: StreamId,
    properties: Vec<u64>,
    group: Bytes,
    consumer: Bytes,
    pending: Vec<Delivery>,
    templates: Arc<Templates>,
    template: Option<(Names, usize)>,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Delivery {
    id: StreamId,
    at_ms: i64,
    count: u64,
}

/// A packed collection whose elements are being read.
#[derive(Debug)]
enum Open {
    Packed(Packed, Part),
    Node(Node),
}

impl Assembly {
    /// Nothing yet, of a value that may refer to `templates`.
    pub(super) fn new(templates: Arc<Templates>) -> Self {
        Self { templates, ..Self::default() }
    }

    /// The number of fields of the template that the value refers to.
    pub(super) fn template_size(&self) -> u64 {
        self.template.as_ref().map_or(0, |(names, _)| names.len() as u64)
    }

    /// Takes a number.
    pub(super) fn number(&mut self, part: Part, number: u64) -> Result<Option<Element>, Fault> {
        match part {
            Part::RelativeExpiry if number == 0 => self.expiry = 0,
            Part::RelativeExpiry => {
                let expiry = self.minimum_expiry.checked_add(number - 1).ok_or(BAD_EXPIRY)?;
                self.expiry = field_expiry(expiry)?;
            }
            Part::ExpiryOrZero => self.expiry = field_expiry(number)?,
            Part::Container if number == 1 => self.single_item = true,
            Part::Container if number == 2 => self.single_item = false,
            Part::Container => return Err(Fault::Malformed("a list has a node of an unknown form")),
            Part::Property | Part::Counter => self.properties.push(number),
            Part::TemplateId => self.template = Some((self.templates.get(number)?, 0)),
            Part::Groups => return self.stream_state().map(Some),
            Part::GroupPending => return self.begin_group().map(Some),
            Part::ConsumerPending => {
                return Ok(Some(Element::Consumer {
                    group: self.group.clone(),
                    name: self.consumer.clone(),
                    pending: number,
                }));
            }
            Part::PendingCount => match self.pending.last_mut() {
                Some(delivery) => delivery.count = number,
                None => return Err(Fault::Malformed("a pending entry has no id")),
            },
            _ => {}
        }
        Ok(None)
    }

    /// Takes bytes of a fixed number.
    pub(super) fn raw(&mut self, part: Part, bytes: &[u8]) -> Result<Option<Element>, Fault> {
        let eight = |at| array::<8>(bytes, at).ok_or(Fault::Truncated);
        match part {
            Part::Score => return self.scored(f64::from_le_bytes(eight(0)?)).map(Some),
            Part::MinimumExpiry => self.minimum_expiry = u64::from_le_bytes(eight(0)?),
            Part::ExpiryOrNone => {
                let time = i64::from_le_bytes(eight(0)?);
                if time < -1 {
                    return Err(BAD_EXPIRY);
                }
                let value = std::mem::take(&mut self.value);
                return Ok(Some(self.field(value, (time != -1).then_some(time))));
            }
            Part::PendingId => {
                if self.pending.len() >= MAX_PENDING {
                    let (length, limit) = (MAX_PENDING as u64 + 1, MAX_PENDING as u64);
                    return Err(Fault::TooLong { what: "the pending entries of a group", length, limit });
                }
                self.pending.push(Delivery { id: stream_id(bytes)?, ..Delivery::default() });
            }
            Part::PendingTime => match self.pending.last_mut() {
                Some(delivery) => delivery.at_ms = i64::from_le_bytes(eight(0)?),
                None => return Err(Fault::Malformed("a pending entry has no id")),
            },
            Part::ConsumerPendingId => return self.pending(stream_id(bytes)?).map(Some),
            _ => {}
        }
        Ok(None)
    }

    /// Takes a score in digits.
    pub(super) fn digits(&mut self, bytes: &[u8]) -> Result<Option<Element>, Fault> {
        let score = match bytes.split_first() {
            Some((254, _)) => f64::INFINITY,
            Some((255, _)) => f64::NEG_INFINITY,
            Some((_, digits)) => parse_score(digits)?,
            None => return Err(Fault::Truncated),
        };
        self.scored(score).map(Some)
    }

    /// Takes a string.
    pub(super) fn string(&mut self, part: Part, text: Bytes) -> Result<Option<Element>, Fault> {
        match part {
            Part::Text => return Ok(Some(Element::Text(text))),
            Part::Item => return Ok(Some(Element::Item(text))),
            Part::Member => return Ok(Some(Element::Member(text))),
            Part::ScoredMember | Part::Name => self.name = text,
            Part::Value => {
                let expiry = std::mem::take(&mut self.expiry);
                return Ok(Some(self.field(text, (expiry != 0).then_some(expiry as i64))));
            }
            Part::ValueBeforeExpiry => self.value = text,
            Part::TemplateValue => return self.template_field(text).map(Some),
            Part::NodeId => self.node_id = stream_id(&text)?,
            Part::GroupName => self.group = text,
            Part::ConsumerName => self.consumer = text,
            _ => {}
        }
        Ok(None)
    }

    /// Takes a packed collection, whose elements [`Self::next_packed`] then gives.
    pub(super) fn packed(&mut self, packing: Packing, part: Part, bytes: Bytes) -> Result<Option<Element>, Fault> {
        self.open = Some(match part {
            Part::Items if std::mem::take(&mut self.single_item) => return Ok(Some(Element::Item(bytes))),
            Part::Node => Open::Node(Node::new(self.node_id, bytes)?),
            Part::TemplateValues => {
                let mut packed = Packed::new(packing, bytes)?;
                let id = u64::try_from(packed.require()?.into_integer()?);
                let id = id.map_err(|_| Fault::Malformed("a template has a negative id"))?;
                self.template = Some((self.templates.get(id)?, 0));
                Open::Packed(packed, part)
            }
            _ => Open::Packed(Packed::new(packing, bytes)?, part),
        });
        Ok(None)
    }

    /// The next element of the packed collection that was taken last, or `None` when there is no more.
    pub(super) fn next_packed(&mut self) -> Result<Option<Element>, Fault> {
        let element = match &mut self.open {
            None => return Ok(None),
            Some(Open::Node(node)) => node.next()?,
            Some(Open::Packed(packed, part)) => match packed.next()? {
                None if *part == Part::TemplateValues
                    && self.template.take_if(|(names, at)| *at < names.len()).is_some() =>
                {
                    return Err(Fault::Malformed("a hash has fewer values than its template fields"));
                }
                None => None,
                Some(entry) if *part == Part::TemplateValues => {
                    let value = entry.into_bytes();
                    Some(self.template_field(value)?)
                }
                Some(entry) => Some(unpacked(packed, *part, entry.into_bytes())?),
            },
        };
        if element.is_none() {
            self.open = None;
        }
        Ok(element)
    }

    fn scored(&mut self, score: f64) -> Result<Element, Fault> {
        scored(std::mem::take(&mut self.name), score)
    }

    fn field(&mut self, value: Bytes, expires_at_ms: Option<i64>) -> Element {
        Element::Field { name: std::mem::take(&mut self.name), value, expires_at_ms }
    }

    fn template_field(&mut self, value: Bytes) -> Result<Element, Fault> {
        let more = Fault::Malformed("a hash has more values than its template fields");
        let (names, at) = self.template.as_mut().ok_or(more)?;
        let name = names.get(*at).ok_or(more)?.clone();
        *at += 1;
        Ok(Element::Field { name, value, expires_at_ms: None })
    }

    fn stream_state(&mut self) -> Result<Element, Fault> {
        let properties = std::mem::take(&mut self.properties);
        let id = |ms, seq| StreamId { ms, seq };
        match properties[..] {
            [length, ms, seq] => Ok(Element::StreamState { length, last: id(ms, seq), counters: None }),
            [length, ms, seq, first_ms, first_seq, deleted_ms, deleted_seq, entries_added] => {
                let (first, max_deleted) = (id(first_ms, first_seq), id(deleted_ms, deleted_seq));
                let counters = Some(StreamCounters { first, max_deleted, entries_added });
                Ok(Element::StreamState { length, last: id(ms, seq), counters })
            }
            _ => Err(Fault::Malformed("a stream has another number of properties than its type")),
        }
    }

    fn begin_group(&mut self) -> Result<Element, Fault> {
        let properties = std::mem::take(&mut self.properties);
        self.pending.clear();
        let (ms, seq, entries_read) = match properties[..] {
            [ms, seq] | [ms, seq, u64::MAX] => (ms, seq, None),
            [ms, seq, entries_read] => (ms, seq, Some(entries_read)),
            _ => return Err(Fault::Malformed("a group has another number of properties than its type")),
        };
        Ok(Element::Group { name: self.group.clone(), last: StreamId { ms, seq }, entries_read })
    }

    fn pending(&mut self, id: StreamId) -> Result<Element, Fault> {
        let found = self.pending.binary_search_by_key(&id, |delivery| delivery.id).ok();
        let delivery = found.and_then(|at| self.pending.get(at));
        let delivery = delivery.ok_or(Fault::Malformed("an entry is pending at a consumer but not at its group"))?;
        Ok(Element::Pending {
            group: self.group.clone(),
            consumer: self.consumer.clone(),
            id,
            delivered_at_ms: delivery.at_ms,
            deliveries: delivery.count,
        })
    }
}

/// An element of a packed collection, which begins with the entry `first`.
fn unpacked(packed: &mut Packed, part: Part, first: Bytes) -> Result<Element, Fault> {
    match part {
        Part::Items => Ok(Element::Item(first)),
        Part::Members => Ok(Element::Member(first)),
        Part::Scored => scored(first, parse_score(&packed.require()?.into_bytes())?),
        Part::Fields => Ok(Element::Field { name: first, value: packed.require()?.into_bytes(), expires_at_ms: None }),
        Part::ExpiringFields => {
            let value = packed.require()?.into_bytes();
            let expiry = packed.require()?.into_integer()?;
            let expiry = field_expiry(u64::try_from(expiry).map_err(|_| BAD_EXPIRY)?)?;
            Ok(Element::Field { name: first, value, expires_at_ms: (expiry != 0).then_some(expiry as i64) })
        }
        _ => Err(Fault::Malformed("a packed collection stands in place of something else")),
    }
}

const BAD_EXPIRY: Fault = Fault::Malformed("a field expires at a time that doesn't exist");

fn field_expiry(time: u64) -> Result<u64, Fault> {
    if time <= MAX_EXPIRY { Ok(time) } else { Err(BAD_EXPIRY) }
}

fn scored(member: Bytes, score: f64) -> Result<Element, Fault> {
    match score.is_nan() {
        false => Ok(Element::Scored { member, score }),
        true => Err(Fault::Malformed("a score is not a number")),
    }
}

fn parse_score(digits: &[u8]) -> Result<f64, Fault> {
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.trim().parse().ok());
    number.ok_or(Fault::Malformed("a score is not a number"))
}

fn stream_id(bytes: &[u8]) -> Result<StreamId, Fault> {
    match (array(bytes, 0), array(bytes, 8)) {
        (Some(ms), Some(seq)) if bytes.len() == 16 => {
            Ok(StreamId { ms: u64::from_be_bytes(ms), seq: u64::from_be_bytes(seq) })
        }
        _ => Err(Fault::Malformed("the id of a stream's entry has not 16 bytes")),
    }
}
