/** `bond/…` and `lacp/…`: bonds and what their partners say. */
import { BondError } from '../../programs/index.js';
import type { BondCommand, BondStatus } from '../../programs/index.js';
import { LACP_STATE_BITS } from '../../protocols/index.js';
import type { LacpMemberStatus, LacpParty, LacpStatus } from '../../protocols/index.js';
import { CommandError, command } from '../command.js';
import type { Command } from '../command.js';
import type { SwitchView } from '../view.js';

export function bondCommands(view: SwitchView): Command[] {
  const drivers = () => view.bridges().flatMap(({ name }) => view.driver(name) ?? []);
  const bonds = () => drivers().flatMap((driver) => driver.bonds());
  const entities = () => drivers().flatMap((driver) => driver.lacp());
  const driverOf = (bond: string) => {
    const driver = drivers().find((each) => each.bonds().some(({ name }) => name === bond));
    if (!driver) throw new CommandError('no such bond');
    return driver;
  };
  /** Some of Open vSwitch's commands have an older name too. */
  const order = (
    names: readonly string[],
    usage: string,
    count: number,
    make: (args: readonly string[]) => BondCommand,
    done: string,
  ) =>
    names.map((name) =>
      command(name, usage, [count, count], (args) => {
        try {
          driverOf(args[0] ?? '').commandBond(make(args));
        } catch (error) {
          throw error instanceof BondError ? new CommandError(error.message) : error;
        }
        return done;
      }),
    );
  return [
    command('bond/list', '', [0, 0], () => {
      const rows = bonds().map(
        ({ name, mode, members }) => `${name}\t${mode}\t0\t${members.map((each) => each.name).join(', ')}\n`,
      );
      return `bond\ttype\trecircID\tmembers\n${rows.join('')}`;
    }),
    command('bond/show', '[port]', [0, 1], ([name]) =>
      chosen(bonds(), name, (each) => each.name, 'no such bond')
        .map(bondText)
        .join(''),
    ),
    ...order(
      ['bond/migrate'],
      'port hash member',
      3,
      ([bond = '', hash = '', member = '']) => ({ kind: 'migrate', bond, hash: hashOf(hash), member }),
      'migrated',
    ),
    ...order(
      ['bond/set-active-member', 'bond/set-active-slave'],
      'port member',
      2,
      ([bond = '', member = '']) => ({ kind: 'set-active-member', bond, member }),
      'done',
    ),
    ...order(
      ['bond/enable-member', 'bond/enable-slave'],
      'port member',
      2,
      ([bond = '', member = '']) => ({ kind: 'enable-member', bond, member }),
      'enabled',
    ),
    ...order(
      ['bond/disable-member', 'bond/disable-slave'],
      'port member',
      2,
      ([bond = '', member = '']) => ({ kind: 'disable-member', bond, member }),
      'disabled',
    ),
    command('lacp/show', '[port]', [0, 1], ([name]) =>
      chosen(entities(), name, ({ port }) => port, 'no such lacp object')
        .map(lacpText)
        .join(''),
    ),
    command('lacp/show-stats', '[port]', [0, 1], ([name]) =>
      chosen(entities(), name, ({ port }) => port, 'no such lacp object')
        .map(lacpCounters)
        .join(''),
    ),
  ];
}

function chosen<T>(
  all: readonly T[],
  name: string | undefined,
  nameOf: (each: T) => string,
  missing: string,
): readonly T[] {
  if (name === undefined) return all;
  const found = all.filter((each) => nameOf(each) === name);
  if (found.length === 0) throw new CommandError(missing);
  return found;
}

function hashOf(text: string): number {
  const hash = Number(text);
  if (!/^\d+$/.test(text) || hash > 255) throw new CommandError('bad hash');
  return hash;
}

