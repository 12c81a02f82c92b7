//! The file format: a head, then records that each prove to be whole.
//!
//! ```text
//! head    "WEFTFLW1", boot id (36 characters)
//! record  length of the body (u32), CRC-32 of the body (u32), body
//! body    kind (u8: 1 settings, 2 OpenFlow message; +128: the next record belongs with it), time (u64), content
//! ```
//!
//! Numbers are little-endian, but for the OpenFlow messages, which are as on the wire. Times are nanoseconds of
//! `CLOCK_MONOTONIC`, which goes on while processes die; the boot id says whether it is still the same clock.

use std::io::{self, Read};

use weft_agent::{FailMode, Nanos};
use weft_openflow::{Body, decode, encode_body};

/// What a file begins with.
const MAGIC: &[u8; 8] = b"WEFTFLW1";
const BOOT_ID_LEN: usize = 36;
/// Length of the head.
pub const HEAD_LEN: u64 = (MAGIC.len() + BOOT_ID_LEN) as u64;
/// Largest body: the largest OpenFlow message and what goes before it.
const MAX_BODY: usize = (1 << 16) + 16;
const KIND_SETTINGS: u8 = 1;
const KIND_MESSAGE: u8 = 2;
const CONTINUES: u8 = 0x80;
const SETTINGS_LEN: usize = 8 + 1 + 4 + 2;
const NO_TABLE: u16 = u16::MAX;

/// What of a bridge's settings decides which flows a change of settings leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Datapath id.
    pub datapath_id: u64,
    /// What the bridge does without controllers.
    pub fail_mode: FailMode,
    /// How many it has.
    pub controllers: u32,
    /// First table of the bridge program.
    pub program_table: Option<u8>,
}

/// One entry.
#[derive(Debug, PartialEq)]
pub enum Entry {
    /// The bridge was set up or changed.
    Settings(Settings),
    /// A change by a user.
    Change(Body),
}

/// One record.
#[derive(Debug, PartialEq)]
pub struct Record {
    /// When.
    pub at: Nanos,
    /// What.
    pub entry: Entry,
    /// The next record belongs with it: both count, or neither.
    pub continues: bool,
}

/// The head of files made since this machine was started.
pub fn head(boot_id: &str) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend(
        boot_id
            .bytes()
            .chain(std::iter::repeat(b' '))
            .take(BOOT_ID_LEN),
    );
    head
}

/// Reads a head; whether it is just this one.
pub fn read_head(from: &mut impl Read, expected: &[u8]) -> io::Result<bool> {
    let mut head = Vec::new();
    from.take(HEAD_LEN).read_to_end(&mut head)?;
    Ok(head == expected)
}

/// Appends the record of settings.
pub fn write_settings(out: &mut Vec<u8>, settings: &Settings, at: Nanos) {
    record(out, KIND_SETTINGS, at, |out| {
        out.extend(settings.datapath_id.to_le_bytes());
        out.push(match settings.fail_mode {
            FailMode::Standalone => 0,
            FailMode::Secure => 1,
        });
        out.extend(settings.controllers.to_le_bytes());
        out.extend(
            settings
                .program_table
                .map_or(NO_TABLE, u16::from)
                .to_le_bytes(),
        );
        true
    });
}

/// Appends the record of a change; false if it has no form on the wire.
pub fn write_change(out: &mut Vec<u8>, change: &Body, at: Nanos, continues: bool) -> bool {
    let kind = if continues {
        KIND_MESSAGE | CONTINUES
    } else {
        KIND_MESSAGE
    };
    record(out, kind, at, |out| encode_body(0, change, out).is_ok())
}

fn record(
    out: &mut Vec<u8>,
    kind: u8,
    at: Nanos,
    content: impl FnOnce(&mut Vec<u8>) -> bool,
) -> bool {
    let start = out.len();
    out.extend([0; 8]);
    out.push(kind);
    out.extend(at.to_le_bytes());
    if !content(out) {
        out.truncate(start);
        return false;
    }
    let body = &out[start + 8..];
    let (length, sum) = (body.len() as u32, crc32(body));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    true
}

/// Reads the next record and its length on file; `None` where the whole ones end.
pub fn read_record(from: &mut impl Read) -> io::Result<Option<(Record, u64)>> {
    let mut prefix = [0; 8];
    if !fill(from, &mut prefix)? {
        return Ok(None);
    }
    let [a, b, c, d, e, f, g, h] = prefix;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > MAX_BODY {
        return Ok(None);
    }
    let mut body = vec![0; length];
    if !fill(from, &mut body)? || crc32(&body) != u32::from_le_bytes([e, f, g, h]) {
        return Ok(None);
    }
    Ok(parse(&body).map(|record| (record, 8 + length as u64)))
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn parse(body: &[u8]) -> Option<Record> {
    let (&kind, rest) = body.split_first()?;
    let (at, content) = rest.split_first_chunk()?;
    let entry = match kind & !CONTINUES {
        KIND_SETTINGS => Entry::Settings(parse_settings(content)?),
        KIND_MESSAGE => Entry::Change(decode(content).ok()?.body),
        _ => return None,
    };
    Some(Record {
        at: u64::from_le_bytes(*at),
        entry,
        continues: kind & CONTINUES != 0,
    })
}

fn parse_settings(content: &[u8]) -> Option<Settings> {
    let content: &[u8; SETTINGS_LEN] = content.try_into().ok()?;
    let (datapath_id, rest) = content.split_first_chunk()?;
    let (&fail_mode, rest) = rest.split_first()?;
    let (controllers, rest) = rest.split_first_chunk()?;
    let (program_table, _) = rest.split_first_chunk()?;
    let program_table = match u16::from_le_bytes(*program_table) {
        NO_TABLE => None,
        table => Some(u8::try_from(table).ok()?),
    };
    Some(Settings {
        datapath_id: u64::from_le_bytes(*datapath_id),
        fail_mode: match fail_mode {
            0 => FailMode::Standalone,
            1 => FailMode::Secure,
            _ => return None,
        },
        controllers: u32::from_le_bytes(*controllers),
        program_table,
    })
}

/// CRC-32 as in Ethernet (IEEE 802.3 §3.2.9), reflected, one byte at a time.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut sum = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                sum = if sum & 1 != 0 {
                    sum >> 1 ^ 0xedb8_8320
                } else {
                    sum >> 1
                };
                bit += 1;
            }
            table[byte] = sum;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum: u32, byte| {
        sum >> 8 ^ TABLE[usize::from(sum as u8 ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
