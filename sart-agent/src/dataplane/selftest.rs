//! Packets whose fate is known, run through freshly loaded programs on maps of their own before anything is attached:
//! a kernel that loads our programs but runs them otherwise is found out here.

mod pods;

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError};
use aya::programs::{TestRun, TestRunOptions};
use bytemuck::cast;
use sart_dataplane::model::{Model, Outcome};
use sart_dataplane::tables::{Op, Tables};
use sart_ebpf_common::checksum;
use sart_ebpf_common::layout::{
    BACKEND_LIVE, BACKENDS, Backend, RING, VIP_SERVICE, VIPS, Vip, VipKey, be16, be32,
};
use sart_ebpf_common::packet::{TCP, TCP_SYN, UDP};
use sart_ebpf_common::reason::Reason;

use super::OpenError;
use super::load::{UP_IN, UP_OUT, classifier, refused};
pub(super) use pods::run as pods;

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 7], 40_000);
const VIP: ([u8; 4], u16) = ([198, 51, 100, 1], 80);
const POD: ([u8; 4], u16) = ([10, 244, 0, 9], 8080);

/// What must become of a frame.
struct Wanted {
    action: u32,
    frame: Vec<u8>,
    reason: Reason,
}

impl From<Outcome> for Wanted {
    fn from(outcome: Outcome) -> Self {
        // TC_ACT_SHOT is 2, TC_ACT_UNSPEC is -1.
        let action = if outcome.reason.is_drop() { 2 } else { u32::MAX };
        Self { action, frame: outcome.frame, reason: outcome.reason }
    }
}

/// Runs a connection of each protocol through a virtual address and compares every byte with the reference model.
pub(super) fn uplinks(ebpf: &mut Ebpf) -> Result<(), OpenError> {
    let mut model = Model::default();
    for op in rows() {
        write(ebpf, &op)?;
        // The twin has room for three rows.
        let _three = model.tables.execute(&op);
    }
    for proto in [TCP, UDP] {
        let (ask, answer) = (frame(CLIENT, VIP, proto), frame(POD, CLIENT, proto));
        expect(ebpf, UP_IN, &ask, &model.ingress(&ask).into())?;
        expect(ebpf, UP_OUT, &answer, &model.egress(&answer).into())?;
    }
    let other = frame(CLIENT, ([203, 0, 113, 1], 80), TCP);
    expect(ebpf, UP_IN, &other, &model.ingress(&other).into())
}

fn rows() -> Vec<Op> {
    let pod = Backend {
        identity: 1,
        addr: be32(POD.0),
        generation: 1,
        port: be16(POD.1),
        flags: BACKEND_LIVE,
        pad: 0,
    };
    let row =
        Vip { generation: 1, ring_base: 0, ring_mask: 3, stat: 0, backends: 1, flags: VIP_SERVICE, pad: 0 };
    let key = |proto| VipKey { addr: be32(VIP.0), port: be16(VIP.1), proto, scope: 0 };
    vec![
        Op::PutBackend(1, pod),
        Op::PutRing(0, 0x0001_0001_0001_0001),
        Op::PutVip(key(TCP), row),
        Op::PutVip(key(UDP), row),
    ]
}

fn write(ebpf: &mut Ebpf, op: &Op) -> Result<(), OpenError> {
    let done = match op {
        Op::PutBackend(index, row) => array::<[u8; 24]>(ebpf, BACKENDS.name)
            .and_then(|mut map| map.set(u32::from(*index), cast::<Backend, [u8; 24]>(*row), 0)),
        Op::PutRing(word, slots) => {
            array::<u64>(ebpf, RING.name).and_then(|mut map| map.set(*word, *slots, 0))
        }
        Op::PutVip(key, row) => table(ebpf)
            .and_then(|mut map| map.insert(cast::<VipKey, [u8; 8]>(*key), cast::<Vip, [u8; 32]>(*row), 0)),
        Op::DeleteVip(_) | Op::PutGeneration(_) | Op::ResetStats(_) => Ok(()),
    };
    done.map_err(|error| refused("the self-test's maps", &error))
}

fn array<'a, V: aya::Pod>(ebpf: &'a mut Ebpf, name: &str) -> Result<Array<&'a mut MapData, V>, MapError> {
    let map = ebpf.map_mut(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })?;
    Array::try_from(map)
}

fn table(ebpf: &mut Ebpf) -> Result<HashMap<&mut MapData, [u8; 8], [u8; 32]>, MapError> {
    let map = ebpf.map_mut(VIPS.name).ok_or_else(|| MapError::InvalidName { name: VIPS.name.to_owned() })?;
    HashMap::try_from(map)
}

fn expect(ebpf: &mut Ebpf, name: &'static str, frame: &[u8], wanted: &Wanted) -> Result<(), OpenError> {
    let program = classifier(ebpf, name)?;
    let mut out = vec![0; frame.len() + 64];
    let options =
        TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::default() };
    let result = program.test_run(options).map_err(|error| refused(name, &error))?;
    let seen = out.get(..result.data_size_out as usize).unwrap_or_default();
    if result.return_value == wanted.action && seen == wanted.frame {
        return Ok(());
    }
    let what = format!(
        "{} wanted action {:#x} and {:02x?}, the kernel gave {:#x} and {seen:02x?}",
        wanted.reason.label(),
        wanted.action,
        wanted.frame,
        result.return_value
    );
    Err(OpenError::SelfTestFailed { program: name, what })
}

/// An Ethernet frame with a TCP SYN or a UDP datagram, with right checksums.
fn frame((src, sport): ([u8; 4], u16), (dst, dport): ([u8; 4], u16), proto: u8) -> Vec<u8> {
    let mut l4 = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    let sum_at = if proto == TCP {
        l4.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, TCP_SYN, 0xff, 0xff, 0, 0, 0, 0]);
        16
    } else {
        l4.extend([0, 12, 0, 0, b's', b'a', b'r', b't']);
        6
    };
    let length = (l4.len() as u16).to_be_bytes();
    let pseudo = [&src[..], &dst, &[0, proto], &length].concat();
    let sum = checksum::of(&l4, u32::from(!checksum::of(&pseudo, 0)));
    if let Some(field) = l4.get_mut(sum_at..sum_at + 2) {
        field.copy_from_slice(&sum.to_ne_bytes());
    }
    let total = (20 + l4.len() as u16).to_be_bytes();
    let mut ip = [&[0x45, 0, total[0], total[1], 0, 1, 0x40, 0, 64, proto, 0, 0], &src[..], &dst].concat();
    let sum = checksum::of(&ip, 0).to_ne_bytes();
    if let Some(field) = ip.get_mut(10..12) {
        field.copy_from_slice(&sum);
    }
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], ip.as_slice(), l4.as_slice()].concat()
}
