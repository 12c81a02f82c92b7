/**
 * Monitors: which rows and columns a client has asked to hear of (RFC 7047 §4.1.5; `monitor_cond` and
 * `monitor_cond_since` of ovsdb-server(7) §4.1.12 and §4.1.15), and how changes are told: `update` with old and new
 * values, `update2` and `update3` with differences.
 */
import type { Json } from '../atom.js';
import type { ColumnType } from '../column-type.js';
import { fieldOf } from '../condition.js';
import type { Condition } from '../condition.js';
import type { Change, Row } from '../database.js';
import { datumToJson, defaultDatum, difference, equalDatums } from '../datum.js';

/** How changes are told: 1 `update`, 2 `update2`, 3 `update3`. */
export type MonitorVersion = 1 | 2 | 3;

export type ChangeKind = 'initial' | 'insert' | 'delete' | 'modify';
export type Select = Readonly<Record<ChangeKind, boolean>>;

export interface MonitoredColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly select: Select;
}

export interface MonitoredTable {
  readonly name: string;
  /** May be none: then only the rows' being there is told. */
  readonly columns: readonly MonitoredColumn[];
  /** What any of the requests for the table selects. */
  readonly select: Select;
  /** Rows that satisfy one of these clauses; null: all rows. */
  readonly condition: Condition | null;
}

export type Updates = { [table: string]: { [uuid: string]: Json } };

/** Unlike in a transaction, one clause that holds is enough (ovsdb-server(7) §4.1.12). */
export function isMonitored(row: Row | null, condition: Condition | null): boolean {
  if (!row) return false;
  if (!condition || condition.clauses.length === 0) return true;
  return condition.clauses.some(({ column, holds }) => holds(fieldOf(row, column)));
}

/** The text of a row as clients are told it at the start. Most clients come for a moment, and all with the same request. */
const initialTexts = new WeakMap<Row, { readonly request: string; readonly text: string }>();

/** What a client that knows nothing is told at the start: the JSON text of {@link Updates}. */
export function initialText(
  tables: ReadonlyMap<string, MonitoredTable>,
  version: MonitorVersion,
  rowsOf: (table: string) => Iterable<Row>,
): string {
  const texts: string[] = [];
  for (const table of tables.values()) {
    if (!table.select.initial) continue;
    const columns = table.columns.filter(({ select }) => select.initial);
    const request = `${version === 1 ? 'whole' : 'differing'} ${columns.map(({ name }) => name).join()}`;
    const rows: string[] = [];
    for (const row of rowsOf(table.name)) {
      if (!isMonitored(row, table.condition)) continue;
      let known = initialTexts.get(row);
      if (known?.request !== request) {
        const update =
          version === 1 ? fullUpdate(columns, null, row) : differenceUpdate(columns, 'initial', null, row);
        initialTexts.set(row, (known = { request, text: JSON.stringify(update) }));
      }
      rows.push(`"${row.uuid}":${known.text}`);
    }
    if (rows.length > 0) texts.push(`${JSON.stringify(table.name)}:{${rows.join()}}`);
  }
  return `{${texts.join()}}`;
}

/** What the changes mean for the client; null: nothing. */
export function changeUpdates(
  tables: ReadonlyMap<string, MonitoredTable>,
  version: MonitorVersion,
  changes: readonly Change[],
): Updates | null {
  const updates: Updates = {};
  for (const change of changes) {
    const table = tables.get(change.table);
    if (!table) continue;
    const before = isMonitored(change.old, table.condition) ? change.old : null;
    const now = isMonitored(change.new, table.condition) ? change.new : null;
    putChange(updates, table, version, before, now);
  }
  return nullIfEmpty(updates);
}

/** What a change of conditions shows and hides; null: nothing. `rowsOf` gives the rows as the client knows them. */
export function conditionUpdates(
  before: ReadonlyMap<string, MonitoredTable>,
  now: ReadonlyMap<string, MonitoredTable>,
  version: MonitorVersion,
  rowsOf: (table: string) => Iterable<Row>,
): Updates | null {
  const updates: Updates = {};
  for (const table of now.values()) {
    const condition = before.get(table.name)?.condition ?? null;
    if (condition === table.condition) continue;
    for (const row of rowsOf(table.name)) {
      const [was, is] = [isMonitored(row, condition), isMonitored(row, table.condition)];
      if (was !== is) putChange(updates, table, version, was ? row : null, is ? row : null);
    }
  }
  return nullIfEmpty(updates);
}

function nullIfEmpty(updates: Updates): Updates | null {
  return Object.keys(updates).length === 0 ? null : updates;
}

function putChange(
  updates: Updates,
  table: MonitoredTable,
  version: MonitorVersion,
  before: Row | null,
  now: Row | null,
): void {
  if (before && now) put(updates, table, version, 'modify', before, now);
  else if (now) put(updates, table, version, 'insert', null, now);
  else if (before) put(updates, table, version, 'delete', before, null);
}

function put(
  updates: Updates,
  table: MonitoredTable,
  version: MonitorVersion,
  kind: ChangeKind,
  before: Row | null,
  now: Row | null,
): void {
  const uuid = (now ?? before)?.uuid;
  if (uuid === undefined || !table.select[kind]) return;
  const columns = table.columns.filter(({ select }) => select[kind]);
  const update =
    version === 1 ? fullUpdate(columns, before, now) : differenceUpdate(columns, kind, before, now);
  if (update !== null) (updates[table.name] ??= {})[uuid] = update;
}

/** `<row-update>` of RFC 7047 §4.1.6. */
function fullUpdate(columns: readonly MonitoredColumn[], before: Row | null, now: Row | null): Json {
  const changed = columns.filter(({ name }) => {
    return !before || !now || !equalDatums(fieldOf(before, name), fieldOf(now, name));
  });
  if (changed.length === 0 && before && now) return null;
  return {
    ...(before ? { old: values(changed, before) } : {}),
    ...(now ? { new: values(columns, now) } : {}),
  };
}

function values(columns: readonly MonitoredColumn[], row: Row): Json {
  return Object.fromEntries(columns.map(({ name, type }) => [name, datumToJson(fieldOf(row, name), type)]));
}

/** `<row-update2>` of ovsdb-server(7) §4.1.14. */
function differenceUpdate(
  columns: readonly MonitoredColumn[],
  kind: ChangeKind,
  before: Row | null,
  now: Row | null,
): Json {
  const row: Record<string, Json> = {};
  if (before && now) {
    for (const { name, type } of columns) {
      const [was, is] = [fieldOf(before, name), fieldOf(now, name)];
      if (!equalDatums(was, is)) row[name] = datumToJson(difference(was, is, type), type);
    }
    return Object.keys(row).length === 0 ? null : { modify: row };
  }
  if (!now) return { delete: null };
  // A column at its default is not mentioned.
  for (const { name, type } of columns) {
    const is = fieldOf(now, name);
    if (!equalDatums(is, defaultDatum(type))) row[name] = datumToJson(is, type);
  }
  return { [kind]: row };
}
