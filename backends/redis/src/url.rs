//! Where the store is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};

/// The URL of a store:
///
/// - `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, and `rediss://…` with TLS;
/// - `unix:/PATH` or `redis+unix:///PATH`, with `?db=…&user=…&pass=…` if need be;
/// - `redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT,…`: some servers of a cluster; the others are asked from them.
///
/// `valkey` may stand for `redis`. What is shown of it holds no user and no password.
///
/// ```
/// use portcullis_redis::StoreUrl;
///
/// let url: StoreUrl = "redis://me:secret@cache.shop.test/2".parse()?;
/// assert_eq!(url.to_string(), "redis://cache.shop.test:6379/2");
/// assert!("http://cache.shop.test".parse::<StoreUrl>().is_err());
/// # Ok::<(), portcullis_redis::UrlError>(())
/// ```
#[derive(Clone)]
pub struct StoreUrl(pub(crate) Target);

/// Whom to speak to.
#[derive(Clone)]
pub(crate) enum Target {
    /// Some servers of a cluster.
    Cluster(Vec<ConnectionInfo>),
    /// One server, whatever stands behind it.
    Server(Place, RedisConnectionInfo),
}

/// Where one server listens.
#[derive(Clone)]
pub(crate) enum Place {
    Tcp(Box<str>, u16),
    Tls(Box<str>, u16),
    Unix(PathBuf),
}

/// Why a text is not the URL of a store; the message ends with what to write instead. It never holds what stood in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// A cluster with TLS, or of unix sockets.
    Cluster,
    /// TLS without a look at certificates.
    Insecure,
    /// Not the URL of anything, or of nothing that is a store.
    Malformed,
    /// Another scheme.
    Scheme,
}

const CLUSTER: [&str; 2] = ["redis+cluster://", "valkey+cluster://"];
const TLS: [&str; 2] = ["rediss", "valkeys"];
const SCHEMES: [&str; 7] = ["redis", "rediss", "valkey", "valkeys", "redis+unix", "valkey+unix", "unix"];

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(rest) = CLUSTER.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            return cluster(rest);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UrlError::Malformed)?;
        if !SCHEMES.contains(&scheme) {
            return Err(if scheme.ends_with("+cluster") { UrlError::Cluster } else { UrlError::Scheme });
        }
        // TLS is ours, and the client is built without.
        let is_tls = TLS.contains(&scheme);
        if is_tls && rest.contains('#') {
            return Err(UrlError::Insecure);
        }
        let plain = if is_tls { format!("redis:{rest}") } else { text.to_owned() };
        let info: ConnectionInfo = plain.parse().map_err(|_| UrlError::Malformed)?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) if is_tls => Place::Tls(host.as_str().into(), *port),
            ConnectionAddr::Tcp(host, port) => Place::Tcp(host.as_str().into(), *port),
            ConnectionAddr::Unix(path) => Place::Unix(path.clone()),
            _ => return Err(UrlError::Malformed),
        };
        Ok(Self(Target::Server(place, info.redis_settings().clone().set_skip_set_lib_name())))
    }
}

/// Every server with the user and password that stand before the first.
fn cluster(rest: &str) -> Result<StoreUrl, UrlError> {
    let (user, servers) = match rest.rsplit_once('@') {
        Some((user, servers)) => (format!("{user}@"), servers),
        None => (String::new(), rest),
    };
    let servers = servers.strip_suffix('/').unwrap_or(servers).split(',').map(|server| {
        // A database or an option: a cluster has one database, and everything else is for all servers.
        if server.is_empty() || server.contains(['/', '?', '#']) {
            return Err(UrlError::Malformed);
        }
        let info: ConnectionInfo = format!("redis://{user}{server}").parse().map_err(|_| UrlError::Malformed)?;
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        Ok(info.set_redis_settings(settings))
    });
    Ok(StoreUrl(Target::Cluster(servers.collect::<Result<_, _>>()?)))
}

impl StoreUrl {
    /// Whether it is a cluster, whose servers each have a part of the keys.
    pub fn is_cluster(&self) -> bool {
        matches!(self.0, Target::Cluster(_))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Cluster(servers) => {
                f.write_str("redis+cluster://")?;
                for (index, server) in servers.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { "," }, server.addr())?;
                }
                Ok(())
            }
            Target::Server(place, settings) => {
                match place {
                    Place::Tcp(host, port) => write!(f, "redis://{}:{port}", Bracketed(host))?,
                    Place::Tls(host, port) => write!(f, "rediss://{}:{port}", Bracketed(host))?,
                    Place::Unix(path) => write!(f, "unix:{}", path.display())?,
                }
                match (settings.db(), place) {
                    (0, _) => Ok(()),
                    (database, Place::Unix(_)) => write!(f, "?db={database}"),
                    (database, _) => write!(f, "/{database}"),
                }
            }
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

/// An IPv6 address as URLs have it.
struct Bracketed<'h>(&'h str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => {
                "a cluster is spoken to over TCP without TLS: write \"redis+cluster://a:6379,b:6379\", or \"rediss://…\" for one server"
            }
            Self::Insecure => "certificates are always checked: leave \"#insecure\" away, and trust the authority instead",
            Self::Malformed => {
                "this is not the URL of a store: write \"redis://host:6379\", \"rediss://…\" for TLS, \"unix:/path\", or \
                 \"redis+cluster://a:6379,b:6379\"; a character of a password that is not plain is percent-coded"
            }
            Self::Scheme => {
                "a store has the scheme \"redis\", \"rediss\" (TLS), \"unix\" or \"redis+cluster\": write \"redis://host:6379\""
            }
        })
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_stores() {
        for (text, shown) in [
            ("redis://cache", "redis://cache:6379"),
            ("redis://cache:7000/3", "redis://cache:7000/3"),
            ("valkey://cache", "redis://cache:6379"),
            ("redis://canary-user:canary-password@cache", "redis://cache:6379"),
            ("redis://:canary@[::1]:7000", "redis://[::1]:7000"),
            ("rediss://:canary@cache", "rediss://cache:6379"),
            ("unix:/run/redis.sock", "unix:/run/redis.sock"),
            ("unix:///run/redis.sock?db=2&pass=canary", "unix:/run/redis.sock?db=2"),
            ("redis+unix:///run/redis.sock", "unix:/run/redis.sock"),
            ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
            ("redis+cluster://canary:canary@a:1,b/", "redis+cluster://a:1,b:6379"),
        ] {
            let url: StoreUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("canary"), "{url:?}");
        }
        let url: StoreUrl = "redis+cluster://canary:p%40ss@a:1,b:2".parse().unwrap();
        let Target::Cluster(servers) = url.0 else { panic!("a cluster") };
        assert!(servers.iter().all(|server| server.redis_settings().password() == Some("p@ss")));
    }

    #[test]
    fn anything_else_is_refused_and_not_repeated() {
        for (text, why) in [
            ("", UrlError::Malformed),
            ("canary", UrlError::Malformed),
            ("redis://", UrlError::Malformed),
            ("redis://cache/canary", UrlError::Malformed),
            ("redis://canary:ca/nary@cache", UrlError::Malformed),
            ("http://canary", UrlError::Scheme),
            ("sentinel://canary", UrlError::Scheme),
            ("rediss://canary/#insecure", UrlError::Insecure),
            ("rediss+cluster://canary", UrlError::Cluster),
            ("redis+cluster://", UrlError::Malformed),
            ("redis+cluster://a:1,,b:1", UrlError::Malformed),
            ("redis+cluster://a:1/2", UrlError::Malformed),
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}
