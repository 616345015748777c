//! A moment, as a person writes it.

use jiff::{SignedDuration, Timestamp};

/// The moment that `text` names: RFC 3339 (`2026-01-31T12:00:00Z`), or how long before `now` (`10m`).
///
/// # Errors
/// Neither: a sentence for a person.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SignedDuration::try_from(ago).ok());
    let form = "write how long ago, as 10m, or a moment, as 2026-01-31T12:00:00Z";
    ago.map(|ago| now.saturating_sub(ago).unwrap_or(Timestamp::MIN)).ok_or_else(|| form.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(since("10m", now).unwrap().to_string(), "2026-01-31T11:50:00Z");
        assert_eq!(since("2026-01-31T13:00:00+02:00", now).unwrap().to_string(), "2026-01-31T11:00:00Z");
        assert_eq!(since("200000years", now), Ok(Timestamp::MIN));
        for text in ["", "ten", "10", "2026-01-31", "-5m"] {
            assert!(since(text, now).unwrap_err().contains("10m"), "{text}");
        }
    }
}
