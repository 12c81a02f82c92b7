/**
 * Programs by others: a file in TypeScript or JavaScript whose default export is a program or a list of them. It is bundled
 * with what it imports, and run in weftd's own process: a program is trusted as much as weftd is. What it imports from
 * `weft/program` and `node-openflow` are the modules of the running weftd, wherever those lie: they are handed over in
 * memory, as weftd itself is a bundle in which modules have no files any more.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as openflow from 'node-openflow';
import * as sdk from '../programs/sdk.js';
import { Pipeline, ProgramError, bridgeProgram, isProgram, type Program } from '../programs/index.js';

/** A program, and the bridge it is for; null: all of them. */
export interface LoadedProgram {
  readonly program: Program;
  readonly bridge: string | null;
  readonly file: string;
}

/** A program file cannot be used; the message is one line for the user. */
export class ProgramFileError extends Error {
  override readonly name = 'ProgramFileError';
}

/** Names under which a program file finds Weft. */
const OWN_MODULES = { 'weft/program': sdk, 'node-openflow': openflow } as const;
/** Under this symbol of the global object a program's bundle finds them as it is run. */
const HANDED_OVER = 'weft.modules';

/**
 * Loads `[BRIDGE=]FILE` for each text, in order: the order of the programs in the pipeline.
 * @throws ProgramFileError when a file cannot be built or run, exports no program, or two programs cannot be together.
 */
export async function loadProgramFiles(texts: readonly string[]): Promise<LoadedProgram[]> {
  const loaded: LoadedProgram[] = [];
  for (const text of texts) {
    const [, bridge, file] = /^(?:([^=/]+)=)?(.+)$/s.exec(text) ?? [];
    if (file === undefined) throw new ProgramFileError(`--program ${text}: [BRIDGE=]FILE is wanted`);
    for (const program of await loadFile(file)) loaded.push({ program, bridge: bridge ?? null, file });
  }
  checkTogether(loaded);
  return loaded;
}

/** The programs that run on a bridge, in order. */
export function programsOf(loaded: readonly LoadedProgram[], bridge: string): Program[] {
  return loaded.filter((it) => it.bridge === null || it.bridge === bridge).map(({ program }) => program);
}

async function loadFile(file: string): Promise<readonly Program[]> {
  const path = resolve(file);
  const isFile = await stat(path).then(
    (it) => it.isFile(),
    () => false,
  );
  if (!isFile) throw new ProgramFileError(`the program ${file} is not there`);
  const folder = await mkdtemp(join(tmpdir(), 'weft-program-'));
  try {
    const bundle = join(folder, 'program.mjs');
    await bundleFile(path, bundle, file);
    Object.assign(globalThis, { [Symbol.for(HANDED_OVER)]: OWN_MODULES });
    const module = (await import(pathToFileURL(bundle).href).catch((error: unknown) => {
      throw new ProgramFileError(`the program ${file} fails as it is loaded: ${messageOf(error)}`);
    })) as { default?: unknown };
    const programs: unknown[] = Array.isArray(module.default) ? module.default : [module.default];
    if (programs.length === 0 || !programs.every(isProgram)) {
      throw new ProgramFileError(
        `${file} has to export by default what defineProgram returns, or a list of such`,
      );
    }
    return programs;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function bundleFile(path: string, outfile: string, file: string): Promise<void> {
  const { build } = await import('esbuild');
  try {
    await build({
      entryPoints: [path],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      sourcemap: 'inline',
      logLevel: 'silent',
      plugins: [
        {
          name: 'weft',
          setup: (bundler) => {
            bundler.onResolve({ filter: /^(?:weft\/|node-openflow$)/ }, ({ path: name }) => {
              return name in OWN_MODULES ? { path: name, namespace: 'weft' } : null;
            });
            bundler.onLoad({ filter: /.*/, namespace: 'weft' }, ({ path: name }) => ({
              contents: handedOver(name as keyof typeof OWN_MODULES),
            }));
          },
        },
      ],
    });
  } catch (error) {
    const [first] =
      (error as { errors?: { text: string; location: { file: string; line: number } | null }[] }).errors ??
      [];
    if (first === undefined) throw error;
    const where = first.location ? `${first.location.file}:${first.location.line}` : file;
    throw new ProgramFileError(`the program ${file} cannot be built: ${where}: ${first.text}`);
  }
}

/** A module that exports what the running one of that name does. */
function handedOver(name: keyof typeof OWN_MODULES): string {
  const names = Object.keys(OWN_MODULES[name]).join(', ');
  return `export const { ${names} } = globalThis[Symbol.for('${HANDED_OVER}')]['${name}'];`;
}

/** Programs of one bridge have to fit together, and with the bridge program. */
function checkTogether(loaded: readonly LoadedProgram[]): void {
  const bridges = new Set(loaded.map(({ bridge }) => bridge));
  for (const bridge of bridges) {
    const together = bridge === null ? loaded.filter((it) => it.bridge === null) : loaded;
    const programs = bridge === null ? together.map(({ program }) => program) : programsOf(together, bridge);
    try {
      // As many tables as OpenFlow has: what a given switch has is seen when it connects.
      new Pipeline([...programs, bridgeProgram], { firstTable: 0, tableCount: 254 });
    } catch (error) {
      if (error instanceof ProgramError) throw new ProgramFileError(error.message);
      throw error;
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
