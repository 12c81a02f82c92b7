/** `npm run soak -- [--seconds N] [--seed N]`: random OpenFlow from four controllers (test/interop/soak.ts). */
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import { requireRoot, root, runMain } from './tools.mjs';

await runMain(async () => {
  requireRoot(': the switch has a network namespace of its own');
  await setUp({ tests: true });
  await build();
  const { runSoak } = await import(`${root}dist/test/interop/soak.js`);
  return runSoak(process.argv.slice(2));
});
