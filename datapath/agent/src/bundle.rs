//! Bundles of one connection: messages kept back until they are committed together (ONF EXT-230).
//!
//! This is the life cycle only. What a committed bundle does, and how it is undone when a message in it fails,
//! is decided where messages are dispatched.

use std::collections::BTreeMap;

use weft_openflow::{ErrorCode, bundle_flags};

/// Flags a bundle may be opened with.
const KNOWN_FLAGS: u16 = bundle_flags::ATOMIC | bundle_flags::ORDERED;
/// Bundles one connection may have open.
const MAX_BUNDLES: usize = 64;
/// Messages all bundles of one connection may hold together.
const MAX_MESSAGES: usize = 1 << 20;
/// Bytes, as on the wire, of these messages together.
const MAX_BYTES: usize = 256 << 20;

struct Bundle<M, T> {
    flags: u16,
    closed: bool,
    messages: Vec<M>,
    /// Of all messages, as on the wire.
    bytes: usize,
    expires: T,
}

/// The bundles of one connection. `M` is a staged message, `T` a point in time.
pub struct Bundles<M, T> {
    by_id: BTreeMap<u32, Bundle<M, T>>,
}

impl<M, T> Default for Bundles<M, T> {
    fn default() -> Self {
        Bundles {
            by_id: BTreeMap::new(),
        }
    }
}

impl<M, T: Ord + Copy> Bundles<M, T> {
    /// `ONF_BCT_OPEN_REQUEST`.
    pub fn open(&mut self, id: u32, flags: u16, expires: T) -> Result<(), ErrorCode> {
        if flags & !KNOWN_FLAGS != 0 {
            return Err(ErrorCode::BundleFailedBadFlags);
        }
        if self.by_id.contains_key(&id) {
            // As in Open vSwitch the old bundle is lost, so that both sides agree on what is left: nothing.
            self.by_id.remove(&id);
            return Err(ErrorCode::BundleFailedBundleExist);
        }
        if self.by_id.len() >= MAX_BUNDLES {
            return Err(ErrorCode::BundleFailedOutOfBundles);
        }
        self.by_id.insert(
            id,
            Bundle {
                flags,
                closed: false,
                messages: Vec::new(),
                bytes: 0,
                expires,
            },
        );
        Ok(())
    }

    /// `ONF_BCT_CLOSE_REQUEST`: no more messages, ready to be committed.
    pub fn close(&mut self, id: u32, flags: u16, expires: T) -> Result<(), ErrorCode> {
        let bundle = self
            .by_id
            .get_mut(&id)
            .ok_or(ErrorCode::BundleFailedBadId)?;
        let fault = if bundle.closed {
            ErrorCode::BundleFailedBundleClosed
        } else if bundle.flags != flags {
            ErrorCode::BundleFailedBadFlags
        } else {
            bundle.closed = true;
            bundle.expires = expires;
            return Ok(());
        };
        self.by_id.remove(&id);
        Err(fault)
    }

    /// Where to stage a message of so many bytes (`ONF_ET_BUNDLE_ADD_MESSAGE`); opens the bundle if need be.
    pub fn stage(
        &mut self,
        id: u32,
        flags: u16,
        length: usize,
        expires: T,
    ) -> Result<&mut Vec<M>, ErrorCode> {
        if !self.by_id.contains_key(&id) {
            self.open(id, flags, expires)?;
        }
        let (held, held_bytes) = self.by_id.values().fold((0, 0), |(held, bytes), bundle| {
            (held + bundle.messages.len(), bytes + bundle.bytes)
        });
        let fault = match self.by_id.get(&id) {
            None => return Err(ErrorCode::BundleFailedBadId),
            Some(bundle) if bundle.closed => ErrorCode::BundleFailedBundleClosed,
            Some(bundle) if bundle.flags != flags => ErrorCode::BundleFailedBadFlags,
            Some(_) if held >= MAX_MESSAGES || held_bytes + length > MAX_BYTES => {
                ErrorCode::BundleFailedMsgTooMany
            }
            Some(_) => {
                let bundle = self.by_id.get_mut(&id);
                let bundle = bundle.ok_or(ErrorCode::BundleFailedBadId)?;
                bundle.bytes += length;
                bundle.expires = expires;
                return Ok(&mut bundle.messages);
            }
        };
        self.by_id.remove(&id);
        Err(fault)
    }

    /// `ONF_BCT_COMMIT_REQUEST`: hands out the staged messages in the order they came. An open bundle is closed
    /// first; whatever the outcome, the bundle is gone.
    pub fn commit(&mut self, id: u32, flags: u16) -> Result<Vec<M>, ErrorCode> {
        let bundle = self.by_id.remove(&id).ok_or(ErrorCode::BundleFailedBadId)?;
        if bundle.flags == flags {
            Ok(bundle.messages)
        } else {
            Err(ErrorCode::BundleFailedBadFlags)
        }
    }

    /// `ONF_BCT_DISCARD_REQUEST`.
    pub fn discard(&mut self, id: u32) -> Result<(), ErrorCode> {
        self.by_id
            .remove(&id)
            .map(|_| ())
            .ok_or(ErrorCode::BundleFailedBadId)
    }

