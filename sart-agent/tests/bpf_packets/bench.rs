//! The programs on maps of their own, never attached: runs one frame through `BPF_PROG_TEST_RUN` and reads what became of
//! it. Pins nothing; all of it goes with the value.

use std::collections::BTreeMap;
use std::time::Duration;

use aya::maps::{Array, HashMap, MapData, PerCpuArray};
use aya::programs::{ProgramError, SchedClassifier, TestRun, TestRunOptions, TestRunResult, Xdp};
use aya::{Ebpf, EbpfLoader};
use bytemuck::cast;
use nix::time::{ClockId, clock_gettime};
use sart_agent::dataplane::embedded_object;
use sart_dataplane::desired::DesiredTables;
use sart_dataplane::model::Model;
use sart_dataplane::plan::plan;
use sart_dataplane::tables::{Dump, Op, Tables};
use sart_ebpf_common::layout::{self, Backend, Count, Flow, FlowKey, Vip, VipKey, VipStats};
use sart_ebpf_common::reason::Reason;
use sart_ebpf_common::verdict::TICK_SHIFT;

/// Rows the scratch maps have where the product's are larger.
const ROWS: u32 = 16_384;
/// `TC_ACT_SHOT`.
pub const DROPPED: u32 = 2;
/// `TC_ACT_UNSPEC`: on to the next program and the stack.
pub const WENT_ON: u32 = u32::MAX;
/// `XDP_PASS`.
pub const XDP_PASSED: u32 = 2;

/// Where a frame meets the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    In,
    Out,
    Xdp,
    PodIn,
    PodOut,
}

/// What the kernel did to a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub action: u32,
    pub frame: Vec<u8>,
}

/// Loaded programs and their maps.
pub struct Bench {
    ebpf: Ebpf,
    /// What the planner wrote.
    pub shadow: Dump,
}

/// A hash map of the programs.
pub type Rows<'a, const K: usize, const V: usize> = HashMap<&'a mut MapData, [u8; K], [u8; V]>;

impl Bench {
    /// Nothing if the prerequisites are missing and a skip is allowed.
    pub fn new() -> Option<Self> {
        Self::with_fault(0)
    }

    /// The same with one step of the programs failing: 1 the flow table, 2 the rewriting.
    pub fn with_fault(fault: u32) -> Option<Self> {
        let missing = if nix::unistd::geteuid().is_root() {
            embedded_object().is_none().then_some("built without a BPF object: cargo xtask build-ebpf")
        } else {
            Some("not root")
        };
        if sart_testkit::skips(missing) {
            return None;
        }
        let mut loader = EbpfLoader::new();
        for spec in &layout::MAPS {
            loader.map_max_entries(spec.name, spec.max_entries.min(ROWS));
        }
        let mut ebpf = loader.override_global("FAULT", &fault, true).load(embedded_object()?).unwrap();
        for name in ["up_in", "up_out", "pod_in", "pod_out"] {
            let program: &mut SchedClassifier = ebpf.program_mut(name).unwrap().try_into().unwrap();
            program.load().unwrap();
        }
        let program: &mut Xdp = ebpf.program_mut("xdp_in").unwrap().try_into().unwrap();
        program.load().unwrap();
        Some(Self { ebpf, shadow: Dump::default() })
    }

