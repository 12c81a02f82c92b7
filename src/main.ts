/** weftd: the composition root. Options, environment, clock and sockets come together here and nowhere else. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { Command, CommanderError, Option } from 'commander';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { TokenFileError, Tokens } from './api/security.js';
import { ListenError, parseListenAddress, policyOf } from './api/server.js';
import type { ApiTls, ListenAddress } from './api/server.js';
import type { Api } from './api/start.js';
import { Configuration, ManagerKeeper, statisticsIntervalMs } from './config/index.js';
import type { Reading } from './config/index.js';
import { CurrentReporter } from './datapath/current.js';
import { Orchestrator } from './datapath/orchestrator.js';
import {
  Devices,
  EventFeed,
  EventHub,
  Publisher,
  Sampler,
  readCounters,
  readMachineStatistics,
  readMirrorCounters,
} from './observe/index.js';
import { Exporting } from './exporting/index.js';
import { ProgramFileError, loadProgramFiles, programsOf } from './extensions/program-file.js';
import { openVSwitchSchema } from './ovsdb/index.js';
import { Journal, JournalError } from './ovsdb/journal.js';
import { Listener, RemoteError, parsePassiveTarget } from './ovsdb/server/listener.js';
import type { PassiveTarget, TlsIdentity } from './ovsdb/server/listener.js';
import { OvsdbServer } from './ovsdb/server/index.js';
import { Remotes } from './ovsdb/server/remotes.js';
import type { RemoteTls } from './ovsdb/server/remotes.js';
import { TargetError } from './ovsdb/remote/client.js';
import { parseServers } from './ovsdb/remote/connection.js';
import { RemoteStore } from './ovsdb/remote/remote-store.js';
import { Store } from './ovsdb/store.js';
import type { DatabaseStore } from './ovsdb/store.js';
import { notifyService } from './service/notify.js';
import { readTlsIdentity } from './service/tls-identity.js';
import { createSwitchDriver } from './switches/index.js';
import { ControlSockets, SAMPLE_PERIOD_S } from './unixctl/index.js';
import { createPrograms } from './unixctl/wiring.js';

const VERSION = '0.1.0';
const SYNC_TIMEOUT_MS = 5_000;
const READY_TIMEOUT_MS = 20_000;
/**
 * The switches come first when weftd starts: a partner with LACP's short timeout has three seconds of patience. The REST
 * API, which is most of what there is to load, waits until they are in order, or for so long.
 */
const HEAD_START_MS = 1_000;
/** For telling collectors, when weftd stops, of the flows that are open. */
const EXPORT_MS = 2_000;
const KEPT_EVENTS = 4_096;
/** Asked to end by `ovs-appctl exit`: whoever keeps weftd alive should not start it again (supervisor.mjs). */
const EXIT_FOR_GOOD = 3;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

interface Options {
  readonly rundir: string;
  readonly db: string;
  readonly http: readonly string[];
  readonly httpTokenFile?: string;
  readonly httpCert?: string;
  readonly httpKey?: string;
  readonly httpClientCa?: string;
  readonly httpInsecure?: true;
  readonly auditLog?: string;
  readonly remote: readonly string[];
  readonly program: readonly string[];
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
    .addOption(
      new Option(
        '--db <file>',
        'the configuration; or servers that have it, one or a cluster: tcp:HOST:PORT, ssl:HOST:PORT, unix:PATH, by commas',
      )
        .env('WEFT_DB')
        .default('/var/lib/weft/conf.db'),
    )
    .addOption(
      new Option(
        '--http <address>',
        'REST API: HOST:PORT or unix:PATH[,mode=660][,group=NAME]; may be repeated (default: 127.0.0.1:8080)',
      )
        .default([])
        .argParser((address: string, others: string[]) => [...others, address]),
    )
    .addOption(
      new Option(
        '--http-token-file <file>',
        'who may use the REST API: lines NAME read|write SHA256, or one token',
      ).env('WEFT_HTTP_TOKEN_FILE'),
    )
    .addOption(new Option('--http-cert <file>', 'PEM: the REST API speaks TLS'))
    .addOption(new Option('--http-key <file>', 'PEM: the key of --http-cert'))
    .addOption(new Option('--http-client-ca <file>', 'PEM: clients must have a certificate signed by it'))
    .addOption(new Option('--http-insecure', 'beyond loopback, do without TLS'))
    .addOption(
      new Option('--audit-log <file>', 'changes by the REST API, a JSON line each; default: to the log'),
    )
    .addOption(
      new Option(
        '--remote <target>',
        'serve the database there too: ptcp:[PORT][:HOST], pssl:[PORT][:HOST], punix:PATH; may be repeated',
      )
        .default([])
        .argParser((target: string, others: string[]) => [...others, target]),
    )
    .addOption(
      new Option(
        '--program <[bridge=]file>',
        'run the program of this file (TypeScript or JavaScript) before the bridge program; may be repeated',
      )
        .default([])
        .argParser((file: string, others: string[]) => [...others, file]),
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

async function createLog({ logFormat, logLevel }: Options): Promise<Logger> {
  const options = { name: 'weftd', level: logLevel };
  if (logFormat === 'json') return pino(options, pino.destination({ dest: 1, sync: true }));
  const { default: pretty } = await import('pino-pretty');
  return pino(
    options,
    pretty({ colorize: process.stdout.isTTY ?? false, ignore: 'pid,hostname', sync: true }),
  );
}

async function readPem(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: Error) => {
    throw new PlainError(`${path} cannot be read: ${error.message}`);
  });
}

