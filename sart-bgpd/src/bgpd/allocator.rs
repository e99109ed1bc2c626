//! Tells glibc's allocator that every large table is a mapping of its own. Must never keep the daemon from starting.
//!
//! glibc raises the size from which on it maps memory each time a mapping is freed (mallopt(3), `M_MMAP_THRESHOLD`: up to 32 MiB).
//! The tables of the RIB grow by doubling, so after a few of them the next ones come from the heap, and what they leave there when
//! they grow again are holes that nothing fits: with four full tables a fifth of the memory. Any value of the setting's own stops
//! that. glibc reads it once, from the environment and before `main`, hence the daemon replaces itself by itself: same process
//! id, same arguments, a millisecond.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// In octets; glibc's own first value. Below it, a mapping's system calls and its unused half page would cost more than a hole.
const THRESHOLD: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "131072");
/// Settings of malloc can also come in here, as `glibc.malloc.…` (ld.so(8) and the GNU C library's manual, "Tunables").
const TUNABLES: &str = "GLIBC_TUNABLES";
/// Says that the daemon has replaced itself: for a file with capabilities the loader takes the setting away (ld.so(8), "Secure-execution
/// mode"), and the daemon would replace itself for ever.
const TOLD: &str = "SART_BGPD_ALLOCATOR_TOLD";

/// Why the allocator stays as it is.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {program} again with {} set: {source}; large tables will take more memory", THRESHOLD.0)]
pub struct AllocatorError {
    program: String,
    source: std::io::Error,
}

/// Replaces this process by one whose allocator knows, unless it does or somebody has given it settings of his own. Opens nothing
/// and is to be called before anything else is.
///
/// # Errors
/// If the program cannot be started again; this process goes on.
pub fn settle() -> Result<(), AllocatorError> {
    if is_settled(|name| std::env::var_os(name)) {
        return Ok(());
    }
    // By its path and not as /proc/self/exe, which would be its name in ps(1).
    let program = std::env::current_exe()
        .map_err(|source| AllocatorError { program: String::from("/proc/self/exe"), source })?;
    let mut arguments = std::env::args_os();
    let mut again = Command::new(&program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let source = again.args(arguments).env(THRESHOLD.0, THRESHOLD.1).env(TOLD, "1").exec();
    Err(AllocatorError { program: program.display().to_string(), source })
}

fn is_settled(value: impl Fn(&str) -> Option<OsString>) -> bool {
    let of_malloc = |text: &OsStr| text.to_string_lossy().contains("glibc.malloc.");
    [THRESHOLD.0, TOLD].into_iter().any(|name| value(name).is_some())
        || value(TUNABLES).is_some_and(|text| of_malloc(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(variables: &[(&str, &str)]) -> bool {
        is_settled(|asked| {
            variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn whoever_has_set_the_allocator_knows_better() {
        assert!(!settled(&[]));
        assert!(!settled(&[(TUNABLES, "glibc.cpu.hwcaps=-AVX2"), ("MALLOC", "1")]));
        assert!(settled(&[(THRESHOLD.0, "4096")]));
        assert!(settled(&[(TUNABLES, "glibc.cpu.hwcaps=-AVX2:glibc.malloc.arena_max=1")]));
    }

    #[test]
    fn a_process_whose_loader_took_the_setting_away_is_not_started_for_ever() {
        assert!(settled(&[(TOLD, "1")]));
    }
}
