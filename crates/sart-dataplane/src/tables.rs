//! The tables as a shell writes them, and two twins of them: one in memory, and one that fails when told to. Decides
//! nothing about their content.

use std::collections::BTreeMap;

use sart_ebpf_common::layout::{BACKENDS, Backend, RING, VIPS, Vip, VipKey};

/// One change of one map element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Writes an endpoint (live or not).
    PutBackend(u16, Backend),
    /// Writes four ring slots.
    PutRing(u32, u64),
    /// Writes a virtual address, or an endpoint that may be reached directly.
    PutVip(VipKey, Vip),
    /// Takes one away; it is no error if it is not there.
    DeleteVip(VipKey),
    /// Keeps the highest generation given so far.
    PutGeneration(u64),
    /// Sets the counters of a virtual address to zero.
    ResetStats(u32),
}

/// All elements that matter, read from the maps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dump {
    /// Rows of [`VIPS`].
    pub vips: BTreeMap<VipKey, Vip>,
    /// Rows of [`BACKENDS`] that are or were in use.
    pub backends: BTreeMap<u16, Backend>,
    /// Words of [`RING`] that are not zero.
    pub ring: BTreeMap<u32, u64>,
    /// Highest generation given so far.
    pub generation: u64,
}

/// Where the steps of a plan are carried out.
pub trait Tables {
    /// Why an element cannot be written or read.
    type Error: std::error::Error;

    /// Carries out one step.
    ///
    /// # Errors
    /// The element is unchanged then.
    fn execute(&mut self, op: &Op) -> Result<(), Self::Error>;

    /// Reads one row back.
    ///
    /// # Errors
    /// The map cannot be read.
    fn vip(&self, key: &VipKey) -> Result<Option<Vip>, Self::Error>;

    /// Reads everything.
    ///
    /// # Errors
    /// A map cannot be read.
    fn dump(&self) -> Result<Dump, Self::Error>;
}

/// Why a twin refuses a step, in the kernel's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TwinError {
    /// The index lies outside the map (E2BIG).
    #[error("the index {index} lies outside the map {map}")]
    OutOfRange {
        /// The map.
        map: &'static str,
        /// The index.
        index: u32,
    },
    /// The map is full (E2BIG).
    #[error("the map {map} is full")]
    Full {
        /// The map.
        map: &'static str,
    },
    /// The twin was told to fail here.
    #[error("told to fail at step {step}")]
    Injected {
        /// Steps carried out before, successful or not.
        step: usize,
    },
}

impl Tables for Dump {
    type Error = TwinError;

    fn execute(&mut self, op: &Op) -> Result<(), TwinError> {
        match *op {
            Op::PutBackend(index, backend) => {
                self.backends.insert(index, backend);
            }
            Op::PutRing(word, slots) if word < RING.max_entries => {
                self.ring.insert(word, slots);
                if slots == 0 {
                    self.ring.remove(&word);
                }
            }
            Op::PutRing(word, _) => return Err(TwinError::OutOfRange { map: RING.name, index: word }),
            Op::PutVip(key, vip) => {
                let full = self.vips.len() >= VIPS.max_entries as usize;
                if full && !self.vips.contains_key(&key) {
                    return Err(TwinError::Full { map: VIPS.name });
                }
                self.vips.insert(key, vip);
            }
            Op::DeleteVip(key) => {
                self.vips.remove(&key);
            }
            Op::PutGeneration(generation) => self.generation = generation,
            // The twin counts nothing.
            Op::ResetStats(_) => {}
        }
        Ok(())
    }

    fn vip(&self, key: &VipKey) -> Result<Option<Vip>, TwinError> {
        Ok(self.vips.get(key).copied())
    }

    fn dump(&self) -> Result<Dump, TwinError> {
        Ok(self.clone())
    }
}

/// A twin that refuses chosen steps, counted from 0.
#[derive(Debug, Clone, Default)]
pub struct Faulty {
    /// The content.
    pub tables: Dump,
    /// Steps that fail.
    pub refuse: Vec<usize>,
    steps: usize,
}

impl Faulty {
    /// Over `tables`, failing at the steps in `refuse`.
    #[must_use]
    pub const fn new(tables: Dump, refuse: Vec<usize>) -> Self {
        Self { tables, refuse, steps: 0 }
    }
}

impl Tables for Faulty {
    type Error = TwinError;

    fn execute(&mut self, op: &Op) -> Result<(), TwinError> {
        let step = self.steps;
        self.steps += 1;
        if self.refuse.contains(&step) {
            return Err(TwinError::Injected { step });
        }
        self.tables.execute(op)
    }

    fn vip(&self, key: &VipKey) -> Result<Option<Vip>, TwinError> {
        self.tables.vip(key)
    }

    fn dump(&self) -> Result<Dump, TwinError> {
        self.tables.dump()
    }
}

/// Rows the map of endpoints has.
pub const BACKEND_ROWS: u32 = BACKENDS.max_entries;
