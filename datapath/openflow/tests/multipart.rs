//! Long replies in parts, messages that are too long, version negotiation, errors as messages.

use weft_openflow::*;

fn flow(cookie: u64) -> FlowStats {
    FlowStats {
        table_id: 1,
        duration_sec: 0,
        duration_nsec: 0,
        priority: 1,
        idle_timeout: 0,
        hard_timeout: 0,
        flags: 0,
        cookie,
        packet_count: 0,
        byte_count: 0,
        match_: Match::any().with(OxmField::InPort, 1u32),
        instructions: vec![Instruction::ApplyActions {
            actions: vec![Action::output(2)],
        }],
    }
}

/// The replies in a byte stream.
fn replies(mut bytes: &[u8]) -> Vec<(u32, MultipartReply)> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        let Frame::Whole(length) = next_frame(bytes) else {
            panic!("not whole messages")
        };
        let message = decode(&bytes[..length]).expect("a message");
        let Body::MultipartReply(reply) = message.body else {
            panic!("not a reply")
        };
        list.push((message.xid, reply));
        bytes = &bytes[length..];
    }
    list
}

#[test]
fn long_replies_go_in_parts_of_whole_entries() {
    let mut bytes = Vec::new();
    let mut writer = MultipartWriter::new::<FlowStats>(&mut bytes, 77);
    for cookie in 0..5000 {
        assert!(writer.push(&flow(cookie)));
        assert!(writer.part_len() <= 0xffff);
    }
    writer.finish();

    let parts = replies(&bytes);
    assert!(parts.len() > 5, "{} parts", parts.len());
    let mut cookie = 0;
    for (i, (xid, reply)) in parts.iter().enumerate() {
        assert_eq!(*xid, 77);
        assert_eq!(reply.more(), i + 1 < parts.len(), "part {i}");
        let MultipartReplyBody::Flow(flows) = &reply.body else {
            panic!("not flows")
        };
        for entry in flows {
            assert_eq!(*entry, flow(cookie));
            cookie += 1;
        }
    }
    assert_eq!(cookie, 5000);
}

#[test]
fn a_reply_without_entries_is_one_empty_part() {
    let mut bytes = Vec::new();
    MultipartWriter::new::<Port>(&mut bytes, 1).finish();
    assert_eq!(bytes.len(), 16);
    let parts = replies(&bytes);
    assert_eq!(parts.len(), 1);
    assert!(!parts[0].1.more() && parts[0].1.body.is_empty_list());
}

#[test]
fn a_reply_can_go_on_in_another_buffer() {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut writer = MultipartWriter::new::<FlowStats>(&mut first, 1);
    writer.push(&flow(0));
    writer.finish_with_more();
    let mut writer = MultipartWriter::new::<FlowStats>(&mut second, 1);
    writer.push(&flow(1));
    writer.finish();
    assert!(replies(&first)[0].1.more());
    assert!(!replies(&second)[0].1.more());
}

#[test]
fn entries_longer_than_a_message_are_left_out() {
    let actions = vec![Action::output(1); 5000];
    let long = FlowStats {
        instructions: vec![Instruction::ApplyActions { actions }],
        ..flow(1)
    };
    let mut bytes = Vec::new();
    let mut writer = MultipartWriter::new::<FlowStats>(&mut bytes, 1);
    assert!(writer.push(&flow(0)));
    assert!(!writer.push(&long));
    assert!(writer.push(&flow(2)));
    writer.finish();
    let MultipartReplyBody::Flow(flows) = &replies(&bytes)[0].1.body else {
        panic!("not flows")
    };
    assert_eq!(
        flows.iter().map(|flow| flow.cookie).collect::<Vec<_>>(),
        [0, 2]
    );
}

#[test]
fn messages_that_are_too_long_are_not_written() {
    let mut bytes = vec![1, 2, 3];
    let longest = Message::new(1, Body::EchoRequest(vec![0; 0xffff - 8]));
    assert_eq!(encode(&longest, &mut bytes), Ok(()));
    bytes.truncate(3);
    let longer = Message::new(1, Body::EchoRequest(vec![0; 0xffff - 7]));
    assert_eq!(
        encode(&longer, &mut bytes),
        Err(EncodeError::TooLong(0x10000))
    );
    assert_eq!(bytes, [1, 2, 3]);
}

