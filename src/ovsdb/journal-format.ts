/**
 * The file format of Open vSwitch's databases (ovsdb(5), "Standalone Database Format"), without the file: records
 * `OVSDB JSON <length> <sha1>\n<json>\n`, the first a schema, each further one a transaction.
 */
import { createHash } from 'node:crypto';
import { isObject, isUuid } from './atom.js';
import type { Json } from './atom.js';
import { Database } from './database.js';
import type { Change, Row } from './database.js';
import { applyDifference, datumFromJson, datumToJson, equalDatums } from './datum.js';
import type { Datum } from './datum.js';
import { OvsdbError, syntaxError } from './errors.js';
import type { DatabaseSchema, TableSchema } from './schema.js';

/** More than a header can take. */
const HEADER_LIMIT = 100;
const HEADER = /^OVSDB JSON (\d{1,12}) ([0-9a-f]{40})\n/;

export function encodeRecord(json: Json): Buffer {
  const text = Buffer.from(`${JSON.stringify(json)}\n`);
  return Buffer.concat([Buffer.from(`OVSDB JSON ${text.length} ${sha1(text)}\n`), text]);
}

export type RecordAt = { readonly json: Json; readonly end: number } | { readonly fault: string };

/** The record at `offset`, or what is wrong with it. */
export function decodeRecord(bytes: Buffer, offset: number): RecordAt {
  const header = HEADER.exec(bytes.toString('latin1', offset, offset + HEADER_LIMIT));
  if (!header) return { fault: 'no record header' };
  const start = offset + header[0].length;
  const end = start + Number(header[1]);
  if (end > bytes.length)
    return { fault: `the record is cut off after ${bytes.length - start} of ${header[1]} bytes` };
  const data = bytes.subarray(start, end);
  if (sha1(data) !== header[2]) return { fault: 'the checksum is wrong' };
  try {
    return { json: JSON.parse(data.toString('utf8')) as Json, end };
  } catch {
    return { fault: 'the record is no JSON' };
  }
}

/** Whether a whole record starts somewhere after `offset`. */
export function hasRecordAfter(bytes: Buffer, offset: number): boolean {
  const magic = 'OVSDB JSON ';
  for (let at = bytes.indexOf(magic, offset + 1); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    if (!('fault' in decodeRecord(bytes, at))) return true;
  }
  return false;
}

function sha1(data: Buffer): string {
  return createHash('sha1').update(data).digest('hex');
}

/** The record of a transaction; null where it changed nothing that lasts. */
export function transactionToRecord(
  schema: DatabaseSchema,
  changes: readonly Change[],
  nowMs: number,
  comment: string,
): Json | null {
  const tables: Record<string, Record<string, Json>> = {};
  for (const change of changes) {
    const table = schema.tables.get(change.table);
    const row = table && rowToRecord(table, change.old, change.new);
    if (row === undefined) continue;
    (tables[change.table] ??= {})[change.uuid] = row;
  }
  if (Object.keys(tables).length === 0) return null;
  return { _date: nowMs, ...(comment === '' ? {} : { _comment: comment }), ...tables };
}

/** What changed in the row; undefined where only ephemeral columns did. An insert leaves out defaults. */
function rowToRecord(table: TableSchema, old: Row | null, row: Row | null): Json | undefined {
  if (!row) return null;
  const fields: Record<string, Json> = {};
  for (const column of table.columns.values()) {
    if (column.ephemeral) continue;
    const now = row.fields[column.name];
    const before = old ? old.fields[column.name] : column.defaultDatum;
    if (now && now !== before && !(before && equalDatums(now, before)))
      fields[column.name] = datumToJson(now, column.type);
  }
  return old && Object.keys(fields).length === 0 ? undefined : fields;
}

/** The whole database as one record, as compaction writes it. */
export function snapshotToRecord(database: Database, nowMs: number, comment: string): Json {
  const changes: Change[] = [];
  for (const table of database.schema.tables.keys()) {
    for (const row of database.rows(table).values())
      changes.push({ table, uuid: row.uuid, old: null, new: row });
  }
  return transactionToRecord(database.schema, changes, nowMs, comment) ?? { _date: nowMs, _comment: comment };
}

/**
 * The changes that a transaction record makes to the database, which may have been written by Open vSwitch: with
 * `_is_diff` its rows hold differences from what is stored, not new values.
 * @throws OvsdbError "syntax error", "constraint violation" where the record does not fit the database
 */
export function recordToChanges(database: Database, record: Json, newUuid: () => string): Change[] {
  if (!isObject(record)) throw syntaxError('a transaction record is no object');
  const isDiff = record['_is_diff'] === true;
  const changes: Change[] = [];
  for (const [name, rows] of Object.entries(record)) {
    if (name.startsWith('_')) continue;
    const table = database.schema.tables.get(name);
    if (!table) throw syntaxError(`the record names table ${name}, which is not in the schema`);
    if (!isObject(rows)) throw syntaxError(`the rows of table ${name} are no object`);
    for (const [uuid, row] of Object.entries(rows)) {
      if (!isUuid(uuid)) throw syntaxError(`"${uuid}" is no uuid`);
      const old = database.row(name, uuid) ?? null;
      if (row === null) {
        if (!old) throw syntaxError(`the record deletes row ${uuid} of table ${name}, which is not there`);
        changes.push({ table: name, uuid, old, new: null });
      } else if (isObject(row)) {
        changes.push({ table: name, uuid, old, new: rowFromRecord(table, uuid, old, row, isDiff, newUuid) });
      } else throw syntaxError(`row ${uuid} of table ${name} is no object`);
    }
  }
  return changes;
}

function rowFromRecord(
  table: TableSchema,
  uuid: string,
  old: Row | null,
  json: { readonly [key: string]: Json | undefined },
  isDiff: boolean,
  newUuid: () => string,
): Row {
  const fields: Record<string, Datum> = { ...(old?.fields ?? table.defaults) };
  for (const [name, value] of Object.entries(json)) {
    const column = table.columns.get(name);
    if (!column || value === undefined)
      throw new OvsdbError('unknown column', `${table.name} has no column ${name}`);
    const before = old?.fields[name];
    if (!isDiff || !before || equalDatums(before, column.defaultDatum)) {
      fields[name] = datumFromJson(value, column.type);
    } else {
      fields[name] = applyDifference(before, datumFromJson(value, column.type, undefined, true), column.type);
    }
  }
  return { uuid, version: newUuid(), fields };
}
