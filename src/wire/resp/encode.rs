//! Requests as bytes.

/// Appends a request, an array of bulk strings, to `out`.
pub fn push_command<A: AsRef<[u8]>>(out: &mut Vec<u8>, arguments: &[A]) {
    push_header(out, b'*', arguments.len());
    for argument in arguments {
        let argument = argument.as_ref();
        push_header(out, b'$', argument.len());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

/// A request, an array of bulk strings, as bytes.
pub fn command<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + arguments.iter().map(|a| a.as_ref().len() + 16).sum::<usize>());
    push_command(&mut out, arguments);
    out
}

fn push_header(out: &mut Vec<u8>, kind: u8, mut number: usize) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_an_array_of_bulk_strings() {
        assert_eq!(command(&["SET", "k", "0123456789"]), b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\n");
        assert_eq!(command(&[b"".as_slice()]), b"*1\r\n$0\r\n\r\n");
    }
}
