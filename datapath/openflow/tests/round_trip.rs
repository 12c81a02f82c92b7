//! What is written is read back as it was, for messages made at random.

use proptest::collection::vec;
use proptest::prelude::*;
use weft_openflow::*;

fn tlv() -> impl Strategy<Value = OxmTlv> {
    (0..OxmField::ALL.len(), any::<u128>(), any::<Option<u128>>()).prop_map(
        |(field, value, mask)| {
            let field = OxmField::ALL[field];
            let max = field.info().max();
            OxmTlv {
                field,
                value: value & max,
                mask: mask.map(|mask| mask & max),
            }
        },
    )
}

fn matching() -> impl Strategy<Value = Match> {
    let unknown =
        (0u16..8, 0u32..0x7f, vec(any::<u8>(), 0..20)).prop_map(|(before, field, payload)| {
            (
                before,
                UnknownOxm::new(0x1234_0000 | field << 9, payload).expect("short enough"),
            )
        });
    (vec(tlv(), 0..12), vec(unknown, 0..3)).prop_map(|(mut fields, mut unknown)| {
        let mut seen = std::collections::HashSet::new();
        fields.retain(|tlv| seen.insert(tlv.field));
        // Positions as the decoder gives them, and each field once.
        let last = fields.len() as u16;
        unknown
            .iter_mut()
            .for_each(|(before, _)| *before = (*before).min(last));
        unknown.sort_by_key(|(before, _)| *before);
        let mut seen = std::collections::HashSet::new();
        unknown.retain(|(_, oxm)| seen.insert(oxm.header() & !0x1ff));
        Match { fields, unknown }
    })
}

fn oxm_id() -> impl Strategy<Value = OxmId> {
    (0..OxmField::ALL.len(), any::<bool>()).prop_map(|(field, has_mask)| OxmId {
        field: Ok(OxmField::ALL[field]),
        has_mask,
    })
}

/// A field whose header is 4 bytes long.
fn short_oxm_id() -> impl Strategy<Value = OxmId> {
    oxm_id().prop_filter("experimenter", |id| {
        id.known().is_some_and(|field| field.info().class != 0xffff)
    })
}

fn learn() -> impl Strategy<Value = NxAction> {
    let source = prop_oneof![
        (oxm_id(), any::<u16>()).prop_map(|(field, offset)| LearnSource::Field { field, offset }),
        Just(LearnSource::Immediate(vec![])),
    ];
    let target = prop_oneof![
        (oxm_id(), any::<u16>()).prop_map(|(field, offset)| LearnTarget::Match { field, offset }),
        (oxm_id(), any::<u16>()).prop_map(|(field, offset)| LearnTarget::Load { field, offset }),
        Just(LearnTarget::Output),
    ];
    let spec = (1u16..0x7ff, source, target).prop_map(|(n_bits, mut source, target)| {
        if let LearnSource::Immediate(value) = &mut source {
            *value = vec![7; usize::from(n_bits.div_ceil(16)) * 2];
        }
        LearnSpec {
            n_bits,
            source,
            target,
        }
    });
    (
        any::<[u16; 6]>(),
        any::<u64>(),
        any::<u8>(),
        vec(spec, 0..5),
    )
        .prop_map(|(n, cookie, table_id, specs)| {
            NxAction::Learn(Box::new(Learn {
                idle_timeout: n[0],
                hard_timeout: n[1],
                priority: n[2],
                cookie,
                flags: n[3],
                table_id,
                fin_idle_timeout: n[4],
                fin_hard_timeout: n[5],
                specs,
            }))
        })
}

