/** How a row is named on the command line: uuid, `@name`, its name, or by a bridge or port that refers to it. */
import type { DatabaseSchema, TableSchema } from '../../ovsdb/index.js';
import { isUuid } from '../../ovsdb/index.js';
import { Fatal } from '../fatal.js';
import type { Context } from './command.js';
import type { Needs } from './replica.js';

interface RowName {
  /** Where a name is looked for. */
  readonly table: string;
  /** Which column has the name; null: `.` is the one row there is. */
  readonly name: string | null;
  /** The column of that row that refers to the one meant; null: that row itself. */
  readonly via: string | null;
}

const BY_NAME = (table: string, column = 'name'): RowName => ({ table, name: column, via: null });
const ONLY: Omit<RowName, 'table'> = { name: null, via: null };

const ROW_NAMES: Readonly<Record<string, readonly RowName[]>> = {
  AutoAttach: [{ table: 'Bridge', name: 'name', via: 'auto_attach' }],
  Bridge: [BY_NAME('Bridge')],
  Controller: [{ table: 'Bridge', name: 'name', via: 'controller' }],
  Flow_Sample_Collector_Set: [BY_NAME('Flow_Sample_Collector_Set', 'id')],
  Flow_Table: [BY_NAME('Flow_Table')],
  IPFIX: [
    { table: 'Bridge', name: 'name', via: 'ipfix' },
    { table: 'Flow_Sample_Collector_Set', name: 'id', via: 'ipfix' },
  ],
  Interface: [BY_NAME('Interface')],
  Manager: [BY_NAME('Manager', 'target')],
  Mirror: [BY_NAME('Mirror')],
  NetFlow: [{ table: 'Bridge', name: 'name', via: 'netflow' }],
  Open_vSwitch: [{ table: 'Open_vSwitch', ...ONLY }],
  Port: [BY_NAME('Port')],
  QoS: [{ table: 'Port', name: 'name', via: 'qos' }],
  SSL: [{ table: 'Open_vSwitch', name: null, via: 'ssl' }],
  sFlow: [{ table: 'Bridge', name: 'name', via: 'sflow' }],
};

export function needRecord(needs: Needs, schema: DatabaseSchema, table: string): void {
  needs.add(table);
  for (const { table: where, name, via } of ROW_NAMES[table] ?? []) {
    if (schema.tables.has(where))
      needs.add(where, ...(name === null ? [] : [name]), ...(via === null ? [] : [via]));
  }
}

/** The row's uuid, undefined where there is none. @throws Fatal where it is not clear which is meant */
export function findRecord(context: Context, table: TableSchema, record: string): string | undefined {
  const { txn } = context;
  if (isUuid(record)) {
    const uuid = record.toLowerCase();
    if (txn.has(table.name, uuid)) return uuid;
  }
  if (record.startsWith('@')) {
    const symbol = txn.symbols.get(record);
    return symbol && txn.has(table.name, symbol.uuid) ? symbol.uuid : undefined;
  }
  for (const rule of ROW_NAMES[table.name] ?? []) {
    const found = byRule(context, table, record, rule);
    if (found !== undefined) return found;
  }
  return byBeginning(context, table, record);
}

/** The row's uuid. @throws Fatal where there is none */
export function record(context: Context, table: TableSchema, name: string): string {
  const found = findRecord(context, table, name);
  if (found === undefined) throw new Fatal(`no row "${name}" in table ${table.name}`);
  return found;
}

function byRule({ txn }: Context, table: TableSchema, name: string, rule: RowName): string | undefined {
  let found: string | undefined;
  for (const uuid of txn.uuids(rule.table)) {
    const isMeant =
      rule.name === null ? name === '.' : String(txn.get(rule.table, uuid, rule.name).keys[0]) === name;
    if (!isMeant) continue;
    if (found !== undefined) throw new Fatal(`multiple rows in ${rule.table} match "${name}"`);
    found = uuid;
  }
  if (found === undefined || rule.via === null) return found;
  const { keys } = txn.get(rule.table, found, rule.via);
  const target = keys.length === 1 ? String(keys[0]) : undefined;
  return target !== undefined && txn.has(table.name, target) ? target : undefined;
}

/** Four hex digits of a uuid are enough where no other begins so. */
function byBeginning({ txn }: Context, table: TableSchema, text: string): string | undefined {
  if (text.length < 4 || !/^[0-9a-f]{8}(-[0-9a-f-]*)?$|^[0-9a-f]{4,7}$/i.test(text)) return undefined;
  const matches = [...txn.uuids(table.name)].filter((uuid) => uuid.startsWith(text.toLowerCase()));
  if (matches.length > 1) {
    const [first, second] = matches.sort();
    throw new Fatal(
      `${table.name} contains 2 or more rows whose UUIDs begin with ${text}: at least ${first} and ${second}`,
    );
  }
  return matches[0];
}
