//! When to read the configuration again: the files changed, or SIGHUP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Editors write in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(200);

/// Tells when one of some files may have changed.
///
/// It watches their folders, not the files: editors rename, and an orchestrator swaps a link above them, and either would
/// leave a watch on a file that is no longer there.
pub(crate) struct Files {
    // Kept for its drop, which ends the watching.
    _watcher: notify::RecommendedWatcher,
    changed: mpsc::Receiver<()>,
}

impl Files {
    /// Watches the folders of these files, the configuration first. A folder of another one that is not there is passed over:
    /// it must not cost the configuration its watch.
    ///
    /// # Errors
    /// What the system's notification service says, of the configuration's own folder.
    pub(crate) fn watch(named: &[PathBuf]) -> notify::Result<Self> {
        // A link is watched where it is and where it leads: either may change.
        let led = named.iter().filter_map(|file| file.canonicalize().ok());
        let files: Vec<PathBuf> = named.iter().cloned().chain(led).collect();
        // One place: more than one change that nobody has looked at yet is one change.
        let (tell, changed) = mpsc::channel(1);
        let names: Vec<_> = files.iter().filter_map(|file| file.file_name().map(ToOwned::to_owned)).collect();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too, and we read them ourselves.
            let concerns_us = event.is_ok_and(|event| !event.kind.is_access() && concerns(&event, &names));
            if concerns_us {
                let _ = tell.try_send(());
            }
        })?;
        let mut folders: Vec<&Path> = files.iter().map(|file| folder(file)).collect();
        let first = folders.first().copied();
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Err(error) if Some(folder) == first => return Err(error),
                Err(error) => tracing::warn!(%error, folder = %folder.display(), "changes in there are not watched"),
                Ok(()) => {}
            }
        }
        Ok(Self { _watcher: watcher, changed })
    }

    /// Resolves when something changed and then nothing more did for 200 ms.
    pub(crate) async fn changed(&mut self) {
        if self.changed.recv().await.is_none() {
            // The watcher is gone; SIGHUP is left.
            std::future::pending::<()>().await;
        }
        while timeout(SETTLE, self.changed.recv()).await.is_ok_and(|change| change.is_some()) {}
    }
}

/// A change of one of the files, or of a link that an orchestrator swaps (`..data`).
fn concerns(event: &notify::Event, names: &[std::ffi::OsString]) -> bool {
    event
        .paths
        .iter()
        .filter_map(|path| path.file_name())
        .any(|name| name.to_string_lossy().starts_with("..") || names.iter().any(|known| known == name))
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
