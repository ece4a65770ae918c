//! A configuration from code: the same checks, reports and plan as a file has.
//!
//! `cargo run -p portcullis --example builder` prints the file that it stands for, what it does, and what a mistake looks like.

#![expect(clippy::print_stdout, reason = "an example tells")]

use std::error::Error;
use std::time::Duration;

use portcullis::config::{Config, Secret};

fn main() -> Result<(), Box<dyn Error>> {
    // Whoever wants a variable asks for it: text in code is what it says.
    let secret = std::env::var("JWT_SECRET").unwrap_or_else(|_| "demo-secret-that-everybody-can-read".to_owned());
    let builder = Config::builder()
        .listen("127.0.0.1:8080")
        .jwt("login", |jwt| {
            jwt.algorithms(["HS256"])
                .secret(Secret::new(secret))
                .issuer("https://login.shop.test")
                .audience(["shop"])
                .forward("x-user-id", "sub")
        })
        .limit("per-user", |limit| limit.rate("100/min").burst(20))
        .upstream("users", |upstream| {
            let upstream = upstream.server("http://127.0.0.1:7001").weighted_server("http://127.0.0.1:7002", 2);
            upstream.timeout(Duration::from_secs(2)).breaker(|breaker| breaker.recovery(Duration::from_secs(10)))
        })
        .defaults(|defaults| defaults.auth(["login"]).limits(["per-user"]))
        .route("users", |route| {
            let route = route.path("/users/**").upstream("users");
            route.request(|rules| rules.remove(["x-debug"])).own_limit(|limit| limit.rate("10/s"))
        })
        .route("health", |route| {
            route.path("/health").auth(["none"]).no_limits().respond(200, |respond| respond.body("ok"))
        });

    println!("{}", builder.text());
    let config = builder.clone().build()?;
    config.summary().iter().for_each(|line| println!("{line}"));

    // A mistake is told as `portcullis check` tells it.
    let report = builder.route("carts", |route| route.path("/carts/**").upstream("usres")).build();
    let report = report.err().ok_or("a mistake that nobody sees")?;
    println!("\n{report}");
    Ok(())
}
