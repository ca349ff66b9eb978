//! Owns: how long a gRPC caller waits (gRPC over HTTP/2, "Timeout").
//! Refuses: guessing at what is written otherwise; whoever is called may make of it what it likes.
//! Always holds: reading it changes nothing: the field goes on to the upstream, which has its own use for it.

use std::time::Duration;

use http::HeaderName;

use super::Fields;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The most digits that the protocol allows.
const MOST_DIGITS: usize = 8;

/// The time that a call gives itself, if it says so in the one way there is: up to eight digits and a unit.
#[must_use]
pub fn grpc_timeout(fields: &Fields) -> Option<Duration> {
    let (unit, digits) = fields.only(&GRPC_TIMEOUT)?.split_last()?;
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(value.saturating_mul(3600)),
        b'M' => Duration::from_secs(value.saturating_mul(60)),
        b'S' => Duration::from_secs(value),
        b'm' => Duration::from_millis(value),
        b'u' => Duration::from_micros(value),
        b'n' => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn it_is_read_as_the_protocol_writes_it() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("250m", Some(Duration::from_millis(250))),
            ("4u", Some(Duration::from_micros(4))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0S", Some(Duration::ZERO)),
            ("100000000n", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("5s", None),
            ("-5S", None),
            ("+5S", None),
            ("5 S", None),
            ("1.5S", None),
        ] {
            let fields = Fields::from_iter([(GRPC_TIMEOUT, HeaderValue::from_static(text))]);
            assert_eq!(grpc_timeout(&fields), expected, "{text}");
        }
        let twice = Fields::from_iter(["1S", "2S"].map(|text| (GRPC_TIMEOUT, HeaderValue::from_static(text))));
        assert_eq!(grpc_timeout(&twice), None);
    }
}