async function readTokens(path: string | undefined): Promise<Tokens | undefined> {
  if (path === undefined) return undefined;
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new PlainError(`the token file cannot be read: ${error.message}`);
  });
  try {
    return Tokens.parse(text);
  } catch (error) {
    if (!(error instanceof TokenFileError)) throw error;
    throw new PlainError(`${path}: ${error.message}`);
  }
}

async function readApiTls({ httpCert, httpKey, httpClientCa }: Options): Promise<ApiTls | undefined> {
  if (httpCert === undefined && httpKey === undefined && httpClientCa === undefined) return undefined;
  if (httpCert === undefined || httpKey === undefined)
    throw new PlainError('--http-cert and --http-key go together');
  const ca = httpClientCa === undefined ? {} : { ca: await readPem(httpClientCa) };
  return { cert: await readPem(httpCert), key: await readPem(httpKey), ...ca };
}

/** Where the REST API listens: as the options say, else as the environment does. */
function readAddresses({ http }: Options): ListenAddress[] {
  const given = http.length > 0 ? http : [process.env['WEFT_HTTP'] ?? '127.0.0.1:8080'];
  return given.map(parseListenAddress);
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
  const addresses = readAddresses(options);
  const servers = parseServers(options.db);
  const remotes = servers ? [] : readRemotes(options);
  const tls = await readTls(options);
  const extensions = await loadProgramFiles(options.program);
  const tokens = await readTokens(options.httpTokenFile);
  const apiTls = await readApiTls(options);
  const listening = {
    hasTokens: tokens !== undefined,
    insecure: options.httpInsecure === true,
    ...(apiTls ? { tls: apiTls } : {}),
  };
  // What cannot be is said before anything is opened.
  for (const address of addresses) policyOf(address, listening);
  await mkdir(options.rundir, { recursive: true }).catch((error: Error) => {
    throw new PlainError(`the run directory ${options.rundir} cannot be made: ${error.message}`);
  });

  const { store, ovsdb, compact } = await openDatabase(options, servers, log);
  const configuration = await Configuration.open(store, { log });
  const events = new EventHub({
    capacity: KEPT_EVENTS,
    run: Date.now().toString(36),
    nowMs: Date.now,
  });
  const feed = new EventFeed(events);
  const orchestrator = new Orchestrator({
    socketPath: `${options.rundir}/weft-datapath.sock`,
    log,
    createDriver: (bridge) => {
      const driver = createSwitchDriver({
        bridge,
        rundir: options.rundir,
        log,
        programs: programsOf(extensions, bridge.name),
      });
      driver.subscribe((event) => feed.ofSwitch(bridge, event));
      driver.observations((observation) => exporting.observed(bridge.name, observation));
      return driver;
    },
    onStatus: (interfaces, bridges) => configuration.setStatus(interfaces, bridges),
    onConnected: () => void serveTools(),
    onEvent: (event) => feed.ofDatapath(event),
  });
  const exporting = new Exporting({
    driver: (bridge) => orchestrator.driver(bridge),
    port: (bridge, name) => orchestrator.port(bridge, name),
    readCounters: async (bridge) => (await readCounters(orchestrator, bridge)).ports,
    log,
  });
  const sampler = new Sampler({
    bridges: () => ownBridges(configuration.reading),
    read: (bridge) => readCounters(orchestrator, bridge),
    nowMs: () => performance.now(),
    idleIntervalMs: () => statisticsIntervalMs(configuration.database),
    onRound: () => void publisher.roundEnded(),
  });
  const devices = new Devices();
  const publisher = new Publisher({
    configuration,
    sampler,
    controllers: async () => {
      const bridges = await orchestrator.ask('bridge.list', {});
      return new Map(bridges.map(({ name, controllers = [] }) => [name, controllers]));
    },
    devices: (states) => devices.read(states),
    bonds: () =>
      ownBridges(configuration.reading)
        .flatMap((bridge) => orchestrator.driver(bridge)?.bonds() ?? [])
        .map(({ name, members }) => ({
          bond: name,
          mac: members.find((each) => each.isActive)?.mac ?? null,
        })),
    mirrors: () => mirrorCounters(orchestrator, configuration.reading),
    machine: () => readMachineStatistics(options.rundir),
    nowMs: () => performance.now(),
  });
  let transactions = 0;
  store.subscribe(() => void transactions++);
  const reporter = new CurrentReporter(orchestrator, configuration);
  // What the command line names goes before what the database does.
  const given: RemoteTls | null = tls ? { identity: tls } : null;
  const remoteTls = given ?? (await readTlsIdentity(null));
  const managers = new ManagerKeeper(configuration, new Remotes(ovsdb, remoteTls), (files) =>
    given ? Promise.resolve(given) : readTlsIdentity(files),
  );
  const listeners: Listener[] = [];
  const late: { api?: Api } = {};
  const { programs, coverage } = createPrograms({
    configuration,
    orchestrator,
    database: compact && {
      databases: () => [...ovsdb.databases.keys()],
      remotes: () => [`punix:${options.rundir}/db.sock`, ...options.remote, ...managers.targets()],
      addRemote: (target) => managers.add(target),
      removeRemote: (target) => managers.remove(target),
      compact,
    },
    log,
    version: VERSION,
    exit: (cleanup) => void stop('ovs-appctl exit', EXIT_FOR_GOOD, cleanup),
  });
  setInterval(() => coverage.sample(), SAMPLE_PERIOD_S * 1000).unref();
  const sockets = new ControlSockets(options.rundir, programs, log);
  const stop = stopOnSignals({
    api: () => late.api,
    listeners,
    sockets,
    managers,
    reporter,
    sampler,
    exporting,
    orchestrator,
    configuration,
    log,
  });
  /** The tools of Open vSwitch find us by the pid files that the datapath holds. */
  const serveTools = async () => {
    try {
      const { pid } = await orchestrator.ask('pidfile.hold', { programs: [...programs.keys()] });
      await sockets.follow(pid);
    } catch (error) {
      log.warn({ err: error }, `ovs-appctl will not find this switch: ${(error as Error).message}`);
    }
  };

  const configure = (reading: Reading) => {
    orchestrator.configure(reading);
    exporting.configure(reading.network.bridges);
    feed.ofConfiguration(reading);
    reporter.follow(reading);
  };
  configuration.subscribe(configure);
  configure(configuration.reading);
  orchestrator.start();
  sampler.start();
  // Servers of their own see to the managers that their database names.
  if (!servers) managers.start();
  for (const target of remotes) listeners.push(await Listener.open(ovsdb, target, tls));
  // Whatever is ordered after us finds its interfaces; a bridge that cannot be helped must not hold the boot up, nor must
  // the API, which nothing at boot asks.
  const announced = orchestrator
    .synced(READY_TIMEOUT_MS)
    .catch((error: Error) => log.warn(error.message))
    .then(() => notifyService('READY=1'));
  await orchestrator.synced(HEAD_START_MS).catch(() => undefined);

  const { startApi } = await import('./api/start.js');
  late.api = await startApi(addresses, listening, {
    configuration,
    switches: orchestrator,
    sampler,
    exporting,
    events,
    version: VERSION,
    syncTimeoutMs: SYNC_TIMEOUT_MS,
    log,
    historyFolder: servers ? `${options.rundir}/conf.db.history` : `${options.db}.history`,
    ...(options.auditLog === undefined ? {} : { auditLogPath: options.auditLog }),
    ovsdb: () => ({ sessions: ovsdb.sessionCount, transactions }),
    ...(tokens ? { tokens } : {}),
  });
  log.info(
    { http: late.api.listeners.map(({ url }) => url).join(' '), db: options.db, rundir: options.rundir },
    'ready',
  );
  await announced;
}

