//! Bundles (ONF EXT-230, as Open vSwitch speaks them in OpenFlow 1.3).

use crate::error::{ErrorCode, Fault};
use crate::message::Message;
use crate::wire::{Reader, Wire, open_enum, pad8, padding8, patch_length, wire_struct};

open_enum! {
    /// `onf_bundle_ctrl_type`.
    pub enum BundleControlType: u16 {
        /// Open.
        OpenRequest = 0,
        /// Opened.
        OpenReply = 1,
        /// Close: no more messages.
        CloseRequest = 2,
        /// Closed.
        CloseReply = 3,
        /// Do what is in it.
        CommitRequest = 4,
        /// Done.
        CommitReply = 5,
        /// Forget it.
        DiscardRequest = 6,
        /// Forgotten.
        DiscardReply = 7,
    }
}

/// A property; EXT-230 has only experimenters'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleProperty {
    /// Its type.
    pub code: u16,
    /// All after type and length.
    pub data: Vec<u8>,
}

impl Wire for BundleProperty {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut own = r.sized(2)?;
        let padding = padding8(own.len());
        let code = u16::read(&mut own)?;
        own.skip(2)?;
        r.skip(padding)?;
        Ok(BundleProperty {
            code,
            data: own.take_all().to_vec(),
        })
    }

    fn write(&self, w: &mut Vec<u8>) {
        let start = w.len();
        self.code.write(w);
        0u16.write(w);
        self.data.write(w);
        patch_length(w, start, start + 2);
        pad8(w, start);
    }
}

wire_struct! {
    /// `ONF_ET_BUNDLE_CONTROL` (2300).
    pub struct BundleControl {
        /// Which bundle.
        pub bundle_id: u32,
        /// What.
        pub control_type: BundleControlType,
        /// [`crate::bundle_flags`].
        pub flags: u16,
        /// Properties.
        pub properties: Vec<BundleProperty>,
    }
}

/// `ONF_ET_BUNDLE_ADD_MESSAGE` (2301). A message that is itself malformed fails the decoding of this one, with its
/// own error; so does a bundle message within a bundle (`ONFBFC_MSG_UNSUP`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleAdd {
    /// Which bundle.
    pub bundle_id: u32,
    /// [`crate::bundle_flags`].
    pub flags: u16,
    /// The message to do at commit. Its xid should be that of the whole (`ONFBFC_MSG_BAD_XID`).
    pub message: Box<Message>,
    /// All after it, padding included.
    pub properties: Vec<u8>,
}

impl Wire for BundleAdd {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let bundle_id = u32::read(r)?;
        r.skip(2)?;
        let flags = u16::read(r)?;
        let length = usize::from(r.peek_u16(2)?);
        if length < crate::consts::OFP_HEADER_SIZE || length > r.len() {
            let detail = format!("length {length} does not fit the {} bytes left", r.len());
            return Err(r
                .fault(ErrorCode::BundleFailedMsgBadLen, detail)
                .within("message"));
        }
        if r.depth > 0 {
            return Err(r
                .fault(ErrorCode::BundleFailedMsgUnsup, "a bundle within a bundle")
                .within("message"));
        }
        let mut inner = r.sub(length)?;
        inner.depth += 1;
        let message = Message::read(&mut inner).map_err(|fault| fault.within("message"))?;
        Ok(BundleAdd {
            bundle_id,
            flags,
            message: Box::new(message),
            properties: r.take_all().to_vec(),
        })
    }

    fn write(&self, w: &mut Vec<u8>) {
        self.bundle_id.write(w);
        0u16.write(w);
        self.flags.write(w);
        self.message.write(w);
        self.properties.write(w);
    }
}
