/** A shell in the switch's namespace, as the reader of a tutorial has one: with Debian's tools, or with Weft's own. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot, type Lab } from '../system/lab.js';
import type { Shell } from './step.js';

export type Tools = 'debian' | 'weft';

const NAMES = ['ovs-vsctl', 'ovs-appctl', 'ovs-ofctl'];

export function createShell(lab: Lab, tools: Tools): Shell {
  const bin = join(lab.folder, 'bin');
  mkdirSync(bin, { recursive: true });
  if (tools === 'weft')
    for (const name of NAMES) symlinkSync(join(projectRoot, 'dist/ovs-tools.cjs'), join(bin, name));
  // Root runs this, and sudo may not be installed.
  writeFileSync(join(bin, 'sudo'), '#!/bin/sh\nexec "$@"\n');
  chmodSync(join(bin, 'sudo'), 0o755);
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}`, OVS_RUNDIR: lab.rundir };
  return {
    run: (line) =>
      new Promise((resolve) => {
        const words = ['netns', 'exec', lab.switchNamespace, 'sh', '-c', `exec 2>&1; ${line}`];
        execFile('ip', words, { env, timeout: 60_000 }, (error, stdout) => {
          const status = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
          resolve({ status, output: stdout });
        });
      }),
  };
}
