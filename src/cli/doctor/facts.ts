/** What `weft doctor` looks at, as plain values, so that the checks are pure. facts are gathered in gather.ts. */

/** A network device of this host. */
export interface Device {
  readonly name: string;
  readonly mtu: number;
  readonly isUp: boolean;
  /** A tap that outlives whoever made it. */
  readonly isPersistentTap: boolean;
  /** `ip link`'s alias; Weft writes "internal port of BRIDGE" there. */
  readonly alias: string;
  /** The device that it is enslaved to, and what that is. */
  readonly master: { readonly name: string; readonly kind: 'bridge' | 'openvswitch' | 'other' } | null;
  /** IP addresses but link-local ones. */
  readonly addresses: readonly string[];
  /** Features that are on, in ethtool's words; null: ethtool does not say. */
  readonly features: readonly string[] | null;
  /** A traffic-control filter of Weft's hangs at its ingress (kernels before 6.6). */
  readonly hasShieldFilter: boolean;
}

/** A port of a bridge of Weft's. */
export interface AttachedPort {
  readonly bridge: string;
  readonly name: string;
  readonly type: string;
  readonly error: string | null;
}

export interface Process {
  readonly pid: number;
  /** Its name; null: it is dead. */
  readonly name: string | null;
  /** Effective capabilities as a mask; null: unknown. */
  readonly capabilities: bigint | null;
}

export interface Facts {
  readonly platform: string;
  /** `6.1.0-18-amd64` */
  readonly kernel: string;
  /** CONFIG_… → y, m; null where the kernel does not tell. */
  readonly kernelConfig: ReadonlyMap<string, string> | null;
  readonly hasTcx: boolean | null;
  readonly hasPacketSockets: boolean;
  readonly tun: 'ok' | 'missing' | 'denied';
  readonly isBpfFsMounted: boolean;
  readonly isBpfJitOn: boolean | null;
  /** Of this process. */
  readonly capabilities: bigint | null;
  readonly modules: ReadonlySet<string>;
  readonly rundir: string;
  /** From the pid files of the run directory, by file without `.pid`. */
  readonly processes: ReadonlyMap<string, Process>;
  /** Sockets in the run directory where nobody listens. */
  readonly deadSockets: readonly string[];
  readonly devices: readonly Device[];
  /** null: neither weftd nor weft-datapath could be asked. */
  readonly ports: readonly AttachedPort[] | null;
  /** null: the kernel does not forward, or nobody could be asked. */
  readonly firstPackets: FirstPackets | null;
  readonly weftd: Weftd | { readonly unreachable: string };
}

/** What frames get that the kernel has no flow for. */
export interface FirstPackets {
  /** The part of one processor; null: no limit. */
  readonly processorShare: number | null;
  /** Frames refused while there was a limit. */
  readonly refused: number;
}

export interface Weftd {
  readonly address: string;
  readonly version: string;
  readonly status: 'ok' | 'degraded' | 'failed';
  readonly troubles: readonly string[];
  /** Settings without effect. */
  readonly warnings: number;
}