fn nicira() -> impl Strategy<Value = NxAction> {
    prop_oneof![
        any::<u16>().prop_map(|in_port| NxAction::Resubmit { in_port }),
        (any::<u16>(), any::<u8>())
            .prop_map(|(in_port, table)| NxAction::ResubmitTable { in_port, table }),
        (any::<[u16; 3]>(), oxm_id(), oxm_id()).prop_map(
            |([n_bits, src_ofs, dst_ofs], src, dst)| NxAction::RegMove {
                n_bits,
                src_ofs,
                dst_ofs,
                src,
                dst
            }
        ),
        (any::<u16>(), short_oxm_id(), any::<u64>()).prop_map(|(ofs_nbits, dst, value)| {
            NxAction::RegLoad {
                ofs_nbits,
                dst,
                value,
            }
        }),
        tlv().prop_map(|field| NxAction::RegLoad2 { field }),
        (any::<u16>(), any::<u16>(), oxm_id()).prop_map(|(ofs_nbits, max_len, src)| {
            NxAction::OutputReg2 {
                ofs_nbits,
                max_len,
                src,
            }
        }),
        (any::<u16>(), oxm_id(), any::<u16>()).prop_map(|(offset, field, n_bits)| {
            NxAction::StackPush {
                offset,
                field,
                n_bits,
            }
        }),
        any::<[u8; 6]>().prop_map(|data| NxAction::Note {
            data: data.to_vec()
        }),
        Just(NxAction::Exit),
        (any::<u8>(), any::<u8>(), any::<u32>()).prop_map(|(clause, n_clauses, id)| {
            NxAction::Conjunction {
                clause,
                n_clauses,
                id,
            }
        }),
        vec(any::<u8>(), 0..20).prop_map(|data| NxAction::Controller2 {
            properties: vec![ControllerProperty::Userdata { data }]
        }),
        learn(),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let leaf = prop_oneof![
        (any::<u32>(), any::<u16>()).prop_map(|(port, max_len)| Action::Output { port, max_len }),
        any::<u32>().prop_map(|group_id| Action::Group { group_id }),
        any::<u16>().prop_map(|ethertype| Action::PushVlan { ethertype }),
        any::<u8>().prop_map(|nw_ttl| Action::SetNwTtl { nw_ttl }),
        Just(Action::PopVlan),
        tlv().prop_map(|field| Action::SetField { field }),
        nicira().prop_map(Action::Nicira),
        vec(any::<u8>(), 4).prop_map(|data| Action::Unknown { code: 99, data }),
        any::<[u8; 8]>().prop_map(|data| Action::Experimenter {
            experimenter: 5,
            data: data.to_vec()
        }),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        vec(inner, 0..4).prop_map(|actions| Action::Nicira(NxAction::Clone { actions }))
    })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    vec(action(), 0..6)
}

fn instruction() -> impl Strategy<Value = Instruction> {
    prop_oneof![
        any::<u8>().prop_map(|table_id| Instruction::GotoTable { table_id }),
        (any::<u64>(), any::<u64>()).prop_map(|(metadata, metadata_mask)| {
            Instruction::WriteMetadata {
                metadata,
                metadata_mask,
            }
        }),
        actions().prop_map(|actions| Instruction::WriteActions { actions }),
        actions().prop_map(|actions| Instruction::ApplyActions { actions }),
        Just(Instruction::ClearActions),
        any::<u32>().prop_map(|meter_id| Instruction::Meter { meter_id }),
    ]
}

fn flow_mod() -> impl Strategy<Value = Body> {
    let ids = (any::<u64>(), any::<u64>(), any::<u8>(), any::<u8>());
    (
        ids,
        any::<[u16; 4]>(),
        any::<[u32; 3]>(),
        matching(),
        vec(instruction(), 0..4),
    )
        .prop_map(
            |((cookie, cookie_mask, table_id, command), shorts, longs, match_, instructions)| {
                Body::FlowMod(FlowMod {
                    cookie,
                    cookie_mask,
                    table_id,
                    command: command.into(),
                    idle_timeout: shorts[0],
                    hard_timeout: shorts[1],
                    priority: shorts[2],
                    buffer_id: longs[0],
                    out_port: longs[1],
                    out_group: longs[2],
                    flags: shorts[3],
                    match_,
                    instructions,
                })
            },
        )
}

fn bucket() -> impl Strategy<Value = Bucket> {
    (any::<u16>(), any::<u32>(), any::<u32>(), actions()).prop_map(
        |(weight, watch_port, watch_group, actions)| Bucket {
            weight,
            watch_port,
            watch_group,
            actions,
        },
    )
}

fn band() -> impl Strategy<Value = MeterBand> {
    prop_oneof![
        (any::<u32>(), any::<u32>())
            .prop_map(|(rate, burst_size)| MeterBand::Drop { rate, burst_size }),
        (any::<u32>(), any::<u32>(), any::<u8>()).prop_map(|(rate, burst_size, prec_level)| {
            MeterBand::DscpRemark {
                rate,
                burst_size,
                prec_level,
            }
        }),
        vec(any::<u8>(), 12).prop_map(|data| MeterBand::Unknown { code: 9, data }),
    ]
}

