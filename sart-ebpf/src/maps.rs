//! The maps, and how the rules see them. Sizes and layouts come from `sart_ebpf_common::layout`; nothing is decided here.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray};
use sart_ebpf_common::layout::{
    self, Backend, Count, Flow, FlowKey, PodFlow, PodFlowKey, PodKey, PodRow, Settings, Vip, VipKey, VipStats,
};
use sart_ebpf_common::pod::PodTables;
use sart_ebpf_common::reason::Reason;
use sart_ebpf_common::verdict::{NO_STAT, TICK_SHIFT, Tables, Verdict};

#[map(name = "VIPS4")]
static VIPS: HashMap<VipKey, Vip> = HashMap::with_max_entries(layout::VIPS.max_entries, layout::VIPS.flags);
#[map]
static BACKENDS: Array<Backend> =
    Array::with_max_entries(layout::BACKENDS.max_entries, layout::BACKENDS.flags);
#[map]
static RING: Array<u64> = Array::with_max_entries(layout::RING.max_entries, layout::RING.flags);
#[map(name = "FLOWS4")]
static FLOWS: LruHashMap<FlowKey, Flow> =
    LruHashMap::with_max_entries(layout::FLOWS.max_entries, layout::FLOWS.flags);
#[map]
static REASONS: PerCpuArray<Count> =
    PerCpuArray::with_max_entries(layout::REASONS.max_entries, layout::REASONS.flags);
#[map]
static VIP_STATS: PerCpuArray<VipStats> =
    PerCpuArray::with_max_entries(layout::VIP_STATS.max_entries, layout::VIP_STATS.flags);
/// Only user space reads and writes it: it keeps the highest generation with the maps.
#[map]
static CONFIG: Array<Settings> = Array::with_max_entries(layout::CONFIG.max_entries, layout::CONFIG.flags);
#[map]
static PODS: HashMap<PodKey, PodRow> =
    HashMap::with_max_entries(layout::PODS.max_entries, layout::PODS.flags);
#[map]
static POD_FLOWS: LruHashMap<PodFlowKey, PodFlow> =
    LruHashMap::with_max_entries(layout::POD_FLOWS.max_entries, layout::POD_FLOWS.flags);

/// Makes one step fail, so that the tests reach every reason: 1 the flow table, 2 the rewriting. The loader of the agent
/// leaves it 0, and the verifier removes what depends on it.
#[unsafe(no_mangle)]
static FAULT: aya_ebpf::Global<u32> = aya_ebpf::Global::new(0);

/// See [`FAULT`].
#[inline(always)]
pub(crate) fn fault(which: u32) -> bool {
    FAULT.load() == which
}

#[inline(always)]
fn tick() -> u32 {
    // SAFETY: takes nothing and returns a number.
    (unsafe { bpf_ktime_get_ns() } >> TICK_SHIFT) as u32
}

/// The kernel's tables.
pub(crate) struct Kernel;

impl Tables for Kernel {
    #[inline(always)]
    fn now(&self) -> u32 {
        tick()
    }

    #[inline(always)]
    fn vip(&self, key: &VipKey) -> Option<Vip> {
        // SAFETY: a row replaced meanwhile may be read half old, half new for one packet; every field stays in bounds,
        // because the rules only mask and look up.
        VIPS.get_ptr(key).map(|row| unsafe { *row })
    }

    #[inline(always)]
    fn backend(&self, index: u16) -> Option<Backend> {
        BACKENDS.get(u32::from(index)).copied()
    }

    #[inline(always)]
    fn slot(&self, slot: u32) -> Option<u16> {
        let word = *RING.get(slot >> 2)?;
        Some((word >> ((slot & 3) << 4)) as u16)
    }

    #[inline(always)]
    fn flow(&self, key: &FlowKey) -> Option<Flow> {
        // SAFETY: as for `vip`; an evicted entry may be read once more.
        FLOWS.get_ptr(key).map(|entry| unsafe { *entry })
    }

    #[inline(always)]
    fn put_flow(&mut self, key: &FlowKey, flow: &Flow) -> bool {
        !fault(1) && FLOWS.insert(key, flow, 0).is_ok()
    }

    #[inline(always)]
    fn touch(&mut self, key: &FlowKey, seen: u32, state: u8) {
        if let Some(entry) = FLOWS.get_ptr_mut(key) {
            // SAFETY: the pointer is the map's; both fields are written whole, and another CPU writing them at the same
            // time writes the same tick.
            unsafe {
                (*entry).seen = seen;
                (*entry).state |= state;
            }
        }
    }
}

impl PodTables for Kernel {
    #[inline(always)]
    fn now(&self) -> u32 {
        tick()
    }

    #[inline(always)]
    fn pod(&self, key: &PodKey) -> Option<PodRow> {
        // SAFETY: as for `vip`: a port's rows change only in their flags while it is attached.
        PODS.get_ptr(key).map(|row| unsafe { *row })
    }

    #[inline(always)]
    fn pod_flow(&self, key: &PodFlowKey) -> Option<PodFlow> {
        // SAFETY: as for `flow`.
        POD_FLOWS.get_ptr(key).map(|entry| unsafe { *entry })
    }

    #[inline(always)]
    fn put_pod_flow(&mut self, key: &PodFlowKey, flow: &PodFlow) -> bool {
        !fault(1) && POD_FLOWS.insert(key, flow, 0).is_ok()
    }

    #[inline(always)]
    fn touch_pod_flow(&mut self, key: &PodFlowKey, seen: u32, state: u8) {
        if let Some(entry) = POD_FLOWS.get_ptr_mut(key) {
            // SAFETY: as for `touch`.
            unsafe {
                (*entry).seen = seen;
                (*entry).state |= state;
            }
        }
    }
}

/// What a packet did, for the counters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
    Xdp,
}

/// Counts a packet of `bytes` under its reason and its virtual address.
#[inline(always)]
pub(crate) fn count(verdict: &Verdict, bytes: u64, way: Way) {
    count_reason(verdict.reason, bytes);
    if verdict.stat == NO_STAT {
        return;
    }
    if let Some(stats) = VIP_STATS.get_ptr_mut(verdict.stat) {
        // SAFETY: as above.
        count_vip(unsafe { &mut *stats }, verdict, bytes, way);
    }
}

/// Counts a packet of `bytes` under its reason.
#[inline(always)]
pub(crate) fn count_reason(reason: Reason, bytes: u64) {
    if let Some(count) = REASONS.get_ptr_mut(reason.index()) {
        // SAFETY: a per-CPU element, and no other program of this CPU runs in between.
        unsafe {
            (*count).packets += 1;
            (*count).bytes += bytes;
        }
    }
}

#[inline(always)]
fn count_vip(stats: &mut VipStats, verdict: &Verdict, bytes: u64, way: Way) {
    if verdict.reason.is_drop() {
        stats.drops += 1;
    } else if way == Way::Xdp {
        stats.xdp_packets += 1;
    } else if way == Way::Out {
        stats.replies += 1;
    } else {
        stats.packets += 1;
        stats.bytes += bytes;
        stats.flows += u64::from(verdict.reason.opens());
    }
}
