/** The control channel of weft-datapath: JSON-RPC 2.0, one object a line (ARCHITECTURE.md, "Control channel"). */
import type { InterfaceType } from '../domain/index.js';

export interface BridgeParams {
  readonly name: string;
  /** 16 hex digits. */
  readonly datapathId: string;
  readonly failMode: 'standalone' | 'secure';
  /** Active connections: `tcp:…`, `ssl:…`, `unix:…`. */
  readonly controllers: readonly string[];
  /** Passive ones: `ptcp:…`, `pssl:…`, `punix:…`. */
  readonly listeners: readonly string[];
  /** First table of the bridge's program. */
  readonly programTable: number | null;
  readonly description?: string;
  /** How full tables before the program's may get, where that is not as usual. */
  readonly flowTables?: readonly {
    readonly id: number;
    readonly flowLimit?: number;
    readonly overflowPolicy?: 'refuse' | 'evict';
  }[];
}

export interface PortParams {
  readonly bridge: string;
  readonly name: string;
  readonly type: InterfaceType;
  /** Name of a patch port's other end. */
  readonly peer?: string;
  readonly ofport?: number;
  readonly mac?: string;
  readonly mtu?: number;
  /** Queues at its egress; rates in bit/s, bursts in bits. */
  readonly qos?: {
    readonly maxRate?: number;
    readonly queues: readonly {
      readonly id: number;
      readonly minRate?: number;
      readonly maxRate?: number;
      readonly burst?: number;
      readonly priority?: number;
    }[];
  };
  /** Limit of what it may send into the switch. */
  readonly policing?: { readonly rateKbps: number; readonly burstKbits: number };
}

export interface PortInfo {
  readonly name: string;
  readonly type: InterfaceType;
  readonly ofport: number;
  readonly ifindex: number | null;
  readonly mac: string | null;
  readonly mtu: number | null;
  readonly adminUp: boolean;
  readonly linkUp: boolean;
  readonly speedMbps: number | null;
  /** Whether the network device exists. */
  readonly present: boolean;
  readonly error?: string | null;
}

export interface ControllerInfo {
  readonly target: string;
  readonly connected: boolean;
  readonly role: string | null;
  readonly lastError: string | null;
}

export interface BridgeInfo {
  readonly name: string;
  readonly datapathId: string;
  readonly flows?: number;
  readonly controllers?: readonly ControllerInfo[];
}

/** Counters of a port: of the device, and the frames received there that the tables dropped. */
export interface PortCounters {
  readonly name: string;
  readonly ofport: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxDropped: number;
  readonly txDropped: number;
  readonly rxErrors: number;
  readonly txErrors: number;
  readonly drops: Readonly<Record<string, number>>;
}

/** The last frame received on a port that was dropped for a reason. */
export interface DroppedFrame {
  readonly port: string;
  readonly ofport: number;
  readonly reason: string;
  /** Hexadecimal, the first 128 bytes at most. */
  readonly frame: string;
  /** Bytes of the whole frame. */
  readonly length: number;
  readonly agoMs: number;
}

/** What happened to a frame on its way, in order. Hexadecimal: structures of OpenFlow 1.3. */
export type DatapathStep = { readonly depth: number } & (
  | { readonly kind: 'match'; readonly tableId: number; readonly masks: number; readonly flow: string }
  | { readonly kind: 'miss'; readonly tableId: number; readonly masks: number }
  | { readonly kind: 'action'; readonly action: string }
  | { readonly kind: 'actionSet' }
  | { readonly kind: 'bucket'; readonly groupId: number; readonly bucket: number }
  | { readonly kind: 'meter'; readonly meterId: number }
  | { readonly kind: 'output'; readonly portNo: number }
  | { readonly kind: 'blocked'; readonly portNo: number; readonly reason: string }
  | { readonly kind: 'controller'; readonly reason: string; readonly maxLen: number }
  | { readonly kind: 'drop'; readonly reason: string }
);

export interface DatapathTrace {
  readonly steps: readonly DatapathStep[];
  /** Fields that the outcome depends on. */
  readonly mask: readonly string[];
  readonly maskBits: number;
  readonly drop: string | null;
  readonly cacheable: boolean;
  /** A word for why the kernel would not forward frames like it; null: it would. */
  readonly whyNot?: string | null;
  readonly outputs: readonly { readonly portNo: number; readonly queueId: number | null; readonly frame: string }[];
  readonly packetIns: readonly {
    readonly reason: string;
    readonly maxLen: number;
    /** For the bridge program, not for users' controllers. */
    readonly program: boolean;
    readonly frame: string;
  }[];
}

