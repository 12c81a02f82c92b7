//! How bytes become values and values bytes: the reader and the [`Wire`] trait. The macros that declare structures are
//! in `declare.rs`.

pub(crate) use crate::declare::{open_enum, pick, wire_gap, wire_struct, wire_tlv, wire_union};
use crate::error::{ErrorCode, Fault};

/// A value with one encoding.
pub(crate) trait Wire: Sized {
    /// Reads one value from the front of `r`.
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault>;

    /// Appends the value.
    fn write(&self, w: &mut Vec<u8>);

    /// Reads values until `r` is empty.
    fn read_list(r: &mut Reader<'_>) -> Result<Vec<Self>, Fault> {
        let mut list = Vec::new();
        while !r.is_empty() {
            let item = Self::read(r).map_err(|fault| fault.at_index(list.len()))?;
            list.push(item);
        }
        Ok(list)
    }

    /// Appends all values.
    fn write_list(list: &[Self], w: &mut Vec<u8>) {
        for item in list {
            item.write(w);
        }
    }
}

/// A cursor over (a part of) a message that knows where in the message it stands, and which error a wrong length
/// is answered with.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Offset in the message of the byte after `rest`.
    end: usize,
    /// What to answer when bytes are missing or left over.
    pub bad_len: ErrorCode,
    /// Structures of the same kind that this one is nested in (bundled messages, `clone` actions).
    pub depth: u8,
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`, which stand at the start of a message.
    pub fn new(bytes: &'a [u8], bad_len: ErrorCode) -> Self {
        Reader {
            rest: bytes,
            end: bytes.len(),
            bad_len,
            depth: 0,
        }
    }

    /// Offset in the message of the next byte.
    pub fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// Bytes left.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether all bytes have been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes left, without reading them.
    pub fn peek(&self) -> &'a [u8] {
        self.rest
    }

    /// An error about the next byte.
    #[cold]
    pub fn fault(&self, code: ErrorCode, detail: impl Into<String>) -> Fault {
        Fault::new(code, self.offset(), detail)
    }

    #[cold]
    fn missing(&self, wanted: usize) -> Fault {
        self.fault(
            self.bad_len,
            format!("{wanted} bytes wanted, {} left", self.rest.len()),
        )
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        match self.rest.split_at_checked(n) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(self.missing(n)),
        }
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(*head)
            }
            None => Err(self.missing(N)),
        }
    }

    /// All bytes left.
    pub fn take_all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Skips padding, whatever its value (§7.1.2: senders set it to zero, receivers ignore it).
    #[inline]
    pub fn skip(&mut self, n: usize) -> Result<(), Fault> {
        self.take(n).map(drop)
    }

    /// A reader of its own over the next `n` bytes.
    #[inline]
    pub fn sub(&mut self, n: usize) -> Result<Reader<'a>, Fault> {
        let (bad_len, depth) = (self.bad_len, self.depth);
        let rest = self.take(n)?;
        Ok(Reader {
            rest,
            end: self.offset(),
            bad_len,
            depth,
        })
    }

    /// The 16-bit number `at` bytes ahead, without reading it.
    #[inline]
    pub fn peek_u16(&self, at: usize) -> Result<u16, Fault> {
        match self.rest.get(at..).and_then(|tail| tail.first_chunk::<2>()) {
            Some(bytes) => Ok(u16::from_be_bytes(*bytes)),
            None => Err(self.missing(at + 2)),
        }
    }

    /// A reader over a structure that holds its own length, 16 bits wide, `at` bytes from its start.
    #[inline]
    pub fn sized(&mut self, at: usize) -> Result<Reader<'a>, Fault> {
        let length = usize::from(self.peek_u16(at)?);
        if length < at + 2 || length > self.rest.len() {
            let fault = Fault::new(
                self.bad_len,
                self.offset() + at,
                format!(
                    "length {length} does not fit the {} bytes left",
                    self.rest.len()
                ),
            );
            return Err(fault.within("length"));
        }
        self.sub(length)
    }

    /// Refuses bytes left over.
    #[inline]
    pub fn finish(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.fault(self.bad_len, format!("{} bytes left over", self.rest.len())))
        }
    }
}

/// Skips the fewer than 8 bytes that fill a structure up to a multiple of 8.
pub(crate) fn skip_fill(r: &mut Reader<'_>) -> Result<(), Fault> {
    if r.len() < 8 { r.skip(r.len()) } else { Ok(()) }
}

/// Appends `n` zero bytes.
pub(crate) fn zeros(w: &mut Vec<u8>, n: usize) {
    w.resize(w.len() + n, 0);
}

/// Appends zero bytes until what was written from `start` is a multiple of 8 long.
pub(crate) fn pad8(w: &mut Vec<u8>, start: usize) {
    let n = (w.len() - start).wrapping_neg() & 7;
    zeros(w, n);
}

/// Bytes to add to `length` to get a multiple of 8.
pub(crate) fn padding8(length: usize) -> usize {
    length.wrapping_neg() & 7
}

/// Sets the 16-bit number at `at` to the count of bytes from `start`. What does not fit in 16 bits does not fit
/// in a message either, and is refused there.
pub(crate) fn patch_length(w: &mut [u8], start: usize, at: usize) {
    let length = (w.len() - start) as u16;
    if let Some(place) = w.get_mut(at..at + 2) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

macro_rules! wire_int {
    ($($t:ty)*) => { $(
        impl Wire for $t {
            #[inline]
            fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
                Ok(Self::from_be_bytes(r.array()?))
            }
            #[inline]
            fn write(&self, w: &mut Vec<u8>) {
                w.extend_from_slice(&self.to_be_bytes());
            }
        }
    )* };
}
wire_int!(u16 u32 u64 u128);

impl Wire for u8 {
    #[inline]
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let [byte] = r.array()?;
        Ok(byte)
    }
    #[inline]
    fn write(&self, w: &mut Vec<u8>) {
        w.push(*self);
    }
    fn read_list(r: &mut Reader<'_>) -> Result<Vec<u8>, Fault> {
        Ok(r.take_all().to_vec())
    }
    fn write_list(list: &[u8], w: &mut Vec<u8>) {
        w.extend_from_slice(list);
    }
}

impl<T: Wire + Copy + Default, const N: usize> Wire for [T; N] {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut values = [T::default(); N];
        for (i, value) in values.iter_mut().enumerate() {
            *value = T::read(r).map_err(|fault| fault.at_index(i))?;
        }
        Ok(values)
    }
    fn write(&self, w: &mut Vec<u8>) {
        T::write_list(self, w);
    }
}

/// A list takes all that is left of the structure it is in.
impl<T: Wire> Wire for Vec<T> {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        T::read_list(r)
    }
    fn write(&self, w: &mut Vec<u8>) {
        T::write_list(self, w);
    }
}

impl<T: Wire> Wire for Box<T> {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        T::read(r).map(Box::new)
    }
    fn write(&self, w: &mut Vec<u8>) {
        T::write(self, w);
    }
}
