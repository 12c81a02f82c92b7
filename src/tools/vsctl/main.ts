/** `ovs-vsctl` (ovs-vsctl(8)): the shell around the commands. */
import { randomUUID } from 'node:crypto';
import { OVS_VERSION } from '../../domain/version.js';
import { isObject, openVSwitchSchema, schemaFromJson } from '../../ovsdb/index.js';
import type { DatabaseSchema, Json } from '../../ovsdb/index.js';
import { armTimeout, logLine } from '../alarm.js';
import { Fatal } from '../fatal.js';
import { processIo } from '../io.js';
import type { Io } from '../io.js';
import { ConnectionLost, OvsdbClient, RefusedError } from '../../ovsdb/remote/client.js';
import { rundir } from '../rundir.js';
import { Exit } from './command.js';
import type { Command } from './command.js';
import { parseCommandLine } from './commandline.js';
import type { CommandLine } from './commandline.js';
import { autoAttachCommands, bridgeCommands } from './commands/bridges.js';
import { connectionCommands } from './commands/connections.js';
import { databaseCommands } from './commands/database.js';
import { portCommands } from './commands/ports.js';
import { switchCommands } from './commands/switch.js';
import { helpText } from './help.js';
import { Needs, Replica } from './replica.js';
import { runCommands } from './run.js';
import type { Run } from './run.js';
import type { TableStyle } from './table.js';

const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [
    ...switchCommands,
    ...bridgeCommands,
    ...portCommands,
    ...connectionCommands,
    ...autoAttachCommands,
    ...databaseCommands,
  ].map((command) => [command.name, command]),
);
const RETRY_MS = 1_000;
const DATABASE = 'Open_vSwitch';

/** Gives the exit status. @throws Fatal */
export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  const line = parseCommandLine(argv, COMMANDS);
  if (line.globals.has('--help')) {
    io.out(helpText(rundir()));
    return 0;
  }
  if (line.globals.has('--version')) {
    io.out(`ovs-vsctl (Open vSwitch) ${OVS_VERSION}\nDB Schema ${openVSwitchSchema.version}\n`);
    return 0;
  }
  const style = tableStyle(line);
  const callOff = armTimeout(line.globals.get('--timeout'));
  const session = new Session(line, style, argv, io);
  try {
    return await session.run();
  } catch (error) {
    if (error instanceof Exit) return error.status;
    throw error;
  } finally {
    session.close();
    callOff();
  }
}

function tableStyle({ globals }: CommandLine): TableStyle {
  const isBare = globals.has('--bare');
  const pick = <T extends string>(option: string, what: string, allowed: readonly T[], fallback: T): T => {
    const given = globals.get(option);
    if (given === undefined || given === null) return fallback;
    const found = allowed.find((each) => each === given);
    if (found === undefined) throw new Fatal(`unknown ${what} format "${given}"`);
    return found;
  };
  const width = globals.get('--max-column-width');
  return {
    format: pick('--format', 'output', ['table', 'list', 'html', 'csv', 'json'], 'list'),
    data: pick('--data', 'data', ['string', 'bare', 'json'], isBare ? 'bare' : 'string'),
    headings: !isBare && !globals.has('--no-headings'),
    pretty: globals.has('--pretty'),
    maxColumnWidth: Number(width ?? 0),
  };
}

/** A connection, a copy of what the commands need, and the attempts to carry them out. */
class Session {
  #client: OvsdbClient | null = null;
  #schema: DatabaseSchema = openVSwitchSchema;
  #replica = new Replica();
  #wakers: (() => void)[] = [];
  /** Counts changes of the replica. */
  #version = 0;

  constructor(
    private readonly line: CommandLine,
    private readonly style: TableStyle,
    private readonly argv: readonly string[],
    private readonly io: Io,
  ) {}

  close(): void {
    this.#client?.close();
  }

