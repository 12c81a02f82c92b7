/** OpenFlow numbers and addresses of the configured interfaces, as the switch has them. */
import type { Bridge, Interface, PortNumber } from '../domain/index.js';
import type { SwitchPort } from './driver.js';

/**
 * The bridge with each interface's number (and, for internal ones, address) as the switch described it. On a
 * foreign switch an interface that it does not have has no number; on our own the datapath may have reserved
 * one for a device that is yet to come.
 */
export function resolvePorts(
  bridge: Bridge,
  ports: ReadonlyMap<PortNumber, SwitchPort>,
  isForeign: boolean,
): Bridge {
  const byName = new Map([...ports.values()].map((port) => [port.name, port]));
  const resolve = (given: Interface): Interface => {
    const found = byName.get(given.name);
    if (found === undefined) return isForeign ? { ...given, ofport: null } : given;
    const mac = given.type === 'internal' ? found.mac : given.mac;
    return given.ofport === found.ofport && given.mac === mac
      ? given
      : { ...given, ofport: found.ofport, mac };
  };
  return {
    ...bridge,
    ports: bridge.ports.map((port) => {
      const interfaces = port.interfaces.map(resolve);
      // The same object where nothing changed: unchanged ports are then told by identity.
      return sameInterfaces(interfaces, port.interfaces) ? port : { ...port, interfaces };
    }),
  };
}

function sameInterfaces(a: readonly Interface[], b: readonly Interface[]): boolean {
  return a.length === b.length && a.every((it, i) => it.ofport === b[i]?.ofport && it.mac === b[i]?.mac);
}

/** Whether both have the same interfaces with the same numbers and addresses. */
export function samePorts(a: Bridge, b: Bridge): boolean {
  return (
    a.ports.length === b.ports.length &&
    a.ports.every((port, i) => {
      const other = b.ports[i];
      return port === other || (other !== undefined && sameNamed(port.interfaces, other.interfaces));
    })
  );
}

function sameNamed(a: readonly Interface[], b: readonly Interface[]): boolean {
  return sameInterfaces(a, b) && a.every((it, i) => it.name === b[i]?.name);
}
