/** The columns about bonds and LACP (ovs-vswitchd.conf.db(5), "Bonding Configuration", "LACP"), with Open vSwitch's defaults. */
import type { BondMode, BondSettings, Interface, LacpPortSettings, LacpSettings } from '../domain/index.js';
import type { Row } from '../ovsdb/index.js';
import { unicast, type Report } from './addresses.js';
import { mapOfTexts, numberOf, textOf } from './fields.js';

const REBALANCE_INTERVAL_MS = 10_000;
/** The least interval above 0 that Open vSwitch takes. */
const MIN_REBALANCE_INTERVAL_MS = 1_000;

/** Of a port with several interfaces. */
export function bondSettings(row: Row, interfaces: readonly Interface[], fault: Report): BondSettings {
  const other = mapOfTexts(row, 'other_config');
  const mode = (textOf(row, 'bond_mode') as BondMode | undefined) ?? 'active-backup';
  const primary = other.get('bond-primary') ?? null;
  if (primary !== null && !interfaces.some(({ name }) => name === primary))
    fault('other_config:bond-primary', `"${primary}" is no interface of this bond`);
  const detect = other.get('bond-detect-mode');
  if (detect !== undefined && detect !== 'carrier' && detect !== 'miimon')
    fault('other_config:bond-detect-mode', `"${detect}" is neither carrier nor miimon`);
  if (mode === 'balance-tcp' && (textOf(row, 'lacp') ?? 'off') === 'off')
    fault('bond_mode', 'balance-tcp needs LACP: without it no interface of the bond carries traffic');
  const interval = integer(other, 'bond-rebalance-interval', 0, 0x7fff_ffff, fault) ?? REBALANCE_INTERVAL_MS;
  return {
    mode,
    primary,
    updelayMs: Math.max(0, numberOf(row, 'bond_updelay') ?? 0),
    downdelayMs: Math.max(0, numberOf(row, 'bond_downdelay') ?? 0),
    rebalanceIntervalMs: interval === 0 ? 0 : Math.max(MIN_REBALANCE_INTERVAL_MS, interval),
    hashBasis: integer(other, 'bond-hash-basis', 0, 0xffff_ffff, fault) ?? 0,
    // Open vSwitch renamed the key with its version 2.15.
    allMembersActive: (other.get('all-members-active') ?? other.get('all-slaves-active')) === 'true',
  };
}

/** Undefined: LACP is off. */
export function lacpSettings(row: Row, interfaces: number, fault: Report): LacpSettings | undefined {
  const mode = textOf(row, 'lacp');
  if (mode !== 'active' && mode !== 'passive') return undefined;
  const other = mapOfTexts(row, 'other_config');
  const time = other.get('lacp-time');
  if (time !== undefined && time !== 'fast' && time !== 'slow')
    fault('other_config:lacp-time', `"${time}" is neither fast nor slow`);
  const systemId = unicast(other.get('lacp-system-id'), (message) =>
    fault('other_config:lacp-system-id', message),
  );
  return {
    mode,
    systemId: systemId ?? null,
    // A bond is to win over a single link, when systems compare priorities: as in Open vSwitch.
    systemPriority:
      integer(other, 'lacp-system-priority', 1, 65535, fault) ?? (interfaces > 1 ? 65534 : 65535),
    time: time === 'fast' ? 'fast' : 'slow',
    fallbackAb: other.get('lacp-fallback-ab') === 'true',
  };
}

/** Undefined: none of the keys is set. */
export function lacpPortSettings(row: Row, fault: Report): LacpPortSettings | undefined {
  const other = mapOfTexts(row, 'other_config');
  const number = (key: string): number | null => integer(other, key, 1, 65535, fault) ?? null;
  const portId = number('lacp-port-id');
  const portPriority = number('lacp-port-priority');
  const aggregationKey = number('lacp-aggregation-key');
  if (portId === null && portPriority === null && aggregationKey === null) return undefined;
  return { portId, portPriority, aggregationKey };
}

function integer(
  other: ReadonlyMap<string, string>,
  key: string,
  min: number,
  max: number,
  fault: Report,
): number | undefined {
  const text = other.get(key);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text)) fault(`other_config:${key}`, `"${text}" is no number`);
  else if (value < min || value > max) fault(`other_config:${key}`, `${text} is outside ${min} to ${max}`);
  else return value;
  return undefined;
}
