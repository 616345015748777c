//! The parts that the values of each type are written in, as tables (Redis and Valkey `rdb.c`, rdbSaveObject and
//! rdbLoadObject). One table serves to find where a value ends and to decode it.

use super::packed::Packing;
use super::{Dialect, Kind};

/// One part of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A number.
    Number(Part),
    /// A string.
    String(Part),
    /// A string that holds elements.
    Packed(Packing, Part),
    /// So many bytes.
    Raw(usize, Part),
    /// A score as a length in one byte and digits, or as one of three special bytes.
    Digits,
    /// A number, and so many times the steps.
    Each(Part, &'static [Step]),
    /// A number, which [`Step::Repeat`] uses.
    Count,
    /// The steps, as many times as [`Step::Count`] said.
    Repeat(&'static [Step]),
    /// A number that says what part follows it, and that part.
    Tagged,
    /// Module data: numbers that say what part follows each, up to a 0.
    Opcodes,
}

/// What a part means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Skipped,
    Text,
    Item,
    Member,
    ScoredMember,
    Score,
    Name,
    Value,
    /// A value whose field has an expiry time behind it.
    ValueBeforeExpiry,
    /// The smallest expiry time of a hash's fields, in milliseconds since 1970.
    MinimumExpiry,
    /// An expiry time as the distance from the smallest plus 1, or 0 for none.
    RelativeExpiry,
    /// An expiry time, or 0 for none.
    ExpiryOrZero,
    /// An expiry time, or -1 for none. It completes a field.
    ExpiryOrNone,
    /// How a quicklist's node is held: 1 as a single item, 2 packed.
    Container,
    Items,
    Members,
    Scored,
    Fields,
    /// Fields, values and expiry times or 0.
    ExpiringFields,
    NodeId,
    Node,
    /// A number of a stream or of a group, to be collected.
    Property,
    /// A number of a stream or of a group that Redis 7.0 and on keeps, to be collected.
    Counter,
    Groups,
    GroupName,
    GroupPending,
    PendingId,
    PendingTime,
    PendingCount,
    ConsumerName,
    ConsumerPending,
    ConsumerPendingId,
    /// When a consumer last got an entry, in milliseconds since 1970 (Redis 7.2 and on).
    ActiveTime,
    /// The id of a template, whose fields have the values that follow.
    TemplateId,
    /// The value of a template's next field.
    TemplateValue,
    /// The id of a template, and the values of its fields.
    TemplateValues,
    /// What producers of a stream wrote, so that they may write it twice (Redis 8.6 and on).
    Idempotence,
    /// An entry that is pending at a group but at none of its consumers (Redis 8.8 and on).
    Unowned,
}

impl Part {
    /// The type code with which the part came into streams.
    pub(super) fn since(self) -> u8 {
        match self {
            Counter => 19,
            ActiveTime => 21,
            Idempotence => 26,
            Unowned => 27,
            _ => 15,
        }
    }
}

use Part::*;
use Step::{Count, Digits, Each, Number, Packed, Raw, Repeat, String, Tagged};

const TIME: usize = 8;
const ID: usize = 16;

const HASH: &[Step] = &[Each(Skipped, &[String(Name), String(Value)])];
const HASH_WITH_EXPIRY: &[Step] = &[Each(Skipped, &[String(Name), String(ValueBeforeExpiry), Raw(TIME, ExpiryOrNone)])];
const HASH_PRE_RELEASE: &[Step] = &[Each(Skipped, &[Number(ExpiryOrZero), String(Name), String(Value)])];
const HASH_METADATA: &[Step] =
    &[Raw(TIME, MinimumExpiry), Each(Skipped, &[Number(RelativeExpiry), String(Name), String(Value)])];
