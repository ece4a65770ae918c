//! Dates as HTTP writes them (RFC 9110, section 5.6.7), in all three forms.

use crate::time::UnixTime;

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAYS: [&[u8]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];

/// Reads a date. None for what is none, and for a time before 1970, which is as good as none to a cache.
///
/// `now` decides the century of a year with two digits: no more than 50 years ahead.
pub(super) fn date(text: &[u8], now: UnixTime) -> Option<UnixTime> {
    let text = text.trim_ascii();
    match text.get(3)? {
        b',' => imf_fixdate(text),
        b' ' => asctime(text),
        _ => rfc850(text, now),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &[u8]) -> Option<UnixTime> {
    let mut text = Reader(text);
    text.one_of(&DAYS)?;
    text.exactly(b", ")?;
    let day = text.number(2)?;
    text.exactly(b" ")?;
    let month = text.one_of(&MONTHS)?;
    text.exactly(b" ")?;
    let year = text.number(4)?;
    text.exactly(b" ")?;
    let clock = text.clock()?;
    text.exactly(b" GMT")?;
    text.end()?;
    seconds(year, month, day, clock)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &[u8], now: UnixTime) -> Option<UnixTime> {
    const NAMES: [&[u8]; 7] = [b"Thursday", b"Friday", b"Saturday", b"Sunday", b"Monday", b"Tuesday", b"Wednesday"];
    let mut text = Reader(text);
    text.one_of(&NAMES)?;
    text.exactly(b", ")?;
    let day = text.number(2)?;
    text.exactly(b"-")?;
    let month = text.one_of(&MONTHS)?;
    text.exactly(b"-")?;
    let short = text.number(2)?;
    text.exactly(b" ")?;
    let clock = text.clock()?;
    text.exactly(b" GMT")?;
    text.end()?;
    let this_year = civil(now).0;
    let near = this_year - this_year % 100 + short;
    seconds(if near > this_year + 50 { near - 100 } else { near }, month, day, clock)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<UnixTime> {
    let mut text = Reader(text);
    text.one_of(&DAYS)?;
    text.exactly(b" ")?;
    let month = text.one_of(&MONTHS)?;
    text.exactly(b" ")?;
    let day = if text.exactly(b" ").is_some() { text.number(1)? } else { text.number(2)? };
    text.exactly(b" ")?;
    let clock = text.clock()?;
    text.exactly(b" ")?;
    let year = text.number(4)?;
    text.end()?;
    seconds(year, month, day, clock)
}

/// What is left of a text.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn exactly(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn one_of(&mut self, texts: &[&[u8]]) -> Option<u64> {
        let at = texts.iter().position(|text| self.0.starts_with(text))?;
        self.exactly(texts.get(at)?)?;
        u64::try_from(at).ok()
    }

    fn number(&mut self, digits: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
    }

    /// `08:49:37`, in seconds; a leap second is the one after it.
    fn clock(&mut self) -> Option<u64> {
        let hours = self.number(2)?;
        self.exactly(b":")?;
        let minutes = self.number(2)?;
        self.exactly(b":")?;
        let seconds = self.number(2)?;
        (hours < 24 && minutes < 60 && seconds <= 60).then_some(hours * 3600 + minutes * 60 + seconds)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// The days before the first of each month, in a year that begins in March; so February, with its leap day, comes last.
const fn days_before(month_from_march: u64) -> u64 {
    (153 * month_from_march + 2) / 5
}

/// `month` counts from zero.
fn seconds(year: u64, month: u64, day: u64, clock: u64) -> Option<UnixTime> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        1 => 28 + u64::from(leap),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    if day == 0 || day > length || year < 1970 {
        return None;
    }
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + days_before(month) + day - 1;
    // 719,468 days are from the first of March of the year 0 to 1970.
    Some(UnixTime::from_secs(days.checked_sub(719_468)? * 86_400 + clock))
}

/// Year, month (from zero) and day of a time.
fn civil(time: UnixTime) -> (u64, u64, u64) {
    let days = time.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - days_before(month) + 1;
    let year = era * 400 + year_of_era + u64::from(month >= 10);
    (year, (month + 2) % 12, day)
}

/// Writes `Sun, 06 Nov 1994 08:49:37 GMT`; the end of the year 9999 for anything after it.
pub(super) fn written(time: UnixTime) -> [u8; 29] {
    const LAST: u64 = 253_402_300_799;
    let time = UnixTime::from_secs(time.as_secs().min(LAST));
    let (year, month, day) = civil(time);
    let (days, clock) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let name = |names: &[&'static [u8]], at: u64| usize::try_from(at).ok().and_then(|at| names.get(at).copied());
    put(&mut text, 0, name(&DAYS, days % 7).unwrap_or_default());
    put(&mut text, 5, &two(day));
    put(&mut text, 8, name(&MONTHS, month).unwrap_or_default());
    put(&mut text, 12, &two(year / 100));
    put(&mut text, 14, &two(year % 100));
    put(&mut text, 17, &two(clock / 3600));
    put(&mut text, 20, &two(clock / 60 % 60));
    put(&mut text, 23, &two(clock % 60));
    text
}

fn put(text: &mut [u8; 29], at: usize, part: &[u8]) {
    if let Some(place) = text.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

const fn two(number: u64) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}
