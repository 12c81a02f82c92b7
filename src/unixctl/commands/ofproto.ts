/** `ofproto/…`, `dpif/…`: bridges and their ports. */
import type { Bridge } from '../../domain/index.js';
import { command } from '../command.js';
import type { Command } from '../command.js';
import type { SwitchView } from '../view.js';

export interface DatapathFacts {
  /** Whose datapath: `system@ovs-system` with Open vSwitch. */
  readonly name: string;
  /** Frames that the cached path took, and those that it did not know. */
  readonly hit: number;
  readonly missed: number;
}

export function ofprotoCommands(view: SwitchView, facts: () => DatapathFacts): Command[] {
  return [
    command('ofproto/list', '', [0, 0], () =>
      view
        .bridges()
        .map(({ name }) => `${name}\n`)
        .sort()
        .join(''),
    ),
    command('dpif/show', '', [0, 0], () => {
      const { name, hit, missed } = facts();
      const bridges = [...view.bridges()].sort((a, b) => (a.name < b.name ? -1 : 1));
      return `${name}: hit:${hit} missed:${missed}\n${bridges.map(bridgeText).join('')}`;
    }),
    command('dpif/dump-dps', '', [0, 0], () => `${facts().name}\n`),
  ];
}

/** `NAME OPENFLOW-PORT/DATAPATH-PORT: (TYPE)`; ours are one number. */
function bridgeText(bridge: Bridge): string {
  const ports = bridge.ports
    .flatMap(({ interfaces }) => interfaces)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, ofport, type }) => {
      const number = ofport === 0xfffffffe ? 65534 : (ofport ?? -1);
      return `    ${name} ${number}/${number}: (${type})\n`;
    });
  return `  ${bridge.name}:\n${ports.join('')}`;
}
