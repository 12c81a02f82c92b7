/** The control sockets of `ovs-appctl`. A shell. */
import { chmod, readdir, unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import type { CommandTable } from './command.js';
import { Session } from './session.js';

export interface UnixctlLog {
  warn(context: object, message: string): void;
  error(context: object, message: string): void;
}

/** Every program that `ovs-appctl -t` may ask for, with its commands. */
export type Programs = ReadonlyMap<string, CommandTable>;

/**
 * `ovs-appctl` looks for `<rundir>/<program>.<pid>.ctl` with the pid of `<rundir>/<program>.pid`. That pid is
 * weft-datapath's, which holds the pid files' locks, so the sockets are opened anew whenever it is another process.
 */
export class ControlSockets {
  readonly #open = new Map<string, ControlSocket>();
  #latest: Promise<void> = Promise.resolve();

  constructor(
    private readonly rundir: string,
    private readonly programs: Programs,
    private readonly log: UnixctlLog,
  ) {}

  /** The pid files now name this process. */
  follow(pid: number): Promise<void> {
    this.#latest = this.#latest
      .then(() => this.#follow(pid))
      .catch((error: unknown) => {
        this.log.error({ err: error }, 'ovs-appctl cannot be served');
      });
    return this.#latest;
  }

  async close(): Promise<void> {
    await this.#latest;
    for (const socket of this.#open.values()) await socket.close();
    this.#open.clear();
  }

  async #follow(pid: number): Promise<void> {
    const wanted = new Map([...this.programs].map(([name, table]) => [this.#path(name, pid), table]));
    for (const [path, socket] of this.#open) {
      if (wanted.has(path)) continue;
      await socket.close();
      this.#open.delete(path);
    }
    await this.#sweep();
    for (const [path, table] of wanted) {
      if (!this.#open.has(path)) this.#open.set(path, await ControlSocket.open(path, table, this.log));
    }
  }

  #path(program: string, pid: number): string {
    return join(this.rundir, `${program}.${pid}.ctl`);
  }

  /** What processes that were killed have left. */
  async #sweep(): Promise<void> {
    for (const name of await readdir(this.rundir)) {
      const [, program] = /^(.+)\.\d+\.ctl$/.exec(name) ?? [];
      const path = join(this.rundir, name);
      if (program === undefined || !this.programs.has(program) || this.#open.has(path)) continue;
      if (!(await isServed(path))) await unlink(path).catch(() => undefined);
    }
  }
}

class ControlSocket {
  readonly #sockets = new Set<Socket>();

  private constructor(private readonly acceptor: Server) {}

  static async open(path: string, commands: CommandTable, log: UnixctlLog): Promise<ControlSocket> {
    const acceptor = createServer();
    const control = new ControlSocket(acceptor);
    acceptor.on('connection', (socket) => control.#accept(socket, commands, log));
    await new Promise<void>((resolve, reject) => {
      acceptor.once('error', reject);
      acceptor.listen(path, resolve);
    });
    acceptor.on('error', (error) => log.warn({ err: error }, `${path}: ${error.message}`));
    await chmod(path, 0o600);
    return control;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.acceptor.close(() => resolve());
      for (const socket of this.#sockets) socket.destroySoon();
    });
  }

  #accept(socket: Socket, commands: CommandTable, log: UnixctlLog): void {
    this.#sockets.add(socket);
    const session = new Session(commands, {
      send: (text) => {
        if (socket.writable) socket.write(text);
      },
      refuse: (because) => {
        log.warn({}, `a client of the control socket: ${because}; connection ended`);
        socket.destroy();
      },
      fault: (error, command) => log.error({ err: error }, `the command ${command} failed`),
    });
    socket.on('data', (chunk: Buffer) => session.receive(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      session.ended();
    });
  }
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
