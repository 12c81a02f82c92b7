/** What `ovs-vsctl show` prints, as a value: the order of ports, quotes and versions are no part of it. */

export interface ShownTree {
  readonly text: string;
  readonly children: readonly ShownTree[];
}

/** Reads the indented lines into a tree whose siblings are sorted. The database's uuid and versions read `…`. */
export function readShow(text: string): ShownTree[] {
  const lines = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ depth: /^\s*/.exec(line)?.[0].length ?? 0, text: normalize(line) }));
  return readLevel(lines, 0, lines.length);
}

function readLevel(lines: readonly { depth: number; text: string }[], from: number, to: number): ShownTree[] {
  const trees: ShownTree[] = [];
  for (let i = from; i < to;) {
    const head = lines[i];
    if (head === undefined) break;
    const after = lines.findIndex(({ depth }, j) => j > i && j < to && depth <= head.depth);
    const end = after < 0 ? to : after;
    trees.push({ text: head.text, children: readLevel(lines, i + 1, end) });
    i = end;
  }
  return trees.sort((a, b) => (a.text < b.text ? -1 : 1));
}

function normalize(line: string): string {
  return line
    .trim()
    .replaceAll('"', '')
    .replace(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, '…')
    .replace(/^ovs_version: .*/, 'ovs_version: …');
}
