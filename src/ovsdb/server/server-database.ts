/** The `_Server` database (ovsdb-server(5)): what this server serves, read only, in memory. */
import { isObject } from '../atom.js';
import type { Json } from '../atom.js';
import { Database } from '../database.js';
import type { Change } from '../database.js';
import { OvsdbError } from '../errors.js';
import { execute } from '../execute.js';
import type { ExecuteOptions } from '../execute.js';
import { schemaFromJson, schemaToJson } from '../schema.js';
import type { DatabaseSchema } from '../schema.js';
import type { Answer } from '../store.js';
import type { Served } from './served.js';

const optional = (key: string): Json => ({ type: { key, min: 0 } });

const SCHEMA = schemaFromJson({
  name: '_Server',
  version: '1.2.0',
  tables: {
    Database: {
      columns: {
        name: { type: 'string' },
        model: { type: { key: { type: 'string', enum: ['set', ['clustered', 'relay', 'standalone']] } } },
        connected: { type: 'boolean' },
        leader: { type: 'boolean' },
        schema: optional('string'),
        sid: optional('uuid'),
        cid: optional('uuid'),
        index: optional('integer'),
      },
    },
  },
});

const READ_ONLY = new Set<Json | undefined>(['select', 'wait', 'comment', 'abort', 'assert', 'commit']);

export class ServerDatabase implements Served {
  readonly database = new Database(SCHEMA);
  readonly pending: readonly (readonly Change[])[] = [];
  readonly #listeners = new Set<(changes: readonly Change[]) => void>();

  constructor(
    databases: ReadonlyMap<string, Served>,
    private readonly newUuid: () => string,
  ) {
    const served: [string, Database][] = [
      ...[...databases].map(([name, { database }]): [string, Database] => [name, database]),
      [SCHEMA.name, this.database],
    ];
    const operations = served.map(([name, { schema }]): Json => {
      const row = { name, model: 'standalone', connected: true, leader: true };
      return {
        op: 'insert',
        table: 'Database',
        row: { ...row, schema: JSON.stringify(schemaToJson(schema)) },
      };
    });
    const { changes, error } = execute(this.database, operations, { newUuid });
    if (!changes) throw error ?? new TypeError('the _Server database could not be made');
    this.database.apply(changes);
  }

  /** A `wait` can only time out: what it is about here changes only with a schema. */
  transact(operations: readonly Json[], options: Omit<ExecuteOptions, 'newUuid'>): Promise<Answer> {
    const writes = operations.some((operation) => isObject(operation) && !READ_ONLY.has(operation['op']));
    if (writes) {
      const error = new OvsdbError('not allowed', 'the database _Server is read only');
      return Promise.resolve({ results: [error.toJSON()], error, changes: [] });
    }
    const { results, error } = execute(this.database, operations, { newUuid: this.newUuid, ...options });
    return Promise.resolve({ results, error, changes: [] });
  }

  subscribe(listener: (changes: readonly Change[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A database has another schema now. */
  converted(schema: DatabaseSchema): void {
    const operation: Json = {
      op: 'update',
      table: 'Database',
      where: [['name', '==', schema.name]],
      row: { schema: JSON.stringify(schemaToJson(schema)) },
    };
    const { changes } = execute(this.database, [operation], { newUuid: this.newUuid });
    if (!changes) return;
    this.database.apply(changes);
    for (const listener of this.#listeners) listener(changes);
  }
}
