//! One parameter of the query, to read and to take out.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::CREDENTIALS;
use crate::auth::AuthError;

/// The value of the parameter called `name`, percent-decoded once (a `+` is a plus); none when it is absent or empty.
///
/// # Errors
/// There is more than one of that name, or its value is not UTF-8.
pub(super) fn find<'r>(query: &'r str, name: &str) -> Result<Option<Cow<'r, str>>, AuthError> {
    let mut values = query.split('&').filter(|pair| is(pair, name));
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(pair), None) => {
            let value = pair.split_once('=').map_or("", |(_, value)| value);
            let value = percent_decode_str(value).decode_utf8().map_err(|_| CREDENTIALS)?;
            Ok(Some(value).filter(|value| !value.is_empty()))
        }
        (Some(_), Some(_)) => Err(CREDENTIALS),
    }
}

/// The query without every parameter called `name`, all else as it came; none when nothing is left.
pub(super) fn strip<'r>(query: Cow<'r, str>, name: &str) -> Option<Cow<'r, str>> {
    if !query.split('&').any(|pair| is(pair, name)) {
        return Some(query);
    }
    let others: Vec<&str> = query.split('&').filter(|pair| !is(pair, name)).collect();
    (!others.is_empty()).then(|| Cow::Owned(others.join("&")))
}

/// Whether a parameter is called `name`, however it is spelled.
fn is(pair: &str, name: &str) -> bool {
    let key = pair.split_once('=').map_or(pair, |(key, _)| key);
    percent_decode_str(key).eq(name.bytes())
}
