/** Writes transactions as fast as it can and prints the number of each that is acknowledged, until it is killed. */
import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openVSwitchSchema } from './index.js';
import type { Json } from './index.js';
import { Journal } from './journal.js';
import { Store } from './store.js';

const path = process.argv[2];
if (path === undefined) throw new Error('usage: journal-writer FILE');
const journal = await Journal.open({
  path,
  schema: openVSwitchSchema,
  log: () => undefined,
  compactAtBytes: 30_000,
});
const store = new Store(journal, randomUUID);
let next = store.database.rows('Queue').size + process.pid * 1_000_000;

async function write(): Promise<void> {
  for (;;) {
    const number = (next += 1);
    const insert: Json = {
      op: 'insert',
      table: 'Queue',
      row: { external_ids: ['map', [['number', String(number)]]] },
    };
    const { error } = await store.transact([insert, insert]);
    if (error) throw error;
    writeSync(1, `${number}\n`);
  }
}

await Promise.all([write(), write(), write()]);
