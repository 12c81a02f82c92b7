/**
 * A Weft for one document: a network namespace of its own, and of its own too the folders that users' commands name
 * (/run/netns, /run/openvswitch, /var/lib/weft), so that a document says what users type, and nothing of it reaches this host.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { datapathBinary, Lab, projectRoot, until } from '../system/lab.js';

/** Mounted empty; the command line follows as arguments. */
const PRIVATE = `
for folder in /run/netns /run/openvswitch /var/lib/weft; do
  mkdir -p $folder && mount -t tmpfs tmpfs $folder || exit 1
done
exec "$@"`;

export class Laboratory {
  #shell: ChildProcess | null = null;
  #output = '';
  #commands = 0;

  private constructor(readonly lab: Lab) {}

  static async create(): Promise<Laboratory> {
    const self = new Laboratory(await Lab.create());
    const { lab } = self;
    const bin = join(lab.folder, 'bin');
    const home = join(lab.folder, 'home');
    mkdirSync(bin);
    mkdirSync(home);
    const weft = join(bin, 'weft');
    writeFileSync(
      weft,
      `#!/bin/sh\nexec ${process.execPath} ${join(projectRoot, 'dist/src/cli/main.js')} "$@"\n`,
    );
    chmodSync(weft, 0o755);
    const env = {
      PATH: `${bin}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
      HOME: home,
      LC_ALL: 'C.UTF-8',
      TERM: 'dumb',
    };
    const shell = spawn(
      'ip',
      ['netns', 'exec', lab.switchNamespace, 'unshare', '--mount', 'bash', '-c', PRIVATE, 'bash', 'bash'],
      {
        cwd: home,
        env,
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    self.#shell = shell;
    const keep = (chunk: Buffer) => (self.#output += chunk.toString());
    shell.stdout.on('data', keep);
    await self.run('exec 2>&1');
    await self.run(`nohup ${datapathBinary} --log-format json > ${lab.folder}/datapath.log 2>&1 &`);
    await self.run(
      `nohup ${process.execPath} ${projectRoot}/dist/weftd/main.js --log-format json > ${lab.folder}/weftd.log 2>&1 &`,
    );
    await until('weftd answers', async () => (await self.run('weft show')).status === 0, 60_000);
    return self;
  }

  /** Runs a command as if typed; what it leaves in the shell (variables, functions) stays. */
  async run(command: string, deadlineMs = 30_000): Promise<{ output: string; status: number }> {
    this.#output = '';
    const mark = `<<done ${(this.#commands += 1)}>>`;
    // The command reads nothing from this shell's input, which would be the lines after it.
    const quoted = `'${command.replaceAll("'", "'\\''")}'`;
    this.#shell?.stdin?.write(`eval ${quoted} < /dev/null\nprintf '${mark}%s\\n' $?\n`);
    const status = await until(
      `an end of ${command}`,
      () => new RegExp(`${mark}(\\d+)\n`).exec(this.#output)?.[1],
      deadlineMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; so far: ${this.#output}`);
    });
    return { output: this.#output.slice(0, this.#output.lastIndexOf(mark)), status: Number(status) };
  }

  async close(): Promise<void> {
    this.#shell?.kill('SIGKILL');
    await this.lab.close();
  }
}
