//! RFC 9110, section 5.6.7: dates.

use proptest::prelude::*;

use super::*;
use crate::caching::date::{date, written};

fn read(text: &str) -> Option<u64> {
    date(text.as_bytes(), WALL).map(UnixTime::as_secs)
}

#[test]
fn all_forms_and_what_is_none() {
    const MOMENT: Option<u64> = Some(784_111_777);
    for (text, expected) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", MOMENT),
        ("Sunday, 06-Nov-94 08:49:37 GMT", MOMENT),
        ("Sun Nov  6 08:49:37 1994", MOMENT),
        ("Sun Nov 06 08:49:37 1994", MOMENT),
        (" Sun, 06 Nov 1994 08:49:37 GMT ", MOMENT),
        // The name of the day says nothing new, and need not be right
        ("Mon, 06 Nov 1994 08:49:37 GMT", MOMENT),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
        ("Tue, 29 Feb 2000 23:59:59 GMT", Some(951_868_799)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
        // A leap second
        ("Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800)),
        // Two digits: no more than 50 years ahead of now
        ("Friday, 24-Nov-76 12:00:00 GMT", Some(3_373_444_800)),
        ("Thursday, 24-Nov-77 12:00:00 GMT", Some(249_220_800)),
        ("Friday, 01-Jan-99 00:00:00 GMT", Some(915_148_800)),
        ("Saturday, 01-Jan-00 00:00:00 GMT", Some(946_684_800)),
        ("Mon, 29 Feb 2100 00:00:00 GMT", None),
        ("Wed, 29 Feb 2023 00:00:00 GMT", None),
        ("Wed, 31 Dec 1969 23:59:59 GMT", None),
        ("Sun, 00 Nov 1994 08:49:37 GMT", None),
        ("Sun, 31 Nov 1994 08:49:37 GMT", None),
        ("Sun, 32 Dec 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:60:00 GMT", None),
        ("Sun, 06 Nov 1994 08:49:61 GMT", None),
        ("Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 nov 1994 08:49:37 GMT", None),
        ("sun, 06 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 gmt", None),
        ("Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("Sun, 06 Nov 1994 08:49:37 +0000", None),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT+1", None),
        ("Sun, 06 Nov 94 08:49:37 GMT", None),
        ("Sun, 06-Nov-1994 08:49:37 GMT", None),
        ("Sun 06 Nov 1994 08:49:37 GMT", None),
        ("Sun,  06 Nov 1994 08:49:37 GMT", None),
        ("Sunday, 06 Nov 1994 08:49:37 GMT", None),
        ("06 Nov 1994 08:49:37 GMT", None),
        ("1994-11-06T08:49:37Z", None),
        ("784111777", None),
        ("0", None),
        ("-1", None),
        ("", None),
        ("Sun", None),
        ("Sun,", None),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

proptest! {
    /// What is written is read, and is what another library writes and reads.
    #[test]
    fn as_another_library_has_them(secs in 0_u64..253_402_300_800) {
        let time = UnixTime::from_secs(secs);
        let theirs = std::time::UNIX_EPOCH + Duration::from_secs(secs);
        let text = httpdate::fmt_http_date(theirs);
        prop_assert_eq!(&written(time)[..], text.as_bytes());
        prop_assert_eq!(date(text.as_bytes(), WALL), Some(time));
        prop_assert_eq!(httpdate::parse_http_date(&text).unwrap(), theirs);
    }

    #[test]
    fn no_text_panics(text in "[A-Za-z0-9,: -]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..40), now: u64) {
        let now = UnixTime::from_secs(now % 1_000_000_000_000);
        let _ = (date(text.as_bytes(), now), date(&bytes, now), written(now));
    }
}

#[test]
fn behind_the_last_year_there_is_the_last() {
    assert_eq!(&written(UnixTime::from_secs(u64::MAX)), b"Fri, 31 Dec 9999 23:59:59 GMT");
}
