//! A client's `RESTORE` or `FUNCTION RESTORE`: its payload has the version and the encoding of the server that dumped it. An older target, or one
//! of the other family, refuses it although it may well hold the value: then it gets the value in a form that it takes.

use crate::command::{Capabilities, Version};
use crate::engine::decode::rebuild::{self, TargetFeatures};
use crate::wire::rdb::{Payload, Record, Restorable};
use crate::wire::resp::{Command, command as encode, push_command};

/// About how much memory the elements take that are decoded at a time, in bytes: a compressed value can take a hundred
/// times its own size.
const PIECE_BYTES: usize = 256 * 1024;

/// What the target gets in place of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instead {
    /// Requests.
    pub(super) bytes: Vec<u8>,
    /// How many they are.
    pub(super) requests: u32,
    /// What they leave out, in words.
    pub(super) lost: Vec<String>,
}

/// What the target gets in place of `command`: a `RESTORE key time payload REPLACE [ABSTTL] ..` whose time is absolute, or 0
/// for none, or a `FUNCTION RESTORE payload ..`. `None` where it takes the command as it is.
///
/// # Errors
/// Why it can't be given the value in any form.
pub(super) fn instead(command: &Command<'_>, database: u32, target: &Capabilities) -> Option<Result<Instead, String>> {
    let functions = command.name().eq_ignore_ascii_case(b"FUNCTION");
    if functions && !command.arg(1).eq_ignore_ascii_case(b"RESTORE") {
        return None;
    }
    let at = if functions { 2 } else { 3 };
    let Version(major, minor, patch) = target.version();
    let version = (u32::from(major), u32::from(minor), u32::from(patch));
    let restorable = Restorable::of_server(target.dialect(), version);
    let payload = Payload::parse(command.arg(at)).filter(|payload| !payload.is_taken_by(&restorable))?;
    if functions {
        // It holds the text of the libraries, in the same form since there are any.
        let payload = payload.record(0, b"", None).payload(restorable.rdb_version);
        return Some(Ok(with_payload(command, at, &payload)));
    }
    let expires_at_ms = std::str::from_utf8(command.arg(2)).ok()?.parse().ok().filter(|&time: &i64| time != 0);
    let record = payload.record(database, command.arg(1), expires_at_ms);
    Some(match record.payload_for(&restorable) {
        Some(payload) => Ok(with_payload(command, at, &payload)),
        None => rebuilt(&record, TargetFeatures::of_server(target.dialect(), version)),
    })
}

/// The command with another payload at the place.
fn with_payload(command: &Command<'_>, at: usize, payload: &[u8]) -> Instead {
    let mut arguments: Vec<&[u8]> = command.args().take(at).collect();
    arguments.push(payload);
    arguments.extend(command.args().skip(at + 1));
    Instead { bytes: encode(&arguments), requests: 1, lost: Vec::new() }
}

