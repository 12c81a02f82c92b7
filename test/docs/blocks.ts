/**
 * The commands of a document: fenced blocks of language `sh` (commands that must succeed) and `console` (commands after
 * `$ `, with what they print). In what is expected, `…` stands for anything, a line of `…` for any lines. A block that
 * cannot be run says why in a comment before it: `<!-- not run: it installs packages -->`.
 */
export interface Block {
  /** Of the fence, counted from 1. */
  readonly line: number;
  readonly commands: readonly Command[];
  /** Why not; null: it is run. */
  readonly notRun: string | null;
}

export interface Command {
  readonly text: string;
  /** Lines; null: whatever it prints. */
  readonly expected: readonly string[] | null;
  /** Exit status; a comment `# exit status 3` at the end of the command says another than 0. */
  readonly status: number;
}

const SHELL_LANGUAGES = ['sh', 'console'];
const OTHER_LANGUAGES = ['', 'text', 'json', 'yaml', 'ts', 'fish', 'zsh', 'mermaid'];

/** @throws Error for a block of an unknown language, so that none is left out unseen */
export function readBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const [, language] = /^```(\S*)\s*$/.exec(lines[i] ?? '') ?? [];
    if (language === undefined) continue;
    const end = lines.indexOf('```', i + 1);
    if (end < 0) throw new Error(`line ${i + 1}: the block has no end`);
    const body = lines.slice(i + 1, end);
    if (SHELL_LANGUAGES.includes(language)) {
      const before = lines.slice(0, i).findLast((each) => each.trim() !== '') ?? '';
      const notRun = /^<!-- not run: (.+) -->$/.exec(before.trim())?.[1] ?? null;
      blocks.push({
        line: i + 1,
        notRun,
        commands: language === 'sh' ? readScript(body) : readDialogue(body),
      });
    } else if (!OTHER_LANGUAGES.includes(language)) {
      throw new Error(`line ${i + 1}: commands stand in blocks of sh or console, this is ${language}`);
    }
    i = end;
  }
  return blocks;
}

/** The whole block as one script, which ends with its first failure. */
function readScript(lines: readonly string[]): Command[] {
  return [{ text: `(set -e\n${lines.join('\n')}\n)`, expected: null, status: 0 }];
}

/** Commands of several lines end their lines with a backslash, or open a here-document. */
function readDialogue(lines: readonly string[]): Command[] {
  const commands: Command[] = [];
  for (let i = 0; i < lines.length; i++) {
    if (!lines[i]?.startsWith('$ ')) throw new Error(`"${lines[i]}" stands before the first "$ "`);
    const [text, next] = wholeCommand(lines, i);
    const rest = lines.slice(next + 1);
    const length = rest.findIndex((line) => line.startsWith('$ '));
    const expected = length < 0 ? rest : rest.slice(0, length);
    commands.push(commandOf(text.slice(2), expected));
    i = next + expected.length;
  }
  return commands;
}

function commandOf(text: string, expected: readonly string[] | null): Command {
  const [, status = '0'] = /# exit status (\d+)\s*$/.exec(text) ?? [];
  return { text, expected, status: Number(status) };
}

function wholeCommand(lines: readonly string[], start: number): [text: string, lastLine: number] {
  let last = start;
  while (lines[last]?.endsWith('\\')) last += 1;
  const word = /<<-?\s*'?(\w+)'?/.exec(lines[last] ?? '')?.[1];
  if (word !== undefined) {
    const end = lines.indexOf(word, last + 1);
    if (end < 0) throw new Error(`the here-document has no ${word}`);
    last = end;
  }
  return [lines.slice(start, last + 1).join('\n'), last];
}

/** Whether the output is what the document says, blanks aside. */
export function fits(expected: readonly string[], output: string): boolean {
  const squeeze = (line: string) => line.trim().replace(/\s+/g, ' ');
  const pattern = expected
    .map((line) => squeeze(line))
    .filter((line, i, all) => line !== '' || i < all.length - 1)
    .map((line) => {
      if (line === '…') return '(?:.*\n)*?';
      return `${line
        .split('…')
        .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
        .join('.*')}\n`;
    })
    .join('');
  const text = output.split('\n').map(squeeze).join('\n').trimEnd();
  return new RegExp(`^${pattern}$`).test(text === '' ? '' : `${text}\n`);
}
