/** Mirrors (ovs-vswitchd.conf.db(5), "Mirror" table) of a bridge. */
import { VlanSet, type LogicalPort, type Mirror } from '../domain/index.js';
import type { Database, Row } from '../ovsdb/index.js';
import type { Report } from './addresses.js';
import { flagOf, numberOf, numbersOf, textOf, textsOf } from './fields.js';

/** A mirror that has no output, or whose output is no port of this bridge, is reported and left out. */
export function readMirrors(
  database: Database,
  bridge: Row,
  ports: readonly LogicalPort[],
  fault: Report,
): Mirror[] {
  const names = new Map(ports.map(({ uuid, name }) => [uuid, name]));
  const mirrors = textsOf(bridge, 'mirrors').flatMap((uuid): Mirror[] => {
    const row = database.row('Mirror', uuid);
    if (row === undefined) return [];
    const name = textOf(row, 'name') ?? '';
    const portsIn = (column: string): string[] => {
      const uuids = textsOf(row, column);
      const found = uuids.flatMap((each) => names.get(each) ?? []);
      if (found.length < uuids.length)
        fault('mirrors', `mirror ${name}: ${column} has ports that are not of this bridge`);
      return found.sort();
    };
    const [outputPort] = textsOf(row, 'output_port');
    const outputVlan = numberOf(row, 'output_vlan');
    if (outputPort !== undefined && outputVlan !== undefined)
      fault('mirrors', `mirror ${name} has an output_port and an output_vlan: the port counts`);
    let output: Mirror['output'];
    if (outputPort !== undefined) {
      const port = names.get(outputPort);
      if (port === undefined) {
        fault('mirrors', `mirror ${name}: its output_port is not of this bridge`);
        return [];
      }
      output = { kind: 'port', port };
    } else if (outputVlan !== undefined) {
      output = { kind: 'vlan', vlan: outputVlan };
    } else {
      fault('mirrors', `mirror ${name} has no output_port and no output_vlan`);
      return [];
    }
    const vlans = numbersOf(row, 'select_vlan');
    return [
      {
        name,
        uuid,
        selectAll: flagOf(row, 'select_all'),
        sourcePorts: portsIn('select_src_port'),
        destinationPorts: portsIn('select_dst_port'),
        vlans: vlans.length > 0 ? VlanSet.of(vlans) : null,
        output,
        snaplen: numberOf(row, 'snaplen') ?? null,
      },
    ];
  });
  return mirrors.sort((a, b) => (a.name < b.name ? -1 : 1));
}
