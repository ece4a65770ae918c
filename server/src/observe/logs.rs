//! Diagnostics: what the gateway has to say about itself, on stderr.

use std::fmt::{self, Debug};
use std::io::{self, Write};

use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, Layered, SubscriberExt};
use tracing_subscriber::{Registry, reload};

use super::format::{Colour, Format};

/// Changes the diagnostics while they run, as a reload of the configuration asks.
#[derive(Clone)]
pub(crate) struct Logs {
    level: reload::Handle<LevelFilter, Registry>,
    layer: reload::Handle<BoxedLayer, Leveled>,
}

type Leveled = Layered<reload::Layer<LevelFilter, Registry>, Registry>;
type BoxedLayer = Box<dyn Layer<Leveled> + Send + Sync>;

impl Logs {
    /// Sets the level and the format.
    pub(crate) fn set(&self, level: LevelFilter, format: Format) {
        // They fail only when the subscriber is gone, and it is never replaced.
        let _ = self.level.reload(level);
        let _ = self.layer.reload(layer(format, Stderr));
    }
}

impl Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

/// Sends diagnostics of `level` and above to stderr. For the binary only: a library leaves this to its host.
///
/// Control characters in messages are escaped, so that an event is one line and does not talk to the terminal.
///
/// # Errors
///
/// The process has a subscriber already.
pub(crate) fn init(level: LevelFilter, format: Format) -> Result<Logs, SetGlobalDefaultError> {
    let (level_layer, level) = reload::Layer::new(level);
    let (format_layer, layer) = reload::Layer::new(layer(format, Stderr));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(level_layer).with(format_layer))?;
    Ok(Logs { level, layer })
}

fn layer<W>(format: Format, writer: W) -> BoxedLayer
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        Format::Json => Box::new(layer.json().flatten_event(true)),
        Format::Text { colour } => Box::new(layer.with_ansi(colour == Colour::Ansi)),
    }
}

/// Writes events to stderr, each as one line.
#[derive(Debug)]
struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = OneLine<io::StderrLock<'a>>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine(io::stderr().lock())
    }
}

/// Escapes the line breaks inside an event. The formatter gives each event in one write, escapes what terminals obey
/// (RUSTSEC-2025-0055) and leaves line breaks in messages as they are, and those are often a peer's bytes.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (body, end) = match event.split_last() {
            Some((b'\n', body)) => (body, "\n"),
            Some(_) | None => (event, ""),
        };
        let mut line = Vec::with_capacity(event.len());
        for byte in body {
            match byte {
                // The colours' own sequences begin with it.
                0x1b => line.push(*byte),
                0..0x20 => line.extend(byte.escape_ascii()),
                _ => line.push(*byte),
            }
        }
        line.extend_from_slice(end.as_bytes());
        self.0.write_all(&line)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Where a test's events go.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(format: Format, event: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let (level, _level) = reload::Layer::new(LevelFilter::INFO);
        let (format, _format) = reload::Layer::new(layer(format, move || OneLine(writer.clone())));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(level).with(format), event);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let hostile = "a\nb\r\x1b[31mc\u{9b}d\u{7f}";
        for format in [Format::Json, Format::Text { colour: Colour::Plain }, Format::Text { colour: Colour::Ansi }] {
            let text = said(format, || tracing::warn!(field = hostile, "message {hostile}"));
            assert_eq!(text.lines().count(), 1, "{format:?}: {text:?}");
            assert!(!text.contains("\x1b[31mc"), "{format:?}: {text:?}");
            if format != (Format::Text { colour: Colour::Ansi }) {
                assert!(
                    !text.trim_end_matches('\n').contains(|char: char| char.is_ascii_control() && char != '\u{7f}')
                );
            }
        }
    }

    #[test]
    fn json_is_json() {
        let text = said(Format::Json, || tracing::warn!(error = "no\nroute", "message"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&value["message"], &value["error"], &value["level"]),
            (&"message".into(), &"no\nroute".into(), &"WARN".into())
        );
    }

    #[test]
    fn the_level_holds() {
        assert_eq!(said(Format::Json, || tracing::debug!("hidden")), "");
    }
}
