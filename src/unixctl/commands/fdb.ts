/** `fdb/…`: the MAC tables of bridges. */
import { parseMacAddress } from '../../domain/index.js';
import type { Bridge, MacAddress, PortNumber } from '../../domain/index.js';
import { LOCAL_PORT } from '../../domain/index.js';
import type { FdbEntry } from '../../switches/driver.js';
import { CommandError, command } from '../command.js';
import type { Command } from '../command.js';
import { bridgeOf, driverOf } from '../view.js';
import type { SwitchView } from '../view.js';

/** Static entries live in the configuration. */
export interface StaticEntries {
  add(bridge: string, entry: { vlan: number; mac: MacAddress; port: string }): Promise<void>;
  remove(bridge: string, entry: { vlan: number; mac: MacAddress }): Promise<void>;
}

export function fdbCommands(view: SwitchView, statics: StaticEntries): Command[] {
  const drivers = (args: readonly string[]) =>
    (args.length > 0 ? args : view.bridges().map(({ name }) => name)).map((name) => driverOf(view, name));
  return [
    command('fdb/show', 'bridge', [1, 1], ([name = '']) =>
      fdbTable(bridgeOf(view, name), driverOf(view, name).fdb()),
    ),
    command('fdb/flush', '[bridge]', [0, 1], (args) => {
      for (const driver of drivers(args)) driver.flushFdb();
      return 'table successfully flushed';
    }),
    command('fdb/stats-show', 'bridge', [1, 1], ([name = '']) => {
      const bridge = bridgeOf(view, name);
      const driver = driverOf(view, name);
      return fdbStatistics(bridge, driver.fdb(), driver.status().learning);
    }),
    command('fdb/stats-clear', '[bridge]', [0, 1], (args) => {
      for (const driver of drivers(args)) driver.clearFdbCounters();
      return 'statistics successfully cleared';
    }),
    command(
      'fdb/add',
      'bridge port vlan mac',
      [4, 4],
      async ([name = '', port = '', vlan = '', mac = '']) => {
        const bridge = bridgeOf(view, name);
        if (!bridge.ports.some((each) => each.name === port)) throw new CommandError('no such port');
        await statics.add(name, { ...entryOf(vlan, mac), port });
        return '';
      },
    ),
    command('fdb/del', 'bridge vlan mac', [3, 3], async ([name = '', vlan = '', mac = '']) => {
      bridgeOf(view, name);
      await statics.remove(name, entryOf(vlan, mac));
      return '';
    }),
  ];
}

function entryOf(vlanText: string, macText: string): { vlan: number; mac: MacAddress } {
  const vlan = Number(vlanText);
  if (!/^\d{1,4}$/.test(vlanText) || vlan > 4095) throw new CommandError('Invalid vlan');
  const mac = parseMacAddress(macText);
  if (!mac) throw new CommandError('bad MAC address');
  return { vlan, mac };
}

/** Learned entries, longest silent first, then those that stay. */
export function fdbTable(bridge: Bridge, entries: readonly FdbEntry[]): string {
  const numbers = new Map(bridge.ports.map(({ name, interfaces }) => [name, interfaces[0]?.ofport ?? null]));
  const rows = [...entries]
    .sort((a, b) => (b.ageS ?? -1) - (a.ageS ?? -1) || a.vlan - b.vlan || (a.mac < b.mac ? -1 : 1))
    .map(({ vlan, mac, port, ageS }) => {
      const age = ageS === null ? 'static' : String(ageS).padStart(3);
      return `${portText(numbers.get(port) ?? null).padStart(5)}  ${String(vlan).padStart(4)}  ${mac}  ${age}\n`;
    });
  return ` port  VLAN  MAC                Age\n${rows.join('')}`;
}

/** As ofputil_port_to_string writes it. */
export function portText(ofport: PortNumber | null): string {
  if (ofport === LOCAL_PORT) return 'LOCAL';
  return ofport === null ? '?' : String(ofport);
}

interface Learning {
  readonly learned: number;
  readonly moved: number;
  readonly aged: number;
  readonly evicted: number;
}

function fdbStatistics(bridge: Bridge, entries: readonly FdbEntry[], learning: Learning): string {
  const statics = entries.filter(({ kind }) => kind === 'static').length;
  const learned = entries.filter(({ kind }) => kind === 'learned').length;
  return [
    `Statistics for bridge "${bridge.name}":`,
    `  Current/maximum MAC entries in the table: ${learned + statics}/${bridge.macTableSize}`,
    `  Current static MAC entries in the table : ${statics}`,
    `  Total number of learned MAC entries     : ${learning.learned}`,
    `  Total number of expired MAC entries     : ${learning.aged}`,
    `  Total number of evicted MAC entries     : ${learning.evicted}`,
    `  Total number of port moved MAC entries  : ${learning.moved}`,
    '',
  ].join('\n');
}