export function bondText(bond: BondStatus): string {
  const active = bond.members.find(({ isActive }) => isActive);
  const head = [
    `---- ${bond.name} ----`,
    `bond_mode: ${bond.mode}`,
    'bond may use recirculation: no, Recirc-ID : -1',
    `bond-hash-basis: ${bond.hashBasis}`,
    'lb_output action: disabled, bond-id: -1',
    `updelay: ${bond.updelayMs} ms`,
    `downdelay: ${bond.downdelayMs} ms`,
    ...(bond.nextRebalanceMs === null ? [] : [`next rebalance: ${Math.round(bond.nextRebalanceMs)} ms`]),
    `lacp_status: ${bond.lacpStatus}`,
    // Open vSwitch said it so before 1.5; scripts and tutorials of that time look for it.
    `lacp_negotiated: ${bond.lacpStatus === 'negotiated'}`,
    `lacp_fallback_ab: ${bond.lacpFallbackAb}`,
    ...(bond.mode === 'active-backup' ? [`active-backup primary: ${primaryText(bond)}`] : []),
    `active member mac: ${active?.mac ?? '00:00:00:00:00:00'}(${active?.name ?? 'none'})`,
  ];
  const members = bond.members.map((member) =>
    [
      '',
      `member ${member.name}: ${member.isEnabled ? 'enabled' : 'disabled'}`,
      ...(member.isActive ? ['  active member'] : []),
      `  may_enable: ${member.mayEnable}`,
      ...(member.pendingMs === null
        ? []
        : [`  ${member.isEnabled ? 'downdelay' : 'updelay'} expires in ${Math.round(member.pendingMs)} ms`]),
      ...member.hashes
        .filter(({ bytes }) => bytes >= 1024)
        .map(({ hash, bytes }) => `  hash ${hash}: ${Math.floor(bytes / 1024)} kB load`),
    ].join('\n'),
  );
  return `${[...head, ...members].join('\n')}\n\n`;
}

function primaryText({ primary, members }: BondStatus): string {
  if (primary === null) return '<none>';
  return members.some(({ name }) => name === primary) ? primary : `${primary} (no such member)`;
}

function partyText(who: 'actor' | 'partner', party: LacpParty): string[] {
  const state = LACP_STATE_BITS.filter((word) => party.state[word]).join(' ');
  return [
    `  ${who} sys_id: ${party.systemId}`,
    `  ${who} sys_priority: ${party.systemPriority}`,
    `  ${who} port_id: ${party.portId}`,
    `  ${who} port_priority: ${party.portPriority}`,
    `  ${who} key: ${party.key}`,
    `  ${who} state: ${state}`,
  ];
}

function memberText(member: LacpMemberStatus): string[] {
  return [
    '',
    `member: ${member.name}: ${member.receive} ${member.isAttached ? 'attached' : 'detached'}`,
    `  port_id: ${member.actor.portId}`,
    `  port_priority: ${member.actor.portPriority}`,
    `  may_enable: ${member.mayEnable}`,
    '',
    ...partyText('actor', member.actor),
    '',
    ...partyText('partner', member.partner),
  ];
}

export function lacpText(status: LacpStatus): string {
  return [
    `---- ${status.port} ----`,
    `  status: ${status.mode}${status.isNegotiated ? ' negotiated' : ''}`,
    `  sys_id: ${status.systemId}`,
    `  sys_priority: ${status.systemPriority}`,
    `  aggregation key: ${status.aggregationKey}`,
    `  lacp_time: ${status.time}`,
    ...status.members.flatMap(memberText),
    '',
  ].join('\n');
}

export function lacpCounters(status: LacpStatus): string {
  const members = status.members.flatMap(({ name, counters }) => [
    '',
    `member: ${name}:`,
    `  TX PDUs: ${counters.sent}`,
    `  RX PDUs: ${counters.received}`,
    `  RX Bad PDUs: ${counters.bad}`,
    `  RX Marker Request PDUs: ${counters.markers}`,
    `  Link Expired: ${counters.expired}`,
    `  Link Defaulted: ${counters.defaulted}`,
    `  Carrier Status Changed: ${counters.carrierChanges}`,
  ]);
  return [`---- ${status.port} statistics ----`, ...members, ''].join('\n');
}
