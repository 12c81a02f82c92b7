/** Builds the TypeScript and the Rust side; seconds when nothing changed. */
import { bundleCli, bundleDaemon, bundleTools, linkCli } from './bundle.mjs';
import { mustRun, root, runMain } from './tools.mjs';

export async function build() {
  await mustRun('the TypeScript build', process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-b']);
  await bundleCli();
  await bundleTools();
  await bundleDaemon();
  linkCli();
  const manifest = `${root}datapath/Cargo.toml`;
  const quiet = process.stderr.isTTY ? [] : ['--quiet'];
  await mustRun('the Rust build', 'cargo', [
    'build',
    '--release',
    '--locked',
    '--manifest-path',
    manifest,
    ...quiet,
  ]);
}

if (process.argv[1] === new URL(import.meta.url).pathname) await runMain(build);
