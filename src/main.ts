/** weftd: the composition root. Options, environment, clock and sockets come together here and nowhere else. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { Command, CommanderError, Option } from 'commander';
import { pino } from 'pino';
import type { Logger } from 'pino';
import pretty from 'pino-pretty';
import { buildApp } from './api/app.js';
import type { App } from './api/plugin.js';
import { ListenError, isLoopback, listen, parseListenAddress } from './api/server.js';
import { Configuration } from './config/index.js';
import type { Reading } from './config/index.js';
import { CurrentReporter } from './datapath/current.js';
import { Orchestrator } from './datapath/orchestrator.js';
import { Sampler, readCounters } from './observe/index.js';
import { openVSwitchSchema } from './ovsdb/index.js';
import { Journal, JournalError } from './ovsdb/journal.js';
import { Listener, RemoteError, parsePassiveTarget } from './ovsdb/server/listener.js';
import type { PassiveTarget, TlsIdentity } from './ovsdb/server/listener.js';
import { OvsdbServer } from './ovsdb/server/index.js';
import { Store } from './ovsdb/store.js';
import { createSwitchDriver } from './switches/index.js';

const VERSION = '0.1.0';
const SYNC_TIMEOUT_MS = 5_000;
const IDLE_SAMPLE_MS = 5_000;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

interface Options {
  readonly rundir: string;
  readonly db: string;
  readonly http: string;
  readonly httpTokenFile?: string;
  readonly remote: readonly string[];
  readonly privateKey?: string;
  readonly certificate?: string;
  readonly caCert?: string;
  readonly logFormat: 'pretty' | 'json';
  readonly logLevel: string;
}

/** What the user can put right, in one line. */
class PlainError extends Error {}

function readOptions(): Options {
  const isTerminal = process.stdout.isTTY ?? false;
  const program = new Command('weftd')
    .description('Turns configuration into flow rules and keeps switches so.')
    .version(VERSION)
    .addOption(
      new Option('--rundir <dir>', 'sockets and pid files').env('OVS_RUNDIR').default('/run/openvswitch'),
    )
    .addOption(new Option('--db <file>', 'the configuration').env('WEFT_DB').default('/var/lib/weft/conf.db'))
    .addOption(
      new Option('--http <address>', 'REST API: HOST:PORT or unix:PATH')
        .env('WEFT_HTTP')
        .default('127.0.0.1:8080'),
    )
    .addOption(
      new Option('--http-token-file <file>', 'file with the token that REST clients must send').env(
        'WEFT_HTTP_TOKEN_FILE',
      ),
    )
    .addOption(
      new Option(
        '--remote <target>',
        'serve the database there too: ptcp:[PORT][:HOST], pssl:[PORT][:HOST], punix:PATH; may be repeated',
      )
        .default([])
        .argParser((target: string, others: string[]) => [...others, target]),
    )
    .addOption(new Option('--private-key <file>', 'PEM, for pssl:'))
    .addOption(new Option('--certificate <file>', 'PEM, for pssl:'))
    .addOption(new Option('--ca-cert <file>', 'PEM: who signs the certificates of clients, for pssl:'))
    .addOption(
      new Option('--log-format <format>').choices(['pretty', 'json']).default(isTerminal ? 'pretty' : 'json'),
    )
    .addOption(new Option('--log-level <level>').choices(LOG_LEVELS).default('info'))
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  try {
    return program.parse().opts<Options>();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) process.exit(0);
    throw new PlainError(error.message.replace(/^error: /, ''));
  }
}

function createLog({ logFormat, logLevel }: Options): Logger {
  const options = { name: 'weftd', level: logLevel };
  if (logFormat === 'json') return pino(options, pino.destination({ dest: 1, sync: true }));
  return pino(
    options,
    pretty({ colorize: process.stdout.isTTY ?? false, ignore: 'pid,hostname', sync: true }),
  );
}

async function readToken(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const token = await readFile(path, 'utf8').catch((error: Error) => {
    throw new PlainError(`the token file cannot be read: ${error.message}`);
  });
  if (token.trim().length < 16) throw new PlainError(`the token in ${path} is shorter than 16 characters`);
  return token.trim();
}

/** Where the database is served, `db.sock` in the run directory first. */
function readRemotes({ rundir, remote }: Options): PassiveTarget[] {
  const others = remote.map((text) => {
    const target = parsePassiveTarget(text);
    if (!target)
      throw new PlainError(
        `--remote ${text}: ptcp:[PORT][:HOST], pssl:[PORT][:HOST] or punix:PATH is wanted`,
      );
    return target;
  });
  return [{ kind: 'unix', path: `${rundir}/db.sock` }, ...others];
}

