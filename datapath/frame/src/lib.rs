//! weft-frame
