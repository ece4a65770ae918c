//! `listen`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use portcullis_core::upstream::MAX_SOCKET_PATH;

use super::Problems;
use crate::config::problem::Problem;
use crate::config::schema::listen::Listen;
use crate::config::settings::ListenAddress;
use crate::config::span::{At, Given, Text};

const ACCEPTED: &str = "\"HOST:PORT\", such as \"127.0.0.1:8080\", \"0.0.0.0:8080\", \"[::1]:8080\" or \"localhost:8080\", \
                        or \"unix:PATH\"";

/// `folder` is where the configuration file stands: paths are relative to it.
pub(super) fn compile(
    listen: &Given<At<Vec<Listen>>>,
    folder: &Path,
    problems: &mut Problems,
) -> Vec<At<ListenAddress>> {
    let Given::Value(listen) = listen else {
        return vec![At::new(ListenAddress::Tcp { host: "127.0.0.1".into(), port: 8080 }, 0..0)];
    };
    if listen.value.is_empty() {
        problems.note(Problem::error(&listen.span, "`listen` names no address").accepted(ACCEPTED));
    }
    let mut addresses: Vec<At<ListenAddress>> = Vec::new();
    for listener in &listen.value {
        let Some(address) = address(&listener.address, folder, problems) else { continue };
        let taken = addresses.iter().find(|other| other.value.collides(&address));
        if let Some(taken) = taken {
            let title = format!("two listeners have the address `{}`", listener.address.shown());
            let problem = Problem::error(&listener.address.span, title);
            problems.note(problem.also(&taken.span, "the first one"));
        }
        addresses.push(At::new(address, listener.address.span.clone()));
    }
    addresses
}

/// An address to listen on.
pub(super) fn address(text: &Text, folder: &Path, problems: &mut Problems) -> Option<ListenAddress> {
    let parsed = match text.value.strip_prefix("unix:") {
        Some(path) => socket(path, folder).map(ListenAddress::Unix),
        None => parse(if text.unset && parse(&text.value).is_err() { "127.0.0.1:0" } else { &text.value }),
    };
    match parsed {
        Ok(address) => Some(address),
        Err(why) => {
            let problem = Problem::error(&text.span, format!("`{}` is not an address to listen on", text.shown()));
            problems.note(problem.label(why).accepted(ACCEPTED));
            None
        }
    }
}

/// The path of a socket's file.
fn socket(path: &str, folder: &Path) -> Result<PathBuf, &'static str> {
    // As a URL it has two slashes more: "unix:///run/a.sock".
    let path = match path.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) => return Err("write no slash or one: \"unix:/run/portcullis.sock\""),
        None => path,
    };
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err("this names no file");
    }
    if path.starts_with('@') {
        return Err("a socket without a file would be open to everybody on this machine");
    }
    let path = folder.join(path);
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err("the path is longer than the 107 bytes that the system has for it");
    }
    Ok(path)
}

/// A TCP address.
fn parse(text: &str) -> Result<ListenAddress, &'static str> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(ListenAddress::Tcp { host: address.ip().to_string(), port: address.port() });
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
    Ok(ListenAddress::Tcp { host: host.to_ascii_lowercase(), port })
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
            assert_eq!(parse(text), Ok(ListenAddress::Tcp { host: host.into(), port }));
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

    #[test]
    fn sockets() {
        let folder = Path::new("/etc/gateway");
        assert_eq!(socket("/run/a.sock", folder), Ok("/run/a.sock".into()));
        assert_eq!(socket("///run/a.sock", folder), Ok("/run/a.sock".into()));
        assert_eq!(socket("a.sock", folder), Ok("/etc/gateway/a.sock".into()));
        assert_eq!(socket("a.sock", Path::new("")), Ok("a.sock".into()));
        for path in ["", "/", "/run/", "a\0b", "@name", "//run/a.sock"] {
            assert!(socket(path, folder).is_err(), "{path}");
        }
        let long = |length: usize| "a".repeat(length - "/etc/gateway/".len());
        assert!(socket(&long(MAX_SOCKET_PATH), folder).is_ok() && socket(&long(MAX_SOCKET_PATH + 1), folder).is_err());
    }
}