const SORTED_SET_OLD: &[Step] = &[Each(Skipped, &[String(ScoredMember), Digits])];
const SORTED_SET: &[Step] = &[Each(Skipped, &[String(ScoredMember), Raw(8, Score)])];
const QUICKLIST: &[Step] = &[Each(Skipped, &[Packed(Packing::Ziplist, Items)])];
const QUICKLIST_2: &[Step] = &[Each(Skipped, &[Number(Container), Packed(Packing::Listpack, Items)])];
const EXPIRING_LISTPACK: &[Step] = &[Raw(TIME, MinimumExpiry), Packed(Packing::Listpack, ExpiringFields)];
const ARRAY: &[Step] = &[Count, Each(Skipped, &[Number(Skipped)]), Repeat(&[Number(Skipped), Tagged])];
/// A module's value: its id, and what it says.
pub(super) const MODULE: &[Step] = &[Number(Skipped), Step::Opcodes];

const NODES: Step = Each(Skipped, &[String(NodeId), Packed(Packing::Listpack, Node)]);
const PENDING: Step = Each(GroupPending, &[Raw(ID, PendingId), Raw(TIME, PendingTime), Number(PendingCount)]);
const CONSUMER_PENDING: Step = Each(ConsumerPending, &[Raw(ID, ConsumerPendingId)]);
const CONSUMERS: Step = Each(Skipped, &[String(ConsumerName), Raw(TIME, Skipped), CONSUMER_PENDING]);
const CONSUMERS_3: Step =
    Each(Skipped, &[String(ConsumerName), Raw(TIME, Skipped), Raw(TIME, ActiveTime), CONSUMER_PENDING]);
const UNOWNED: Step = Each(Unowned, &[Raw(ID, Unowned)]);
const P: Step = Number(Property);
const C: Step = Number(Counter);
const I: Step = Number(Idempotence);
const PRODUCERS: Step = Each(Idempotence, &[String(Idempotence), Each(Idempotence, &[String(Idempotence), I, I])]);
const GROUP_1: &[Step] = &[String(GroupName), P, P, PENDING, CONSUMERS];
const GROUP_2: &[Step] = &[String(GroupName), P, P, C, PENDING, CONSUMERS];
const GROUP_3: &[Step] = &[String(GroupName), P, P, C, PENDING, CONSUMERS_3];
const GROUP_5: &[Step] = &[String(GroupName), P, P, C, PENDING, CONSUMERS_3, UNOWNED];

const STREAM: &[Step] = &[NODES, P, P, P, Each(Groups, GROUP_1)];
const STREAM_2: &[Step] = &[NODES, P, P, P, C, C, C, C, C, Each(Groups, GROUP_2)];
const STREAM_3: &[Step] = &[NODES, P, P, P, C, C, C, C, C, Each(Groups, GROUP_3)];
const STREAM_4: &[Step] = &[NODES, P, P, P, C, C, C, C, C, Each(Groups, GROUP_3), I, I, PRODUCERS, I, I];
const STREAM_5: &[Step] = &[NODES, P, P, P, C, C, C, C, C, Each(Groups, GROUP_5), I, I, PRODUCERS, I, I];

const N: Step = Number(Skipped);

/// A template of hashes (Redis 8.10, opcode 242): its id, and the names of its fields.
pub(super) const TEMPLATE: &[Step] = &[N, Each(Skipped, &[String(Item)])];
/// Where a cluster's slots are being imported to (Valkey 9, opcode 243): a job's name and ranges of slots.
pub(super) const SLOT_IMPORT: &[Step] = &[String(Skipped), Each(Skipped, &[N, N])];
/// The sizes of a slot (opcode 244).
pub(super) const SLOT_INFO: &[Step] = &[N, N, N];
/// What modules say of the next key (Redis 8.6, opcode 243).
pub(super) const KEY_METADATA: &[Step] = &[Each(Skipped, &[Raw(4, Skipped), Step::Opcodes])];
/// What a module says of the data set (opcode 247): its id, when it says so, and that.
pub(super) const MODULE_AUX: &[Step] = &[N, N, N, Step::Opcodes];