/** A translation that the datapath keeps (a megaflow): what its packets agree on, and what is done with them. */
export interface CachedFlow {
  /** `field=value` or `field=value/mask` in hexadecimal, by OXM's names. */
  readonly match: readonly string[];
  /** In the words of ovs-actions(7), ports as numbers. */
  readonly actions: readonly string[];
  /** Why they are dropped. */
  readonly drop: string | null;
  readonly packets: number;
  readonly bytes: number;
  readonly usedMsAgo: number | null;
  readonly inKernel: boolean;
  /** A word for why the kernel has it not. */
  readonly whyNot: string | null;
}

/** The cache of a bridge's translations. Of frames, those hit or missed it since the bridge was made. */
export interface BridgeCache {
  readonly name: string;
  readonly flows: number;
  readonly kernelFlows: number;
  readonly masks: number;
  /** In user space. */
  readonly hits: number;
  readonly kernelHits: number;
  readonly misses: number;
  readonly evictions: number;
  /** Flows of one packet that were not kept. Absent: a datapath of before this was told. */
  readonly turnedAway?: number;
  /** Flows that are not in the kernel, by reason. Absent, like `punts`: a datapath of before this was told. */
  readonly refused?: Readonly<Record<string, number>>;
  /** Frames that the kernel has sent to user space, by port; of ports that it has. */
  readonly punts?: readonly {
    readonly port: string;
    readonly ofport: number;
    readonly sent: number;
    /** Lost, as too many were on their way. */
    readonly dropped: number;
    readonly waiting: number;
  }[];
}

export interface FastPathInfo {
  readonly active: boolean;
  /** How the program gets onto devices. */
  readonly hooking?: 'tcx' | 'clsact';
  /** Why it is not. */
  readonly whyNot?: string | null;
  readonly bridges: readonly BridgeCache[];
  /** What follows is there while it is active: of all bridges together. */
  readonly flows?: number;
  readonly masks?: number;
  readonly limits?: { readonly flows: number; readonly masks: number };
  readonly ports?: number;
  /** What the program has counted, by name. */
  readonly statistics?: Readonly<Record<string, number>>;
  /** How often a translation was not taken over, by reason. */
  readonly refused?: Readonly<Record<string, number>>;
  /** Frames lost between kernel and user space. */
  readonly puntsLost?: number;
  /** What frames without a known flow may take of a processor, in thousandths. */
  readonly puntShare?: number;
  /** Frames that ended where they came in while that was less than all of one. */
  readonly puntsRefused?: number;
}

export interface VersionInfo {
  readonly name: string;
  readonly version: string;
  readonly api: number;
  readonly pid: number;
  readonly startedAtMs: number;
  /** Who forwards known flows. */
  readonly forwarding: 'kernel' | 'user-space';
  /** Why it is not the kernel. */
  readonly whyUserSpace?: string | null;
}

export interface PortChanged {
  readonly bridge: string;
  readonly port: PortInfo;
  readonly change: 'added' | 'modified' | 'removed';
}

/** The version of this protocol that weftd speaks. */
export const API_VERSION = 1;

export interface Methods {
  version: { params: Record<string, never>; result: VersionInfo };
  'bridge.ensure': { params: BridgeParams; result: { name: string; datapathId: string; created: boolean } };
  'bridge.remove': { params: { name: string }; result: { removed: boolean } };
  'bridge.list': { params: Record<string, never>; result: BridgeInfo[] };
  'port.ensure': { params: PortParams; result: PortInfo };
  'port.remove': { params: { bridge: string; name: string }; result: { removed: boolean } };
  'port.list': { params: { bridge: string }; result: PortInfo[] };
  'port.stats': { params: { bridge: string }; result: PortCounters[] };
  drops: { params: { bridge: string }; result: Record<string, number> };
  'drops.last': { params: { bridge: string }; result: DroppedFrame[] };
  trace: { params: { bridge: string; inPort: number; frame: string }; result: DatapathTrace };
  /** Of one bridge, or of all. */
  'fastpath.show': { params: { bridge?: string }; result: FastPathInfo };
  /** Those used most, first; all that is given has to fit. */
  'fastpath.flows': {
    params: { bridge: string; limit?: number; inPort?: number; inKernel?: boolean; whyNot?: string };
    result: CachedFlow[];
  };
  'events.subscribe': { params: Record<string, never>; result: object };
  /** Stands for these programs: holds the pid files by which their tools find them. */
  'pidfile.hold': { params: { programs: readonly string[] }; result: { pid: number } };
  /** What it logs from now on. */
  'log.level': {
    params: { level: 'off' | 'error' | 'warn' | 'info' | 'debug' | 'trace' };
    result: object;
  };
  shutdown: { params: { keepInterfaces?: boolean }; result: object };
}
