//! Message boundaries in a byte stream (OF 1.3.5 §7.1.1).

use crate::consts::OFP_HEADER_SIZE;

/// What stands at the front of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Not a whole message yet; at least so many bytes are needed in all.
    Incomplete(usize),
    /// A message of this length.
    Whole(usize),
    /// A length less than a header's: the stream cannot be followed any further. Holds that length.
    Bad(u16),
}

/// Looks for a message at the front of `bytes`.
///
/// ```
/// # use weft_openflow::{next_frame, Frame};
/// assert_eq!(next_frame(&[4, 0]), Frame::Incomplete(8));
/// assert_eq!(next_frame(&[4, 0, 0, 8, 0, 0, 0, 1, 4]), Frame::Whole(8));
/// assert_eq!(next_frame(&[4, 0, 0, 7]), Frame::Bad(7));
/// ```
pub fn next_frame(bytes: &[u8]) -> Frame {
    let Some([_, _, high, low]) = bytes.first_chunk::<4>() else {
        return Frame::Incomplete(OFP_HEADER_SIZE);
    };
    let length = u16::from_be_bytes([*high, *low]);
    let size = usize::from(length);
    if size < OFP_HEADER_SIZE {
        Frame::Bad(length)
    } else if bytes.len() < size {
        Frame::Incomplete(size)
    } else {
        Frame::Whole(size)
    }
}
