/** Conversion of a database to another schema (ovsdb-server(7) §4.1.20 `convert`). Pure. */
import type { Json } from './atom.js';
import { Database } from './database.js';
import { datumToJson } from './datum.js';
import { OvsdbError } from './errors.js';
import { execute } from './execute.js';
import { schemaToJson } from './schema.js';
import type { DatabaseSchema, TableSchema } from './schema.js';

/**
 * The contents of a database under another schema: tables and columns that it does not have are dropped, new columns get
 * their defaults.
 * @throws OvsdbError where something that is stored does not fit, or the schema is another database's
 */
export function converted(from: Database, schema: DatabaseSchema, newUuid: () => string): Database {
  if (schema.name !== from.schema.name) {
    throw new OvsdbError(
      'not allowed',
      `a schema of ${schema.name} cannot be that of the database ${from.schema.name}`,
    );
  }
  const into = new Database(schema);
  const operations: Json[] = [];
  for (const [name, table] of from.schema.tables) {
    const target = schema.tables.get(name);
    if (!target) continue;
    for (const { uuid, fields } of from.rows(name).values()) {
      const row: Record<string, Json> = {};
      for (const column of table.columns.values()) {
        const datum = fields[column.name];
        if (datum && target.columns.has(column.name)) row[column.name] = datumToJson(datum, column.type);
      }
      operations.push({ op: 'insert', table: name, uuid, row });
    }
  }
  const { changes, error } = execute(into, operations, { newUuid });
  if (!changes) throw error ?? new OvsdbError('ovsdb error', 'the database could not be converted');
  into.apply(changes);
  return into;
}

/** What a program that goes by `needed` would not find in `given`, in words; null: it finds all. */
export function lacking(given: DatabaseSchema, needed: DatabaseSchema): string | null {
  for (const table of needed.tables.values()) {
    const other = given.tables.get(table.name);
    if (!other) return `table ${table.name}`;
    const [columns, others] = [columnsOf(needed, table), columnsOf(given, other)];
    for (const name of table.columns.keys())
      if (JSON.stringify(columns[name]) !== JSON.stringify(others[name]))
        return `column ${name} of table ${table.name} as it is`;
  }
  return null;
}

function columnsOf(schema: DatabaseSchema, table: TableSchema): Record<string, Json> {
  const { tables } = schemaToJson(schema) as unknown as {
    tables: Record<string, { columns: Record<string, Json> }>;
  };
  return tables[table.name]?.columns ?? {};
}
