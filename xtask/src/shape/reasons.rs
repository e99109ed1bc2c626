//! The recorded reasons for files over the budget. An entry whose file has shrunk or gone is itself a breach, so that the
//! list never outlives its causes.

use crate::source::Source;

/// (path from the root, why one file is better than two).
const LONG_FILES: &[(&str, &str)] = &[];

/// The reason recorded for a long file.
pub(super) fn long_file(path: &str) -> Option<&'static str> {
    LONG_FILES.iter().find(|(long, _)| *long == path).map(|(_, reason)| *reason)
}

/// Entries that no longer name a long file.
pub(super) fn stale(sources: &[Source]) -> Vec<String> {
    LONG_FILES
        .iter()
        .filter(|(path, _)| {
            !sources.iter().any(|file| {
                file.path.as_os_str() == *path && super::measure::source_lines(file) > super::MAX_FILE_LINES
            })
        })
        .map(|(path, _)| {
            format!("{path}: has a recorded reason but is not over the budget; remove the entry")
        })
        .collect()
}
