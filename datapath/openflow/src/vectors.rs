//! The golden vectors that this codec shares with the TypeScript one (`test/vectors`, see the README there).

use std::fs;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::any;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::action::Action;
use crate::error::{ErrorCode, Fault};
use crate::group::Bucket;
use crate::instruction::Instruction;
use crate::matching::Match;
use crate::meter::MeterBand;
use crate::oxm::OxmField;
use crate::table::TableProperty;
use crate::wire::{Reader, Wire};
use crate::{Body, Message, decode, encode};

struct Vector {
    name: String,
    kind: String,
    bytes: Vec<u8>,
    value: Value,
}

fn load() -> Vec<Vector> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test/vectors");
    let mut vectors = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let list: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for value in list.as_array().unwrap() {
            let text = |key: &str| value[key].as_str().unwrap().to_owned();
            let hex: String = value["hex"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|line| line.as_str().unwrap().split("//").next().unwrap().chars())
                .filter(|c| !c.is_whitespace())
                .collect();
            let bytes = (0..hex.len() / 2)
                .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
                .collect();
            vectors.push(Vector {
                name: text("name"),
                kind: text("as"),
                bytes,
                value: value.clone(),
            });
        }
    }
    assert!(
        vectors.len() > 100,
        "only {} vectors in {}",
        vectors.len(),
        folder.display()
    );
    vectors
}

/// Reads all of `bytes` as one `T`, and gives what encoding it again gives.
fn again<T: Wire>(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut r = Reader::new(bytes, ErrorCode::BadRequestBadLen);
    let value = T::read(&mut r)?;
    r.finish()?;
    let mut out = Vec::new();
    value.write(&mut out);
    Ok(out)
}

