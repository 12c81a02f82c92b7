/** Every command in README.md and docs/ does what is said there. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fits, readBlocks } from '../docs/blocks.js';
import type { Command } from '../docs/blocks.js';
import { Laboratory } from '../docs/laboratory.js';
import { projectRoot, until } from './lab.js';

const documents = [
  'README.md',
  ...readdirSync(join(projectRoot, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** What only looks may be asked again until it shows what is on its way: a link coming up, an address being learned. */
const LOOKS =
  /^(weft (show|fdb|drops|top|trace|fastpath|(sflow|netflow|ipfix|mirror) (show|list)|(bridge|port|flows|groups|meters) (list|show)|flows|groups|meters)\b|(ip netns exec \w+ )?ping |curl (?!.*-X)|ovs-\w+ .*(show|dump|list|get)|ip )/;

async function tell(lab: Laboratory, { text, expected, status }: Command): Promise<void> {
  let last = { output: '', status: -1 };
  const isRight = async () => {
    last = await lab.run(text);
    return last.status === status && (expected === null || fits(expected, last.output));
  };
  const isTold = LOOKS.test(text) ? await until(text, isRight, 10_000).catch(() => false) : await isRight();
  if (!isTold) {
    expect
      .soft(`${last.output}(exit status ${last.status})`, text)
      .toBe(`${expected?.join('\n') ?? '…'}\n(exit status ${status})`);
    throw new Error(`$ ${text}`);
  }
}

/** The first line that is a command. */
function titleOf(commands: readonly Command[]): string {
  const lines = (commands[0]?.text ?? '').split('\n');
  return lines.find((line) => line !== '(set -e' && !line.startsWith('#')) ?? '';
}

for (const name of documents) {
  const blocks = readBlocks(readFileSync(join(projectRoot, name), 'utf8')).filter(
    ({ notRun }) => notRun === null,
  );
  if (blocks.length === 0) continue;
  describe(name, () => {
    let lab: Laboratory;
    beforeAll(async () => {
      lab = await Laboratory.create();
    });
    afterAll(() => lab.close());

    // One after the other: a block relies on those before it.
    for (const { line, commands } of blocks) {
      test(`line ${line}: ${titleOf(commands)}`, async () => {
        for (const command of commands) await tell(lab, command);
      });
    }
  });
}
