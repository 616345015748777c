//! What a region holds of a key, as far as it is compared.

use xxhash_rust::xxh3::xxh3_128;

use super::Parts;

/// A hash by which two texts are the same.
pub type TextHash = u128;

/// The hash of a text.
pub fn hash_of(text: &[u8]) -> TextHash {
    xxh3_128(text)
}

/// What a region holds of a key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// The type, as the server names it; `none` where there is no such key.
    pub kind: String,
    /// Bytes of a string, elements of anything else.
    pub length: u64,
    /// When the key expires, by the region's clock in Unix milliseconds.
    pub expires_at_ms: Option<i64>,
    /// The value, as far as it was read.
    pub content: Content,
}

/// The value of a key, as far as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Content {
    /// Nothing of it: type and length are all that is compared.
    #[default]
    Outline,
    /// All of it.
    Parts(Parts),
    /// A hash of it, or of what identifies it at this moment.
    Digest(TextHash),
}

impl Sight {
    /// No such key.
    pub fn none() -> Self {
        Self { kind: NONE.to_owned(), ..Self::default() }
    }

    /// Whether there is such a key.
    pub fn exists(&self) -> bool {
        self.kind != NONE
    }

    /// A hash of type, length and value.
    pub fn digest(&self) -> TextHash {
        let mut text = format!("{} {} ", self.kind, self.length).into_bytes();
        match &self.content {
            Content::Outline => {}
            Content::Digest(digest) => text.extend_from_slice(&digest.to_be_bytes()),
            Content::Parts(parts) => {
                for ((kind, name), value) in parts {
                    text.push(*kind as u8);
                    text.extend_from_slice(&hash_of(name).to_be_bytes());
                    text.extend_from_slice(&hash_of(value).to_be_bytes());
                }
            }
        }
        hash_of(&text)
    }
}

const NONE: &str = "none";
