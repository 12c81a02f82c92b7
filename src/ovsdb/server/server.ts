/** The OVSDB server (RFC 7047 §4): databases, and the sessions of clients, without sockets. */
import type { Json } from '../atom.js';
import { OvsdbError } from '../errors.js';
import type { DatabaseSchema } from '../schema.js';
import { History } from './history.js';
import { Locks } from './locks.js';
import type { LockEvent } from './locks.js';
import { ServerDatabase } from './server-database.js';
import type { Served } from './served.js';
import { Session } from './session.js';
import type { Peer, SessionLimits } from './session.js';

export interface ServerLog {
  warn(context: object, message: string): void;
  error(context: object, message: string): void;
}

export interface ServerOptions {
  readonly newUuid: () => string;
  readonly log: ServerLog;
  readonly limits?: Partial<SessionLimits>;
}

export interface Database {
  readonly served: Served;
  /** Since the database has its present schema. */
  history: History;
}

const LIMITS: SessionLimits = {
  maxMessageBytes: 64 << 20,
  maxMessageDepth: 1000,
  maxOutstanding: 1000,
  maxMonitors: 1000,
  maxLocks: 1000,
};

export class OvsdbServer {
  /** Those given, and `_Server`, by name. */
  readonly databases: ReadonlyMap<string, Database>;
  readonly locks = new Locks<Session>();
  readonly log: ServerLog;
  /** Of this server (`get_server_id`). */
  readonly id: string;
  readonly #sessions = new Set<Session>();
  readonly #limits: SessionLimits;
  readonly #itself: ServerDatabase;

  constructor(
    served: readonly Served[],
    private readonly options: ServerOptions,
  ) {
    this.log = options.log;
    this.id = options.newUuid();
    this.#limits = { ...LIMITS, ...options.limits };
    const byName = new Map(served.map((each) => [each.database.schema.name, each]));
    this.#itself = new ServerDatabase(byName, options.newUuid);
    byName.set('_Server', this.#itself);
    this.databases = new Map(
      [...byName].map(([name, each]) => [name, { served: each, history: new History(options.newUuid()) }]),
    );
    for (const database of this.databases.values()) {
      database.served.subscribe((changes) => {
        database.history.add(options.newUuid(), changes);
        for (const session of this.#sessions) session.changed(database, changes);
      });
    }
  }

  /**
   * Goes over to another schema. Who monitors the database has to begin anew: clients that know of such changes are told
   * so, others lose their connection (ovsdb-server(7) §4.1.16, §4.1.20).
   * @throws OvsdbError why it cannot be
   */
  async convert(database: Database, schema: DatabaseSchema, by: Session): Promise<void> {
    const { served } = database;
    if (!served.convert)
      throw new OvsdbError('not allowed', `the database ${schema.name} cannot be converted`);
    await served.convert(schema);
    database.history = new History(this.options.newUuid());
    this.#itself.converted(served.database.schema);
    for (const session of [...this.#sessions]) session.converted(database, session === by);
  }

  connect(peer: Peer): Session {
    const session = new Session(this, peer, this.#limits);
    this.#sessions.add(session);
    return session;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** For sessions: this one has ended. */
  leave(session: Session): void {
    this.#sessions.delete(session);
    this.tellLocks(this.locks.release(session));
  }

  /** For sessions: what others have to hear of locks. */
  tellLocks(events: readonly LockEvent<Session>[]): void {
    for (const { client, method, lock } of events) client.notify(method, [lock satisfies Json]);
  }
}
