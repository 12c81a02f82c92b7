/** `npm run conformance -- --suite DIR --python PATH`: the public OpenFlow 1.3 switch cases (test/interop/README.md). */
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import { requireRoot, root, runMain } from './tools.mjs';

await runMain(async () => {
  requireRoot(': the cases run in a network namespace');
  await setUp({ tests: true });
  await build();
  const { runConformance } = await import(`${root}dist/test/interop/conformance.js`);
  return runConformance(process.argv.slice(2));
});
