/** `npm run demo`: the second tutorial's topology in network namespaces (test/demo). */
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import { requireRoot, root, runMain } from './tools.mjs';

await runMain(async () => {
  requireRoot(': the demonstration makes network namespaces');
  await setUp();
  await build();
  const { runDemo } = await import(`${root}dist/test/demo/tutorial.js`);
  return (await runDemo()) ? 0 : 1;
});
