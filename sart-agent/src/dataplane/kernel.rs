//! The pinned maps as user space writes and reads them. Carries steps out; decides none.

mod words;

use std::fmt::{self, Display};
use std::path::Path;

use aya::Pod;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues};
use aya::util::nr_cpus;
use bytemuck::{bytes_of, cast};
use sart_dataplane::tables::{Dump, Op, Tables};
use sart_ebpf_common::ABI;
use sart_ebpf_common::layout::{
    BACKENDS, Backend, CONFIG, Count, MapSpec, REASONS, RING, Settings, VIP_STATS, VIPS, Vip, VipKey,
    VipStats,
};

use super::OpenError;

const ROW: usize = size_of::<Vip>();
const STATS: usize = size_of::<VipStats>() / 8;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
pub struct StepError {
    step: String,
    #[source]
    source: MapError,
}

fn at(step: impl Display) -> impl FnOnce(MapError) -> StepError {
    move |source| StepError { step: step.to_string(), source }
}

/// The maps of [`sart_ebpf_common::layout`] that the agent writes or reads.
pub(super) struct Kernel {
    vips: HashMap<MapData, [u8; 8], [u8; ROW]>,
    backends: Array<MapData, [u8; 24]>,
    ring: Array<MapData, u64>,
    /// The same once more, to be read as a whole.
    mapped_ring: MapData,
    config: Array<MapData, [u64; 2]>,
    reasons: PerCpuArray<MapData, [u64; 2]>,
    stats: PerCpuArray<MapData, [u64; STATS]>,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").finish_non_exhaustive()
    }
}

/// Opens one map pinned in the folder `maps`.
pub(super) fn pinned<T: TryFrom<Map, Error = MapError>>(maps: &Path, spec: &MapSpec) -> Result<T, OpenError> {
    MapData::from_pin(maps.join(spec.name))
        .and_then(Map::from_map_data)
        .and_then(T::try_from)
        .map_err(|error| OpenError::ReadBack { map: spec.name, source: Box::new(error) })
}

impl Kernel {
    /// Opens the maps pinned in the folder `maps`.
    pub(super) fn open(maps: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            vips: pinned(maps, &VIPS)?,
            backends: pinned(maps, &BACKENDS)?,
            ring: pinned(maps, &RING)?,
            mapped_ring: MapData::from_pin(maps.join(RING.name))
                .map_err(|error| OpenError::ReadBack { map: RING.name, source: Box::new(error) })?,
            config: pinned(maps, &CONFIG)?,
            reasons: pinned(maps, &REASONS)?,
            stats: pinned(maps, &VIP_STATS)?,
        })
    }

    /// Packets and bytes of one reason, summed over the CPUs.
    pub(super) fn reason(&self, index: u32) -> Result<Count, MapError> {
        let sum = summed(&self.reasons, index)?;
        Ok(cast(sum))
    }

    /// The counters of one virtual address, summed over the CPUs.
    pub(super) fn stats(&self, index: u32) -> Result<VipStats, MapError> {
        let sum = summed(&self.stats, index)?;
        Ok(cast(sum))
    }

    fn reset(&mut self, index: u32) -> Result<(), MapError> {
        let cpus = nr_cpus().map_err(|(_, error)| MapError::IoError(error))?;
        let zeros = PerCpuValues::try_from(vec![[0; STATS]; cpus]).map_err(MapError::IoError)?;
        self.stats.set(index, zeros, 0)
    }
}

fn summed<const N: usize>(map: &PerCpuArray<MapData, [u64; N]>, index: u32) -> Result<[u64; N], MapError>
where
    [u64; N]: Pod,
{
    let values = map.get(&index, 0)?;
    Ok(values.iter().fold([0; N], |mut sum, value| {
        for (total, part) in sum.iter_mut().zip(value) {
            *total = total.wrapping_add(*part);
        }
        sum
    }))
}

impl Tables for Kernel {
    type Error = StepError;

    fn execute(&mut self, op: &Op) -> Result<(), StepError> {
        let done = match op {
            Op::PutBackend(index, row) => {
                self.backends.set(u32::from(*index), cast::<Backend, [u8; 24]>(*row), 0)
            }
            Op::PutRing(word, slots) => self.ring.set(*word, *slots, 0),
            Op::PutVip(key, row) => {
                self.vips.insert(cast::<VipKey, [u8; 8]>(*key), cast::<Vip, [u8; ROW]>(*row), 0)
            }
            Op::DeleteVip(key) => match self.vips.remove(&cast::<VipKey, [u8; 8]>(*key)) {
                Err(MapError::KeyNotFound) => Ok(()),
                other => other,
            },
            Op::PutGeneration(generation) => {
                let settings = Settings { generation: *generation, abi: ABI, pad: 0 };
                self.config.set(0, cast::<Settings, [u64; 2]>(settings), 0)
            }
            Op::ResetStats(index) => self.reset(*index),
        };
        done.map_err(at(format_args!("{op:?}")))
    }

    fn vip(&self, key: &VipKey) -> Result<Option<Vip>, StepError> {
        match self.vips.get(&cast(*key), 0) {
            Ok(row) => Ok(Some(cast(row))),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(at(format_args!("read {:?} from {}", bytes_of(key), VIPS.name))(error)),
        }
    }

    fn dump(&self) -> Result<Dump, StepError> {
        let mut dump = Dump::default();
        for row in self.vips.iter() {
            let (key, vip) = row.map_err(at(VIPS.name))?;
            dump.vips.insert(cast(key), cast(vip));
        }
        for (index, row) in (0..=u16::MAX).zip(self.backends.iter()) {
            let row: Backend = cast(row.map_err(at(BACKENDS.name))?);
            if row.generation != 0 {
                dump.backends.insert(index, row);
            }
        }
        let slots =
            words::words(&self.mapped_ring, &RING).map_err(MapError::IoError).map_err(at(RING.name))?;
        dump.ring = (0..).zip(slots).filter(|(_, slots)| *slots != 0).collect();
        let settings: Settings = cast(self.config.get(&0, 0).map_err(at(CONFIG.name))?);
        dump.generation = settings.generation;
        Ok(dump)
    }
}
