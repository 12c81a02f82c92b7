/**
 * `npm run bench [-- NAME...]`: measures beside peers in the same run and prints ratios. Each benchmark is a module
 * in test/bench whose default export takes the remaining arguments.
 */
import { readdirSync } from 'node:fs';
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import { PlainError, root, runMain } from './tools.mjs';

await runMain(async () => {
  const folder = `${root}test/bench/`;
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.mjs') && !file.startsWith('_'))
    .map((file) => file.slice(0, -4));
  const wanted = process.argv.slice(2).filter((word) => !word.startsWith('-'));
  const options = process.argv.slice(2).filter((word) => word.startsWith('-'));
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new PlainError(`no benchmark ${unknown.join(', ')}; there are: ${names.join(', ')}`);
  if (process.getuid?.() !== 0) throw new PlainError('root is needed: the benchmarks make network namespaces');
  await setUp({ tests: true });
  await build();
  for (const name of wanted.length > 0 ? wanted : names) {
    process.stdout.write(`\n# ${name}\n`);
    const { default: run } = await import(`${folder}${name}.mjs`);
    await run(options);
  }
});