async function readTls({ privateKey, certificate, caCert }: Options): Promise<TlsIdentity | undefined> {
  if (privateKey === undefined || certificate === undefined || caCert === undefined) return undefined;
  const read = (path: string) =>
    readFile(path, 'utf8').catch((error: Error) => {
      throw new PlainError(`${path} cannot be read: ${error.message}`);
    });
  return { key: await read(privateKey), cert: await read(certificate), ca: await read(caCert) };
}

async function main(options: Options, log: Logger): Promise<void> {
  const address = parseListenAddress(options.http);
  const remotes = readRemotes(options);
  const tls = await readTls(options);
  const token = await readToken(options.httpTokenFile);
  if (!isLoopback(address) && token === undefined) {
    throw new PlainError(
      `--http ${options.http} is not loopback: whoever reaches it could reconfigure the network; give --http-token-file too`,
    );
  }
  await mkdir(options.rundir, { recursive: true }).catch((error: Error) => {
    throw new PlainError(`the run directory ${options.rundir} cannot be made: ${error.message}`);
  });

  const journal = await Journal.open({
    path: options.db,
    schema: openVSwitchSchema,
    log: (line) => log.info(line),
  });
  const store = new Store(journal, randomUUID);
  const configuration = await Configuration.open(store, { log, version: VERSION });
  const orchestrator = new Orchestrator({
    socketPath: `${options.rundir}/weft-datapath.sock`,
    log,
    createDriver: (bridge) => createSwitchDriver({ bridge, rundir: options.rundir, log }),
    onStatus: (interfaces, bridges) => configuration.setStatus(interfaces, bridges),
  });
  const sampler = new Sampler({
    bridges: () => ownBridges(configuration.reading),
    read: (bridge) => readCounters(orchestrator, bridge),
    nowMs: () => performance.now(),
    idleIntervalMs: () => IDLE_SAMPLE_MS,
  });
  const app = await buildApp({
    configuration,
    switches: orchestrator,
    sampler,
    version: VERSION,
    syncTimeoutMs: SYNC_TIMEOUT_MS,
    // Its own line about listening would only repeat ours.
    log: log.child({}, { level: 'warn' }),
    loopbackOnly: address.kind === 'tcp' && isLoopback(address) && token === undefined,
    ...(token === undefined ? {} : { token }),
  });
  const ovsdb = new OvsdbServer([store], { newUuid: randomUUID, log });
  const reporter = new CurrentReporter(orchestrator, configuration);
  const listeners: Listener[] = [];
  stopOnSignals({ app, listeners, reporter, sampler, orchestrator, configuration, log });

  const url = await listen(app, address);
  const configure = (reading: Reading) => {
    orchestrator.configure(reading);
    reporter.follow(reading);
  };
  configuration.subscribe(configure);
  configure(configuration.reading);
  orchestrator.start();
  sampler.start();
  for (const target of remotes) listeners.push(await Listener.open(ovsdb, target, tls));
  log.info({ http: url, db: options.db, rundir: options.rundir }, 'ready');
}

/** Names of the bridges on our own datapath. */
function ownBridges({ network }: Reading): string[] {
  return network.bridges.filter(({ connection }) => connection.kind === 'weft').map(({ name }) => name);
}

interface Running {
  readonly app: App;
  readonly listeners: readonly Listener[];
  readonly reporter: CurrentReporter;
  readonly sampler: Sampler;
  readonly orchestrator: Orchestrator;
  readonly configuration: Configuration;
  readonly log: Logger;
}

function stopOnSignals({
  app,
  listeners,
  reporter,
  sampler,
  orchestrator,
  configuration,
  log,
}: Running): void {
  let stopping = false;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    // Should a peer keep a connection from closing, the supervisor need not insist.
    setTimeout(() => process.exit(0), 4_000).unref();
    reporter.stop();
    await Promise.all([app.close(), ...listeners.map((listener) => listener.close())]);
    await sampler.stop();
    await orchestrator.stop();
    await configuration.close();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, (name) => void stop(name));
}

process.title = 'weftd';
let log: Logger | null = null;
try {
  const options = readOptions();
  log = createLog(options);
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      log?.fatal({ err: error }, 'a fault in weftd: it ends, to be started anew');
      process.exit(1);
    });
  }
  await main(options, log);
} catch (error) {
  const isPlain =
    error instanceof PlainError ||
    error instanceof ListenError ||
    error instanceof RemoteError ||
    error instanceof JournalError;
  if (isPlain) process.stderr.write(`weftd: ${error.message}\n`);
  else if (log) log.fatal({ err: error }, 'weftd could not start');
  else process.stderr.write(`weftd: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
