import { expect, test } from 'vitest';
import { fits, readBlocks } from './blocks.js';

test('commands and what they print', () => {
  const text = [
    'Text',
    '```sh',
    '# a remark',
    'cat > x <<EOF',
    'a: 1',
    'EOF',
    'weft port add br0 \\',
    '  tap2',
    '```',
    '<!-- not run: it would take an hour -->',
    '',
    '```console',
    '$ weft nonsense # exit status 2',
    'weft: unknown …',
    '$ true',
    '```',
  ].join('\n');
  expect(readBlocks(text)).toEqual([
    {
      line: 2,
      notRun: null,
      commands: [
        {
          text: '(set -e\n# a remark\ncat > x <<EOF\na: 1\nEOF\nweft port add br0 \\\n  tap2\n)',
          expected: null,
          status: 0,
        },
      ],
    },
    {
      line: 12,
      notRun: 'it would take an hour',
      commands: [
        { text: 'weft nonsense # exit status 2', expected: ['weft: unknown …'], status: 2 },
        { text: 'true', expected: [], status: 0 },
      ],
    },
  ]);
  expect(() => readBlocks('```bash\nls\n```')).toThrow('this is bash');
});

test('an ellipsis stands for anything in a line, or for lines', () => {
  expect(fits(['a …c', '…', 'z'], 'a  bc\n1\n2\nz\n')).toBe(true);
  expect(fits(['a …c', '…', 'z'], 'a bc\nz\n')).toBe(true);
  expect(fits(['a', 'z'], 'a\nb\nz\n')).toBe(false);
  expect(fits([], 'a\n')).toBe(false);
  expect(fits([], '')).toBe(true);
});
