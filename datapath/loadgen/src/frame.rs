//! The frame that is sent: Ethernet, optional 802.1Q tag, IPv4, UDP, 60 bytes without FCS (64 on the wire).

use std::str::FromStr;

/// A MAC address given as `aa:bb:cc:dd:ee:ff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts
                .next()
                .ok_or_else(|| format!("{text}: six bytes are wanted"))?;
            *byte = u8::from_str_radix(part, 16).map_err(|error| format!("{text}: {error}"))?;
        }
        if parts.next().is_some() {
            return Err(format!("{text}: six bytes are wanted"));
        }
        Ok(Self(bytes))
    }
}

/// The fixed part of every frame of a run.
pub struct Addresses {
    pub destination: Mac,
    pub source: Mac,
    pub vlan: Option<u16>,
}

/// A ready frame; [`Template::vary`] writes the source address and flow of each one.
pub struct Template {
    bytes: Vec<u8>,
    source: [u8; 6],
    ip: usize,
}

const MINIMUM: usize = 60;
/// Source and destination port of flow 0.
pub const FIRST_PORT: u16 = 1024;

impl Template {
    /// Builds the frame for these addresses, 10.0.0.1 → 10.0.0.2.
    pub fn new(addresses: Addresses) -> Self {
        let mut bytes = Vec::with_capacity(MINIMUM + 4);
        bytes.extend_from_slice(&addresses.destination.0);
        bytes.extend_from_slice(&addresses.source.0);
        if let Some(vid) = addresses.vlan {
            bytes.extend_from_slice(&0x8100_u16.to_be_bytes());
            bytes.extend_from_slice(&(vid & 0xfff).to_be_bytes());
        }
        bytes.extend_from_slice(&0x0800_u16.to_be_bytes());
        let ip = bytes.len();
        let length = (MINIMUM - 14) as u16;
        bytes.extend_from_slice(&[0x45, 0]);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let sum = checksum(&bytes[ip..ip + 20]);
        bytes[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend_from_slice(&FIRST_PORT.to_be_bytes());
        bytes.extend_from_slice(&FIRST_PORT.to_be_bytes());
        bytes.extend_from_slice(&(length - 20).to_be_bytes());
        // UDP checksum 0: not computed (RFC 768).
        bytes.extend_from_slice(&[0; 2]);
        bytes.resize(ip + usize::from(length), 0);
        Self {
            bytes,
            source: addresses.source.0,
            ip,
        }
    }

    /// The frame as it is for source 0, flow 0.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes the `source`-th address after the first and the ports of the `flow`-th flow.
    pub fn vary(&self, frame: &mut [u8], source: u32, flow: u32) {
        let low = u32::from_be_bytes([
            self.source[2],
            self.source[3],
            self.source[4],
            self.source[5],
        ]);
        frame[8..12].copy_from_slice(&low.wrapping_add(source).to_be_bytes());
        let first = u32::from(FIRST_PORT) << 16 | u32::from(FIRST_PORT);
        let ports = first.wrapping_add((flow & 0x7fff) | ((flow >> 15) << 16));
        frame[self.ip + 20..self.ip + 24].copy_from_slice(&ports.to_be_bytes());
    }

    /// Writes the `number`-th way to differ from flow 0 in one bit of the source address and of both ports; the bits below
    /// are noise.
    pub fn spray(&self, frame: &mut [u8], number: u64) {
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let apart = |value: u32, bit: u32, noise: u64| {
            let below = (1u32 << bit) - 1;
            (value ^ 1 << bit) & !below | noise as u32 & below
        };
        let (address, ports) = (self.ip + 12, self.ip + 20);
        let source = apart(0x0a00_0001, number as u32 % 32, noise >> 32);
        let from = apart(0x0400, (number >> 5) as u32 % 16, noise >> 16) as u16;
        let to = apart(0x0400, (number >> 9) as u32 % 16, noise) as u16;
        frame[address..address + 4].copy_from_slice(&source.to_be_bytes());
        frame[ports..ports + 2].copy_from_slice(&from.to_be_bytes());
        frame[ports + 2..ports + 4].copy_from_slice(&to.to_be_bytes());
        frame[self.ip + 10..self.ip + 12].fill(0);
        let sum = checksum(&frame[self.ip..self.ip + 20]);
        frame[self.ip + 10..self.ip + 12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071) of a whole number of 16-bit words.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_of_minimum_size_and_its_ip_header_sums_to_zero() {
        let addresses = Addresses {
            destination: Mac([0xff; 6]),
            source: Mac([2, 0, 0, 0, 0, 1]),
            vlan: None,
        };
        let template = Template::new(addresses);
        assert_eq!(template.bytes().len(), 60);
        assert_eq!(checksum(&template.bytes()[14..34]), 0);
    }

    #[test]
    fn sources_and_flows_are_distinct() {
        let addresses = Addresses {
            destination: Mac([0xff; 6]),
            source: Mac([2, 0, 0, 0, 0, 0xff]),
            vlan: Some(10),
        };
        let template = Template::new(addresses);
        let mut frame = template.bytes().to_vec();
        template.vary(&mut frame, 1, 0x8001);
        assert_eq!(&frame[6..12], &[2, 0, 0, 0, 1, 0]);
        assert_eq!(&frame[12..16], &[0x81, 0, 0, 10]);
        assert_eq!(&frame[38..42], &[0x04, 0x01, 0x04, 0x01]);
    }

    #[test]
    fn sprayed_frames_differ_where_they_should() {
        let template = Template::new(Addresses {
            destination: Mac([0xff; 6]),
            source: Mac([2, 0, 0, 0, 0, 1]),
            vlan: None,
        });
        let mut frame = template.bytes().to_vec();
        template.spray(&mut frame, 31 | 15 << 5 | 3 << 9);
        let first = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        assert_eq!(frame[26] >> 7, 1);
        assert_eq!(first(34) >> 15, 1);
        assert_eq!(first(36) >> 3, 0x0400 >> 3 | 1);
        assert_eq!(checksum(&frame[14..34]), 0);
    }

    #[test]
    fn a_wrong_address_is_refused() {
        assert!("02:00:00".parse::<Mac>().is_err());
        assert!("02:00:00:00:00:zz".parse::<Mac>().is_err());
        assert!("02:00:00:00:00:00:00".parse::<Mac>().is_err());
    }
}
