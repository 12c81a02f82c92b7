//! weft-openflow
