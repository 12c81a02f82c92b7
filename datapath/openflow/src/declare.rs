//! The macros that declare a wire structure once, so that its encoder and its decoder cannot disagree.

/// What stands between fields: `pad N` (zeros, ignored when read), `length` (the structure's own length), `fill` (at
/// the end: zeros to a multiple of 8, which the enclosing structure writes).
macro_rules! wire_gap {
    (read $r:ident pad $n:literal) => {
        $r.skip($n)?
    };
    (read $r:ident length) => {
        $r.skip(2)?
    };
    (read $r:ident fill) => {
        $crate::wire::skip_fill($r)?
    };
    (write $w:ident pad $n:literal) => {
        $crate::wire::zeros($w, $n)
    };
    (write $w:ident length) => {
        $crate::wire::zeros($w, 2)
    };
    (write $w:ident fill) => {};
}

/// Declares a wire structure: its fields in the order of the wire, with gaps in brackets.
///
/// `[sized at N, errors CODE]` after the name: the structure holds its own length N bytes from its start, and a
/// length that is wrong is answered with CODE (without `errors`: with the enclosing structure's code).
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $([sized at $at:literal $(, errors $code:ident)?])? {
            $([$($lead:tt)+])*
            $(
                $(#[$field_meta:meta])*
                pub $field:ident: $type:ty $([$($gap:tt)+])*
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl $crate::wire::Wire for $name {
            fn read(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::error::Fault> {
                $(
                    $( r.bad_len = $crate::error::ErrorCode::$code; )?
                    let mut own = r.sized($at)?;
                    let r = &mut own;
                )?
                $( $crate::wire::wire_gap!(read r $($lead)+); )*
                $(
                    let $field = <$type as $crate::wire::Wire>::read(r)
                        .map_err(|fault| fault.within(stringify!($field)))?;
                    $( $crate::wire::wire_gap!(read r $($gap)+); )*
                )*
                $( let _ = $at; r.finish()?; )?
                Ok($name { $($field),* })
            }

            fn write(&self, w: &mut Vec<u8>) {
                $( let start = w.len(); let length_at = start + $at; )?
                $( $crate::wire::wire_gap!(write w $($lead)+); )*
                $(
                    $crate::wire::Wire::write(&self.$field, w);
                    $( $crate::wire::wire_gap!(write w $($gap)+); )*
                )*
                $( let _ = $at; $crate::wire::patch_length(w, start, length_at); )?
            }
        }
    };
}

/// Declares a choice between wire structures by a code. Makes the enum, and for the variants listed
/// `known_code`, `read_known` and `write_known`, which deal with what follows the code and its header. Variants in
/// the `also` block are added to the enum as they are; the caller encodes them.
macro_rules! wire_union {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $code_type:ty {
            $(
                $(#[$variant_meta:meta])*
                $variant:ident = $code:literal
                $(($inner:ty))?
                $({
                    $([$($lead:tt)+])*
                    $( $(#[$field_meta:meta])* $field:ident: $type:ty $([$($gap:tt)+])* ),* $(,)?
                })?
                $([pad $pad:literal])?
            ),* $(,)?
        }
        also { $($also:tt)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $(
                $(#[$variant_meta])*
                $variant $(($inner))? $({ $( $(#[$field_meta])* $field: $type ),* })?,
            )*
            $($also)*
        }

        impl $name {
            /// The code on the wire of the variants that have a fixed one.
            #[allow(unreachable_patterns, dead_code)]
            pub(crate) fn known_code(&self) -> Option<$code_type> {
                match self {
                    $( Self::$variant { .. } => Some($code), )*
                    _ => None,
                }
            }

            fn read_known(
                code: $code_type,
                r: &mut $crate::wire::Reader<'_>,
            ) -> Result<Option<Self>, $crate::error::Fault> {
                let value = match code {
                    $( $code => {
                        $( $( $crate::wire::wire_gap!(read r $($lead)+); )* )?
                        let value = Self::$variant
                            $(( <$inner as $crate::wire::Wire>::read(r)? ))?
                            $({ $( $field: {
                                let value = <$type as $crate::wire::Wire>::read(r)
                                    .map_err(|fault| fault.within(stringify!($field)))?;
                                $( $crate::wire::wire_gap!(read r $($gap)+); )*
                                value
                            } ),* })?;
                        $( r.skip($pad)?; )?
                        value
                    } )*
                    _ => return Ok(None),
                };
                Ok(Some(value))
            }

            #[allow(unused_variables, unreachable_patterns)]
            fn write_known(&self, w: &mut Vec<u8>) {
                match self {
                    $( Self::$variant
                        $(( $crate::wire::pick!(inner $inner) ))?
                        $({ $( $field ),* })?
                    => {
                        $( $( $crate::wire::wire_gap!(write w $($lead)+); )* )?
                        $( <$inner as $crate::wire::Wire>::write(inner, w); )?
                        $( $(
                            <$type as $crate::wire::Wire>::write($field, w);
                            $( $crate::wire::wire_gap!(write w $($gap)+); )*
                        )* )?
                        $( $crate::wire::zeros(w, $pad); )?
                    } )*
                    _ => {}
                }
            }
        }
    };
}

/// How a union made by `wire_union!` with an `Unknown { code, data }` stands on the wire: type and length, 16 bits each,
/// then the body. `padded`: zeros that the length does not count fill it up to a multiple of 8. A wrong length is answered
/// with the code after `errors`, by default the enclosing structure's.
macro_rules! wire_tlv {
    (@padding padded $length:expr) => {
        $crate::wire::padding8($length)
    };
    (@padding unpadded $length:expr) => {
        0
    };
    ($name:ident, $padded:ident $(, errors $code:ident)?) => {
        impl $crate::wire::Wire for $name {
            fn read(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::error::Fault> {
                $( r.bad_len = $crate::error::ErrorCode::$code; )?
                let mut own = r.sized(2)?;
                let padding = $crate::wire::wire_tlv!(@padding $padded own.len());
                let code = <u16 as $crate::wire::Wire>::read(&mut own)?;
                own.skip(2)?;
                let value = match Self::read_known(code, &mut own)? {
                    Some(value) => value,
                    None => $name::Unknown { code, data: own.take_all().to_vec() },
                };
                own.finish()?;
                r.skip(padding)?;
                Ok(value)
            }

            fn write(&self, w: &mut Vec<u8>) {
                let start = w.len();
                let code = match self {
                    $name::Unknown { code, .. } => *code,
                    _ => self.known_code().unwrap_or_default(),
                };
                $crate::wire::Wire::write(&code, w);
                $crate::wire::zeros(w, 2);
                match self {
                    $name::Unknown { data, .. } => w.extend_from_slice(data),
                    _ => self.write_known(w),
                }
                $crate::wire::patch_length(w, start, start + 2);
                let padding = $crate::wire::wire_tlv!(@padding $padded w.len() - start);
                $crate::wire::zeros(w, padding);
            }
        }
    };
}

/// The first of the tokens given.
macro_rules! pick {
    ($first:tt $($rest:tt)*) => {
        $first
    };
}

/// Declares an enumeration of the standard; numbers it does not name are kept in `Unknown`.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $number:ty {
            $( $(#[$variant_meta:meta])* $variant:ident = $value:literal ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )*
            /// A number without a name.
            Unknown($number),
        }

        impl From<$number> for $name {
            fn from(number: $number) -> Self {
                match number {
                    $( $value => $name::$variant, )*
                    other => $name::Unknown(other),
                }
            }
        }

        impl From<$name> for $number {
            fn from(value: $name) -> $number {
                match value {
                    $( $name::$variant => $value, )*
                    $name::Unknown(other) => other,
                }
            }
        }

        impl $crate::wire::Wire for $name {
            fn read(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::error::Fault> {
                <$number as $crate::wire::Wire>::read(r).map(Self::from)
            }
            fn write(&self, w: &mut Vec<u8>) {
                $crate::wire::Wire::write(&<$number>::from(*self), w);
            }
        }
    };
}

pub(crate) use {open_enum, pick, wire_gap, wire_struct, wire_tlv, wire_union};
