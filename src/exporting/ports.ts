/** Which interface an OpenFlow port is, also shortly after it is gone: its last flows are told of then. */
import type { PortNumber } from '../domain/index.js';

export interface PortIdentity {
  readonly name: string;
  /** Null: the device does not exist, or it is another machine's. */
  readonly ifIndex: number | null;
}

/** OFPP_MAX (OF 1.3.5 §7.2.1): ports beyond are none of the switch's own, but for the local one. */
const MAX_PORT = 0xffff_ff00;
const LOCAL_PORT = 0xffff_fffe;
/** OFPP_LOCAL in OpenFlow 1.0's 16 bits, as in Open vSwitch's exports. */
const LOCAL_PORT_16 = 65_534;

export class PortIdentities {
  readonly #known = new Map<PortNumber, PortIdentity>();

  /** Takes what there is now; what was there and is not stays known until its number is somebody else's. */
  update(ports: Iterable<readonly [PortNumber, PortIdentity]>): void {
    for (const [port, identity] of ports) {
      const before = this.#known.get(port);
      // A device that is gone has no ifIndex any more.
      const ifIndex = identity.ifIndex ?? (before?.name === identity.name ? before.ifIndex : null);
      this.#known.set(port, { ...identity, ifIndex });
    }
  }

  nameOf(port: PortNumber): string | null {
    return this.#known.get(port)?.name ?? null;
  }

  /** 0: not known, or no port. */
  ifIndexOf(port: PortNumber): number {
    return this.#known.get(port)?.ifIndex ?? 0;
  }

  /** As Open vSwitch's NetFlow has it. 0: no port. */
  openFlowNumberOf(port: PortNumber): number {
    if (port === LOCAL_PORT) return LOCAL_PORT_16;
    return port > MAX_PORT ? 0 : port;
  }
}
