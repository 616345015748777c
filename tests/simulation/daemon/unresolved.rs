//! What of the resolving of conflicts is switched off, to see that somebody notices.

use duet::engine::conflict::{Exchange, Mail};

/// Mechanisms that are switched off: by what the shell does, or does not do, with what the links tell each other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unresolved {
    /// Writes that were executed out of order are not executed again.
    pub replay: bool,
    /// The place where a restart reads on does not wait for what is unfinished.
    pub pins: bool,
    /// After a restart what was executed before is not judged again.
    pub recovery: bool,
    /// A value is not copied where the order of writes can't be mended.
    pub settling: bool,
    /// A value is put where the stream was not read up to a fence.
    pub fencing: bool,
    /// What values lack that were put where a stream then broke off is not executed again.
    pub making_good: bool,
    /// Stamps are not pushed past what the region had seen.
    pub pushing: bool,
    /// After a restart keys that were held are not.
    pub holding: bool,
    /// What was read counts as judged before it is: reading and judging are not one step.
    pub judging: bool,
    /// A marker that clients took away with its database is not looked for in the stream.
    pub searching: bool,
}

impl Unresolved {
    /// What is switched off, by name.
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (self.replay, "replay"),
            (self.pins, "pins"),
            (self.recovery, "recovery"),
            (self.settling, "settling"),
            (self.fencing, "fencing"),
            (self.making_good, "making good"),
            (self.pushing, "pushing"),
            (self.holding, "holding"),
            (self.judging, "judging"),
            (self.searching, "searching"),
        ];
        all.into_iter().filter_map(|(off, name)| off.then_some(name)).collect()
    }

    /// The link that reads `region` has read something: what follows from it is undone before the other link hears of it.
    pub fn was_read(self, region: usize, exchange: &mut Exchange) {
        if self.replay {
            let mail: Vec<Mail> = std::iter::from_fn(|| exchange.take(region, usize::MAX, true)).collect();
            let values = mail.into_iter().filter(|mail| matches!(mail, Mail::Value(_)));
            values.for_each(|value| exchange.post(region, value));
        }
        if self.pins {
            // They have numbers that grow.
            (0..=exchange.pin(region)).for_each(|pin| exchange.unpin(pin));
        }
        if self.judging {
            exchange.advance(region, u64::MAX);
        }
    }
}
