/** What tells the network, after a failover, by which way the stations behind this bridge are reached now. */
import { macAddressBytes, type Bridge, type MacAddress } from '../../../domain/index.js';
import type { PacketOut } from '../../program.js';
import { ownAddresses } from '../learning.js';
import type { MacEntry } from '../mac-table.js';
import { loadOut } from '../metadata.js';
import { portViews } from '../ports.js';

const ETHERTYPE_RARP = 0x8035;
const REQUEST_REVERSE = 3;
const FRAME_BYTES = 64;
/** No more than so many at once: a failover is no time for a storm. */
const MAX_ANNOUNCEMENTS = 8192;

/**
 * A frame from each station that is not behind the bond itself, in its VLAN, by the way that its frames take: as Open
 * vSwitch a reverse ARP request (RFC 903), which nobody answers and every switch learns from.
 */
export function announcements(bridge: Bridge, name: string, learned: Iterable<MacEntry>): PacketOut[] {
  const views = portViews(bridge);
  const bond = views.find((view) => view.port.name === name);
  if (bond === undefined) return [];
  const stations: { vlan: number; mac: MacAddress }[] = ownAddresses(views)
    .filter(({ view }) => view.id !== bond.id)
    .map(({ mac, view }) => ({ mac, vlan: view.port.tag ?? 0 }));
  for (const { vlan, mac, port } of learned) {
    if (stations.length >= MAX_ANNOUNCEMENTS) break;
    if (port !== bond.id) stations.push({ vlan, mac });
  }
  return stations
    .filter(({ vlan }) => bond.carried.has(vlan))
    .map(({ vlan, mac }) => ({
      actions: [loadOut(bond.id), { type: 'RESUBMIT', table: 'egress' }],
      data: announcement(vlan, mac),
    }));
}

/** Tagged, as every frame within the bridge. */
function announcement(vlan: number, mac: MacAddress): Uint8Array {
  const frame = new Uint8Array(FRAME_BYTES);
  const view = new DataView(frame.buffer);
  const station = macAddressBytes(mac);
  frame.fill(0xff, 0, 6);
  frame.set(station, 6);
  view.setUint16(12, 0x8100);
  view.setUint16(14, vlan);
  view.setUint16(16, ETHERTYPE_RARP);
  // Ethernet and IPv4, lengths of their addresses, the question; the sender's and the target's Ethernet address.
  view.setUint16(18, 1);
  view.setUint16(20, 0x0800);
  frame.set([6, 4], 22);
  view.setUint16(24, REQUEST_REVERSE);
  frame.set(station, 26);
  frame.set(station, 36);
  return frame;
}
