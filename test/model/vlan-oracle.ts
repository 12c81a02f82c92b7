/**
 * What ovs-vswitchd.conf.db(5), "VLAN Configuration", says happens to a frame: written from its text, one VLAN at
 * a time, with nothing of the bridge program in it. Where the text leaves a choice:
 *
 * - Only the outermost tag is looked at (`vlan-limit` 1, the default). What is below it is payload, which an
 *   access port sends as it is.
 * - VLAN 0 does not leave by native ports with another native VLAN: "all frames output to native-tagged ports
 *   have a nonzero VLAN ID", and on native-untagged ones the frame would change its VLAN.
 * - `priority-tags` says nothing about dot1q-tunnels, whose customers' tags are theirs.
 */
import type { LogicalPort } from '../../src/domain/index.js';
import type { Tag } from './frame.js';

export interface Classified {
  readonly vlan: number;
  readonly pcp: number;
  readonly tpid: number;
  /** Tags that are payload to the bridge. */
  readonly inner: readonly Required<Tag>[];
}

/** The VLAN a frame is in when it enters by `port`, or null: dropped. */
export function classify(port: LogicalPort, tags: readonly Required<Tag>[]): Classified | null {
  const [outer, ...below] = tags;
  const vid = outer?.vid ?? 0;
  const own = port.tag ?? 0;
  const asTagged = { pcp: outer?.pcp ?? 0, tpid: outer?.tpid ?? 0x8100, inner: below };
  switch (port.vlanMode) {
    case 'access':
      return vid === 0 ? { vlan: own, ...asTagged } : null;
    case 'trunk':
      return port.trunks === null || port.trunks.has(vid) ? { vlan: vid, ...asTagged } : null;
    case 'native-tagged':
    case 'native-untagged':
      if (vid === 0) return { vlan: own, ...asTagged };
      return port.trunks === null || port.trunks.has(vid) || vid === own ? { vlan: vid, ...asTagged } : null;
    case 'dot1q-tunnel':
      if (port.cvlans !== null && !port.cvlans.has(vid)) return null;
      return { vlan: own, pcp: 0, tpid: port.qinqEthertype, inner: tags };
  }
}

/** The tags of the frame as it leaves by `port`, or null: it does not. */
export function emit(
  port: LogicalPort,
  { vlan, pcp, tpid, inner }: Classified,
): readonly Required<Tag>[] | null {
  const own = port.tag ?? 0;
  const header = { tpid, vid: vlan, pcp };
  const withoutVid = (): readonly Required<Tag>[] => {
    const keeps = port.priorityTags === 'always' || (port.priorityTags === 'if-nonzero' && pcp !== 0);
    return keeps ? [{ ...header, vid: 0 }, ...inner] : inner;
  };
  const isListed = port.trunks === null || port.trunks.has(vlan);
  switch (port.vlanMode) {
    case 'access':
      return vlan === own ? withoutVid() : null;
    case 'trunk':
      if (!isListed) return null;
      return vlan === 0 ? withoutVid() : [header, ...inner];
    case 'native-tagged':
      if (vlan === own) return vlan === 0 ? withoutVid() : [header, ...inner];
      return isListed && vlan !== 0 ? [header, ...inner] : null;
    case 'native-untagged':
      if (vlan === own) return withoutVid();
      return isListed && vlan !== 0 ? [header, ...inner] : null;
    case 'dot1q-tunnel': {
      const customer = inner[0]?.vid ?? 0;
      return vlan === own && (port.cvlans === null || port.cvlans.has(customer)) ? inner : null;
    }
  }
}

/** By which ports, and with which tags, a frame leaves that entered by `from` and is flooded. */
export function floodedTo(
  ports: readonly LogicalPort[],
  from: LogicalPort,
  tags: readonly Required<Tag>[],
): Map<string, readonly Required<Tag>[]> {
  const result = new Map<string, readonly Required<Tag>[]>();
  const classified = classify(from, tags);
  if (classified === null) return result;
  for (const port of ports) {
    if (port === from || (port.protected && from.protected)) continue;
    const emitted = emit(port, classified);
    if (emitted !== null) result.set(port.name, emitted);
  }
  return result;
}
