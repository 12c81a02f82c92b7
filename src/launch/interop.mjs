/** `npm run interop -- [PEER...]`: controllers that are not ours on weft-datapath (test/interop/README.md). */
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import { requireRoot, root, runMain } from './tools.mjs';

await runMain(async () => {
  requireRoot(': each peer has a network namespace of its own');
  await setUp({ tests: true });
  await build();
  const { runInterop } = await import(`${root}dist/test/interop/controllers.js`);
  return runInterop(process.argv.slice(2));
});
