/** Keeps the connections that Manager rows (and `ovsdb-server/add-remote`) ask for, and tells their state. */
import { REMOTE_DEFAULTS, parseActiveTarget } from '../ovsdb/server/remotes.js';
import type { RemoteTls, Remotes } from '../ovsdb/server/remotes.js';
import { parsePassiveTarget } from '../ovsdb/server/listener.js';
import type { Configuration } from './configuration.js';
import { managerStatusOperations, readManagers } from './managers.js';
import { readTlsFiles } from './tls.js';
import type { TlsFiles } from './tls.js';

const STATUS_PERIOD_MS = 5_000;
const CONCERNED = new Set(['Open_vSwitch', 'Manager', 'SSL']);

export class ManagerKeeper {
  /** Added while running; forgotten with the process, as in Open vSwitch. */
  readonly #added = new Set<string>();
  #wanted = '';
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: () => void = () => undefined;

  /** @param readTls what there is to speak TLS with, where the SSL row names these files */
  constructor(
    private readonly configuration: Configuration,
    private readonly remotes: Remotes,
    private readonly readTls: (files: TlsFiles | null) => Promise<RemoteTls>,
  ) {}

  start(): void {
    this.#unsubscribe = this.configuration.store.subscribe((changes) => {
      if (changes.some(({ table }) => CONCERNED.has(table))) void this.#configure();
    });
    // Files of certificates are replaced without anybody telling.
    this.#timer = setInterval(() => void this.#configure().then(() => this.#report()), STATUS_PERIOD_MS);
    void this.#configure();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    clearInterval(this.#timer);
    await this.remotes.close();
  }

  targets(): string[] {
    return this.remotes.status().map(({ target }) => target);
  }

  /** @throws Error that says what is wrong with the target */
  async add(target: string): Promise<void> {
    if (!parsePassiveTarget(target) && !parseActiveTarget(target)) {
      throw new Error(`${target} is neither ptcp:, pssl:, punix: nor tcp:, ssl:, unix:`);
    }
    this.#added.add(target);
    await this.#configure();
    const error = this.remotes
      .status()
      .find((status) => status.target === target && status.state === null)?.lastError;
    if (error === null || error === undefined) return;
    await this.remove(target);
    throw new Error(error);
  }

  async remove(target: string): Promise<boolean> {
    const wasThere = this.#added.delete(target);
    await this.#configure();
    return wasThere;
  }

  async #configure(): Promise<void> {
    const tls = await this.readTls(readTlsFiles(this.configuration.database));
    const wanted = readManagers(this.configuration.database);
    for (const target of this.#added) if (!wanted.has(target)) wanted.set(target, REMOTE_DEFAULTS);
    const text = JSON.stringify([[...wanted], tls]);
    if (text === this.#wanted) return;
    this.#wanted = text;
    await this.remotes.configure(wanted, tls);
    await this.#report();
  }

  async #report(): Promise<void> {
    const operations = managerStatusOperations(
      this.configuration.database,
      this.remotes.status(),
      performance.now(),
    );
    if (operations.length > 0) await this.configuration.transact(operations);
  }
}
