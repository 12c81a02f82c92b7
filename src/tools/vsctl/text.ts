/**
 * Values as `ovs-vsctl` reads and writes them (ovs-vsctl(8), "Database Values"): atoms with or without quotes, sets
 * `[1, 2]`, maps `{a=1, b=2}`.
 */
import { isUuid } from '../../ovsdb/index.js';
import type { Atom, AtomicType, BaseType, ColumnType, Datum } from '../../ovsdb/index.js';
import { mapOf, setOf } from '../../ovsdb/index.js';
import { Fatal } from '../fatal.js';

/** Gives the uuid that `@name` stands for. */
export type ResolveSymbol = (name: string) => string;

/** A range of integers may be written `1-100`; this is the longest that is taken. */
const MAX_RANGE = 4096;

// ---------------------------------------------------------------------------------------------------------------
// Writing

/** Whether a string has to stand in quotes to be read as itself. */
function needsQuotes(text: string): boolean {
  return !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(text) || text === 'true' || text === 'false' || isUuid(text);
}

export function atomText(atom: Atom, type: AtomicType): string {
  if (type === 'string') return needsQuotes(String(atom)) ? JSON.stringify(atom) : String(atom);
  return String(atom);
}

/** As `get` and `list` print it. */
export function datumText(datum: Datum, type: ColumnType): string {
  const words = datum.keys.map((key, i) => {
    const text = atomText(key, type.key.type);
    return type.value ? `${text}=${atomText(datum.values?.[i] ?? '', type.value.type)}` : text;
  });
  if (type.max === 1 && words.length === 1) return words[0] ?? '';
  return type.value ? `{${words.join(', ')}}` : `[${words.join(', ')}]`;
}

/** Without quotes and brackets, as `--bare` prints it. */
export function bareText(datum: Datum): string {
  return datum.keys
    .map((key, i) => (datum.values ? `${String(key)}=${String(datum.values[i])}` : String(key)))
    .join(' ');
}

// ---------------------------------------------------------------------------------------------------------------
// Reading

const DELIMITERS = ':=, []{}!<>';

/** Walks through an argument word by word. */
export class Scanner {
  at = 0;

  constructor(readonly text: string) {}

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  get rest(): string {
    return this.text.slice(this.at);
  }

  peek(): string {
    return this.text[this.at] ?? '';
  }

  skipSpaces(): void {
    while (this.peek() === ' ') this.at++;
  }

  /** Skips blanks and commas. */
  skipSeparators(): void {
    while (this.peek() === ' ' || this.peek() === ',') this.at++;
  }

  take(literal: string): boolean {
    if (!this.text.startsWith(literal, this.at)) return false;
    this.at += literal.length;
    return true;
  }

  /** A word up to a delimiter, where backslashes escape; or one in quotes, which it keeps. */
  token(): string {
    const start = this.at;
    if (this.peek() === '"') {
      for (this.at++; this.peek() !== '"'; this.at++) {
        if (this.peek() === '\\') this.at++;
        if (this.isAtEnd) {
          throw new Fatal(`${this.text.slice(start)}: quoted string extends past end of argument`);
        }
      }
      this.at++;
      return this.text.slice(start, this.at);
    }
    let word = '';
    while (!this.isAtEnd && !DELIMITERS.includes(this.peek())) {
      if (this.peek() === '\\') {
        this.at++;
        if (this.isAtEnd) throw new Fatal(`${this.text.slice(start)}: backslash at end of argument`);
      }
      word += this.peek();
      this.at++;
    }
    return word;
  }
}

/** What an atom of a set may become: one, or a range of integers. */
type Atoms = Atom[];

/** @throws Fatal */
export function atomsFromToken(token: string, base: BaseType, resolve: ResolveSymbol, ranges = false): Atoms {
  const atoms = atomsOf(token, base.type, resolve, ranges);
  for (const atom of atoms) checkAtom(atom, base);
  return atoms;
}

function atomsOf(token: string, type: AtomicType, resolve: ResolveSymbol, ranges: boolean): Atoms {
  switch (type) {
    case 'integer': {
      if (/^[-+]?\d+$/.test(token)) return [Number(token)];
      const [, first, last] = (ranges && /^([-+]?\d+)-([-+]?\d+)$/.exec(token)) || [];
      if (first === undefined || last === undefined) {
        throw new Fatal(`"${token}" is not a valid integer or range`);
      }
      if (Number(last) < Number(first)) {
        throw new Fatal(`"${token}" is not a valid range. Range end cannot be before start.`);
      }
      const count = Number(last) - Number(first) + 1;
      if (count > MAX_RANGE) throw new Fatal(`"${token}" is not a valid range`);
      return Array.from({ length: count }, (_, i) => Number(first) + i);
    }
    case 'real': {
      const value = Number(token);
      if (token === '' || !Number.isFinite(value)) throw new Fatal(`"${token}" is not a valid real number`);
      return [value];
    }
    case 'boolean':
      if (['true', 'yes', 'on', '1'].includes(token)) return [true];
      if (['false', 'no', 'off', '0'].includes(token)) return [false];
      throw new Fatal(`"${token}" is not a valid boolean (use "true" or "false")`);
    case 'string':
      return [stringOf(token)];
    case 'uuid':
      if (token.startsWith('@')) return [resolve(token)];
      if (isUuid(token)) return [token.toLowerCase()];
      throw new Fatal(`"${token}" is not a valid UUID`);
  }
}

