/** Debian's Open vSwitch (userspace datapath) as a peer, in a namespace of a laboratory, with its own directories. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { sh, until, type Lab } from './lab.js';

export class OpenVSwitch {
  readonly rundir: string;
  readonly #server: ChildProcess;
  readonly #daemon: ChildProcess;

  private constructor(
    readonly lab: Lab,
    rundir: string,
    server: ChildProcess,
    daemon: ChildProcess,
  ) {
    this.rundir = rundir;
    this.#server = server;
    this.#daemon = daemon;
  }

  static async start(lab: Lab): Promise<OpenVSwitch> {
    const rundir = join(lab.folder, 'ovs');
    mkdirSync(rundir, { recursive: true });
    const env = { OVS_RUNDIR: rundir, OVS_LOGDIR: rundir, OVS_DBDIR: rundir };
    const db = join(rundir, 'conf.db');
    await sh('ovsdb-tool', 'create', db, '/usr/share/openvswitch/vswitch.ovsschema');
    const socket = `${rundir}/db.sock`;
    const server = lab.spawnInSwitch(
      'ovsdb-server',
      [db, `--remote=punix:${socket}`, `--unixctl=${rundir}/ovsdb.ctl`],
      env,
    );
    await until('ovsdb-server', () =>
      sh('ovs-vsctl', `--db=unix:${socket}`, '--no-wait', 'init').then(() => true),
    );
    const daemon = lab.spawnInSwitch(
      'ovs-vswitchd',
      [`unix:${socket}`, `--unixctl=${rundir}/vswitchd.ctl`],
      env,
    );
    const ovs = new OpenVSwitch(lab, rundir, server, daemon);
    await until('ovs-vswitchd', () => ovs.appctl('version').then(() => true));
    return ovs;
  }

  vsctl(...args: string[]): Promise<string> {
    return sh('ovs-vsctl', '--timeout=60', `--db=unix:${this.rundir}/db.sock`, ...args);
  }

  appctl(...args: string[]): Promise<string> {
    return sh('ovs-appctl', '-t', `${this.rundir}/vswitchd.ctl`, ...args);
  }

  /** `ip netns exec` replaces itself, so these are the daemons' own process ids. */
  get pids(): number[] {
    return [this.#daemon.pid, this.#server.pid].filter((pid) => pid !== undefined);
  }

  async addBridge(name: string): Promise<void> {
    await this.vsctl('add-br', name, '--', 'set', 'bridge', name, 'datapath_type=netdev');
  }

  async stop(): Promise<void> {
    for (const child of [this.#daemon, this.#server]) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      await ended;
    }
  }
}
