//! weft-netdev
