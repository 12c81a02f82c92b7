/** Tables of values on a terminal or for programs (ovs-vsctl(8), "Table Formatting Options"). */
import { datumToJson } from '../../ovsdb/index.js';
import type { ColumnType, Datum, Json } from '../../ovsdb/index.js';
import { bareText, datumText } from './text.js';

export interface TableStyle {
  readonly format: 'table' | 'list' | 'html' | 'csv' | 'json';
  readonly data: 'string' | 'bare' | 'json';
  readonly headings: boolean;
  readonly pretty: boolean;
  /** 0: none. Of the format `table`. */
  readonly maxColumnWidth: number;
}

export interface Cell {
  readonly datum: Datum;
  readonly type: ColumnType;
}

export interface TableOutput {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

export function formatTable(table: TableOutput, style: TableStyle): string {
  switch (style.format) {
    case 'list':
      return listText(table, style);
    case 'table':
      return tableText(table, style);
    case 'csv':
      return csvText(table, style);
    case 'html':
      return htmlText(table, style);
    case 'json':
      return jsonText(table, style);
  }
}

function cellText({ datum, type }: Cell, style: TableStyle): string {
  if (style.data === 'json') return sortedJson(datumToJson(datum, type));
  return style.data === 'bare' ? bareText(datum) : datumText(datum, type);
}

function listText({ headings, rows }: TableOutput, style: TableStyle): string {
  return rows
    .map((cells) =>
      cells
        .map((cell, i) => {
          const text = cellText(cell, style);
          return style.headings ? `${(headings[i] ?? '').padEnd(20)}: ${text}\n` : `${text}\n`;
        })
        .join(''),
    )
    .join('\n');
}

function tableText({ headings, rows }: TableOutput, style: TableStyle): string {
  const limit = style.maxColumnWidth > 0 ? style.maxColumnWidth : Infinity;
  const cut = (text: string) => (text.length > limit ? `${text.slice(0, Math.max(0, limit - 3))}...` : text);
  const cells = rows.map((row) => row.map((cell) => cut(cellText(cell, style))));
  const widths = headings.map((heading, i) =>
    Math.max(style.headings ? heading.length : 0, ...cells.map((row) => (row[i] ?? '').length)),
  );
  const line = (words: readonly string[]) =>
    `${words.map((word, i) => (i === words.length - 1 ? word : word.padEnd(widths[i] ?? 0))).join(' ')}\n`;
  const head = style.headings ? line(headings) + line(widths.map((width) => '-'.repeat(width))) : '';
  return head + cells.map(line).join('');
}

function csvText({ headings, rows }: TableOutput, style: TableStyle): string {
  const quote = (text: string) => (/[\n",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const line = (words: readonly string[]) => `${words.map(quote).join(',')}\n`;
  const head = style.headings ? line(headings) : '';
  return head + rows.map((row) => line(row.map((cell) => cellText(cell, style)))).join('');
}

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

function htmlText({ headings, rows }: TableOutput, style: TableStyle): string {
  const escape = (text: string) =>
    text.replaceAll(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c);
  const row = (tag: string, cells: readonly string[]) =>
    `  <tr>\n${cells.map((cell) => `    <${tag}>${cell}</${tag}>\n`).join('')}  </tr>\n`;
  // A uuid is a place in the text, or leads to one; its beginning is enough for people.
  const cell = (given: Cell, heading: string) => {
    const text = escape(cellText(given, style));
    const link = heading === '_uuid' ? 'name="' : 'href="#';
    if (given.type.key.type !== 'uuid' && given.type.value?.type !== 'uuid') return text;
    return text.replaceAll(UUID, (uuid) => `<a ${link}${uuid}">${uuid.slice(0, 8)}</a>`);
  };
  const head = style.headings ? row('th', headings.map(escape)) : '';
  return `<table border=1>\n${head}${rows
    .map((cells) =>
      row(
        'td',
        cells.map((each, i) => cell(each, headings[i] ?? '')),
      ),
    )
    .join('')}</table>\n`;
}

function jsonText({ headings, rows }: TableOutput, style: TableStyle): string {
  const cell = ({ datum, type }: Cell): Json => datumToJson(datum, type);
  const json: Json = {
    headings,
    data: rows.map((row) => row.map(cell)),
  };
  return `${style.pretty ? prettyJson(json, 0) : sortedJson(json)}\n`;
}

/** Objects with their keys in order, as Open vSwitch writes JSON. */
export function sortedJson(json: Json): string {
  if (Array.isArray(json)) return `[${(json as readonly Json[]).map(sortedJson).join(',')}]`;
  if (typeof json !== 'object' || json === null) return JSON.stringify(json);
  const entries = Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${sortedJson(value ?? null)}`).join(',')}}`;
}

function prettyJson(json: Json, depth: number): string {
  const inner = '  '.repeat(depth + 1);
  const block = (open: string, items: readonly string[], close: string) =>
    items.length === 0 ? open + close : `${open}\n${items.map((item) => inner + item).join(',\n')}${close}`;
  if (Array.isArray(json)) {
    return block(
      '[',
      (json as readonly Json[]).map((item) => prettyJson(item, depth + 1)),
      ']',
    );
  }
  if (typeof json !== 'object' || json === null) return JSON.stringify(json);
  const entries = Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1));
  const items = entries.map(
    ([key, value]) => `${JSON.stringify(key)}: ${prettyJson(value ?? null, depth + 1)}`,
  );
  return block('{', items, '}');
}
