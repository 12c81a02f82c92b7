/**
 * `npm run bench [-- NAME...]`: measures beside peers in the same run and prints ratios. Each benchmark is a module
 * in test/bench whose default export takes the options given.
 */
import { readdirSync } from 'node:fs';
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import { PlainError, requireRoot, root, runMain } from './tools.mjs';

await runMain(async () => {
  const folder = `${root}test/bench/`;
  const files = readdirSync(folder).filter(
    (file) => /^[a-z-]+\.(mjs|ts)$/.test(file) && file !== 'measure.ts',
  );
  const names = files.map((file) => file.replace(/\.\w+$/, ''));
  const wanted = process.argv.slice(2).filter((word) => !word.startsWith('-'));
  const options = process.argv.slice(2).filter((word) => word.startsWith('-'));
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0)
    throw new PlainError(`no benchmark ${unknown.join(', ')}; there are: ${names.join(', ')}`);
  requireRoot(': the benchmarks make network namespaces');
  await setUp({ tests: true });
  await build();
  for (const name of wanted.length > 0 ? wanted : names) {
    process.stdout.write(`\n# ${name}\n`);
    const source = files.includes(`${name}.mjs`)
      ? `${folder}${name}.mjs`
      : `${root}dist/test/bench/${name}.js`;
    const { default: run } = await import(source);
    await run(options);
  }
});
