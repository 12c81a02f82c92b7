//! Arrays that user space and the BPF program see at once: maps mapped into memory, read and written without system
//! calls. Each word is read and written whole; what has to be seen in order is published with a release store. Where both
//! write, values are atomics.
#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use weft_pipeline::MeterCell;

/// An array map of `T` in memory.
pub struct Shared<T> {
    base: NonNull<T>,
    len: usize,
    bytes: usize,
    kind: PhantomData<T>,
}

// SAFETY: the memory belongs to the map, not to a thread; it is only accessed through `&mut self`, volatile reads or atomics.
unsafe impl<T: Send> Send for Shared<T> {}

/// Values of atomics only, so that a reference to one may be held while others write to it.
///
/// # Safety
/// All bytes belong to atomics or are padding, and any bits are a value.
pub unsafe trait Atomics: Sync {}

// SAFETY: its declaration has nothing but atomic integers.
unsafe impl Atomics for MeterCell {}
// SAFETY: atomics are all that is accessed through a shared reference, as they are never `Copy`.
unsafe impl<T: Atomics> Sync for Shared<T> {}

/// A value of an array, which stays in memory as long as this does.
#[derive(Debug)]
pub struct Part<T> {
    _array: Arc<Shared<T>>,
    value: NonNull<T>,
}

impl<T: Atomics> Part<T> {
    /// The value at an index; `None` beyond the array.
    pub fn of(array: &Arc<Shared<T>>, index: usize) -> Option<Part<T>> {
        (index < array.len).then(|| Part {
            // SAFETY: within the mapping, which `_array` keeps.
            value: unsafe { array.base.add(index) },
            _array: array.clone(),
        })
    }
}

impl<T: Atomics> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: in memory, and aligned, as the mapping begins a page and the map's value size is the type's; atomics may be
        // written to by others.
        unsafe { self.value.as_ref() }
    }
}

// SAFETY: all that is done with the value is done by atomics, which any thread may do.
unsafe impl<T: Atomics> Send for Part<T> {}
// SAFETY: the same.
unsafe impl<T: Atomics> Sync for Part<T> {}

impl<T> Shared<T> {
    /// Maps the array. `T` must be the map's value type, its size a multiple of eight bytes, as the kernel lays values out.
    pub fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<Shared<T>> {
        if !size_of::<T>().is_multiple_of(8) {
            return Err(io::Error::other("values of a mapped array are whole words"));
        }
        let page = 4096;
        let bytes = (size_of::<T>() * len).next_multiple_of(page);
        // SAFETY: a new mapping at an address of the kernel's choice; no memory of ours is touched.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Shared {
            base,
            len,
            bytes,
            kind: PhantomData,
        })
    }
}

impl<T: Copy> Shared<T> {
    /// The value at an index; `None` beyond the array.
    pub fn get(&self, index: usize) -> Option<T> {
        // SAFETY: within the mapping, which lives as long as `self`; the program may write at the same time, hence
        // volatile. Counters are words, which are read whole.
        (index < self.len).then(|| unsafe { ptr::read_volatile(self.base.as_ptr().add(index)) })
    }

    /// Writes a value that no program looks at yet.
    pub fn set(&mut self, index: usize, value: T) {
        if index < self.len {
            // SAFETY: as in `get`.
            unsafe { ptr::write_volatile(self.base.as_ptr().add(index), value) };
            fence(Ordering::Release);
        }
    }

    /// Writes a part of a value that programs look at, `offset` bytes from its begin; out of range or unaligned: nothing.
    pub fn set_part<F: Copy>(&mut self, index: usize, offset: usize, part: F) {
        let fits =
            offset + size_of::<F>() <= size_of::<T>() && offset.is_multiple_of(align_of::<F>());
        if index < self.len && fits {
            fence(Ordering::Release);
            // SAFETY: as in `get`; the part lies within the value and is aligned, as the value itself is.
            unsafe {
                let value = self.base.as_ptr().add(index);
                ptr::write_volatile(value.cast::<u8>().add(offset).cast::<F>(), part);
            }
        }
    }
}

/// An element of a hash map: key and value, in words.
pub type Pair<const K: usize, const V: usize> = ([u64; K], [u64; V]);

/// Elements taken out of a map in one system call.
const BATCH: usize = 4096;
/// `BPF_MAP_LOOKUP_AND_DELETE_BATCH`
const LOOKUP_AND_DELETE_BATCH: libc::c_long = 25;

/// The part of `union bpf_attr` that operations on many elements take.
#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Takes all elements out of a hash map whose keys have `K` words and values `V`; nothing may be at work on it.
pub fn drain<const K: usize, const V: usize>(fd: BorrowedFd<'_>) -> io::Result<Vec<Pair<K, V>>> {
    let mut found = Vec::new();
    let mut keys = vec![[0u64; K]; BATCH];
    let mut values = vec![[0u64; V]; BATCH];
    let (mut from, mut to) = (0u32, 0u32);
    let mut begun = false;
    loop {
        let mut attr = BatchAttr {
            in_batch: if begun { &raw const from as u64 } else { 0 },
            out_batch: &raw mut to as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: BATCH as u32,
            map_fd: fd.as_raw_fd() as u32,
            ..BatchAttr::default()
        };
        // SAFETY: all pointers lead to memory of ours that lives through the call and has room for `count` elements of the
        // map's sizes, which the caller has from the map's declaration; the kernel fills it and `attr.count` in.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                LOOKUP_AND_DELETE_BATCH,
                &raw mut attr,
                size_of::<BatchAttr>(),
            )
        };
        let error = (result < 0).then(io::Error::last_os_error);
        let ended = error
            .as_ref()
            .is_some_and(|error| error.raw_os_error() == Some(libc::ENOENT));
        if let Some(error) = error
            && !ended
        {
            return if found.is_empty() {
                Err(error)
            } else {
                Ok(found)
            };
        }
        let count = (attr.count as usize).min(BATCH);
        found.extend(keys.iter().copied().zip(values.iter().copied()).take(count));
        if ended {
            return Ok(found);
        }
        (from, begun) = (to, true);
    }
}

impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values in memory", self.len)
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, to which no reference is left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}
