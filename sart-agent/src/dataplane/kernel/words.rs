//! Reads a whole array of words through a mapping of it: one system call in place of one for each word. Decides nothing.
#![expect(unsafe_code, reason = "mmap(2) hands out memory that the compiler knows nothing of")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};

use aya::maps::MapData;
use nix::libc;
use sart_ebpf_common::layout::{F_MMAPABLE, MapSpec};

/// A mapping, given back when dropped.
struct Mapping {
    start: NonNull<u64>,
    words: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, as long as this, and nothing borrows from it: `words` copies.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.words * size_of::<u64>()) };
    }
}

/// All words of the map, which must have the layout `spec` with values of 8 bytes.
///
/// # Errors
/// The kernel does not map it.
pub(super) fn words(map: &MapData, spec: &MapSpec) -> io::Result<Vec<u64>> {
    if spec.value != 8 || spec.flags & F_MMAPABLE == 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let words = spec.max_entries as usize;
    let fd = map.fd().as_fd().as_raw_fd();
    let length = words * size_of::<u64>();
    // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
    let start = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
    let mapping = Mapping { start, words };
    // SAFETY: `words` aligned words are mapped; the kernel refuses a mapping larger than the map. The agent alone writes the
    // map, and not while it reads it.
    let word = |at: usize| unsafe { mapping.start.add(at).read_volatile() };
    Ok((0..mapping.words).map(word).collect())
}
