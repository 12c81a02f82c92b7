/**
 * Makes dist/weft.cjs, what `weft` is installed as, dist/ovs-tools.cjs, what `ovs-vsctl` and its like are, and
 * dist/weftd/, the controller.
 */
import { chmodSync, rmSync, symlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
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
 * weftd, in few files: it has to be back before a partner with LACP's short timeout loses patience, and loading some seven
 * hundred modules took a second. dist/weftd/main.js drives the switches; what it loads later (the REST API) are
 * files of their own, next to it.
 */
export async function bundleDaemon() {
  const { build: bundle } = await import('esbuild');
  const outdir = `${root}dist/weftd`;
  rmSync(outdir, { recursive: true, force: true });
  await bundle({
    entryPoints: [`${root}dist/src/main.js`],
    outdir,
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    // Names of classes stay, as errors show them.
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: 'warning',
    // It builds programs of others (--program).
    external: ['esbuild'],
    plugins: [swaggerUiInPlace],
    // Packages in CommonJS find what they expect.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const weftRequire = requireOf(import.meta.url), require = weftRequire;",
    },
  });
}

/**
 * The page at /docs serves files that lie in its package, beside its own code: also when that code is in the bundle.
 * @type {import('esbuild').Plugin}
 */
const swaggerUiInPlace = {
  name: 'swagger-ui',
  setup(bundler) {
    const folder = '/node_modules/@fastify/swagger-ui/';
    bundler.onLoad({ filter: /\/@fastify\/swagger-ui\/.*\.js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const place = `@fastify/swagger-ui/${path.slice(path.lastIndexOf(folder) + folder.length)}`;
      const itsFolder = `require('node:path').dirname(weftRequire.resolve('${place}'))`;
      return { contents: source.replaceAll('__dirname', itsFolder), loader: 'js' };
    });
  },
};

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
      .then(() => bundleDaemon())
      .then(linkCli),
  );
}
