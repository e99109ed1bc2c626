//! Messages that broke other implementations, rebuilt from what was published about each: facts, no captures.

use crate::Target;

/// One incident.
#[derive(Clone, Copy, Debug)]
pub struct Incident {
    /// What it was, with the year or number it is known by.
    pub name: &'static str,
    /// The target that takes the bytes.
    pub target: Target,
    /// The bytes.
    pub bytes: &'static [u8],
}

const fn incident(name: &'static str, target: Target, bytes: &'static [u8]) -> Incident {
    Incident { name, target, bytes }
}

use Target::{Notification, Open, Refresh, Update};

/// Every incident. The first byte of an UPDATE is what the session negotiated: four-octet AS numbers, both families.
pub const INCIDENTS: &[Incident] = &[
    incident(
        "entropy label attribute 28 passed on by others, empty (June 2023)",
        Update,
        &[
            0x0d, 0, 0, 0, 23, 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfe, 0x4c, 0x40, 3, 4, 192, 0, 2, 2,
            0xe0, 28, 0, 24, 10, 9, 8,
        ],
    ),
    incident(
        "entropy label attribute 28 with a value (CVE-2023-4481)",
        Update,
        &[
            0x0d, 0, 0, 0, 27, 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfe, 0x4c, 0x40, 3, 4, 192, 0, 2, 2,
            0xe0, 28, 4, 0xde, 0xad, 0xbe, 0xef, 24, 10, 9, 8,
        ],
    ),
    incident(
        "tunnel encapsulation attribute 23 with a broken TLV (CVE-2023-38802, VU#347067)",
        Update,
        &[
            0x0d, 0, 0, 0, 27, 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfe, 0x4c, 0x40, 3, 4, 192, 0, 2, 2,
            0xc0, 23, 4, 0, 8, 0xff, 0xff, 24, 10, 9, 8,
        ],
    ),
    incident("routes without any attributes (CVE-2023-41358)", Update, &[0x0d, 0, 0, 0, 0, 24, 10, 9, 8]),
    incident(
        "MP_REACH_NLRI cut off behind its family (CVE-2023-46752)",
        Update,
        &[0x0d, 0, 0, 0, 6, 0x80, 14, 3, 0, 2, 1],
    ),
    incident(
        "only an unknown transitive attribute besides the routes (CVE-2023-46753)",
        Update,
        &[0x0d, 0, 0, 0, 5, 0xc0, 200, 2, 1, 2, 24, 10, 9, 8],
    ),
    incident(
        "an End-of-RIB with a malformed attribute beside it (CVE-2023-47235)",
        Update,
        &[0x0d, 0, 0, 0, 10, 0x40, 1, 1, 9, 0x80, 15, 3, 0, 2, 1],
    ),
    incident(
        "MP_UNREACH_NLRI in a message whose routes are malformed (CVE-2023-47234)",
        Update,
        &[0x0d, 0, 0, 0, 9, 0x80, 15, 6, 0, 2, 1, 129, 0x20, 1, 24, 10, 9, 8],
    ),
    incident(
        "attribute 99 with the extended length bit (August 2010)",
        Update,
        &[
            0x0d, 0, 0, 0, 28, 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfe, 0x4c, 0x40, 3, 4, 192, 0, 2, 2,
            0xd0, 99, 0, 4, 1, 2, 3, 4, 24, 10, 9, 8,
        ],
    ),
    incident(
        "confederation segments in AS4_PATH (December 2008)",
        Update,
        &[
            0x0c, 0, 0, 0, 28, 0x40, 1, 1, 0, 0x40, 2, 4, 2, 1, 0x5b, 0xa0, 0x40, 3, 4, 192, 0, 2, 2, 0xc0,
            17, 6, 3, 1, 0, 0, 0xfe, 0x4c, 24, 10, 9, 8,
        ],
    ),
    incident(
        "a CLUSTER_LIST of a length that is no multiple (CVE-2018-5379)",
        Update,
        &[
            0x0f, 0, 0, 0, 28, 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfe, 0x4c, 0x40, 3, 4, 192, 0, 2, 2,
            0x80, 10, 5, 1, 2, 3, 4, 5, 24, 10, 9, 8,
        ],
    ),
    incident(
        "PREFIX_SID of no length (CVE-2025-43971 and others)",
        Update,
        &[
            0x0d, 0, 0, 0, 23, 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfe, 0x4c, 0x40, 3, 4, 192, 0, 2, 2,
            0xc0, 40, 0, 24, 10, 9, 8,
        ],
    ),
    incident(
        "optional parameters in the extended form, cut off (CVE-2022-40302)",
        Open,
        &[4, 0xfe, 0x4c, 0, 90, 10, 0, 0, 2, 255, 255],
    ),
    incident(
        "extended optional parameters with a length past the end (CVE-2022-40318)",
        Open,
        &[4, 0xfe, 0x4c, 0, 90, 10, 0, 0, 2, 255, 255, 0, 9, 2, 0, 200, 1, 4],
    ),
    incident(
        "an optional parameter without its length (CVE-2022-43681)",
        Open,
        &[4, 0xfe, 0x4c, 0, 90, 10, 0, 0, 2, 1, 2],
    ),
    incident(
        "a capability whose length is past its parameter (CVE-2018-5381)",
        Open,
        &[4, 0xfe, 0x4c, 0, 90, 10, 0, 0, 2, 4, 2, 2, 64, 250],
    ),
    incident(
        "an ORF capability with too many entries (CVE-2012-1820)",
        Open,
        &[4, 0xfe, 0x4c, 0, 90, 10, 0, 0, 2, 9, 2, 7, 3, 5, 0, 1, 0, 1, 200],
    ),
    incident(
        "a software version capability without its inner length (CVE-2025-43970 and others)",
        Open,
        &[4, 0xfe, 0x4c, 0, 90, 10, 0, 0, 2, 4, 2, 2, 75, 0],
    ),
    incident(
        "a host name capability with lengths past its end",
        Open,
        &[4, 0xfe, 0x4c, 0, 90, 10, 0, 0, 2, 6, 2, 4, 73, 2, 200, b'x'],
    ),
    incident("a NOTIFICATION whose data ends early (CVE-2018-5378)", Notification, &[2, 7, 1, 4, 0]),
    incident("a shutdown text longer than its message", Notification, &[6, 2, 255, b'x']),
    incident("a hard reset inside a hard reset", Notification, &[6, 9, 6, 9, 6, 9, 6, 2, 1, b'x']),
    incident("a ROUTE-REFRESH with an ORF cut off (CVE-2023-41360)", Refresh, &[1, 0, 1, 0, 1, 1, 64, 0]),
    incident("a marked ROUTE-REFRESH that is too long (RFC 7313 section 5)", Refresh, &[1, 0, 1, 1, 1, 0]),
];
