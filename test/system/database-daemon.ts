/**
 * weftd's database alone, on disk and served: what a test kills more often than it could start the whole daemon.
 * Arguments: the run directory, the database file.
 */
import { randomUUID } from 'node:crypto';
import { openVSwitchSchema } from '../../src/ovsdb/index.js';
import { Journal } from '../../src/ovsdb/journal.js';
import { OvsdbServer } from '../../src/ovsdb/server/index.js';
import { Listener } from '../../src/ovsdb/server/listener.js';
import { Store } from '../../src/ovsdb/store.js';

const [, , rundir = '.', path = 'conf.db'] = process.argv;
const journal = await Journal.open({ path, schema: openVSwitchSchema, log: () => undefined });
const log = { warn: () => undefined, error: () => undefined };
const server = new OvsdbServer([new Store(journal, randomUUID)], { newUuid: randomUUID, log });
await Listener.open(server, { kind: 'unix', path: `${rundir}/db.sock` });
