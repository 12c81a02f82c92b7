/**
 * What a VLAN-aware bridge must do with a frame, written down from the description of port modes in
 * ovs-vswitchd.conf.db(5) ("VLAN Configuration") and IEEE 802.1Q §6.9, independently of the programs under test
 * and of test/model/vlan-oracle.ts, on purpose: two authors read the text, and neither copied the other's mistake.
 */

export interface Tag {
  tpid: number;
  vid: number;
  pcp: number;
}

export interface PortSetup {
  name: string;
  vlanMode: 'access' | 'trunk' | 'native-tagged' | 'native-untagged' | 'dot1q-tunnel';
  tag?: number;
  /** Empty or absent: all. */
  trunks?: number[];
  cvlans?: number[];
  priorityTags?: 'never' | 'if-nonzero' | 'always';
}

/** A frame inside the bridge: the VLAN it belongs to, the priority, the outer TPID if it came tagged, inner tags. */
interface Inside {
  vlan: number;
  pcp: number;
  tpid: number;
  inner: Tag[];
}

const cTag = 0x8100;
const sTag = 0x88a8;

function carries(port: PortSetup, vlan: number): boolean {
  if (port.vlanMode === 'access' || port.vlanMode === 'dot1q-tunnel') return vlan === port.tag;
  // An untagged frame is always in the native VLAN there: VLAN 0 does not exist on such ports.
  if (port.vlanMode !== 'trunk' && vlan === 0) return false;
  if (!port.trunks?.length) return true;
  return port.trunks.includes(vlan) || (port.vlanMode !== 'trunk' && vlan === port.tag);
}

/** Customer VLAN 0 is that of frames without a customer tag. */
function takesCustomer(tunnel: PortSetup, customer: Tag | undefined): boolean {
  return !tunnel.cvlans?.length || tunnel.cvlans.includes(customer?.vid ?? 0);
}

/** The frame as classified at its ingress port, or null if the port refuses it. */
function admit(port: PortSetup, tags: Tag[]): Inside | null {
  const [outer, ...inner] = tags;
  switch (port.vlanMode) {
    case 'access':
      if (outer && outer.vid !== 0) return null;
      return { vlan: port.tag!, pcp: outer?.pcp ?? 0, tpid: cTag, inner };
    case 'dot1q-tunnel':
      if (!takesCustomer(port, outer)) return null;
      return { vlan: port.tag!, pcp: 0, tpid: sTag, inner: tags };
    default: {
      const native = port.vlanMode === 'trunk' ? 0 : port.tag!;
      const vlan = outer && outer.vid !== 0 ? outer.vid : native;
      return carries(port, vlan) ? { vlan, pcp: outer?.pcp ?? 0, tpid: outer?.tpid ?? cTag, inner } : null;
    }
  }
}

/** The tags with which a frame that enters `ingress` with `tags` leaves `egress`, or null if it must not. */
export function forwardTags(ingress: PortSetup, tags: Tag[], egress: PortSetup): Tag[] | null {
  const inside = admit(ingress, tags);
  if (!inside || !carries(egress, inside.vlan)) return null;
  if (egress.vlanMode === 'dot1q-tunnel') {
    return takesCustomer(egress, inside.inner[0]) ? inside.inner : null;
  }
  const hidden =
    egress.vlanMode === 'access' ||
    (egress.vlanMode === 'native-untagged' && inside.vlan === egress.tag) ||
    inside.vlan === 0;
  if (!hidden) return [{ tpid: inside.tpid, vid: inside.vlan, pcp: inside.pcp }, ...inside.inner];
  const mode = egress.priorityTags ?? 'never';
  const keep = mode === 'always' || (mode === 'if-nonzero' && inside.pcp !== 0);
  return keep ? [{ tpid: inside.tpid, vid: 0, pcp: inside.pcp }, ...inside.inner] : inside.inner;
}
