/** A tutorial as a list: each command as it is printed there, with what has to come out. */
import { fits } from '../docs/blocks.js';
import { until } from '../system/lab.js';
import { readShow } from './show.js';

export type Step =
  /** A command that is run. Without an expectation it has to succeed and nothing more. */
  | {
      readonly command: string;
      /** As `ovs-vsctl show` prints it: compared as a tree. */
      readonly shows?: string;
      /** Lines; `…` stands for anything, a line of `…` for any lines. */
      readonly prints?: string;
      /** Lines each of which has to be there somewhere, spelt so. */
      readonly has?: readonly string[];
    }
  /** A command of the tutorial that has no place here, and why. */
  | { readonly command: string; readonly instead: string }
  /** Something the tutorial says in words. */
  | { readonly claim: string; readonly check: () => Promise<string | void> };

export interface Shell {
  /** Runs a line of shell; `output` is what it printed on both streams. */
  run(line: string): Promise<{ status: number; output: string }>;
}

/** Runs the steps in order and prints each. @returns how many were not as they should be */
export async function play(steps: readonly Step[], shell: Shell): Promise<number> {
  let faults = 0;
  for (const step of steps) {
    if ('instead' in step) {
      print('  –  ', `${step.command}\n       ${step.instead}`);
      continue;
    }
    const what = 'claim' in step ? step.claim : `# ${step.command}`;
    try {
      const remark = 'claim' in step ? await step.check() : await runStep(step, shell);
      print('ok   ', remark ? `${what}\n       ${remark}` : what);
    } catch (error) {
      faults += 1;
      print('FAIL ', `${what}\n${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return faults;
}

function print(mark: string, text: string): void {
  process.stdout.write(`${mark} ${text}\n`);
}

/** What only looks is asked again for a while: links come up, LACP negotiates, addresses are learned. */
async function runStep(
  step: Extract<Step, { command: string; instead?: never }>,
  shell: Shell,
): Promise<void> {
  let last = { status: -1, output: '' };
  const isRight = async (): Promise<boolean> => {
    last = await shell.run(step.command);
    if (last.status !== 0) return false;
    if (step.shows !== undefined) {
      return JSON.stringify(readShow(last.output)) === JSON.stringify(readShow(step.shows));
    }
    if (step.prints !== undefined) return fits(step.prints.trim().split('\n'), last.output);
    const lines = last.output.split('\n').map((line) => line.trim());
    return (step.has ?? []).every((wanted) => lines.some((line) => fits([wanted], line)));
  };
  const looks = step.shows !== undefined || step.prints !== undefined || step.has !== undefined;
  const isDone = looks ? await until(step.command, isRight, 40_000).catch(() => false) : await isRight();
  if (isDone) return;
  const wanted = step.shows ?? step.prints ?? step.has?.join('\n');
  throw new Error(
    `exit status ${last.status}\n--- printed\n${last.output}${wanted === undefined ? '' : `--- wanted\n${wanted}`}`,
  );
}
