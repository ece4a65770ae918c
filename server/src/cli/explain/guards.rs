//! What keeps an upstream and its servers from harm, and clients from these.

use portcullis_core::plan::{Opens, Upstream};

/// One line for each, in plain words; durations as the file writes them.
pub(super) fn of(upstream: &Upstream) -> Vec<String> {
    let mut guards = vec![breaker(upstream)];
    if upstream.servers.is_empty() {
        // The rest is about servers.
        return guards;
    }
    if let Some(most) = upstream.max_connections {
        guards.push(format!("at most {most} requests at a time; {} wait", upstream.max_pending));
    }
    if let Some(eject) = &upstream.roster.eject {
        let rest = humantime::format_duration(eject.rest);
        guards.push(format!(
            "a server rests {rest} after {} failures in a row, at most {}% of them at once",
            eject.failures,
            (eject.max * 100.0).round()
        ));
    }
    if let Some(check) = &upstream.health {
        let interval = humantime::format_duration(check.interval);
        guards.push(format!("servers are checked: GET {} every {interval}", check.path));
    }
    if !upstream.roster.slow_start.is_zero() {
        let slow_start = humantime::format_duration(upstream.roster.slow_start);
        guards.push(format!("a server that comes back gets its share within {slow_start}"));
    }
    guards
}

fn breaker(upstream: &Upstream) -> String {
    let breaker = &upstream.breaker;
    let after = match breaker.opens {
        Opens::Consecutive(failures) => format!("{failures} failures in a row"),
        Opens::Ratio { ratio, minimum, window } => {
            let window = humantime::format_duration(window);
            format!("failures are {ratio} of at least {minimum} requests within {window}")
        }
    };
    format!("the breaker opens after {after}, for {}", humantime::format_duration(breaker.recovery))
}