/// The value of `record`, by its elements.
fn rebuilt(record: &Record, features: TargetFeatures) -> Result<Instead, String> {
    let mut instead = Instead { bytes: Vec::new(), requests: 0, lost: Vec::new() };
    let (mut fields, mut consumers) = (0, 0);
    for (at, elements) in record.pieces(PIECE_BYTES).enumerate() {
        let elements =
            elements.map_err(|error| format!("the target does not take this payload, and {}", error.fault))?;
        let written = rebuild::requests(&mut instead.bytes, &record.key, &elements, at == 0, features);
        instead.requests += written.requests as u32;
        fields += written.field_expiries_lost;
        consumers += written.consumers_lost;
    }
    if let Some(time) = record.key.expires_at_ms {
        push_command(&mut instead.bytes, &[b"PEXPIREAT", &*record.key.name, time.to_string().as_bytes()]);
        instead.requests += 1;
    }
    if fields > 0 {
        instead.lost.push(format!("the target has no expiry of hash fields: {fields} were left out"));
    }
    if consumers > 0 {
        instead.lost.push(format!("the target can't create idle consumers: {consumers} were left out"));
    }
    Ok(instead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rdb::{Dialect, Key, Kind};
    use crate::wire::resp::FrameReader;
    use bytes::Bytes;

    /// A payload; its checksum is right.
    fn payload(dialect: Dialect, type_code: u8, body: &'static [u8], version: u32) -> Vec<u8> {
        let key = Key { database: 0, name: Bytes::new(), expires_at_ms: None, kind: Kind::Unknown };
        Record { key, dialect, type_code, body: Bytes::from_static(body) }.payload(version)
    }

    /// What a target of the version gets in place of `RESTORE k time payload REPLACE ABSTTL`.
    fn given(time: &str, payload: &[u8], dialect: Dialect, version: Version) -> Option<Result<Instead, String>> {
        given_for(&[b"RESTORE".as_slice(), b"k", time.as_bytes(), payload, b"REPLACE", b"ABSTTL"], dialect, version)
    }

    fn given_for(arguments: &[&[u8]], dialect: Dialect, version: Version) -> Option<Result<Instead, String>> {
        let bytes = encode(arguments);
        let mut reader = FrameReader::new();
        reader.next(&bytes).expect("a request").expect("whole");
        let target = Capabilities::new(["RESTORE"], dialect, version);
        instead(&Command::new(&bytes, reader.arguments()), 0, &target)
    }

    fn lines(instead: &Instead) -> Vec<String> {
        let (mut rest, mut reader, mut lines) = (&instead.bytes[..], FrameReader::new(), Vec::new());
        while let Some(length) = reader.next(rest).expect("requests") {
            let words = Command::new(rest, reader.arguments()).args().map(|word| word.escape_ascii().to_string());
            lines.push(words.collect::<Vec<_>>().join(" "));
            rest = &rest[length..];
        }
        assert_eq!(lines.len(), instead.requests as usize);
        lines
    }

    /// A hash with the field `a` of value 1 in a listpack, as 7.0 writes it.
    const LISTPACK: &[u8] = b"\x0c\x0c\x00\x00\x00\x02\x00\x81a\x02\x01\x01\xff";

    #[test]
    fn what_the_target_takes_is_left_alone() {
        let hash = payload(Dialect::Redis, 16, LISTPACK, 10);
        assert_eq!(given("0", &hash, Dialect::Redis, Version(7, 0, 15)), None);
        assert_eq!(given("0", &hash, Dialect::Valkey, Version(9, 1, 2)), None);
        assert_eq!(given("0", b"no payload", Dialect::Redis, Version(6, 2, 0)), None);
        let unknown = payload(Dialect::Redis, 99, b"body", 10);
        assert_eq!(given("0", &unknown, Dialect::Redis, Version(7, 2, 0)), None, "the target may know it");
    }

    #[test]
    fn an_encoding_that_the_target_has_goes_under_its_own_version() {
        let text = payload(Dialect::Valkey, 0, b"\x05hello", 80);
        let older = payload(Dialect::Redis, 0, b"\x05hello", 9);
        let instead = given("77", &text, Dialect::Redis, Version(6, 2, 14)).expect("refused").expect("a form");
        assert_eq!(lines(&instead), [format!("RESTORE k 77 {} REPLACE ABSTTL", older.escape_ascii())]);
    }

    #[test]
    fn an_encoding_that_the_target_lacks_goes_by_its_elements_with_the_expiry_at_the_end() {
        let hash = payload(Dialect::Redis, 16, LISTPACK, 10);
        let instead = |time| given(time, &hash, Dialect::Redis, Version(6, 2, 14)).expect("refused").expect("a form");
        assert_eq!(lines(&instead("77")), ["del k", "HSET k a 1", "PEXPIREAT k 77"]);
        assert_eq!(lines(&instead("0")), ["del k", "HSET k a 1"]);
    }

    #[test]
    fn libraries_go_under_the_targets_version_and_other_words_of_function_are_left_alone() {
        let libraries = payload(Dialect::Valkey, 245, b"\x05#!lua", 80);
        let older = payload(Dialect::Redis, 245, b"\x05#!lua", 10);
        let restore = [b"FUNCTION".as_slice(), b"RESTORE", &libraries, b"REPLACE"];
        let instead = given_for(&restore, Dialect::Redis, Version(7, 0, 15)).expect("refused").expect("a form");
        assert_eq!(lines(&instead), [format!("FUNCTION RESTORE {} REPLACE", older.escape_ascii())]);
        assert_eq!(given_for(&restore, Dialect::Valkey, Version(9, 1, 2)), None);
        let load = [b"FUNCTION".as_slice(), b"LOAD", b"REPLACE", &libraries];
        assert_eq!(given_for(&load, Dialect::Redis, Version(7, 0, 15)), None);
    }

    #[test]
    fn what_the_target_has_no_place_for_is_told() {
        let hash = payload(Dialect::Valkey, 22, b"\x01\x01f\x01v\x00\x40\x94\x52\xa3\x03\x00\x00", 80);
        let instead = given("0", &hash, Dialect::Redis, Version(7, 0, 15)).expect("refused").expect("a form");
        assert_eq!(lines(&instead), ["del k", "HSET k f v"]);
        assert_eq!(instead.lost, ["the target has no expiry of hash fields: 1 were left out"]);
    }

    #[test]
    fn what_can_be_written_in_no_form_is_told_with_the_reason() {
        let unknown = payload(Dialect::Redis, 99, b"body", 12);
        let why = given("0", &unknown, Dialect::Redis, Version(7, 0, 15)).expect("refused").expect_err("no form");
        assert_eq!(why, "the target does not take this payload, and values of type 99 can't be taken apart");
        let damaged = payload(Dialect::Redis, 16, &LISTPACK[..5], 10);
        assert!(given("0", &damaged, Dialect::Redis, Version(6, 2, 14)).expect("refused").is_err());
    }
}
