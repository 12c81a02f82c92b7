/** The control channel of weft-datapath: JSON-RPC 2.0, one object a line (ARCHITECTURE.md, "Control channel"). */

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
}

export interface PortParams {
  readonly bridge: string;
  readonly name: string;
  readonly type: 'system' | 'internal';
  readonly ofport?: number;
  readonly mac?: string;
  readonly mtu?: number;
}

export interface PortInfo {
  readonly name: string;
  readonly type: 'system' | 'internal';
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

export interface BridgeInfo {
  readonly name: string;
  readonly datapathId: string;
}

export interface VersionInfo {
  readonly name: string;
  readonly version: string;
  readonly api: number;
  readonly pid: number;
  readonly startedAtMs: number;
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
  'events.subscribe': { params: Record<string, never>; result: object };
}
