//! Nicira's `multipath`: fields of a packet are hashed, and the hash chooses one of some links.
//!
//! Which fields, as in Open vSwitch, and two choices of our own that bonds need (ARCHITECTURE.md, "Bonds"):
//!
//! | number   | fields                                                                     |
//! | -------- | -------------------------------------------------------------------------- |
//! | 0        | Ethernet source                                                            |
//! | 1        | symmetric: Ethernet addresses, VLAN, type; IP addresses, protocol; TCP and SCTP ports |
//! | 2        | symmetric: IP addresses, protocol; TCP and SCTP ports                        |
//! | 3        | as 2, and UDP ports                                                        |
//! | 4, 5     | IP source, IP destination                                                  |
//! | 6        | symmetric: IP addresses                                                    |
//! | 0x5701   | Ethernet source and VLAN                                                   |
//! | 0x5702   | as 1, and UDP ports                                                        |
//!
//! Packets that are not IP are told apart by their Ethernet addresses where IP fields alone are wanted. Transport ports
//! of fragments are left out: the later ones have none, and all should take one way.

use weft_classifier::hash_words;
use weft_frame::field::{self, frag, present};
use weft_frame::{Field, FlowKey, FlowMask};

const ETH_IPV4: u64 = 0x0800;
const ETH_IPV6: u64 = 0x86dd;
const TCP: u64 = 6;
const UDP: u64 = 17;
const SCTP: u64 = 132;

/// What is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashFields {
    EthSrc,
    EthSrcVlan,
    /// Both ends alike. `l2`: with Ethernet addresses and VLAN.
    Symmetric {
        l2: bool,
        l4: bool,
        udp: bool,
    },
    IpSrc,
    IpDst,
}

impl HashFields {
    pub fn from_number(number: u16) -> Option<HashFields> {
        let symmetric = |l2, l4, udp| HashFields::Symmetric { l2, l4, udp };
        Some(match number {
            0 => HashFields::EthSrc,
            1 => symmetric(true, true, false),
            2 => symmetric(false, true, false),
            3 => symmetric(false, true, true),
            4 => HashFields::IpSrc,
            5 => HashFields::IpDst,
            6 => symmetric(false, false, false),
            0x5701 => HashFields::EthSrcVlan,
            0x5702 => symmetric(true, true, true),
            _ => return None,
        })
    }

    /// The bits that [`HashFields::hash`] depends on.
    pub fn mask(self) -> FlowMask {
        let l3 = [
            field::ETH_TYPE,
            field::PRESENT,
            field::IPV4_SRC,
            field::IPV4_DST,
            field::IPV6_SRC,
            field::IPV6_DST,
            // Of packets that are not IP.
            field::ETH_SRC,
            field::ETH_DST,
        ];
        let l4 = [
            field::IP_PROTO,
            field::IP_FRAG,
            field::L4_SRC,
            field::L4_DST,
        ];
        let fields: Vec<Field> = match self {
            HashFields::EthSrc => vec![field::ETH_SRC],
            HashFields::EthSrcVlan => vec![field::ETH_SRC, field::VLAN_VID],
            HashFields::IpSrc | HashFields::IpDst => l3.to_vec(),
            HashFields::Symmetric { l2, l4: ports, .. } => {
                let vlan = l2.then_some(field::VLAN_VID);
                let l4 = ports.then_some(l4).into_iter().flatten();
                l3.into_iter().chain(vlan).chain(l4).collect()
            }
        };
        let mut mask = FlowMask::ZERO;
        fields.into_iter().for_each(|field| mask.need(field));
        mask
    }

    pub fn hash(self, key: &FlowKey, basis: u16) -> u64 {
        let eth_src = key.get64(field::ETH_SRC);
        let eth = eth_src ^ key.get64(field::ETH_DST);
        let vlan = key.get64(field::VLAN_VID) & 0xfff;
        let [src, dst] = ip_addresses(key);
        let halves = |address: u128| [(address >> 64) as u64, address as u64];
        let one_end = |address: Option<u128>| match address {
            Some(address) => halves(address),
            None => [eth_src, 0],
        };
        let basis = u64::from(basis);
        match self {
            HashFields::EthSrc => hash_words([basis, eth_src]),
            HashFields::EthSrcVlan => hash_words([basis, eth_src, vlan]),
            HashFields::IpSrc => hash_words([basis].into_iter().chain(one_end(src))),
            HashFields::IpDst => hash_words([basis].into_iter().chain(one_end(dst))),
            HashFields::Symmetric { l2, l4, udp } => {
                let ip = src.zip(dst).map(|(src, dst)| halves(src ^ dst));
                let link = match (l2, ip) {
                    (true, _) => [eth, vlan, key.get64(field::ETH_TYPE)],
                    (false, Some(_)) => [0; 3],
                    (false, None) => [eth, 0, 0],
                };
                let network = ip.unwrap_or_default();
                let transport = if l4 && ip.is_some() {
                    transport(key, udp)
                } else {
                    [0; 2]
                };
                let words = link.into_iter().chain(network).chain(transport);
                hash_words([basis].into_iter().chain(words))
            }
        }
    }
}

