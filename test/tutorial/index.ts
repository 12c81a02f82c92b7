/** `npm run tutorial:1` and `tutorial:2`: the two tutorials, with Debian's Open vSwitch tools and once more with Weft's. */
import { playFirst } from './first.js';
import { playSecond } from './second.js';
import type { Tools } from './shell.js';

const TUTORIALS = { 1: playFirst, 2: playSecond } as const;
const TITLES: Readonly<Record<Tools, string>> = {
  debian: 'with ovs-vsctl, ovs-appctl and ovs-ofctl of Debian’s Open vSwitch',
  weft: 'with Weft’s own programs of those names',
};

/** @returns whether all was as it should be */
export async function runTutorial(
  number: 1 | 2,
  tools: readonly Tools[] = ['debian', 'weft'],
): Promise<boolean> {
  let faults = 0;
  for (const each of tools) {
    process.stdout.write(`\nTutorial ${number}, ${TITLES[each]}\n\n`);
    faults += await TUTORIALS[number](each);
  }
  process.stdout.write(
    faults === 0 ? '\nEverything as it is printed there.\n' : `\n${faults} steps failed.\n`,
  );
  return faults === 0;
}
