//! Keys, values, rules and counters shared by the kernel programs and user space. Everything here runs in both: it
//! holds no loop without a bound, no division, no slice index and no allocation, and never touches a map or a clock
//! itself (see [`verdict::Tables`]).
#![no_std]

pub mod checksum;
pub mod layout;
pub mod packet;
pub mod pod;
pub mod reason;
pub mod verdict;

/// Version of the map layouts and of the indices in [`reason::Reason`]. What changes one that exists makes a new number, and
/// with it a new pin folder; what only adds a map or a reason does not.
pub const ABI: u32 = 1;
