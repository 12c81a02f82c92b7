/**
 * `npm start`: installs what is missing, builds, and runs weft-datapath and weftd in the foreground until Ctrl-C.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import { Supervisor } from './supervisor.mjs';
import { datapathBinary, PlainError, requireRoot, root, runMain } from './tools.mjs';

const usage = `usage: npm start -- [--rundir DIR] [--db FILE] [--http HOST:PORT] [--remote TARGET]
       [--program [BRIDGE=]FILE] [--log-format pretty|json] [--keep-interfaces]

  --rundir DIR       sockets and pid files (OVS_RUNDIR; default /run/openvswitch)
  --db FILE          the configuration database (WEFT_DB; default /var/lib/weft/conf.db); or the servers that have it,
                     one or a cluster: tcp:HOST:PORT,tcp:HOST:PORT,… (also ssl: and unix:)
  --http ADDRESS     the REST API: HOST:PORT or unix:PATH[,mode=660][,group=NAME]; may be repeated
                     (WEFT_HTTP; default 127.0.0.1:8080)
  --http-token-file FILE
                     who may use it: lines NAME read|write SHA256, or one token (WEFT_HTTP_TOKEN_FILE)
  --http-cert FILE, --http-key FILE, --http-client-ca FILE
                     PEM: it speaks TLS, and wants certificates of its clients
  --http-insecure    beyond loopback, do without TLS
  --audit-log FILE   changes by the REST API, a JSON line each (default: to the log)
  --remote TARGET    serve the database there too (ptcp:6640:127.0.0.1, pssl:, punix:); may be repeated
  --program [BRIDGE=]FILE
                     run the program of this file before the bridge program; may be repeated
  --private-key FILE, --certificate FILE, --ca-cert FILE
                     PEM, for pssl:
  --log-level LEVEL  trace, debug, info (default), warn, error or fatal
  --log-format F     default: pretty on a terminal, json otherwise
  --keep-interfaces  leave internal interfaces (and their addresses) in place on a clean stop
`;

/** Options that weftd takes as they are. */
const forwarded = /** @type {const} */ ([
  'http-token-file',
  'http-cert',
  'http-key',
  'http-client-ca',
  'audit-log',
  'log-level',
  'private-key',
  'certificate',
  'ca-cert',
]);

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        rundir: { type: 'string', default: process.env.OVS_RUNDIR ?? '/run/openvswitch' },
        db: { type: 'string', default: process.env.WEFT_DB ?? '/var/lib/weft/conf.db' },
        http: { type: 'string', multiple: true, default: [process.env.WEFT_HTTP ?? '127.0.0.1:8080'] },
        'http-token-file': { type: 'string' },
        'http-cert': { type: 'string' },
        'http-key': { type: 'string' },
        'http-client-ca': { type: 'string' },
        'http-insecure': { type: 'boolean', default: false },
        'audit-log': { type: 'string' },
        'log-level': { type: 'string' },
        remote: { type: 'string', multiple: true, default: [] },
        program: { type: 'string', multiple: true, default: [] },
        'private-key': { type: 'string' },
        certificate: { type: 'string' },
        'ca-cert': { type: 'string' },
        'log-format': { type: 'string', default: process.stdout.isTTY ? 'pretty' : 'json' },
        'keep-interfaces': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new PlainError(`${/** @type {Error} */ (error).message.split('\n')[0]} (npm start -- --help)`);
  }
}

/**
 * The pid in a pid file, if that process lives.
 * @param {string} path
 */
function readLivePid(path) {
  if (!existsSync(path)) return null;
  const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
  return pid > 0 && existsSync(`/proc/${pid}`) ? pid : null;
}

/**
 * Fails where the address cannot be listened on.
 * @param {string} http HOST:PORT, [V6]:PORT or unix:PATH
 */
function checkListen(http) {
  if (http.startsWith('unix:')) return Promise.resolve();
  const address = /^(?:https?:\/\/)?(\[(?<v6>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(http)?.groups;
  if (!address) return Promise.reject(new PlainError(`--http ${http}: HOST:PORT is wanted`));
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const code = /** @type {NodeJS.ErrnoException} */ (error).code;
      const why = code === 'EADDRINUSE' ? 'already in use by another program' : error.message;
      reject(new PlainError(`the REST address ${http} is ${why}; choose another with --http`));
    });
    server.listen({ host: address.v6 ?? address.host, port: Number(address.port) }, () =>
      server.close(resolve),
    );
  });
}

/** @param {string} text [BRIDGE=]FILE */
function fromUser(text) {
  const { bridge = '', file = text } = /^(?<bridge>[^=/]+=)?(?<file>.+)$/.exec(text)?.groups ?? {};
  return `${bridge}${resolve(process.env.INIT_CWD ?? '', file)}`;
}

/** @param {string} rundir */
function checkRundir(rundir) {
  for (const [file, name] of [
    // First, as Weft holds the other files too.
    ['weft-datapath.pid', 'another Weft'],
    ['ovs-vswitchd.pid', 'Open vSwitch'],
    ['ovsdb-server.pid', "Open vSwitch's ovsdb-server"],
  ]) {
    const pid = readLivePid(`${rundir}/${file}`);
    if (pid)
      throw new PlainError(
        `${name} (pid ${pid}) is running on ${rundir}; stop it or choose another --rundir`,
      );
  }
}

await runMain(async () => {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  requireRoot(': to open network devices (AF_PACKET, tap) and to install what is missing');
  checkRundir(options.rundir);
  for (const address of options.http) await checkListen(address);
  await setUp();
  await build();

  const format = options['log-format'];
  /** @param {string} line */
  const log = (line) => {
    const text =
      format === 'json'
        ? JSON.stringify({ level: 30, time: Date.now(), name: 'supervisor', msg: line })
        : line;
    process.stderr.write(`${text}\n`);
  };
  // weftd's level is the datapath's too, unless WEFT_LOG says more exactly what is wanted.
  if (options['log-level'] !== undefined)
    process.env.WEFT_LOG ??= options['log-level'] === 'fatal' ? 'error' : options['log-level'];
  const keep = options['keep-interfaces'] ? ['--keep-interfaces'] : [];
  const datapath = new Supervisor(
    'weft-datapath',
    datapathBinary,
    ['--rundir', options.rundir, '--log-format', format, ...keep],
    log,
  );
  const controller = new Supervisor(
    'weftd',
    process.execPath,
    [
      `${root}dist/weftd/main.js`,
      '--rundir',
      options.rundir,
      '--db',
      options.db,
      ...options.http.flatMap((address) => ['--http', address]),
      ...(options['http-insecure'] ? ['--http-insecure'] : []),
      '--log-format',
      format,
      ...options.remote.flatMap((target) => ['--remote', target]),
      // npm runs scripts in the project's folder; paths are meant from where the user stands.
      ...options.program.flatMap((text) => ['--program', fromUser(text)]),
      ...forwarded.flatMap((name) => (options[name] === undefined ? [] : [`--${name}`, options[name]])),
    ],
    log,
  );
  /** @type {Promise<number>} */
  const interrupted = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => resolve(0));
    // An npm that is killed outright takes nobody along: without this the daemons would be left behind.
    const npm = process.env.npm_lifecycle_event ? process.ppid : null;
    if (npm) setInterval(() => process.ppid !== npm && resolve(0), 500).unref();
  });
  const status = await Promise.race([interrupted, datapath.start(), controller.start()]);
  await controller.stop();
  await datapath.stop();
  return status;
});
