//! Dumps in the plainest encodings, and the values of `RESTORE` payloads (Redis `rdb.c`, rdbSaveObject).

use super::data::{Entry, Keyspace, Text, Value};

fn push_length(out: &mut Vec<u8>, length: usize) {
    match length {
        0..64 => out.push(length as u8),
        64..16384 => out.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]),
        _ => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    push_length(out, text.len());
    out.extend_from_slice(text);
}

/// The whole data set as a dump; streams are left out (their encoding is not modelled).
pub fn dump(keys: &Keyspace, version: u32) -> Vec<u8> {
    let mut out = format!("REDIS{version:04}").into_bytes();
    out.push(0xFA);
    push_text(&mut out, b"redis-ver");
    push_text(&mut out, b"7.0.15");
    for (index, database) in keys.0.iter().enumerate().filter(|(_, database)| !database.is_empty()) {
        out.push(0xFE);
        push_length(&mut out, index);
        out.push(0xFB);
        push_length(&mut out, database.len());
        push_length(&mut out, 0);
        for (key, Entry { value, expires_at_ms }) in database {
            let Some((code, body)) = encoded(value) else { continue };
            if let Some(ms) = expires_at_ms {
                out.push(0xFC);
                out.extend_from_slice(&ms.to_le_bytes());
            }
            out.push(code);
            push_text(&mut out, key);
            out.extend_from_slice(&body);
        }
    }
    out.push(0xFF);
    out.extend_from_slice(&[0; 8]); // a checksum of 0 says that there is none
    out
}

fn encoded(value: &Value) -> Option<(u8, Vec<u8>)> {
    let mut out = Vec::new();
    let code = match value {
        Value::Text(text) => {
            push_text(&mut out, text);
            0
        }
        Value::List(items) => {
            push_length(&mut out, items.len());
            items.iter().for_each(|item| push_text(&mut out, item));
            1
        }
        Value::Set(members) => {
            push_length(&mut out, members.len());
            members.iter().for_each(|member| push_text(&mut out, member));
            2
        }
        Value::Hash(fields) => {
            push_length(&mut out, fields.len());
            for (field, value) in fields {
                push_text(&mut out, field);
                push_text(&mut out, value);
            }
            4
        }
        Value::Scores(members) => {
            push_length(&mut out, members.len());
            for (member, score) in members {
                push_text(&mut out, member);
                out.extend_from_slice(&(*score as f64).to_le_bytes());
            }
            5
        }
        Value::Log(_) => return None,
    };
    Some((code, out))
}

/// The version that a server writes and the newest that it takes (Redis `rdb.h`, RDB_VERSION).
pub fn version(is_7: bool) -> u16 {
    if is_7 { 10 } else { 9 }
}

/// What `DUMP` answers; none for streams. The checksum is left out: nobody looks at it here.
pub fn payload(value: &Value, is_7: bool) -> Option<Vec<u8>> {
    let (code, body) = encoded(value)?;
    let mut payload = vec![code];
    payload.extend(body);
    payload.extend(version(is_7).to_le_bytes());
    payload.extend([0; 8]);
    Some(payload)
}

/// Whether a server takes a payload of this version.
pub fn is_taken(payload: &[u8], is_7: bool) -> bool {
    let footer = payload.len().checked_sub(10).and_then(|at| payload[at..].first_chunk());
    footer.is_some_and(|&footer| u16::from_le_bytes(footer) <= version(is_7))
}

struct Payload<'a>(&'a [u8]);

impl<'a> Payload<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn length(&mut self) -> Option<usize> {
        let first = self.take(1)?[0];
        match first >> 6 {
            0 => Some(usize::from(first)),
            1 => Some((usize::from(first & 0x3F) << 8) | usize::from(self.take(1)?[0])),
            _ => Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?) as usize),
        }
    }

    fn text(&mut self) -> Option<Text> {
        let length = self.length()?;
        self.take(length).map(<[u8]>::to_vec)
    }
}

/// The value in a payload of `RESTORE`.
pub fn restored(payload: &[u8]) -> Option<Value> {
    let body = payload.get(..payload.len().checked_sub(10)?)?;
    let mut rest = Payload(body.get(1..)?);
    if body[0] == 0 {
        return rest.text().map(Value::Text);
    }
    let count = rest.length()?;
    Some(match body[0] {
        1 => Value::List((0..count).map(|_| rest.text()).collect::<Option<_>>()?),
        2 => Value::Set((0..count).map(|_| rest.text()).collect::<Option<_>>()?),
        4 => Value::Hash((0..count).map(|_| Some((rest.text()?, rest.text()?))).collect::<Option<_>>()?),
        5 => {
            let mut pair = || Some((rest.text()?, f64::from_le_bytes(rest.take(8)?.try_into().ok()?) as i64));
            Value::Scores((0..count).map(|_| pair()).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
