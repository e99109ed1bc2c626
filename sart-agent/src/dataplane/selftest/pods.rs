//! The self-test of a pod's link: a connection between two pods, an answer to what was translated, a foreign source.

use aya::Ebpf;
use aya::maps::{HashMap, MapData, MapError};
use bytemuck::cast;
use sart_dataplane::model::pods::{PodModel, PodOutcome};
use sart_ebpf_common::layout::{PODS, PORT_READY, PodKey, PodRow, be32};

use super::super::OpenError;
use super::super::load::{POD_IN, POD_OUT, refused};
use super::{Wanted, expect};

/// A test packet comes in by the loopback link, whose index is 1 in every network namespace.
const LINK: u32 = 1;
const PEER: u32 = 2;
const KEY: usize = size_of::<PodKey>();
const ROW: usize = size_of::<PodRow>();

/// Runs the packets and compares every byte with the reference model.
pub(in super::super) fn run(ebpf: &mut Ebpf) -> Result<(), OpenError> {
    let mut model = PodModel::default();
    for family in [4, 6] {
        for link in [LINK, PEER] {
            model.pods.insert(key(family, link as u8), row(link));
        }
    }
    write(ebpf, &model)?;
    for family in [4, 6] {
        let packet = |from, to, ports| frame(family, (from, to), ports);
        let to_peer = packet(1, 2, (40_000, 80));
        let brought = packet(2, 1, (40_001, 80));
        let answer = packet(1, 2, (80, 40_001));
        let foreign = packet(3, 2, (40_000, 80));
        judge(ebpf, POD_IN, &to_peer, model.pod_in(&to_peer, LINK))?;
        judge(ebpf, POD_OUT, &brought, model.pod_out(&brought, LINK))?;
        judge(ebpf, POD_IN, &answer, model.pod_in(&answer, LINK))?;
        judge(ebpf, POD_IN, &foreign, model.pod_in(&foreign, LINK))?;
    }
    Ok(())
}

fn judge(ebpf: &mut Ebpf, name: &'static str, frame: &[u8], outcome: PodOutcome) -> Result<(), OpenError> {
    // TC_ACT_SHOT is 2, TC_ACT_REDIRECT 7, TC_ACT_UNSPEC -1.
    let action = match outcome.redirect {
        Some(_) => 7,
        None if outcome.reason.is_drop() => 2,
        None => u32::MAX,
    };
    expect(ebpf, name, frame, &Wanted { action, frame: outcome.frame, reason: outcome.reason })
}

fn write(ebpf: &mut Ebpf, model: &PodModel) -> Result<(), OpenError> {
    let failed = |error: MapError| refused("the self-test's maps", &error);
    let map = ebpf.map_mut(PODS.name).ok_or_else(|| MapError::InvalidName { name: PODS.name.to_owned() });
    let map = map.and_then(HashMap::<&mut MapData, [u8; KEY], [u8; ROW]>::try_from);
    let mut map = map.map_err(failed)?;
    for (key, row) in &model.pods {
        map.insert(cast::<PodKey, [u8; KEY]>(*key), cast::<PodRow, [u8; ROW]>(*row), 0).map_err(failed)?;
    }
    Ok(())
}

const fn row(link: u32) -> PodRow {
    PodRow {
        ifindex: link,
        mtu: 1500,
        flags: PORT_READY,
        slot: 0,
        pad: 0,
        host_mac: [0x0a, 0, 0, 0, 0, link as u8],
        pod_mac: [0x02, 0, 0, 0, 0, link as u8],
    }
}

fn key(family: u8, last: u8) -> PodKey {
    match family {
        4 => PodKey::v4(be32([10, 244, 0, last])),
        _ => PodKey::v6(cast(address(last))),
    }
}

const fn address(last: u8) -> [u8; 16] {
    [0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// A datagram that came in by [`LINK`]. The programs do not look at its own checksum.
fn frame(family: u8, (from, to): (u8, u8), (sport, dport): (u16, u16)) -> Vec<u8> {
    let mut frame = [row(LINK).host_mac, row(LINK).pod_mac].concat();
    if family == 4 {
        frame.extend([8, 0, 0x45, 0, 0, 32, 0, 1, 0x40, 0, 64, 17, 0x26, 0x2c]);
        frame.extend([10, 244, 0, from, 10, 244, 0, to]);
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 12, 17, 64]);
        frame.extend([address(from), address(to)].concat());
    }
    frame.extend([sport.to_be_bytes(), dport.to_be_bytes()].concat());
    frame.extend([0, 12, 0, 0, b's', b'a', b'r', b't']);
    frame
}