fn ip_addresses(key: &FlowKey) -> [Option<u128>; 2] {
    let fields = match key.get64(field::ETH_TYPE) {
        _ if key.get64(field::PRESENT) & present::L3 == 0 => return [None; 2],
        ETH_IPV4 => [field::IPV4_SRC, field::IPV4_DST],
        ETH_IPV6 => [field::IPV6_SRC, field::IPV6_DST],
        _ => return [None; 2],
    };
    fields.map(|field| Some(key.get(field)))
}

/// Protocol and ports.
fn transport(key: &FlowKey, udp: bool) -> [u64; 2] {
    let protocol = key.get64(field::IP_PROTO);
    let has_ports = matches!(protocol, TCP | SCTP) || udp && protocol == UDP;
    if has_ports && key.get64(field::IP_FRAG) & frag::ANY == 0 {
        [
            protocol,
            key.get64(field::L4_SRC) ^ key.get64(field::L4_DST),
        ]
    } else {
        [protocol, 0]
    }
}

/// How a link is chosen by a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Modulo,
    Threshold,
    /// Highest random weight: when links come or go, only their own packets move.
    Hrw,
    /// Hashes again until a link comes out that there is.
    Iterative,
}

impl Algorithm {
    pub fn from_number(number: u16) -> Option<Algorithm> {
        Some(match number {
            0 => Algorithm::Modulo,
            1 => Algorithm::Threshold,
            2 => Algorithm::Hrw,
            3 => Algorithm::Iterative,
            _ => return None,
        })
    }

    /// A number from 0 to `max_link`.
    pub fn choose(self, hash: u64, max_link: u16, arg: u32) -> u64 {
        let links = u64::from(max_link) + 1;
        match self {
            Algorithm::Modulo => hash % links,
            Algorithm::Threshold => ((hash >> 32) * links) >> 32,
            Algorithm::Hrw => (0..links)
                .max_by_key(|link| hash_words([hash, *link]))
                .unwrap_or_default(),
            Algorithm::Iterative => {
                // `arg`: the range hashed into, at least as many as there are links.
                let range = u64::from(arg).max(links).next_power_of_two();
                (0..)
                    .map(|round| hash_words([hash, round]) % range)
                    .take(256)
                    .find(|link| *link < links)
                    .unwrap_or(hash % links)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(fields: &[(Field, u128)]) -> FlowKey {
        let mut key = FlowKey::ZERO;
        for (field, value) in fields {
            key.set(*field, *value);
        }
        key
    }

    fn numbers() -> Vec<HashFields> {
        (0..=u16::MAX).filter_map(HashFields::from_number).collect()
    }

    fn connection(proto: u128, port: u128) -> FlowKey {
        packet(&[
            (field::ETH_TYPE, 0x0800),
            (field::PRESENT, u128::from(present::L3 | present::L4)),
            (field::IPV4_SRC, 0x0a00_0001),
            (field::IPV4_DST, 0x0a00_0002),
            (field::IP_PROTO, proto),
            (field::L4_SRC, port),
            (field::L4_DST, 80),
        ])
    }

    #[test]
    fn a_hash_depends_on_nothing_but_its_mask() {
        for fields in numbers() {
            let whole = FlowKey([0x5a5a_1234_9abc_def0; weft_frame::WORDS]);
            let masked = whole.masked(&fields.mask());
            assert_eq!(
                fields.hash(&whole, 7),
                fields.hash(&masked, 7),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn both_directions_of_a_connection_hash_alike() {
        for fields in numbers() {
            let HashFields::Symmetric { .. } = fields else {
                continue;
            };
            let there = connection(TCP.into(), 4000);
            let mut back = there;
            for (a, b) in [
                (field::IPV4_SRC, field::IPV4_DST),
                (field::L4_SRC, field::L4_DST),
            ] {
                back.set(a, there.get(b));
                back.set(b, there.get(a));
            }
            assert_eq!(fields.hash(&there, 0), fields.hash(&back, 0));
        }
    }

    #[test]
    fn udp_ports_count_only_where_asked_for_and_those_of_fragments_never() {
        let differ = |number: u16, proto: u64| {
            let fields = HashFields::from_number(number).unwrap();
            let hashes = [4000, 4001].map(|port| fields.hash(&connection(proto.into(), port), 0));
            hashes[0] != hashes[1]
        };
        assert!(differ(0x5702, TCP) && differ(0x5702, UDP) && differ(3, UDP));
        assert!(differ(1, TCP) && !differ(1, UDP) && !differ(6, TCP));
        let fields = HashFields::from_number(0x5702).unwrap();
        let fragment = |port: u128| {
            let mut key = connection(UDP.into(), port);
            key.set(field::IP_FRAG, u128::from(frag::ANY));
            fields.hash(&key, 0)
        };
        assert_eq!(fragment(1), fragment(2));
    }

    #[test]
    fn every_algorithm_spreads_evenly_and_stays_in_range() {
        for number in 0..4 {
            let algorithm = Algorithm::from_number(number).unwrap();
            for max_link in [0u16, 2, 255] {
                let mut hits = vec![0u32; usize::from(max_link) + 1];
                let per_link = 100;
                for i in 0..hits.len() as u64 * per_link {
                    hits[algorithm.choose(hash_words([i]), max_link, 0) as usize] += 1;
                }
                assert!(
                    hits.iter().all(|n| (40..180).contains(n)),
                    "{algorithm:?} {hits:?}"
                );
            }
        }
    }
}
