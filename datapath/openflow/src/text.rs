//! Names of fixed size.

use std::fmt;
use std::ops::Deref;

use crate::error::Fault;
use crate::wire::{Reader, Wire, zeros};

/// A string in a field of `N` bytes, ended by a NUL and filled up with NULs. On the wire at most `N - 1` bytes of
/// it are kept, cut between characters; bytes that are not UTF-8 are replaced when read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text<const N: usize>(String);

impl<const N: usize> Deref for Text<N> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const N: usize> From<String> for Text<N> {
    fn from(mut text: String) -> Self {
        if let Some(nul) = text.find('\0') {
            text.truncate(nul);
        }
        let mut end = text.len().min(N.saturating_sub(1));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        Text(text)
    }
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<const N: usize> Wire for Text<N> {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let field = r.take(N)?;
        let end = field.iter().position(|&byte| byte == 0).unwrap_or(N);
        let text = String::from_utf8_lossy(field.get(..end).unwrap_or(field));
        Ok(text.into_owned().into())
    }
    fn write(&self, w: &mut Vec<u8>) {
        w.extend_from_slice(self.0.as_bytes());
        zeros(w, N - self.0.len());
    }
}
