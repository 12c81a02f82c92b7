/** From text to a value, and back to the line that a fault is in. */
import { LineCounter, isMap, isPair, isScalar, isSeq, parseDocument, stringify } from 'yaml';
import type { Document as YamlDocument, Node, ParsedNode } from 'yaml';
import { DocumentError } from './document.js';
import type { DocumentFault } from './document.js';

export interface Source {
  readonly value: unknown;
  /** Adds line and column, where the text has them. */
  locate(fault: DocumentFault): DocumentFault;
}

/** A person's file has a dozen; a hostile one has them refer to one another. */
const MAX_ALIASES = 1000;
const MAX_DEPTH = 64;

/**
 * Reads YAML 1.2, or JSON, which is read strictly as such.
 * @throws DocumentError where the text is neither
 */
export function parseText(text: string, format: 'yaml' | 'json'): Source {
  if (depthOf(text) > MAX_DEPTH)
    throw new DocumentError([{ path: '', message: `is nested more than ${MAX_DEPTH} deep` }]);
  if (format === 'json') {
    try {
      const value: unknown = JSON.parse(text);
      let source: Source | null = null;
      return { value, locate: (fault) => (source ??= parseYaml(text)).locate(fault) };
    } catch (error) {
      throw new DocumentError([
        { path: '', message: (error as Error).message, ...positionIn(text, error as Error) },
      ]);
    }
  }
  return parseYaml(text);
}

/** YAML as people write it: no quotes where none are needed, lists of simple values in one line. */
export function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 110, defaultStringType: 'PLAIN', defaultKeyType: 'PLAIN' });
}

function parseYaml(text: string): Source {
  const lines = new LineCounter();
  let document: YamlDocument.Parsed<ParsedNode>;
  let value: unknown;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: false,
      logLevel: 'silent',
    });
    if (document.errors.length === 0) value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    // Aliases that unfold beyond all measure, or nesting beyond the stack.
    throw new DocumentError([{ path: '', message: `cannot be read: ${(error as Error).message}` }]);
  }
  if (document.errors.length > 0) {
    throw new DocumentError(
      document.errors.map(({ message, pos }) => {
        const { line, col } = lines.linePos(pos[0]);
        return { path: '', message, line, column: col };
      }),
    );
  }
  return {
    value: value ?? {},
    locate: (fault) => {
      const offset = offsetOf(document.contents, fault.path);
      if (offset === undefined) return fault;
      const { line, col } = lines.linePos(offset);
      return { ...fault, line, column: col };
    },
  };
}

/** Where the value at a path stands, or, if there is none, the innermost one around it. */
function offsetOf(root: Node | null, path: string): number | undefined {
  let node: unknown = root;
  let offset = root?.range?.[0];
  for (const part of path.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === name,
      );
      if (!pair) break;
      offset = (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(name)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return offset;
}

/** An upper bound of how deep brackets are nested: recursion over a value that a text gives goes no deeper. */
function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  for (const char of text) {
    if (char === '{' || char === '[') most = Math.max(most, ++depth);
    else if ((char === '}' || char === ']') && depth > 0) depth--;
  }
  return most;
}

function positionIn(text: string, { message }: Error): { line?: number; column?: number } {
  const offset = /at position (\d+)/.exec(message)?.[1];
  if (offset === undefined) return {};
  const before = text.slice(0, Number(offset)).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
