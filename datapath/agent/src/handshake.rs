//! Version negotiation (OF 1.3.5 §6.3.1, §7.5.1), before a connection reaches the agent.
//!
//! Each side sends HELLO first. When both carry a version bitmap the highest common bit wins; otherwise the lower
//! of the two header versions does, provided that this side speaks it.

use std::fmt;

/// Wire version of OpenFlow 1.3, the only one spoken here.
pub const OPENFLOW_1_3: u8 = 0x04;

/// Versions spoken, as `ofp_hello_elem_versionbitmap` (bit *n* set: wire version *n*).
pub const VERSION_BITMAP: u32 = 1 << OPENFLOW_1_3;

/// The peer speaks no version that this side does: answer `OFPET_HELLO_FAILED`/`OFPHFC_INCOMPATIBLE` with this
/// error's text as data, and close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatible {
    peer_version: u8,
    peer_bitmap: Option<Vec<u32>>,
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "only version 0x{OPENFLOW_1_3:02x} (OpenFlow 1.3) is spoken here, the peer offered ")?;
        match &self.peer_bitmap {
            None => write!(f, "0x{:02x} or earlier", self.peer_version),
            Some(words) => {
                write!(f, "version bitmap")?;
                words.iter().try_for_each(|word| write!(f, " {word:08x}"))
            }
        }
    }
}

impl std::error::Error for Incompatible {}

/// Decides the version from the peer's HELLO: its header's version and the words of its bitmap element, if any
/// (word 0 holds versions 0 to 31).
pub fn negotiate(peer_version: u8, peer_bitmap: Option<&[u32]>) -> Result<u8, Incompatible> {
    let agreed = match peer_bitmap {
        Some(words) => words.first().is_some_and(|word| word & VERSION_BITMAP != 0),
        None => peer_version >= OPENFLOW_1_3,
    };
    if agreed {
        Ok(OPENFLOW_1_3)
    } else {
        Err(Incompatible { peer_version, peer_bitmap: peer_bitmap.map(<[u32]>::to_vec) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiation_table() {
        // (header version, bitmap, agreed)
        let table: [(u8, Option<&[u32]>, bool); 11] = [
            (0x04, None, true),
            (0x05, None, true),
            (0x01, None, false),
            (0x03, None, false),
            (0x04, Some(&[0x10]), true),
            (0x06, Some(&[0x7e]), true),
            (0x01, Some(&[0x12]), true),
            (0x06, Some(&[0x62]), false),
            (0x04, Some(&[0x02]), false),
            (0x04, Some(&[0, 0x10]), false),
            (0x04, Some(&[]), false),
        ];
        for (version, bitmap, agreed) in table {
            let result = negotiate(version, bitmap);
            assert_eq!(result.is_ok(), agreed, "{version} {bitmap:?}");
            if let Err(error) = result {
                assert!(error.to_string().contains("OpenFlow 1.3"));
            }
        }
    }
}
