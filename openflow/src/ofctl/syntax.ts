/**
 * The lexical side of ovs-ofctl's flow syntax (ovs-ofctl(8), "Flow Syntax"): lists of `key`, `key=value`,
 * `key:value` and `key(value)`, separated by commas or blanks, where a value may hold nested parentheses.
 * Every word knows where it stood, so that an error can point at it.
 */

/** A piece of text that could not be understood: which word, where (0-based, in the whole input), and why. */
export class OfctlSyntaxError extends Error {
  override readonly name = 'OfctlSyntaxError';
  constructor(
    readonly reason: string,
    readonly word: string,
    readonly position: number,
  ) {
    super(`${reason}: "${word}" at character ${position + 1}`);
  }
}

/** One element of a list. `value` is undefined for a bare key. */
export interface Word {
  readonly key: string;
  readonly value: string | undefined;
  /** How the value was joined: `output:1`, `priority=1`, `resubmit(1,2)`. */
  readonly joint: '' | ':' | '=' | '(';
  /** Where the key starts in the whole input. */
  readonly at: number;
  /** Where the value starts. */
  readonly valueAt: number;
}

const isBlank = (char: string | undefined): boolean =>
  char === ',' || char === ' ' || char === '\t' || char === '\n' || char === '\r';

/** Where the parenthesis opened at `open` closes. */
function closing(text: string, open: number, base: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '(') depth += 1;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  throw new OfctlSyntaxError('parenthesis is never closed', text.slice(open), base + open);
}

/** Where a value that starts at `from` ends: at a separator outside all parentheses. */
function valueEnd(text: string, from: number, base: number): number {
  let i = from;
  while (i < text.length && !isBlank(text[i])) {
    if (text[i] === '(') i = closing(text, i, base);
    i += 1;
  }
  return i;
}

/** Cuts `text` into words; `base` is where it starts in the whole input. @throws OfctlSyntaxError */
export function splitWords(text: string, base = 0): Word[] {
  const words: Word[] = [];
  let i = 0;
  for (;;) {
    while (i < text.length && isBlank(text[i])) i += 1;
    if (i >= text.length) return words;
    const start = i;
    while (i < text.length && !isBlank(text[i]) && !':=()'.includes(text[i] ?? '')) i += 1;
    const key = text.slice(start, i);
    const char = text[i];
    if (char === ')') throw new OfctlSyntaxError('")" without "("', text.slice(start), base + start);
    if (char === '(') {
      const end = closing(text, i, base);
      const next = text[end + 1];
      if (end + 1 < text.length && !isBlank(next)) {
        throw new OfctlSyntaxError('unexpected text after ")"', text.slice(end + 1), base + end + 1);
      }
      words.push({ key, value: text.slice(i + 1, end), joint: '(', at: base + start, valueAt: base + i + 1 });
      i = end + 1;
    } else if (char === ':' || char === '=') {
      const end = valueEnd(text, i + 1, base);
      words.push({
        key,
        value: text.slice(i + 1, end),
        joint: char,
        at: base + start,
        valueAt: base + i + 1,
      });
      i = end;
    } else {
      words.push({ key, value: undefined, joint: '', at: base + start, valueAt: base + i });
    }
  }
}

/** The value of a word that must have one. */
export function valueOf(word: Word): string {
  if (word.value === undefined || word.value === '') {
    throw new OfctlSyntaxError('a value is missing', word.key, word.at);
  }
  return word.value;
}

/** Complains about the value of a word. */
export function badValue(word: Word, reason: string): OfctlSyntaxError {
  return new OfctlSyntaxError(
    `${word.key}: ${reason}`,
    word.value ?? word.key,
    word.value ? word.valueAt : word.at,
  );
}

/** Decimal, or hexadecimal after 0x. Undefined when it is neither. */
export function readInteger(text: string): bigint | undefined {
  return /^(0x[0-9a-f]+|\d+)$/i.test(text) ? BigInt(text) : undefined;
}

/** An unsigned number of at most `bits` bits. @throws OfctlSyntaxError naming `what` */
export function integer(text: string, bits: number, at: number, what: string): bigint {
  const value = readInteger(text);
  if (value === undefined) throw new OfctlSyntaxError(`${what}: not a number`, text, at);
  if (value >> BigInt(bits) !== 0n) {
    throw new OfctlSyntaxError(`${what}: does not fit ${bits} bits`, text, at);
  }
  return value;
}

/** The value of a word as an unsigned number of at most 32 bits. */
export function wordNumber(word: Word, bits: number): number {
  return Number(integer(valueOf(word), bits, word.valueAt, word.key));
}
