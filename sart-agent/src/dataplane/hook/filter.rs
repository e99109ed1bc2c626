//! Asks the kernel which program runs in our filter (rtnetlink(7), tc-bpf(8)). Changes nothing.

use std::io;
use std::os::fd::AsRawFd;

use aya::programs::TcAttachType;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// Header of a netlink message, and of a message about queueing.
const NLMSG: usize = 16;
const TCMSG: usize = 20;
/// `TCA_OPTIONS`, and `TCA_BPF_ID` in it (linux/rtnetlink.h, linux/pkt_cls.h).
const OPTIONS: u16 = 2;
const BPF_ID: u16 = 11;
/// Flags in an attribute's type (`NLA_F_NESTED`, `NLA_F_NET_BYTEORDER`).
const TYPE: u16 = 0x3fff;

/// Id of the program in the filter with this priority and handle, if there is such a filter.
pub(super) fn program(
    ifindex: u32,
    way: TcAttachType,
    (priority, handle): (u16, u32),
) -> io::Result<Option<u32>> {
    let link =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    let request = request(ifindex, way, (priority, handle));
    sendto(link.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 8192];
    // The kernel has answered before the request returned.
    let length = recv(link.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    read(answer.get(..length).unwrap_or_default())
}

fn request(ifindex: u32, way: TcAttachType, (priority, handle): (u16, u32)) -> Vec<u8> {
    // `TC_H_CLSACT` with the minor number of the direction.
    let parent: u32 = if matches!(way, TcAttachType::Ingress) { 0xffff_fff2 } else { 0xffff_fff3 };
    let info = u32::from(priority) << 16 | u32::from((libc::ETH_P_ALL as u16).to_be());
    let mut request = ((NLMSG + TCMSG) as u32).to_ne_bytes().to_vec();
    request.extend(libc::RTM_GETTFILTER.to_ne_bytes());
    request.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    request.extend([1_u32, 0, 0, ifindex, handle, parent, info].map(u32::to_ne_bytes).concat());
    request
}

fn read(answer: &[u8]) -> io::Result<Option<u32>> {
    let kind = u16::from_ne_bytes(at(answer, 4)?);
    if kind == libc::RTM_NEWTFILTER {
        let attributes = answer.get(NLMSG + TCMSG..).unwrap_or_default();
        let options = attribute(attributes, OPTIONS).unwrap_or_default();
        return attribute(options, BPF_ID).map(|id| at(id, 0).map(u32::from_ne_bytes)).transpose();
    }
    match Errno::from_raw(-i32::from_ne_bytes(at(answer, NLMSG)?)) {
        // Neither the filter, nor the discipline it would hang on.
        Errno::ENOENT | Errno::EINVAL => Ok(None),
        error => Err(error.into()),
    }
}

/// The content of the first attribute of this type.
fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(at(attributes, 0).ok()?));
        let found = u16::from_ne_bytes(at(attributes, 2).ok()?) & TYPE;
        if found == kind {
            return attributes.get(4..length);
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> io::Result<[u8; N]> {
    let found = bytes.get(offset..offset + N).and_then(|bytes| bytes.try_into().ok());
    found.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is too short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_the_program_s_id_is_read_and_any_cut_of_it_is_refused() {
        let mut answer = vec![0, 0, 0, 0];
        answer.extend(libc::RTM_NEWTFILTER.to_ne_bytes());
        answer.extend([0; 10 + TCMSG]);
        let text = |kind: u16, content: &[u8]| {
            let mut bytes = (4 + content.len() as u16).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        answer.extend(text(1, b"bpf\0"));
        answer.extend(text(OPTIONS, &[text(7, b"pod_in\0"), text(BPF_ID, &77_u32.to_ne_bytes())].concat()));
        assert_eq!(read(&answer).unwrap(), Some(77));
        for length in 0..answer.len() {
            assert_ne!(read(&answer[..length]).ok().flatten(), Some(77), "cut to {length}");
        }
    }

    #[test]
    fn no_filter_is_no_error_and_no_right_is_one() {
        let refused = |errno: i32| {
            let mut answer = vec![0, 0, 0, 0, 2, 0];
            answer.extend([0; 10]);
            answer.extend((-errno).to_ne_bytes());
            read(&answer)
        };
        assert_eq!(refused(libc::ENOENT).unwrap(), None);
        assert_eq!(refused(libc::EPERM).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}
