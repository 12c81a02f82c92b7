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

const MARK = '<<done>>';

export class Laboratory {
  #shell: ChildProcess | null = null;
  #output = '';

  private constructor(readonly lab: Lab) {}

  static async create(): Promise<Laboratory> {
    const self = new Laboratory(await Lab.create());
    const { lab } = self;
    const bin = join(lab.folder, 'bin');
    const home = join(lab.folder, 'home');
    mkdirSync(bin);
    mkdirSync(home);
    const weft = join(bin, 'weft');
    writeFileSync(weft, `#!/bin/sh\nexec ${process.execPath} ${join(projectRoot, 'dist/src/cli/main.js')} "$@"\n`);
    chmodSync(weft, 0o755);
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, HOME: home, LC_ALL: 'C.UTF-8', TERM: 'dumb' };
    const shell = spawn('ip', ['netns', 'exec', lab.switchNamespace, 'unshare', '--mount', 'bash', '-c', PRIVATE, 'bash', 'bash'], {
      cwd: home,
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    self.#shell = shell;
    const keep = (chunk: Buffer) => (self.#output += chunk.toString());
    shell.stdout.on('data', keep);
    await self.run('exec 2>&1');
    await self.run(`nohup ${datapathBinary} --log-format json > ${lab.folder}/datapath.log &`);
    await self.run(`nohup ${process.execPath} ${projectRoot}/dist/src/main.js --log-format json > ${lab.folder}/weftd.log &`);
    await until('weftd answers', async () => (await self.run('weft show')).status === 0, 60_000);
    return self;
  }

  /** Runs a command as if typed; what it leaves in the shell (variables, functions) stays. */
  async run(command: string, deadlineMs = 60_000): Promise<{ output: string; status: number }> {
    this.#output = '';
    // The command's own lines must not be taken for ours: it reads nothing from this shell's input.
    this.#shell?.stdin?.write(`{ ${command}\n} < /dev/null\nprintf '${MARK}%s\\n' $?\n`);
    const ended = new RegExp(`${MARK}(\\d+)\\n$`);
    const status = await until(
      `an end of ${command}`,
      () => {
        if (this.#shell?.exitCode !== null) throw new Error(`the shell ended: ${this.#output}`);
        return ended.exec(this.#output)?.[1];
      },
      deadlineMs,
    );
    return { output: this.#output.replace(ended, ''), status: Number(status) };
  }

  async close(): Promise<void> {
    this.#shell?.kill('SIGKILL');
    await this.lab.close();
  }
}
