/**
 * The version of Open vSwitch whose commands, database schema and answers Weft follows. Scripts and agents look for it
 * (the column `ovs_version`, `ovs-vsctl --version`, `ovs-appctl version`) to know what they may use; Weft's own version
 * stands beside it where people read.
 */
export const OVS_VERSION = '3.1.0';
