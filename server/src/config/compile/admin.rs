//! `[admin]`.

use std::path::Path;

use super::{Problems, listen};
use crate::config::problem::Problem;
use crate::config::schema::admin::Admin;
use crate::config::settings::{AdminSettings, ListenAddress};
use crate::config::span::{At, Given, Text};

pub(super) fn compile(
    admin: Option<&Admin>,
    listeners: &[At<ListenAddress>],
    folder: &Path,
    problems: &mut Problems,
) -> Option<AdminSettings> {
    let default = ListenAddress::Tcp { host: "127.0.0.1".into(), port: 9901 };
    let Some(admin) = admin else { return Some(AdminSettings { address: default, token: None, written: false }) };
    let token = admin.token.get().map(|at| &at.value).filter(|token| !token.reveal().is_empty());
    let (address, written) = match &admin.listen {
        Given::Absent | Given::Broken => (default, false),
        Given::Value(text) if text.value.is_empty() => return None,
        Given::Value(text) => {
            let address = listen::address(text, folder, problems)?;
            if token.is_none() && !matches!(admin.token, Given::Broken) && !address.is_local() {
                problems.note(open_door(text, &address));
            }
            note_shared(text, &address, listeners, problems);
            (address, true)
        }
    };
    Some(AdminSettings { address, token: token.cloned(), written })
}

fn open_door(text: &Text, address: &ListenAddress) -> Problem {
    let shown = if text.is_resolved() { text.shown() } else { address.to_string() };
    Problem::error(&text.span, format!("the admin listener `{shown}` is open to the network and has no token"))
        .label("not a loopback address")
        .note("what it shows is meant for operators alone")
        .hint("set `token = \"${ADMIN_TOKEN}\"` in [admin], or listen on \"127.0.0.1:9901\"")
}

/// Never on a client listener.
fn note_shared(text: &Text, address: &ListenAddress, listeners: &[At<ListenAddress>], problems: &mut Problems) {
    if let Some(taken) = listeners.iter().find(|other| other.value.collides(address)) {
        let problem = Problem::error(&text.span, "the admin listener has the address of a client listener");
        let problem = problem.hint("give it an address of its own");
        // The default has no place in the file.
        problems.note(if taken.span.is_empty() { problem } else { problem.also(&taken.span, "clients arrive here") });
    }
}
