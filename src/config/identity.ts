/** Addresses that Weft gives by itself. They follow from the row's uuid, so they are the same after every restart. */
import { parseDpid, parseMacAddress } from '../domain/index.js';
import type { Dpid, MacAddress } from '../domain/index.js';

/** A unicast, locally administered address (IEEE 802 §8.2.2). */
export function macFromUuid(uuid: string): MacAddress {
  const digits = uuid.replaceAll('-', '').slice(-10).match(/../g) ?? [];
  return parseMacAddress(['02', ...digits].join(':')) ?? unreachable(uuid);
}

/** As in Open vSwitch: sixteen zero bits and the bridge's address. */
export function dpidFromMac(mac: MacAddress): Dpid {
  return parseDpid(mac.replaceAll(':', '')) ?? unreachable(mac);
}

function unreachable(text: string): never {
  throw new TypeError(`"${text}" is no identity`);
}
