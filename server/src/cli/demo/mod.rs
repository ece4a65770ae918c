//! `portcullis demo`: sample services on loopback, the gateway over `examples/shop.toml`, and what to try.

mod cluster;
mod services;

use std::net::TcpListener;
use std::process::ExitCode;

use portcullis_core::auth::Algorithm;
use portcullis_core::time::Clock;

use self::cluster::Redis;
use self::services::Services;
use super::run::{Serving, serve};
use super::{FAILED, WRONG, complain, print, say};
use crate::config::{self, Config, JwtSettings, LoadOptions, VerifierSettings};

/// What the demo runs; an operator can run it too. A link to the one in `examples/`, so that a package of this crate has it.
const SHOP: &str = include_str!("shop.toml");

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The port to listen on
    #[arg(long, default_value_t = 8080)]
    port: u16,

    /// Two gateways that share their limits in a redis-server, which is started for it (or is the one at REDIS_URL)
    #[arg(long)]
    cluster: bool,
}

pub(super) fn demo(args: &Args) -> ExitCode {
    // Looked at before anything starts, so that the way out is the first thing that is read.
    if let Err(why) = ports(args) {
        say(&format!("error: {why}"));
        return ExitCode::from(WRONG);
    }
    let redis = match redis(args) {
        Ok(redis) => redis,
        Err(why) => {
            say(&format!("error: {why}"));
            return ExitCode::from(FAILED);
        }
    };
    let services = match Services::bind() {
        Ok(services) => services,
        Err(error) => {
            say(&format!("error: cannot start the sample services: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let read = |number| {
        let environment = |name: &str| match (name, &redis) {
            ("LISTEN", _) => Some(address(args, number)),
            ("REDIS_URL", Some(redis)) => Some(redis.url()),
            // One gateway needs none, whatever stands in the environment.
            ("REDIS_URL", None) if !args.cluster => None,
            (name, _) => services.url(name).or_else(|| super::environment(name)),
        };
        config::from_text_with("examples/shop.toml", SHOP, &environment, LoadOptions::default())
    };
    let (config, other) = match (read(0), read(1)) {
        (Ok(config), Ok(other)) => (config, other),
        (Err(report), _) | (_, Err(report)) => {
            complain(&report);
            return ExitCode::from(WRONG);
        }
    };
    let secret = secret(&config);
    let token = services::token(&secret, "ada", "customer", &Clock::system());
    if let Err(error) = services.serve(secret) {
        say(&format!("error: cannot start the sample services: {error}"));
        return ExitCode::from(FAILED);
    }
    let mut beside = None;
    let ended = serve(config, Serving { file: None, watch: false }, |server| {
        let Some(first) = server.addresses().first().map(|first| format!("http://{first}")) else { return };
        if !args.cluster {
            return print(&lesson(&first, &token, &command()));
        }
        match cluster::second(other) {
            Ok(second) => {
                let address = second.addresses().first().map(|second| format!("http://{second}")).unwrap_or_default();
                print(&cluster::lesson(&first, &address, &token, redis.as_ref().map(Redis::pid)));
                beside = Some(second);
            }
            Err(error) => say(&format!("error: the second gateway does not start: {error}")),
        }
    });
    drop(beside);
    ended
}

/// The services sign with what the gateway checks with: the file's own secret, so that `token` and `explain` on the file agree with the
/// demo.
fn secret(config: &Config) -> String {
    let secret = config.verifiers.iter().find_map(VerifierSettings::jwt).and_then(JwtSettings::secret);
    secret.map(|secret| secret.reveal().to_owned()).unwrap_or_default()
}

/// Where the gateway with this number listens.
fn address(args: &Args, number: u16) -> String {
    format!("127.0.0.1:{}", args.port.saturating_add(number))
}

/// Whether the gateways can listen.
fn ports(args: &Args) -> Result<(), String> {
    let gateways = if args.cluster { 2 } else { 1 };
    (0..gateways).map(|number| address(args, number)).try_for_each(|listen| match TcpListener::bind(&listen) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(format!("cannot listen on {listen}: {error}\n  choose another port:  portcullis demo --port 8090"))
        }
    })
}

/// A Redis of the demo's own, where it needs one.
fn redis(args: &Args) -> Result<Option<Redis>, String> {
    let is_there = super::environment("REDIS_URL").is_some_and(|url| !url.is_empty());
    if args.cluster && !is_there { Redis::start().map(Some) } else { Ok(None) }
}

/// How this program was called, so that what is printed can be pasted.
fn command() -> String {
    std::env::args().next().unwrap_or_else(|| "portcullis".to_owned())
}

/// What the services sign with and the gateway expects.
const ALGORITHM: Algorithm = Algorithm::HS256;

/// What to try, in an order that tells a story.
fn lesson(base: &str, token: &str, command: &str) -> String {
    format!(
        r#"
A small shop is behind the gateway now: users, orders (twice), notifications. The configuration is
examples/shop.toml. In another terminal:

  TOKEN={token}

1. No token: 401, and the orders service never sees the request.

     curl -i {base}/orders

2. With the token: the service is told who it is, and only by the gateway. The forged x-user-id is gone,
   and repeated calls take turns between the two orders servers.

     curl -i {base}/orders -H "Authorization: Bearer $TOKEN" -H "x-user-id: admin"

3. A fresh token from the users service, through a public route; then a forged one, which is refused.

     curl -s -X POST {base}/auth/login -d '{{"user": "grace"}}'
     curl -i {base}/users/grace -H "Authorization: Bearer ${{TOKEN%?????}}AAAAA"

4. 100 a minute for each user: watch RateLimit count down, then 429 with Retry-After.

     for i in $(seq 105); do curl -s -o /dev/null -w "%{{http_code}} " {base}/users/ada -H "Authorization: Bearer $TOKEN"; done

5. A service that fails: five 503 of its own, then the circuit is open and the gateway answers at once,
   for half a minute, with Retry-After. (With grace's token, because step 4 used ada's budget up.)

     T=$(curl -s -X POST {base}/auth/login -d '{{"user": "grace"}}' | sed 's/.*"token":"\([^"]*\)".*/\1/')
     for i in $(seq 7); do curl -s -w " %{{http_code}}\n" {base}/notifications/down -H "Authorization: Bearer $T"; done

And why, without sending anything:

     {command} explain GET /orders/7 --config examples/shop.toml -H "Authorization: Bearer $TOKEN"

Ctrl-C ends the demo. One log line for each request follows.
"#
    )
}
