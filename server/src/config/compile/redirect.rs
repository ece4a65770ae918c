//! `redirect`: where clients are sent instead.

use http::StatusCode;
use portcullis_core::plan::Redirect;
use portcullis_core::route::Pattern;
use portcullis_core::template::RedirectTemplate;

use super::Problems;
use super::rewrite::{params, unfit_template};
use crate::config::problem::Problem;
use crate::config::schema::redirect::Redirect as Written;
use crate::config::span::Given;

/// Those that a client follows by itself (RFC 9110, section 15.4).
const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// The redirect; none when something of it is broken. Unless the file says otherwise its status is 308, which keeps the method
/// and the body: 301 and 302 let a client make a GET of a POST.
pub(super) fn compile(written: &Written, pattern: Option<&Pattern>, problems: &mut Problems) -> Option<Redirect> {
    let status = match &written.status {
        Given::Broken => None,
        Given::Absent => Some(StatusCode::PERMANENT_REDIRECT),
        Given::Value(status) => {
            let found = STATUSES.into_iter().find(|known| u32::from(*known) == status.value);
            if found.is_none() {
                let problem =
                    Problem::error(&status.span, format!("{} does not send a client elsewhere", status.value));
                problems.note(problem.accepted("301, 302, 303, 307 or 308"));
            }
            found.and_then(|status| StatusCode::from_u16(status).ok())
        }
    };
    let params = params(pattern?);
    let to = match RedirectTemplate::parse(&written.to.value, &params) {
        Err(_) if written.to.unset => RedirectTemplate::parse("/", &params),
        parsed => parsed,
    };
    let to = to.map_err(|error| problems.note(unfit_template(&written.to, &error, "where a redirect can go", &params)));
    Some(Redirect { status: status?, to: to.ok()? })
}