  async run(): Promise<number> {
    for (;;) {
      try {
        await this.#open();
        return await this.#work();
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        if (!this.line.globals.has('--retry')) {
          throw new Fatal(`${this.#target}: database connection failed (${error.message})`);
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  get #target(): string {
    return this.line.globals.get('--db') ?? `unix:${rundir()}/db.sock`;
  }

  async #open(): Promise<void> {
    const { globals, invocations } = this.line;
    const file = (name: string) => globals.get(name) ?? undefined;
    const client = await connectFirst(this.#target, {
      privateKey: file('--private-key'),
      certificate: file('--certificate'),
      caCert: file('--ca-cert') ?? file('--bootstrap-ca-cert'),
    });
    this.#client = client;
    try {
      this.#schema = schemaFromJson(await client.request('get_schema', [DATABASE]));
      const needs = new Needs(this.#schema);
      needs.add('Open_vSwitch', 'next_cfg', 'cur_cfg');
      for (const { command, args, options } of invocations) command.needs(needs, args, options, this.#schema);
      this.#replica = new Replica(this.#schema);
      client.onNotification = (_method, [, updates = null]) => this.#changed(updates);
      this.#replica.apply(await client.request('monitor_cond', [DATABASE, DATABASE, needs.toJson()]));
    } catch (error) {
      if (error instanceof RefusedError) {
        throw new Fatal(`${this.#target}: the server refuses: ${error.message}`);
      }
      throw error;
    }
  }

  async #work(): Promise<number> {
    for (;;) {
      const version = this.#version;
      const run = runCommands(this.#replica, this.#schema, this.line.invocations, this.style, randomUUID);
      if (run.isReady) {
        const done = await this.#commit(run);
        if (done) return 0;
      }
      if (this.#version === version) await this.#nextChange();
    }
  }

  /** False: somebody has changed what the commands went by; they are to be tried again. */
  async #commit(run: Run): Promise<boolean> {
    const { globals } = this.line;
    const { txn } = run;
    let { outputs } = run;
    let nextCfg = -1;
    if (!txn.isEmpty && !globals.has('--dry-run')) {
      const waits = !globals.has('--no-wait');
      txn.comment = `${this.#comment()}${txn.comment}`;
      const request = txn.operations(waits ? run.root : null);
      const results = await this.#transact(request.operations);
      if (!results) return false;
      outputs = outputs.map((text) => withServerUuids(text, request.indexOf, results));
      nextCfg = waits ? nextCfgOf(results[request.nextCfg]) : -1;
    }
    for (const warning of run.warnings) logLine(this.io, 'db_ctl_base', 'WARN', warning);
    this.io.out(this.#format(outputs));
    if (nextCfg >= 0) await this.#waitForSwitch(nextCfg, run.expected);
    return true;
  }

  /** The results; null where a `wait` among the operations failed. @throws Fatal */
  async #transact(operations: readonly Json[]): Promise<readonly Json[] | null> {
    let results: readonly Json[];
    try {
      const reply = await this.#request('transact', [DATABASE, ...operations]);
      results = Array.isArray(reply) ? (reply as readonly Json[]) : [];
    } catch (error) {
      if (error instanceof RefusedError) throw new Fatal(`transaction error: ${error.message}`);
      throw error;
    }
    const failed = results.find((each) => isObject(each) && each['error'] !== undefined);
    if (failed === undefined) return results;
    if (isObject(failed) && failed['error'] === 'timed out') return null;
    throw new Fatal(`transaction error: ${JSON.stringify(failed)}`);
  }

  #request(method: string, params: readonly Json[]): Promise<Json> {
    if (!this.#client) throw new ConnectionLost('not connected');
    return this.#client.request(method, params);
  }

  #comment(): string {
    const quoted = this.argv.map((word) =>
      /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`,
    );
    return `ovs-vsctl: ${['ovs-vsctl', ...quoted].join(' ')}`;
  }

  #format(outputs: readonly string[]): string {
    if (!this.line.globals.has('--oneline')) return outputs.join('');
    const oneLine = (text: string) =>
      text.replace(/\n$/, '').replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
    return outputs.map((text) => `${oneLine(text)}\n`).join('');
  }

  /** Until the switch forwards as the configuration of that number wants. */
  async #waitForSwitch(nextCfg: number, expected: ReadonlySet<string>): Promise<void> {
    for (;;) {
      const [root] = this.#replica.rows('Open_vSwitch').values();
      if (Number(root?.fields['cur_cfg']?.keys[0] ?? 0) >= nextCfg) break;
      await this.#nextChange();
    }
    let isFaulty = false;
    for (const row of this.#replica.rows('Interface').values()) {
      const name = String(row.fields['name']?.keys[0]);
      if (!expected.has(name) || row.fields['ofport']?.keys[0] !== -1) continue;
      const [error] = row.fields['error']?.keys ?? [];
      const because = error === undefined ? '' : `: ${String(error)}`;
      this.io.err(
        `ovs-vsctl: Error detected while setting up '${name}'${because}.  See ovs-vswitchd log for details.\n`,
      );
      isFaulty = true;
    }
    const logs = process.env['OVS_LOGDIR'] ?? '/var/log/openvswitch';
    if (isFaulty) this.io.err(`ovs-vsctl: The default log directory is "${logs}".\n`);
  }

  #changed(updates: Json): void {
    this.#replica.apply(updates);
    this.#version++;
    for (const wake of this.#wakers.splice(0)) wake();
  }

  /** Resolves at the next change of what is watched, rejects when the connection is lost. */
  #nextChange(): Promise<void> {
    const client = this.#client;
    if (!client) throw new ConnectionLost('not connected');
    return Promise.race([new Promise<void>((resolve) => this.#wakers.push(resolve)), client.lost]);
  }
}

/** The first of several targets (`tcp:A,tcp:B`) that can be reached. @throws ConnectionLost that of the last */
async function connectFirst(
  targets: string,
  tls: { privateKey: string | undefined; certificate: string | undefined; caCert: string | undefined },
): Promise<OvsdbClient> {
  const list = targets.startsWith('unix:') ? [targets] : targets.split(/,(?=(?:tcp|ssl|unix):)/);
  let last: unknown;
  for (const target of list) {
    try {
      return await OvsdbClient.connect(target, tls);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      last = error;
    }
  }
  throw last;
}

function nextCfgOf(result: Json | undefined): number {
  const rows = isObject(result) ? result['rows'] : undefined;
  const [row] = Array.isArray(rows) ? (rows as readonly Json[]) : [];
  const value = isObject(row) ? row['next_cfg'] : undefined;
  return typeof value === 'number' ? value : -1;
}

function withServerUuids(
  text: string,
  indexOf: ReadonlyMap<string, number>,
  results: readonly Json[],
): string {
  let replaced = text;
  for (const [uuid, index] of indexOf) {
    const result = results[index];
    const given = isObject(result) ? result['uuid'] : undefined;
    const server = Array.isArray(given) ? (given as readonly Json[])[1] : undefined;
    if (typeof server === 'string') replaced = replaced.replaceAll(uuid, server);
  }
  return replaced;
}
