/** Reserved numbers of OF 1.3.5 §7.2 and the name tables that several messages share. */

import { enumeration, flags } from '../codec/numbers.js';

/** Wire version of OpenFlow 1.3. */
export const VERSION = 0x04;

/** `ofp_port_no` (§7.2.1). */
export const Port = {
  /** Highest number of a real port. */
  MAX: 0xffff_ff00,
  IN_PORT: 0xffff_fff8,
  TABLE: 0xffff_fff9,
  NORMAL: 0xffff_fffa,
  FLOOD: 0xffff_fffb,
  ALL: 0xffff_fffc,
  CONTROLLER: 0xffff_fffd,
  LOCAL: 0xffff_fffe,
  ANY: 0xffff_ffff,
} as const;

/** `ofp_group` (§7.3.4.2). */
export const Group = { MAX: 0xffff_ff00, ALL: 0xffff_fffc, ANY: 0xffff_ffff } as const;

/** `ofp_table` (§7.3.4). */
export const Table = { MAX: 0xfe, ALL: 0xff } as const;

/** `ofp_meter` (§7.3.4.4). */
export const Meter = {
  MAX: 0xffff_0000,
  SLOWPATH: 0xffff_fffd,
  CONTROLLER: 0xffff_fffe,
  ALL: 0xffff_ffff,
} as const;

/** `OFPQ_ALL` (§7.3.5.8). */
export const Queue = { ALL: 0xffff_ffff } as const;

/** `OFP_NO_BUFFER`: the packet is not buffered at the switch. */
export const NO_BUFFER = 0xffff_ffff;

/** `OFPCML_NO_BUFFER`: send the whole packet to the controller and do not buffer it. */
export const MAX_LENGTH_NO_BUFFER = 0xffff;

/** Bits of `vlan_vid` (§7.2.3.8). */
export const VlanVid = { PRESENT: 0x1000, NONE: 0 } as const;

export const FlowModFlags = flags('FlowModFlags', 16, {
  SEND_FLOW_REM: 1,
  CHECK_OVERLAP: 2,
  RESET_COUNTS: 4,
  NO_PKT_COUNTS: 8,
  NO_BYT_COUNTS: 16,
});

export const GroupType = enumeration('GroupType', 8, { ALL: 0, SELECT: 1, INDIRECT: 2, FF: 3 });

export const MeterFlags = flags('MeterFlags', 16, { KBPS: 1, PKTPS: 2, BURST: 4, STATS: 8 });

export const TableConfig = flags('TableConfig', 32, { DEPRECATED_1: 1, DEPRECATED_2: 2 });

export const ControllerRole = enumeration('ControllerRole', 32, {
  NOCHANGE: 0,
  EQUAL: 1,
  MASTER: 2,
  SLAVE: 3,
});

export const PacketInReason = enumeration('PacketInReason', 8, { NO_MATCH: 0, ACTION: 1, INVALID_TTL: 2 });

export const FlowRemovedReason = enumeration('FlowRemovedReason', 8, {
  IDLE_TIMEOUT: 0,
  HARD_TIMEOUT: 1,
  DELETE: 2,
  GROUP_DELETE: 3,
  METER_DELETE: 4,
  EVICTION: 5,
});

export const PortReason = enumeration('PortReason', 8, { ADD: 0, DELETE: 1, MODIFY: 2 });