interface OpenDatabase {
  readonly store: DatabaseStore;
  readonly ovsdb: OvsdbServer;
  /** Null: the file is others'. */
  readonly compact: (() => Promise<void>) | null;
}

/** Our own database with its file, which we serve; or, at the servers named, one that we do not. */
async function openDatabase(
  options: Options,
  servers: readonly string[] | null,
  log: Logger,
): Promise<OpenDatabase> {
  if (servers) {
    if (options.remote.length > 0) throw new PlainError('--remote: the servers of --db serve the database');
    const { privateKey, certificate, caCert } = options;
    const store = await RemoteStore.open({
      targets: servers,
      database: openVSwitchSchema.name,
      tls: { privateKey, certificate, caCert },
      newUuid: randomUUID,
      log,
    });
    return { store, ovsdb: new OvsdbServer([], { newUuid: randomUUID, log }), compact: null };
  }
  const journal = await Journal.open({
    path: options.db,
    schema: openVSwitchSchema,
    log: (line) => log.info(line),
  });
  const store = new Store(journal, randomUUID, openVSwitchSchema);
  return {
    store,
    ovsdb: new OvsdbServer([store], { newUuid: randomUUID, log }),
    compact: () => journal.compact('asked for by ovs-appctl'),
  };
}

/** Names of the bridges on our own datapath. */
async function mirrorCounters(orchestrator: Orchestrator, { network }: Reading) {
  const all = network.bridges.map(async (bridge) => {
    const driver = bridge.mirrors.length > 0 ? orchestrator.driver(bridge.name) : undefined;
    return driver ? [...(await readMirrorCounters(bridge, driver))] : [];
  });
  return new Map((await Promise.all(all)).flat());
}