    /// Removes the bundles that lay idle beyond their time and names them with their flags.
    pub fn expire(&mut self, now: T) -> Vec<(u32, u16)> {
        let expired: Vec<_> = self
            .by_id
            .iter()
            .filter(|(_, b)| b.expires <= now)
            .map(|(&id, b)| (id, b.flags))
            .collect();
        for (id, _) in &expired {
            self.by_id.remove(id);
        }
        expired
    }

    /// When the next bundle expires.
    pub fn next_deadline(&self) -> Option<T> {
        self.by_id.values().map(|bundle| bundle.expires).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sut = Bundles<&'static str, u64>;

    impl Sut {
        fn add(
            &mut self,
            id: u32,
            flags: u16,
            (message, length): (&'static str, usize),
            expires: u64,
        ) -> Result<(), ErrorCode> {
            self.stage(id, flags, length, expires)
                .map(|messages| messages.push(message))
        }
    }

    #[test]
    fn staged_messages_come_out_in_order_once() {
        let mut bundles = Sut::default();
        bundles.open(1, 3, 10).unwrap();
        bundles.add(1, 3, ("a", 100), 10).unwrap();
        bundles.add(1, 3, ("b", 100), 10).unwrap();
        bundles.close(1, 3, 10).unwrap();
        assert_eq!(bundles.commit(1, 3), Ok(vec!["a", "b"]));
        assert_eq!(bundles.commit(1, 3), Err(ErrorCode::BundleFailedBadId));
    }

    #[test]
    fn opening_twice_is_refused_and_forgets_the_first() {
        let mut bundles = Sut::default();
        bundles.open(1, 0, 10).unwrap();
        assert_eq!(
            bundles.open(1, 0, 10),
            Err(ErrorCode::BundleFailedBundleExist)
        );
        assert_eq!(bundles.discard(1), Err(ErrorCode::BundleFailedBadId));
    }

    #[test]
    fn flags_must_be_known_and_agree() {
        let mut bundles = Sut::default();
        assert_eq!(bundles.open(1, 4, 10), Err(ErrorCode::BundleFailedBadFlags));
        bundles.open(1, 1, 10).unwrap();
        assert_eq!(
            bundles.add(1, 2, ("a", 100), 10),
            Err(ErrorCode::BundleFailedBadFlags)
        );
        bundles.open(1, 1, 10).unwrap();
        assert_eq!(
            bundles.close(1, 0, 10),
            Err(ErrorCode::BundleFailedBadFlags)
        );
        bundles.open(1, 1, 10).unwrap();
        assert_eq!(bundles.commit(1, 3), Err(ErrorCode::BundleFailedBadFlags));
    }

    #[test]
    fn a_closed_bundle_takes_no_more() {
        let mut bundles = Sut::default();
        bundles.open(1, 1, 10).unwrap();
        bundles.close(1, 1, 10).unwrap();
        assert_eq!(
            bundles.add(1, 1, ("a", 100), 10),
            Err(ErrorCode::BundleFailedBundleClosed)
        );
        bundles.open(1, 1, 10).unwrap();
        bundles.close(1, 1, 10).unwrap();
        assert_eq!(
            bundles.close(1, 1, 10),
            Err(ErrorCode::BundleFailedBundleClosed)
        );
    }

    #[test]
    fn bytes_are_bounded_over_all_bundles() {
        let mut bundles = Sut::default();
        bundles.add(1, 1, ("a", MAX_BYTES - 10), 10).unwrap();
        bundles.add(2, 1, ("b", 10), 10).unwrap();
        assert_eq!(
            bundles.add(3, 1, ("c", 1), 10),
            Err(ErrorCode::BundleFailedMsgTooMany)
        );
        bundles.discard(1).unwrap();
        assert_eq!(bundles.add(3, 1, ("c", 1), 10), Ok(()));
    }

    #[test]
    fn adding_opens_and_commit_closes() {
        let mut bundles = Sut::default();
        bundles.add(7, 2, ("a", 100), 10).unwrap();
        assert_eq!(bundles.commit(7, 2), Ok(vec!["a"]));
    }

    #[test]
    fn idle_bundles_expire() {
        let mut bundles = Sut::default();
        bundles.open(1, 0, 10).unwrap();
        bundles.open(2, 1, 20).unwrap();
        bundles.add(1, 0, ("a", 100), 15).unwrap();
        assert_eq!(bundles.next_deadline(), Some(15));
        assert_eq!(bundles.expire(14), vec![]);
        assert_eq!(bundles.expire(15), vec![(1, 0)]);
        assert_eq!(bundles.next_deadline(), Some(20));
        assert_eq!(bundles.discard(2), Ok(()));
        assert_eq!(bundles.next_deadline(), None);
    }

    #[test]
    fn the_number_of_bundles_is_limited() {
        let mut bundles = Sut::default();
        for id in 0..MAX_BUNDLES as u32 {
            bundles.open(id, 0, 10).unwrap();
        }
        assert_eq!(
            bundles.open(1000, 0, 10),
            Err(ErrorCode::BundleFailedOutOfBundles)
        );
    }
}