    /// Runs one frame.
    pub fn run(&mut self, hook: Hook, frame: &[u8]) -> Ran {
        let mut out = vec![0; frame.len() + 64];
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ..TestRunOptions::default() };
        let done = self.test_run(hook, options).unwrap();
        out.truncate(done.data_size_out as usize);
        Ran { action: done.return_value, frame: out }
    }

    fn test_run(&mut self, hook: Hook, options: TestRunOptions<'_>) -> Result<TestRunResult, ProgramError> {
        if hook == Hook::Xdp {
            let program: &mut Xdp = self.ebpf.program_mut("xdp_in").unwrap().try_into()?;
            return program.test_run(options);
        }
        let name = match hook {
            Hook::In | Hook::Xdp => "up_in",
            Hook::Out => "up_out",
            Hook::PodIn => "pod_in",
            Hook::PodOut => "pod_out",
        };
        let program: &mut SchedClassifier = self.ebpf.program_mut(name).unwrap().try_into()?;
        program.test_run(options)
    }

    /// Carries out what the planner orders on the way to `desired`.
    pub fn apply(&mut self, desired: &DesiredTables) {
        for op in plan(desired, &self.shadow).ops {
            self.write(&op);
            self.shadow.execute(&op).unwrap();
        }
    }

    /// Writes one row, as the agent does.
    pub fn write(&mut self, op: &Op) {
        match op {
            Op::PutBackend(index, row) => {
                let mut map: Array<_, [u8; 24]> = self.map(layout::BACKENDS.name);
                map.set(u32::from(*index), cast::<Backend, [u8; 24]>(*row), 0).unwrap();
            }
            Op::PutRing(word, slots) => {
                let mut map: Array<_, u64> = self.map(layout::RING.name);
                map.set(*word, *slots, 0).unwrap();
            }
            Op::PutVip(key, row) => {
                let mut map: Rows<'_, 8, 32> = self.map(layout::VIPS.name);
                map.insert(cast::<VipKey, [u8; 8]>(*key), cast::<Vip, [u8; 32]>(*row), 0).unwrap();
            }
            Op::DeleteVip(key) => {
                let mut map: Rows<'_, 8, 32> = self.map(layout::VIPS.name);
                map.remove(&cast::<VipKey, [u8; 8]>(*key)).unwrap();
            }
            // Neither generations nor zeroed counters are seen by a packet.
            Op::PutGeneration(_) | Op::ResetStats(_) => {}
        }
    }

    /// Writes a flow, as the programs do.
    pub fn put_flow(&mut self, key: FlowKey, flow: Flow) {
        let mut map: Rows<'_, 16, 32> = self.map(layout::FLOWS.name);
        map.insert(cast::<FlowKey, [u8; 16]>(key), cast::<Flow, [u8; 32]>(flow), 0).unwrap();
    }

    /// Makes all tables equal to the model's.
    pub fn become_like(&mut self, model: &Model) {
        for key in self.flows().keys() {
            let mut map: Rows<'_, 16, 32> = self.map(layout::FLOWS.name);
            map.remove(&cast::<FlowKey, [u8; 16]>(*key)).unwrap();
        }
        for key in self.vips().keys() {
            self.write(&Op::DeleteVip(*key));
        }
        let tables = &model.tables;
        let backends = tables.backends.iter().map(|(index, row)| Op::PutBackend(*index, *row));
        let ring = tables.ring.iter().map(|(word, slots)| Op::PutRing(*word, *slots));
        let vips = tables.vips.iter().map(|(key, row)| Op::PutVip(*key, *row));
        for op in backends.chain(ring).chain(vips) {
            self.write(&op);
        }
        for (key, flow) in &model.flows {
            self.put_flow(*key, *flow);
        }
    }

    pub fn flows(&mut self) -> BTreeMap<FlowKey, Flow> {
        let map: Rows<'_, 16, 32> = self.map(layout::FLOWS.name);
        map.iter().map(Result::unwrap).map(|(key, flow)| (cast(key), cast(flow))).collect()
    }

    pub fn vips(&mut self) -> BTreeMap<VipKey, Vip> {
        let map: Rows<'_, 8, 32> = self.map(layout::VIPS.name);
        map.iter().map(Result::unwrap).map(|(key, row)| (cast(key), cast(row))).collect()
    }

    pub fn backend(&mut self, index: u16) -> Backend {
        let map: Array<_, [u8; 24]> = self.map(layout::BACKENDS.name);
        cast(map.get(&u32::from(index), 0).unwrap())
    }

    /// A reason's counter, over all CPUs.
    pub fn reason(&mut self, reason: Reason) -> Count {
        cast(self.summed::<2>(layout::REASONS.name, reason.index()))
    }

    /// A virtual address's counters, over all CPUs.
    pub fn stats(&mut self, index: u32) -> VipStats {
        cast(self.summed::<6>(layout::VIP_STATS.name, index))
    }

    fn summed<const N: usize>(&mut self, name: &str, index: u32) -> [u64; N]
    where
        [u64; N]: aya::Pod,
    {
        let map: PerCpuArray<_, [u64; N]> = self.map(name);
        let values = map.get(&index, 0).unwrap();
        std::array::from_fn(|field| values.iter().map(|value| value[field]).sum())
    }

    /// A map by its name.
    pub fn map<'a, T>(&'a mut self, name: &str) -> T
    where
        T: TryFrom<&'a mut aya::maps::Map, Error = aya::maps::MapError>,
    {
        self.ebpf.map_mut(name).unwrap().try_into().unwrap()
    }
}

/// The tick the programs see now, and how long it lasts.
pub fn tick() -> (u32, Duration) {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    let nanos = Duration::from(now).as_nanos() as u64;
    let left = (1 << TICK_SHIFT) - (nanos & ((1 << TICK_SHIFT) - 1));
    ((nanos >> TICK_SHIFT) as u32, Duration::from_nanos(left))
}