function stringOf(token: string): string {
  if (token === '') {
    throw new Fatal('An empty string is not valid as input; use "" to represent the empty string');
  }
  if (!token.startsWith('"')) return token;
  if (token.length < 2 || !token.endsWith('"')) {
    throw new Fatal(`${token}: missing quote at end of quoted string`);
  }
  try {
    return JSON.parse(token) as string;
  } catch {
    throw new Fatal(`${token}: invalid quoted string`);
  }
}

/** RFC 7047 §3.2's constraints, in the words of Open vSwitch's tools. */
function checkAtom(atom: Atom, base: BaseType): void {
  const violated = (text: string) => new Fatal(`constraint violation: ${text}`);
  if (base.enum && !base.enum.includes(atom)) {
    const allowed = base.enum.map((each) => atomText(each, base.type)).join(', ');
    throw violated(`${atomText(atom, base.type)} is not one of the allowed values ([${allowed}])`);
  }
  if (typeof atom === 'number') {
    const [min, max] = [base.minInteger ?? base.minReal, base.maxInteger ?? base.maxReal];
    if (atom >= (min ?? -Infinity) && atom <= (max ?? Infinity)) return;
    if (min !== undefined && max !== undefined) {
      throw violated(`${atom} is not in the valid range ${min} to ${max} (inclusive)`);
    }
    throw violated(
      min !== undefined
        ? `${atom} is less than minimum allowed value ${min}`
        : `${atom} is greater than maximum allowed value ${max}`,
    );
  }
  if (typeof atom === 'string' && base.type === 'string') {
    const { length } = [...atom];
    if (length < (base.minLength ?? 0)) {
      throw violated(`"${atom}" length ${length} is less than minimum allowed length ${base.minLength}`);
    }
    if (length > (base.maxLength ?? Infinity)) {
      throw violated(`"${atom}" length ${length} is greater than maximum allowed length ${base.maxLength}`);
    }
  }
}

/** Reads a whole value of the type. @throws Fatal */
export function parseDatum(text: string, type: ColumnType, resolve: ResolveSymbol): Datum {
  const scanner = new Scanner(text);
  scanner.skipSpaces();
  const [open, close] = type.value ? ['{', '}'] : ['[', ']'];
  const isBracketed = scanner.take(open);
  const unexpected = () => new Fatal(`${text}: unexpected "${scanner.peek()}" parsing ${typeInWords(type)}`);
  const words: [Atom, Atom | undefined][] = [];
  scanner.skipSeparators();
  while (!scanner.isAtEnd && !(isBracketed && scanner.peek() === close)) {
    if (DELIMITERS.includes(scanner.peek())) throw unexpected();
    words.push(...element(scanner, type, resolve));
    const isParted = ', '.includes(scanner.peek()) || (isBracketed && scanner.peek() === close);
    if (!scanner.isAtEnd && !isParted) throw unexpected();
    scanner.skipSeparators();
  }
  if (isBracketed) {
    if (!scanner.take(close)) throw new Fatal(`${text}: missing "${close}" at end of data`);
    if (!scanner.isAtEnd) throw new Fatal(`${text}: trailing garbage after "${close}"`);
  }
  return datumOf(text, words, type);
}

function typeInWords({ key, value, min, max }: ColumnType): string {
  const name = (base: BaseType) => (base.type === 'uuid' ? 'UUID' : base.type);
  if (value) return `map of (${name(key)}, ${name(value)}) pairs`;
  if (min === 1 && max === 1) return name(key);
  const count = max === Infinity ? `${min} or more` : min === 0 ? `up to ${max}` : `${min} to ${max}`;
  return `set of ${count} ${name(key)}s`;
}

function element(scanner: Scanner, type: ColumnType, resolve: ResolveSymbol): [Atom, Atom | undefined][] {
  const { rest } = scanner;
  const keys = atomsFromToken(scanner.token(), type.key, resolve, !type.value);
  if (!type.value) return keys.map((key) => [key, undefined]);
  scanner.skipSpaces();
  if (!scanner.take('=')) {
    const found = scanner.isAtEnd ? '\0' : scanner.peek();
    throw new Fatal(`${rest}: syntax error at "${found}" expecting "="`);
  }
  scanner.skipSpaces();
  const [value = ''] = atomsFromToken(scanner.token(), type.value, resolve);
  return keys.map((key) => [key, value]);
}

function datumOf(text: string, words: readonly [Atom, Atom | undefined][], type: ColumnType): Datum {
  let datum: Datum;
  if (type.value) {
    datum = mapOf(words.map(([key, value]) => [key, value ?? '']));
    if (datum.keys.length < words.length) throw new Fatal(`${text}: map contains duplicate key`);
  } else {
    datum = setOf(words.map(([key]) => key));
    if (datum.keys.length < words.length) throw new Fatal(`${text}: set contains duplicate value`);
  }
  checkCount(text, datum, type);
  return datum;
}

/** What the elements of a column are called. */
export function elementsName(type: ColumnType): string {
  return type.value ? 'pair(s)' : 'value(s)';
}

function checkCount(text: string, { keys }: Datum, type: ColumnType): void {
  const count = keys.length;
  if (count < type.min) {
    throw new Fatal(
      `${text}: ${count} ${elementsName(type)} specified but the minimum number is ${type.min}`,
    );
  }
  if (count > type.max) {
    throw new Fatal(
      `${text}: ${count} ${elementsName(type)} specified but the maximum number is ${type.max}`,
    );
  }
}
