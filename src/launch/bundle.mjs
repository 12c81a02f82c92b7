/** Makes dist/weft.cjs, what `weft` is installed as, and dist/ovs-tools.cjs, what `ovs-vsctl` and its like are. */
import { chmodSync, rmSync, symlinkSync } from 'node:fs';
import { root, runMain } from './tools.mjs';

/**
 * `weft` in one file: a command line is started often, and most of the time to start is the loading of modules. What is
 * measured: 20 ms more than bare node, against 90 ms from the files that tsc writes.
 * @param {string} [outfile]
 */
export async function bundleCli(outfile = `${root}dist/weft.cjs`) {
  await bundleProgram(`${root}dist/src/cli/main.js`, outfile);
}

/**
 * `ovs-vsctl`, `ovs-appctl` and `ovs-ofctl`, which scripts call a thousand times: one file too, of which only the program
 * that is called is set going.
 * @param {string} [outfile]
 */
export async function bundleTools(outfile = `${root}dist/ovs-tools.cjs`) {
  await bundleProgram(`${root}dist/src/tools/main.js`, outfile, '#!/usr/bin/env node');
}

/**
 * @param {string} entry
 * @param {string} outfile
 * @param {string} [banner]
 */
async function bundleProgram(entry, outfile, banner) {
  // Loaded here, as this module also runs before `npm ci` has.
  const { build: bundle } = await import('esbuild');
  await bundle({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    minify: true,
    logLevel: 'warning',
    ...(banner === undefined ? {} : { banner: { js: banner } }),
  });
  chmodSync(outfile, 0o755);
}

/** Makes `npx weft` work in this folder: npm links the commands of others' packages only. */
export function linkCli() {
  const link = `${root}node_modules/.bin/weft`;
  rmSync(link, { force: true });
  symlinkSync('../../dist/weft.cjs', link);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await runMain(() =>
    bundleCli()
      .then(() => bundleTools())
      .then(linkCli),
  );
}