function ownBridges({ network }: Reading): string[] {
  return network.bridges.filter(({ connection }) => connection.kind === 'weft').map(({ name }) => name);
}

interface Running {
  /** Undefined until it is there. */
  readonly api: () => Api | undefined;
  readonly listeners: readonly Listener[];
  readonly sockets: ControlSockets;
  readonly managers: ManagerKeeper;
  readonly reporter: CurrentReporter;
  readonly sampler: Sampler;
  readonly exporting: Exporting;
  readonly orchestrator: Orchestrator;
  readonly configuration: Configuration;
  readonly log: Logger;
}

/** Gives what stops weftd, for whatever reason. */
function stopOnSignals(
  running: Running,
): (because: string, status: number, datapathToo?: boolean) => Promise<void> {
  const { api, listeners, sockets, managers, reporter, sampler, orchestrator, configuration, log } = running;
  const { exporting } = running;
  let stopping = false;
  const stop = async (because: string, status: number, datapathToo = false): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ because }, 'stopping');
    // Should a peer keep a connection from closing, the supervisor need not insist.
    setTimeout(() => process.exit(status), 4_000).unref();
    reporter.stop();
    await Promise.all([sampler.stop(), exporting.close(EXPORT_MS)]);
    await managers.stop();
    await Promise.all([api()?.close(), sockets.close(), ...listeners.map((listener) => listener.close())]);
    if (datapathToo) await orchestrator.ask('shutdown', {}).catch(() => undefined);
    await orchestrator.stop();
    await api()?.revisions.close();
    await configuration.close();
    log.info('stopped');
    process.exit(status);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, (name) => void stop(name, 0));
  return stop;
}

process.title = 'weftd';
let log: Logger | null = null;
try {
  const options = readOptions();
  log = await createLog(options);
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
    error instanceof TargetError ||
    error instanceof ProgramFileError ||
    error instanceof JournalError;
  if (isPlain) process.stderr.write(`weftd: ${error.message}\n`);
  else if (log) log.fatal({ err: error }, 'weftd could not start');
  else process.stderr.write(`weftd: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
