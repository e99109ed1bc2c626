//! Asks the kernel for the MTU of a link. Decides nothing.
#![expect(unsafe_code, reason = "netdevice(7) speaks in C structs")]

use std::ffi::CStr;
use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// What a link of this network namespace carries in one packet (netdevice(7)).
pub(super) fn of(link: &CStr) -> io::Result<u32> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all zeros is a value of this C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(link.to_bytes_with_nul()) {
        *to = from.cast_signed();
    }
    // SAFETY: the descriptor is open and the struct is the one this request reads and writes.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) };
    Errno::result(answer)?;
    // SAFETY: the kernel has just written this field.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    u32::try_from(mtu).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_link_has_an_mtu_and_an_unknown_link_none() {
        assert_eq!(of(c"lo").unwrap(), 65_536);
        assert!(of(c"sart-none").is_err());
    }
}
