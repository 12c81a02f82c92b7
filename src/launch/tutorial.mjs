/** `npm run tutorial:1`, `npm run tutorial:2`: replays the commands of a tutorial (test/tutorial). */
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import { PlainError, requireRoot, root, runMain } from './tools.mjs';

const [number, ...tools] = process.argv.slice(2);

await runMain(async () => {
  if (number !== '1' && number !== '2') throw new PlainError('which tutorial? 1 or 2');
  requireRoot(': the tutorials make network namespaces');
  await setUp({ tests: true, guest: number === '2' });
  await build();
  const { runTutorial } = await import(`${root}dist/test/tutorial/index.js`);
  return (await runTutorial(Number(number), tools.length > 0 ? tools : undefined)) ? 0 : 1;
});
