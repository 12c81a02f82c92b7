//! What passed a device, counted where it is handed over.

/// Counters of one port (`ofp_port_stats`, OF 1.3.5 §7.3.5.6). A frame awaiting segmentation counts once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub rx_packets: u64,
    /// Their bytes, tags included.
    pub rx_bytes: u64,
    /// Frames the kernel had no room for.
    pub rx_dropped: u64,
    /// Frames that could not be taken over: longer than any frame may be, or with offloads that cannot be expressed.
    pub rx_errors: u64,
    /// Frames the kernel accepted.
    pub tx_packets: u64,
    /// Their bytes, tags included.
    pub tx_bytes: u64,
    /// Frames lost because the device had no room or was down.
    pub tx_dropped: u64,
    /// Frames the kernel refused: longer than the MTU, or with offloads it does not know.
    pub tx_errors: u64,
}
