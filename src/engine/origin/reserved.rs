//! The names of the keys that Duet itself writes. They carry the reserved prefix and are never copied as data.

/// Every reserved key of one pair.
#[derive(Debug, Clone)]
pub struct ReservedKeys {
    prefix: String,
    pair: String,
}

impl ReservedKeys {
    /// What stands behind prefix and pair in the keys that live in a region.
    pub const KINDS: [&str; 10] =
        ["marker", "gate", "heartbeat", "probe", "kept", "building", "epoch", "drill", "pause", "held"];

    /// The keys of the pair `pair` under `prefix`, which ends with a colon by custom.
    pub fn new(prefix: &str, pair: &str) -> Self {
        Self { prefix: prefix.to_owned(), pair: pair.to_owned() }
    }

    /// What every reserved key begins with, also those of other pairs.
    pub fn prefix(&self) -> &[u8] {
        self.prefix.as_bytes()
    }

    /// The marker of the link from `origin`: it lives at the target.
    pub fn marker(&self, origin: &str) -> Vec<u8> {
        self.key("marker", origin)
    }

    /// The sorted set of transaction ids still to come of the link from `origin`: it lives at the target.
    pub fn gate(&self, origin: &str) -> Vec<u8> {
        self.key("gate", origin)
    }

    /// The heartbeat of `region`: it is written there and travels to the other region.
    pub fn heartbeat(&self, region: &str) -> Vec<u8> {
        self.key("heartbeat", region)
    }

    /// The probe that fixes a position in the stream of `region`: it lives there for a moment.
    pub fn probe(&self, region: &str) -> Vec<u8> {
        self.key("probe", region)
    }

    /// The names that the target held before the first copy from `origin` and keeps.
    pub fn kept(&self, origin: &str) -> Vec<u8> {
        self.key("kept", origin)
    }

    /// The name under which a big value from `origin` is built up at the target.
    pub fn building(&self, origin: &str) -> Vec<u8> {
        self.key("building", origin)
    }

    /// The epoch of the daemon that writes for the link from `origin`: it lives at the target.
    pub fn epoch(&self, origin: &str) -> Vec<u8> {
        self.key("epoch", origin)
    }

    /// Where a failover drill stands in which `region` takes over: it lives there.
    pub fn drill(&self, region: &str) -> Vec<u8> {
        self.key("drill", region)
    }

    /// Who has ordered the link from `origin` to pause: it lives at the target.
    pub fn pause(&self, origin: &str) -> Vec<u8> {
        self.key("pause", origin)
    }

    /// The hash of the keys that are held at `region`, where it lives: they wait for a person.
    pub fn held(&self, region: &str) -> Vec<u8> {
        self.key("held", region)
    }

    /// The channel of the message that gives a value that is read at `region` its place in the region's stream.
    pub fn nonce(&self, region: &str) -> Vec<u8> {
        self.key("nonce", region)
    }

    /// All keys of this pair that may stand in one region, for counting what is data.
    pub fn all(&self, regions: [&str; 2]) -> Vec<Vec<u8>> {
        Self::KINDS.iter().flat_map(|kind| regions.map(|region| self.key(kind, region))).collect()
    }

    fn key(&self, kind: &str, region: &str) -> Vec<u8> {
        format!("{}{}:{kind}:{region}", self.prefix, self.pair).into_bytes()
    }
}