#[test]
fn versions_are_negotiated() {
    let bitmap = |version, words: &[u32]| Hello {
        version,
        elements: vec![HelloElement::VersionBitmap(words.to_vec())],
    };
    let plain = |version| Hello {
        version,
        elements: vec![],
    };
    assert_eq!(Hello::ours().negotiate(), Ok(4));
    assert_eq!(plain(4).negotiate(), Ok(4));
    assert_eq!(plain(6).negotiate(), Ok(4));
    assert_eq!(bitmap(6, &[0x52]).negotiate(), Ok(4));
    // The bitmap counts, not the header (§6.3.1).
    for refused in [
        plain(1),
        bitmap(6, &[0x60]),
        bitmap(4, &[0, 0x10]),
        bitmap(4, &[]),
    ] {
        let error = refused.negotiate().unwrap_err();
        assert_eq!(error.code, ErrorCode::HelloFailedIncompatible);
        assert!(
            String::from_utf8(error.data)
                .unwrap()
                .contains("OpenFlow 1.3")
        );
    }
}

#[test]
fn error_codes_and_numbers_go_both_ways() {
    for &code in ErrorCode::ALL {
        let (kind, number) = code.numbers();
        assert_eq!(ErrorCode::from_numbers(kind, number), Some(code));
        let message = Message::new(
            9,
            Body::Error(OfError::new(code, "x").quoting(&[7; 100]).to_message()),
        );
        let mut bytes = Vec::new();
        encode(&message, &mut bytes).unwrap();
        let Body::Error(error) = decode(&bytes).unwrap().body else {
            panic!("not an error")
        };
        assert_eq!(error.error_code(), Some(code));
        // The quote is at least 64 bytes (§7.4.4), behind the experimenter's id if there is one.
        assert!(error.data.ends_with(&[7; 64]));
        assert_eq!(error.experimenter().is_some(), kind == 0xffff);
    }
}

#[test]
fn requests_are_refused_with_what_to_answer() {
    // A goto to the flow's own table: well-formed, and refused.
    let mut flow_mod = FlowMod::new(FlowModCommand::Add, 5);
    flow_mod.instructions = vec![Instruction::GotoTable { table_id: 5 }];
    let mut bytes = Vec::new();
    encode(&Message::new(0xabcd, Body::FlowMod(flow_mod)), &mut bytes).unwrap();
    assert!(decode(&bytes).is_ok());
    let refused = decode_request(&bytes).unwrap_err();
    assert_eq!((refused.xid, refused.path.as_str()), (0xabcd, "flow_mod"));
    assert_eq!(refused.error.code, ErrorCode::BadInstructionBadTableId);
    assert_eq!(refused.error.data, bytes[..64.min(bytes.len())]);
}

#[test]
fn malformed_parts_are_named_by_path_and_offset() {
    let mut flow_mod = FlowMod::new(FlowModCommand::Add, 0);
    flow_mod.match_ = Match::any().with(OxmField::InPort, 1u32);
    let mut bytes = Vec::new();
    encode(&Message::new(5, Body::FlowMod(flow_mod)), &mut bytes).unwrap();
    bytes[52 + 3] = 5; // The length of in_port, after header, 40 bytes of flow-mod and the match's own header.
    let error = decode(&bytes).unwrap_err();
    assert_eq!(error.error.code, ErrorCode::BadMatchBadLen);
    assert_eq!(
        (error.path.as_str(), error.offset, error.xid),
        ("flow_mod.match.length", 55, 5)
    );
}

#[test]
fn nesting_is_bounded() {
    let mut action = Action::output(1);
    for _ in 0..2000 {
        action = Action::Nicira(NxAction::Clone {
            actions: vec![action],
        });
    }
    let packet = PacketOut {
        buffer_id: u32::MAX,
        in_port: 1,
        actions: vec![action],
        data: vec![],
    };
    let mut bytes = Vec::new();
    encode(&Message::new(5, Body::PacketOut(packet)), &mut bytes).unwrap();
    assert_eq!(
        decode(&bytes).unwrap_err().error.code,
        ErrorCode::BadActionTooMany
    );

    let bundled = |message| {
        Message::new(
            1,
            Body::BundleAdd(BundleAdd {
                bundle_id: 1,
                flags: 0,
                message: Box::new(message),
                properties: vec![],
            }),
        )
    };
    let mut bytes = Vec::new();
    encode(
        &bundled(bundled(Message::new(1, Body::BarrierRequest))),
        &mut bytes,
    )
    .unwrap();
    assert_eq!(
        decode(&bytes).unwrap_err().error.code,
        ErrorCode::BundleFailedMsgUnsup
    );
}
