//! Any bytes: no panic; frames found as decoded; what is decoded survives encoding and decoding; what a switch checks
//! does not panic either.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_openflow::{Frame, check, decode, encode, next_frame};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = decode(bytes) else { return };
    assert_eq!(next_frame(bytes), Frame::Whole(bytes.len()));
    let _ = check(&message);

    let mut written = Vec::new();
    encode(&message, &mut written).expect("what came in a message fits in a message");
    let again = decode(&written).expect("what was written can be read");
    assert_eq!(again, message);

    let mut once_more = Vec::new();
    encode(&again, &mut once_more).expect("fits again");
    assert_eq!(once_more, written);
});
