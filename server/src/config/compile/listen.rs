//! `listen`.

use std::net::SocketAddr;

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::listen::Listen;
use crate::config::settings::ListenAddress;
use crate::config::span::{At, Given, Text};

const ACCEPTED: &str =
    "\"HOST:PORT\", such as \"127.0.0.1:8080\", \"0.0.0.0:8080\", \"[::1]:8080\" or \"localhost:8080\"";

pub(super) fn compile(listen: &Given<At<Vec<Listen>>>, problems: &mut Problems) -> Vec<At<ListenAddress>> {
    let Given::Value(listen) = listen else {
        return vec![At::new(ListenAddress { host: "127.0.0.1".into(), port: 8080 }, 0..0)];
    };
    if listen.value.is_empty() {
        problems.note(Problem::error(&listen.span, "`listen` names no address").accepted(ACCEPTED));
    }
    let mut addresses: Vec<At<ListenAddress>> = Vec::new();
    for listener in &listen.value {
        let Some(address) = address(&listener.address, problems) else { continue };
        let taken = addresses.iter().find(|other| same(&other.value, &address));
        if let Some(taken) = taken {
            let problem = Problem::error(&listener.address.span, format!("two listeners have the address `{address}`"));
            problems.note(problem.also(&taken.span, "the first one"));
        }
        addresses.push(At::new(address, listener.address.span.clone()));
    }
    addresses
}

/// Whether two listeners would stand in each other's way. Any number of them may ask for any free port.
pub(super) fn same(one: &ListenAddress, other: &ListenAddress) -> bool {
    one == other && one.port != 0
}

/// A TCP address.
pub(super) fn address(text: &Text, problems: &mut Problems) -> Option<ListenAddress> {
    if text.value.starts_with("unix:") {
        let problem = Problem::error(&text.span, "listening on a unix socket is not built yet").accepted(ACCEPTED);
        problems.note(problem);
        return None;
    }
    let written = if text.unset && parse(&text.value).is_err() { "127.0.0.1:0" } else { &text.value };
    match parse(written) {
        Ok(address) => Some(address),
        Err(why) => {
            let problem = Problem::error(&text.span, format!("`{}` is not an address to listen on", text.shown()));
            problems.note(problem.label(why).accepted(ACCEPTED));
            None
        }
    }
}

fn parse(text: &str) -> Result<ListenAddress, &'static str> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(ListenAddress { host: address.ip().to_string(), port: address.port() });
    }
    let (host, port) = text.rsplit_once(':').ok_or("there is no port")?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() {
        return Err("there is no host; for all addresses write 0.0.0.0");
    }
    // A name of digits and dots is an address with a mistake in it.
    if !host.bytes().all(is_name) || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err("the host is neither an IP address nor a name");
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits).ok_or("the port is not a number from 0 to 65535")?;
    Ok(ListenAddress { host: host.to_ascii_lowercase(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, host, port) in [
            ("127.0.0.1:0", "127.0.0.1", 0),
            ("[::1]:8080", "::1", 8080),
            ("Localhost:80", "localhost", 80),
            ("gateway.internal:65535", "gateway.internal", 65_535),
        ] {
            assert_eq!(parse(text), Ok(ListenAddress { host: host.into(), port }));
        }
        for text in [
            "",
            "8080",
            ":8080",
            "::1:8080",
            "a b:80",
            "127.0.0.256:80",
            "localhost:+80",
            "localhost:65536",
            "h:",
            "http://a:80",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
