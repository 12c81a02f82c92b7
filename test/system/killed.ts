/**
 * weftd, or its database alone, killed at random moments (kill -9) while transactions stream in over OVSDB: what was acknowledged is there when
 * it is back, and no transaction is there by half. Run by killed.test.ts with few kills, by `npm run bench -- killed`
 * with a thousand.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot, until } from './lab.js';

export interface KillReport {
  readonly kills: number;
  readonly acknowledged: number;
  /** Acknowledged and not there afterwards. */
  readonly lost: number;
  /** There by half. */
  readonly half: number;
  /** Not acknowledged before the kill, and there: allowed. */
  readonly unheard: number;
}

/** Each transaction makes a row in two tables, and removes those of one long ago, so that the file is compacted, too. */
const WINDOW = 300;
/** As many requests are under way at any time. */
const IN_FLIGHT = 20;

/** The whole daemon, or its database alone, which starts sooner. */
export type Killed = 'weftd' | 'database';

const commands: Readonly<Record<Killed, (folder: string) => string[]>> = {
  weftd: (folder) => [
    join(projectRoot, 'dist/weftd/main.js'),
    ...['--rundir', folder, '--db', join(folder, 'conf.db'), '--http', `unix:${folder}/api.sock`],
  ],
  database: (folder) => [
    join(projectRoot, 'dist/test/system/database-daemon.js'),
    folder,
    join(folder, 'conf.db'),
  ],
};

/** OVSDB over a unix socket, no more of it than is needed here. */
class Client {
  readonly #waiting = new Map<number, (result: unknown[] | null) => void>();
  #buffer = '';
  #nextId = 0;

  private constructor(readonly socket: Socket) {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#receive(text));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const answer of this.#waiting.values()) answer(null);
    });
  }

  static connect(path: string): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => resolve(new Client(socket)));
      socket.once('error', reject);
    });
  }

  /** The results; null where the connection ended before they came. */
  transact(...operations: object[]): Promise<unknown[] | null> {
    const id = this.#nextId++;
    this.socket.write(JSON.stringify({ id, method: 'transact', params: ['Open_vSwitch', ...operations] }));
    return new Promise((resolve) => {
      if (this.socket.destroyed) resolve(null);
      else this.#waiting.set(id, resolve);
    });
  }

  /** Messages follow one another without a separator: an object ends where its braces do. */
  #receive(text: string): void {
    this.#buffer += text;
    let [depth, start] = [0, 0];
    let isString = false;
    for (let i = 0; i < this.#buffer.length; i += 1) {
      const char = this.#buffer[i];
      if (isString) {
        if (char === '\\') i += 1;
        else if (char === '"') isString = false;
      } else if (char === '"') isString = true;
      else if (char === '{') depth += 1;
      else if (char === '}' && --depth === 0) {
        const { id, result } = JSON.parse(this.#buffer.slice(start, i + 1)) as {
          id: number;
          result: unknown[];
        };
        this.#waiting.get(id)?.(result);
        this.#waiting.delete(id);
        start = i + 1;
      }
    }
    this.#buffer = this.#buffer.slice(start);
  }
}

function writes(n: number): object[] {
  const external_ids = ['map', [['n', String(n)]]];
  const old = ['external_ids', 'includes', ['map', [['n', String(n - WINDOW)]]]];
  return ['QoS', 'Queue'].flatMap((table) => [
    { op: 'insert', table, row: { external_ids, ...(table === 'QoS' ? { type: 'x' } : {}) } },
    ...(n >= WINDOW ? [{ op: 'delete', table, where: [old] }] : []),
  ]);
}

/** The numbers in a table. */
async function numbersIn(client: Client, table: string): Promise<Set<number>> {
  const results = await client.transact({ op: 'select', table, where: [], columns: ['external_ids'] });
  const [{ rows }] = results as [{ rows: { external_ids: [string, [string, string][]] }[] }];
  return new Set(rows.map(({ external_ids: [, pairs] }) => Number(pairs[0]?.[1])));
}

export async function killOften(
  what: Killed,
  kills: number,
  onProgress: (report: KillReport) => void = () => undefined,
): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-killed-'));
  let report: KillReport = { kills: 0, acknowledged: 0, lost: 0, half: 0, unheard: 0 };
  let next = 0;
  let child: ChildProcess | null = null;
  const socket = join(folder, 'db.sock');
  try {
    const acknowledged = new Set<number>();
    for (let kill = 0; kill <= kills; kill += 1) {
      child = spawn(process.execPath, commands[what](folder), { stdio: ['ignore', 'ignore', 'pipe'] });
      const daemon = child;
      let said = '';
      daemon.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
      const ended = new Promise((resolve) => child?.once('exit', resolve));
      const client = await until<Client | string>(
        'weftd answers',
        async () => (daemon.exitCode === null ? Client.connect(socket) : `it ended: ${said}`),
        120_000,
      );
      if (typeof client === 'string') throw new Error(client);

      const [qos, queues] = [await numbersIn(client, 'QoS'), await numbersIn(client, 'Queue')];
      const first = next - WINDOW;
      const half =
        [...qos].filter((n) => !queues.has(n)).length + [...queues].filter((n) => !qos.has(n)).length;
      // What a later transaction has removed is not missing: that one may have been on its way.
      const lost = [...acknowledged].filter((n) => n >= first && !qos.has(n)).length;
      const unheard = [...qos].filter((n) => !acknowledged.has(n)).length;
      for (const n of acknowledged) if (n < first) acknowledged.delete(n);
      for (const n of qos) acknowledged.add(n);
      report = {
        ...report,
        kills: kill,
        lost: report.lost + lost,
        half: report.half + half,
        unheard: report.unheard + unheard,
      };
      onProgress(report);
      if (kill === kills) break;

      let isOver = false;
      const stream = async () => {
        while (!isOver) {
          const n = next++;
          if ((await client.transact(...writes(n))) === null) return;
          acknowledged.add(n);
          report = { ...report, acknowledged: report.acknowledged + 1 };
        }
      };
      const streams = Promise.all(Array.from({ length: IN_FLIGHT }, stream));
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 400));
      child.kill('SIGKILL');
      await ended;
      isOver = true;
      await streams;
      client.socket.destroy();
    }
    return report;
  } finally {
    child?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}