fn again_as(kind: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let result = match kind {
        "message" => {
            return decode(bytes)
                .map(|message| {
                    let mut out = Vec::new();
                    encode(&message, &mut out).unwrap();
                    out
                })
                .map_err(|error| format!("{} {error}", error.error.code));
        }
        "action" => again::<Action>(bytes),
        "instruction" => again::<Instruction>(bytes),
        "match" => again::<Match>(bytes),
        "band" => again::<MeterBand>(bytes),
        "bucket" => again::<Bucket>(bytes),
        "table_property" => again::<TableProperty>(bytes),
        other => panic!("vectors of kind {other} are not read here"),
    };
    result.map_err(|fault| {
        let error = fault.into_error(0, bytes);
        format!("{} {error}", error.error.code)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn bytes_survive_decoding_and_encoding() {
    for vector in load() {
        if vector.value.get("error").is_some() {
            continue;
        }
        let out = again_as(&vector.kind, &vector.bytes)
            .unwrap_or_else(|e| panic!("{}: {e}", vector.name));
        if vector.value["decodeOnly"] == Value::Bool(true) {
            // Non-zero padding and the like: what is written must still be read, and then stay as it is.
            assert_eq!(
                hex(&again_as(&vector.kind, &out).unwrap()),
                hex(&out),
                "{}",
                vector.name
            );
        } else {
            assert_eq!(hex(&out), hex(&vector.bytes), "{}", vector.name);
        }
    }
}

/// `Nicira(RegMove { … })` → `NX_REG_MOVE`, `Weft(Samples(…))` → `WEFT_SAMPLES`, `Output { … }` → `OUTPUT`.
fn type_name(debug: &str) -> String {
    let (debug, mut name) = [("Nicira(", "NX"), ("Weft(", "WEFT")]
        .into_iter()
        .find_map(|(prefix, name)| Some((debug.strip_prefix(prefix)?, name.to_owned())))
        .unwrap_or((debug, String::new()));
    for c in debug.chars().take_while(|c| c.is_alphanumeric()) {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

#[test]
fn vectors_decode_to_the_type_they_say() {
    for vector in load() {
        let Some(wanted) = vector.value["json"]["type"].as_str() else {
            continue;
        };
        let mut r = Reader::new(&vector.bytes, ErrorCode::BadRequestBadLen);
        let debug = match vector.kind.as_str() {
            "message" => format!("{:?}", decode(&vector.bytes).unwrap().body),
            "action" => format!("{:?}", Action::read(&mut r).unwrap()),
            "instruction" => format!("{:?}", Instruction::read(&mut r).unwrap()),
            "band" => format!("{:?}", MeterBand::read(&mut r).unwrap()),
            "table_property" => format!("{:?}", TableProperty::read(&mut r).unwrap()),
            _ => continue,
        };
        let name = type_name(&debug);
        // What is kept raw here, on purpose, has a declaration there.
        let raw = [
            "NX_RESUME",
            "NX_PACKET_IN2",
            "FLOW_MONITOR_",
            "EXPERIMENTER_ERROR",
            "BUNDLE_ADD_MESSAGE",
        ];
        if raw.iter().any(|prefix| wanted.starts_with(prefix)) {
            continue;
        }
        let of_unknown_field = wanted == "SET_FIELD" && debug.starts_with("Unknown { code: 25");
        assert!(
            name == wanted.to_uppercase() || of_unknown_field,
            "{}: {debug}",
            vector.name
        );
    }
}

#[test]
fn malformed_vectors_get_their_error_at_their_place() {
    for vector in load() {
        let Some(expected) = vector.value.get("error") else {
            continue;
        };
        let prefix = match expected["errorType"].as_str().unwrap() {
            "BAD_REQUEST" => "OFPBRC",
            "BAD_ACTION" => "OFPBAC",
            "BAD_INSTRUCTION" => "OFPBIC",
            "BAD_MATCH" => "OFPBMC",
            "GROUP_MOD_FAILED" => "OFPGMFC",
            "METER_MOD_FAILED" => "OFPMMFC",
            "TABLE_FEATURES_FAILED" => "OFPTFFC",
            other => panic!("error type {other}"),
        };
        let wanted = format!("{prefix}_{}", expected["code"].as_str().unwrap());
        let error = again_as(&vector.kind, &vector.bytes).expect_err(&vector.name);
        assert!(
            error.starts_with(&format!("{wanted} ")),
            "{}: wanted {wanted}, got {error}",
            vector.name
        );
        if let Some(offset) = expected.get("offset") {
            assert!(
                error.contains(&format!(" at byte {offset}:")),
                "{}: wanted byte {offset}, got {error}",
                vector.name
            );
        }
    }
}

#[test]
fn every_strict_prefix_of_a_message_is_refused() {
    for vector in load() {
        if vector.kind != "message" || vector.value.get("error").is_some() {
            continue;
        }
        for length in 0..vector.bytes.len() {
            // As it comes from a cut stream, and with a length that pretends to be right. The latter may be a
            // whole message with a shorter list; it must then survive a round trip.
            assert!(
                decode(&vector.bytes[..length]).is_err(),
                "{} cut to {length}",
                vector.name
            );
            let mut cut = vector.bytes[..length].to_vec();
            if length >= 8 {
                cut[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                if let Ok(message) = decode(&cut) {
                    let mut out = Vec::new();
                    encode(&message, &mut out).unwrap();
                    assert_eq!(
                        decode(&out).unwrap(),
                        message,
                        "{} cut to {length}",
                        vector.name
                    );
                }
            }
        }
    }
}

/// What is read is read again from what is written: for any bytes, as the fuzz target says too.
fn assert_stable(bytes: &[u8]) {
    if let Ok(message) = decode(bytes) {
        let mut out = Vec::new();
        encode(&message, &mut out).unwrap();
        assert_eq!(decode(&out).unwrap(), message);
    }
}

#[test]
fn mutated_vectors_neither_panic_nor_change_when_written_and_read_again() {
    let messages: Vec<_> = load()
        .into_iter()
        .filter(|vector| vector.kind == "message")
        .collect();
    let mutation = (
        any::<Index>(),
        vec((any::<Index>(), any::<u8>()), 1..6),
        option::of(any::<Index>()),
    );
    let mut runner = TestRunner::new(Config {
        cases: 4000,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&mutation, |(which, changes, cut)| {
            let mut bytes = which.get(&messages).bytes.clone();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()).max(8));
            }
            // As it is, and with a length that is right, so that more than the header gets read.
            assert_stable(&bytes);
            if bytes.len() >= 8 {
                let length = bytes.len() as u16;
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[0] = 4;
                assert_stable(&bytes);
            }
            Ok(())
        })
        .unwrap();
}

/// The JSON value of an OXM as a number; `None` for what is not shown as a number or an address.
fn number(json: &Value) -> Option<u128> {
    if let Some(n) = json.as_u64() {
        return Some(u128::from(n));
    }
    let text = json.as_str()?;
    if let Some(digits) = text.strip_prefix("0x") {
        return u128::from_str_radix(digits, 16).ok();
    }
    if let Ok(ip) = text.parse::<std::net::IpAddr>() {
        return Some(match ip {
            std::net::IpAddr::V4(ip) => u128::from(u32::from(ip)),
            std::net::IpAddr::V6(ip) => u128::from(ip),
        });
    }
    u128::from_str_radix(&text.replace(':', ""), 16)
        .ok()
        .filter(|_| text.len() == 17)
}

/// Asserts that a decoded match says what the JSON says: same known fields, in order, with values and masks.
fn assert_match(name: &str, decoded: &Match, json: &Value) {
    let known: Vec<_> = json
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| !key.starts_with("unknown_"))
        .collect();
    assert_eq!(decoded.fields.len(), known.len(), "{name}");
    for (key, given) in known {
        let field = OxmField::from_name(key).unwrap_or_else(|| panic!("{name}: field {key}"));
        let (value, mask) = match given.as_object() {
            Some(pair) => (number(&pair["value"]), Some(number(&pair["mask"]).unwrap())),
            None => (number(given), None),
        };
        let tlv = decoded
            .get(field)
            .unwrap_or_else(|| panic!("{name}: {key} missing"));
        assert_eq!((Some(tlv.value), tlv.mask), (value, mask), "{name}: {key}");
    }
}

#[test]
fn match_vectors_have_their_values() {
    let mut seen = 0;
    for vector in load() {
        if vector.kind != "match" || vector.value.get("error").is_some() {
            continue;
        }
        let mut r = Reader::new(&vector.bytes, ErrorCode::BadRequestBadLen);
        assert_match(
            &vector.name,
            &Match::read(&mut r).unwrap(),
            &vector.value["json"],
        );
        seen += 1;
    }
    assert!(seen > 10, "{seen} matches");
}

#[test]
fn message_vectors_have_their_values() {
    for vector in load() {
        if vector.kind != "message" || vector.value.get("error").is_some() {
            continue;
        }
        let json = &vector.value["json"];
        let Message { xid, body } = decode(&vector.bytes).unwrap();
        assert_eq!(
            u64::from(xid),
            json["xid"].as_u64().unwrap_or(0),
            "{}",
            vector.name
        );
        let int = |key: &str| {
            json[key]
                .as_u64()
                .unwrap_or_else(|| panic!("{}: {key}", vector.name))
        };
        let long = |key: &str| {
            number(&json[key]).unwrap_or_else(|| panic!("{}: {key}", vector.name)) as u64
        };
        match body {
            Body::FlowMod(flow) => {
                assert_eq!(u64::from(flow.priority), int("priority"));
                assert_eq!(u64::from(flow.table_id), int("tableId"));
                assert_eq!(flow.cookie, long("cookie"));
                assert_eq!(u64::from(flow.out_port), int("outPort"));
                assert_match(&vector.name, &flow.match_, &json["match"]);
                assert_eq!(
                    flow.instructions.len(),
                    json["instructions"].as_array().unwrap().len()
                );
            }
            Body::PacketIn(packet) => {
                assert_eq!(packet.cookie, long("cookie"));
                assert_eq!(hex(&packet.data), json["data"].as_str().unwrap());
                assert_match(&vector.name, &packet.match_, &json["match"]);
            }
            Body::PacketOut(packet) => {
                assert_eq!(u64::from(packet.in_port), int("inPort"));
                assert_eq!(hex(&packet.data), json["data"].as_str().unwrap());
            }
            Body::FeaturesReply(features) => {
                assert_eq!(features.datapath_id, long("datapathId"));
                assert_eq!(u64::from(features.n_tables), int("nTables"));
            }
            Body::PortStatus(status) => {
                assert_eq!(&*status.desc.name, json["desc"]["name"].as_str().unwrap())
            }
            Body::GroupMod(group) => assert_eq!(u64::from(group.group_id), int("groupId")),
            Body::MeterMod(meter) => assert_eq!(u64::from(meter.meter_id), int("meterId")),
            Body::RoleRequest(role) | Body::RoleReply(role) => {
                assert_eq!(role.generation_id, long("generationId"))
            }
            _ => {}
        }
    }
}
