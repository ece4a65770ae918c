//! Numbers, durations and addresses as text, without the formatting machinery where that is easy.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Appends milliseconds with three decimals, as in `12.345`.
pub(super) fn push_millis(out: &mut Vec<u8>, duration: Duration) {
    let millis = duration.as_secs().saturating_mul(1000).saturating_add(duration.subsec_millis().into());
    push_number(out, millis);
    push_fraction(out, u64::from(duration.subsec_micros() % 1000));
}

/// Appends a number.
pub(super) fn push_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a point and the three digits of a number below a thousand.
pub(super) fn push_fraction(out: &mut Vec<u8>, thousandths: u64) {
    out.extend_from_slice(&[b'.', digit(thousandths / 100), digit(thousandths / 10), digit(thousandths)]);
}

/// The last digit of a number.
fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// Appends an address.
pub(super) fn push_ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => push_ipv4(out, address),
        // Writing to a vector does not fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

fn push_ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        if octet >= 100 {
            out.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            out.push(b'0' + octet / 10 % 10);
        }
        out.push(b'0' + octet % 10);
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
        for address in ["0.0.0.0", "192.0.2.7", "10.99.100.9", "255.255.255.255", "::", "2001:db8::7"] {
            let mut out = Vec::new();
            push_ip(&mut out, address.parse().unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), address);
        }
    }
}
