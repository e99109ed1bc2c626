//! The map of pods as user space writes and reads it. Carries single steps out; decides none.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::maps::{HashMap, MapData, MapError};
use bytemuck::cast;
use sart_ebpf_common::layout::{PODS, PodKey, PodRow, be32};

use super::super::OpenError;
use super::super::kernel::pinned;

const KEY: usize = size_of::<PodKey>();
const ROW: usize = size_of::<PodRow>();

type Table = HashMap<MapData, [u8; KEY], [u8; ROW]>;

/// The pinned map.
pub(super) struct Rows(Mutex<Table>);

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl Rows {
    pub(super) fn open(maps: &Path) -> Result<Self, OpenError> {
        pinned(maps, &PODS).map(|table| Self(Mutex::new(table)))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The kernel holds the rows: a thread that died while it wrote one leaves nothing half done here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn all(&self) -> Result<BTreeMap<PodKey, PodRow>, MapError> {
        self.table().iter().map(|row| row.map(|(key, row)| (cast(key), cast(row)))).collect()
    }

    pub(super) fn get(&self, key: &PodKey) -> Result<Option<PodRow>, MapError> {
        match self.table().get(&cast(*key), 0) {
            Ok(row) => Ok(Some(cast(row))),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn put(&self, key: &PodKey, row: &PodRow) -> Result<(), MapError> {
        self.table().insert(cast::<PodKey, [u8; KEY]>(*key), cast::<PodRow, [u8; ROW]>(*row), 0)
    }

    pub(super) fn delete(&self, key: &PodKey) -> Result<(), MapError> {
        match self.table().remove(&cast(*key)) {
            Err(MapError::KeyNotFound) => Ok(()),
            other => other,
        }
    }
}

/// The key of an address.
pub(super) const fn key(address: IpAddr) -> PodKey {
    match address {
        IpAddr::V4(address) => PodKey::v4(be32(address.octets())),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address.octets();
            PodKey::v6([be32([a, b, c, d]), be32([e, f, g, h]), be32([i, j, k, l]), be32([m, n, o, p])])
        }
    }
}

/// The address of a key.
pub(super) fn address(key: &PodKey) -> IpAddr {
    let octets: [u8; 16] = cast(key.addr);
    match (key.family, octets) {
        (4, [a, b, c, d, ..]) => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(octets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_its_address_back_and_families_are_apart() {
        for text in ["10.1.2.3", "fd00::a:b", "::ffff:10.1.2.3", "::"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(super::address(&key(address)), address);
        }
        assert_ne!(key("10.1.2.3".parse().unwrap()), key("::ffff:10.1.2.3".parse().unwrap()));
    }
}
