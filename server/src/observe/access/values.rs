//! Numbers, durations and addresses as text, without the formatting machinery where that is easy.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// Appends milliseconds with three decimals, as in `12.345`.
pub(super) fn push_millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = duration.as_micros();
    push_number(out, u64::try_from(micros / 1000).unwrap_or(u64::MAX));
    push_fraction(out, u64::try_from(micros % 1000).unwrap_or(0));
}

/// Appends a number.
pub(super) fn push_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a point and three digits.
pub(super) fn push_fraction(out: &mut Vec<u8>, thousandths: u64) {
    out.push(b'.');
    for digit in [thousandths / 100, thousandths / 10, thousandths] {
        out.extend(u8::try_from(digit % 10).map(|digit| b'0' + digit));
    }
}

/// Appends an address.
pub(super) fn push_ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                push_number(out, octet);
            }
        }
        // Writing to a vector does not fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_three_decimals() {
        let text = |micros| {
            let mut out = Vec::new();
            push_millis(&mut out, Duration::from_micros(micros));
            String::from_utf8(out).unwrap()
        };
        assert_eq!([text(0), text(7), text(1_250), text(61_000_010)], ["0.000", "0.007", "1.250", "61000.010"]);
    }

    #[test]
    fn addresses_are_as_they_are_written() {
        for address in ["0.0.0.0", "192.0.2.7", "255.255.255.255", "::", "2001:db8::7"] {
            let mut out = Vec::new();
            push_ip(&mut out, address.parse().unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), address);
        }
    }
}
