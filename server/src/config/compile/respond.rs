//! A fixed answer.

use http::{HeaderMap, StatusCode};
use portcullis_core::plan::Respond;

use super::{Problems, headers};
use crate::config::problem::Problem;
use crate::config::schema::routes::Respond as Written;
use crate::config::span::Given;

pub(super) fn compile(written: &Written, problems: &mut Problems) -> Option<Respond> {
    let mut fields = HeaderMap::new();
    for (name, value) in &written.headers {
        if let Some((name, value)) = headers::for_response(name, value, problems)
            && fields.try_append(name, value).is_err()
        {
            problems.note(Problem::error(&written.span, "too many headers"));
        }
    }
    let status = match &written.status {
        Given::Broken => return None,
        Given::Absent => StatusCode::OK,
        Given::Value(status) => StatusCode::from_u16(u16::try_from(status.value).ok()?).ok()?,
    };
    let body = written.body.get();
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(body) = body.filter(|body| bodiless && !body.value.is_empty()) {
        problems.note(Problem::error(&body.span, format!("a response of status {} has no body", status.as_u16())));
    }
    Some(Respond { body: body.map(|body| body.value.clone()).unwrap_or_default().into(), headers: fields, status })
}
