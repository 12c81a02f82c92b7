/** `npm run conformance -- --suite DIR --python PATH`: the public OpenFlow 1.3 switch cases (test/interop/README.md). */
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import { PlainError, root, runMain } from './tools.mjs';

await runMain(async () => {
  if (process.getuid?.() !== 0) throw new PlainError('root is needed: the cases run in a network namespace');
  await setUp({ tests: true });
  await build();
  const { runConformance } = await import(`${root}dist/test/interop/conformance.js`);
  return runConformance(process.argv.slice(2));
});