fn flow_stats() -> impl Strategy<Value = FlowStats> {
    (
        any::<u8>(),
        any::<[u32; 2]>(),
        any::<[u16; 4]>(),
        any::<[u64; 3]>(),
        matching(),
        vec(instruction(), 0..3),
    )
        .prop_map(
            |(table_id, seconds, shorts, counts, match_, instructions)| FlowStats {
                table_id,
                duration_sec: seconds[0],
                duration_nsec: seconds[1],
                priority: shorts[0],
                idle_timeout: shorts[1],
                hard_timeout: shorts[2],
                flags: shorts[3],
                cookie: counts[0],
                packet_count: counts[1],
                byte_count: counts[2],
                match_,
                instructions,
            },
        )
}

fn table_features() -> impl Strategy<Value = TableFeatures> {
    let property = prop_oneof![
        vec(any::<u8>(), 0..20).prop_map(TableProperty::NextTables),
        vec(oxm_id(), 0..20).prop_map(TableProperty::Match),
        vec(
            any::<u16>().prop_map(|code| ActionId { code, data: vec![] }),
            0..9
        )
        .prop_map(TableProperty::ApplyActions),
        vec(any::<u8>(), 0..9).prop_map(|data| TableProperty::Experimenter {
            experimenter: 1,
            exp_type: 2,
            data
        }),
    ];
    (
        "[a-z]{0,31}",
        any::<u8>(),
        any::<[u64; 2]>(),
        any::<[u32; 2]>(),
        vec(property, 0..5),
    )
        .prop_map(
            |(name, table_id, metadata, [config, max_entries], properties)| TableFeatures {
                table_id,
                name: name.into(),
                metadata_match: metadata[0],
                metadata_write: metadata[1],
                config,
                max_entries,
                properties,
            },
        )
}

fn body() -> impl Strategy<Value = Body> {
    let reply = |body| Body::MultipartReply(MultipartReply { flags: 1, body });
    let leaf = prop_oneof![
        6 => flow_mod(),
        1 => (any::<u32>(), any::<u32>(), actions(), vec(any::<u8>(), 0..99)).prop_map(
            |(buffer_id, in_port, actions, data)| Body::PacketOut(PacketOut { buffer_id, in_port, actions, data })
        ),
        1 => (any::<u16>(), any::<u8>(), any::<u32>(), vec(bucket(), 0..4)).prop_map(
            |(command, group_type, group_id, buckets)| Body::GroupMod(GroupMod {
                command: command.into(), group_type: group_type.into(), group_id, buckets
            })
        ),
        1 => (any::<u16>(), any::<u16>(), any::<u32>(), vec(band(), 0..4)).prop_map(
            |(command, flags, meter_id, bands)| Body::MeterMod(MeterMod { command: command.into(), flags, meter_id, bands })
        ),
        1 => (any::<u32>(), any::<u8>(), matching(), vec(any::<u8>(), 0..99)).prop_map(
            |(buffer_id, reason, match_, data)| Body::PacketIn(PacketIn {
                buffer_id, total_len: 9, reason: reason.into(), table_id: 1, cookie: 2, match_, data
            })
        ),
        2 => vec(flow_stats(), 0..5).prop_map(move |list| reply(MultipartReplyBody::Flow(list))),
        1 => vec(table_features(), 0..4).prop_map(move |list| reply(MultipartReplyBody::TableFeatures(list))),
        1 => vec(any::<u8>(), 0..99).prop_map(Body::EchoRequest),
        1 => Just(Body::Hello(Hello::ours())),
    ];
    (leaf, any::<bool>()).prop_map(|(body, bundled)| {
        if bundled {
            let message = Box::new(Message::new(3, body));
            Body::BundleAdd(BundleAdd {
                bundle_id: 1,
                flags: 3,
                message,
                properties: vec![],
            })
        } else {
            body
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_survive_writing_and_reading(xid in any::<u32>(), body in body()) {
        let message = Message { xid, body };
        let mut bytes = vec![0xa5; 3];
        encode(&message, &mut bytes).unwrap();
        prop_assert_eq!(&bytes[..3], &[0xa5; 3][..]);
        let bytes = &bytes[3..];
        prop_assert_eq!(next_frame(bytes), Frame::Whole(bytes.len()));
        prop_assert_eq!(decode(bytes).unwrap(), message);
        for length in 0..bytes.len().min(200) {
            prop_assert!(decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn any_bytes_decode_without_panic(bytes in vec(any::<u8>(), 0..200), code in 0u8..32) {
        let _ = decode(&bytes);
        let mut bytes = bytes;
        if bytes.len() >= 8 {
            let length = bytes.len() as u16;
            bytes[0] = 4;
            bytes[1] = code;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            let _ = decode_request(&bytes);
        }
    }
}