/// The kind and the layout of a type code, or `None` for a code that is not known.
#[rustfmt::skip]
pub(super) fn of_type(dialect: Dialect, code: u8) -> Option<(Kind, &'static [Step])> {
    use Packing::{Intset, Listpack, Ziplist, Zipmap};
    Some(match code {
        0 => (Kind::String, &[String(Text)]),
        1 => (Kind::List, &[Each(Skipped, &[String(Item)])]),
        2 => (Kind::Set, &[Each(Skipped, &[String(Member)])]),
        3 => (Kind::SortedSet, SORTED_SET_OLD),
        4 => (Kind::Hash, HASH),
        5 => (Kind::SortedSet, SORTED_SET),
        7 => (Kind::Module, MODULE),
        9 => (Kind::Hash, &[Packed(Zipmap, Fields)]),
        10 => (Kind::List, &[Packed(Ziplist, Items)]),
        11 => (Kind::Set, &[Packed(Intset, Members)]),
        12 => (Kind::SortedSet, &[Packed(Ziplist, Scored)]),
        13 => (Kind::Hash, &[Packed(Ziplist, Fields)]),
        14 => (Kind::List, QUICKLIST),
        15 => (Kind::Stream, STREAM),
        16 => (Kind::Hash, &[Packed(Listpack, Fields)]),
        17 => (Kind::SortedSet, &[Packed(Listpack, Scored)]),
        18 => (Kind::List, QUICKLIST_2),
        19 => (Kind::Stream, STREAM_2),
        20 => (Kind::Set, &[Packed(Listpack, Members)]),
        21 => (Kind::Stream, STREAM_3),
        _ => return of_dialect(dialect, code),
    })
}

#[rustfmt::skip]
fn of_dialect(dialect: Dialect, code: u8) -> Option<(Kind, &'static [Step])> {
    Some(match (dialect, code) {
        (Dialect::Valkey, 22) => (Kind::Hash, HASH_WITH_EXPIRY),
        (Dialect::Redis, 22) => (Kind::Hash, HASH_PRE_RELEASE),
        (Dialect::Redis, 23) => (Kind::Hash, &[Packed(Packing::Listpack, ExpiringFields)]),
        (Dialect::Redis, 24) => (Kind::Hash, HASH_METADATA),
        (Dialect::Redis, 25) => (Kind::Hash, EXPIRING_LISTPACK),
        (Dialect::Redis, 26) => (Kind::Stream, STREAM_4),
        (Dialect::Redis, 27) => (Kind::Stream, STREAM_5),
        (Dialect::Redis, 28) => (Kind::Array, ARRAY),
        (Dialect::Redis, 30) => (Kind::Hash, &[Packed(Packing::Listpack, TemplateValues)]),
        (Dialect::Redis, 32) => (Kind::Hash, &[Number(TemplateId), Repeat(&[String(TemplateValue)])]),
        _ => return None,
    })
}

/// Whether a value of the type code can't be understood without the dump's templates.
pub(super) fn needs_template(dialect: Dialect, code: u8) -> bool {
    dialect == Dialect::Redis && matches!(code, 30 | 32)
}

/// The part that follows a tag in an array, or `None` for a tag that is not known.
pub(super) fn tagged(tag: u64) -> Option<Step> {
    match tag {
        0 | 3 => Some(String(Skipped)),
        1 | 2 => Some(Raw(8, Skipped)),
        _ => None,
    }
}

/// The part that follows an opcode in module data, or `None` for an opcode that is not known (0 has none either).
pub(super) fn after_opcode(opcode: u64) -> Option<Step> {
    match opcode {
        1 | 2 => Some(N),
        3 => Some(Raw(4, Skipped)),
        4 => Some(Raw(8, Skipped)),
        5 => Some(String(Skipped)),
        _ => None,
    }
}
