//! One request, so many times: for counting its instructions, which do not depend on what else the machine does.
//!
//! ```text
//! counted both/portcullis warm 1000
//! ```
//!
//! What callgrind collects for 11,000 times, less what it does for 1,000, is 10,000 requests and nothing of the preparation.
//! `warm` is the same token again, `fresh` another token of the same user each time, `limited` a user who is over the limit, `forged`
//! somebody else's signature, `none` no token. `../count.sh` does all of them.

use http::{HeaderValue, StatusCode};
use layers::answer;
use layers::apps::{Quota, app};
use layers::requests::{SECRET, bearer, claims, request};

/// The most times; so many tokens are made in any case, so that making them is preparation.
const MOST: usize = 11_000;

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(name), Some(job), Some(times)) = (args.next(), args.next(), args.next()) else { return };
    let times: usize = times.parse().expect("how many times");
    let user = HeaderValue::from_static("ada");
    let mut app = app(&name, if job == "limited" { Quota::Once } else { Quota::Ample });
    let tokens = match job.as_str() {
        "warm" | "limited" => vec![bearer(&claims("ada", 0), SECRET)],
        "fresh" => (0..MOST).map(|jti| bearer(&claims("ada", jti), SECRET)).collect(),
        "forged" => vec![bearer(&claims("ada", 0), b"somebody-else's-secret-0123456789abcdef")],
        "none" => vec![],
        other => panic!("there is no job {other:?}"),
    };
    let expected = match job.as_str() {
        "limited" => StatusCode::TOO_MANY_REQUESTS,
        "forged" | "none" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::OK,
    };
    let (mut tokens, mut others) = (tokens.iter().cycle(), 0);
    for _ in 0..times {
        let status = answer(&mut app, request(&user, tokens.next())).status();
        others += usize::from(status != expected);
    }
    assert!(others <= usize::from(job == "limited"), "{others} answers were not {expected}");
}
