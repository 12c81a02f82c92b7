/** Text for people: colours, tables, numbers. Pure; whether there are colours is the caller's to say. */

/** ANSI attributes; without colours each is the identity. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly accent: (text: string) => string;
}

const sgr = (on: number, off: number) => (text: string) =>
  text === '' ? '' : `\u001b[${on}m${text}\u001b[${off}m`;
const same = (text: string) => text;

export const COLOURED: Style = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  good: sgr(32, 39),
  bad: sgr(31, 39),
  warn: sgr(33, 39),
  accent: sgr(36, 39),
};
export const PLAIN: Style = { bold: same, dim: same, good: same, bad: same, warn: same, accent: same };

// eslint-disable-next-line no-control-regex -- ANSI's own introducer
const ESCAPES = /\u001b\[[0-9;]*m/g;
const width = (text: string) => text.replace(ESCAPES, '').length;

/** What comes from a device, a user or another program must not steer the terminal. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- the characters to be kept out
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '�');
}

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Columns two blanks apart; the last is not padded. Titles that end in `>` align right. */
export function table(style: Style, titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns: Column[] = titles.map((title) =>
    title.endsWith('>') ? { title: title.slice(0, -1), align: 'right' } : { title },
  );
  const widths = columns.map(({ title }, i) =>
    rows.reduce((most, row) => Math.max(most, width(row[i] ?? '')), title.length),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, i) => {
        const cell = cells[i] ?? '';
        const blanks = ' '.repeat((widths[i] ?? 0) - width(cell));
        return align === 'right' ? blanks + cell : cell + blanks;
      })
      .join('  ')
      .trimEnd();
  return [style.bold(line(columns.map(({ title }) => title))), ...rows.map(line)].join('\n');
}

export const yesNo = (value: boolean) => (value ? 'yes' : 'no');
export const orDash = (value: string | number | null | undefined) =>
  value === null || value === undefined || value === '' ? '-' : String(value);

/** `1 port`, `2 ports` */
export const count = (n: number, what: string, many = `${what}s`) => `${n} ${n === 1 ? what : many}`;

const UNITS = ['', 'k', 'M', 'G', 'T', 'P'];

/** Three digits and a decimal unit: `12.3k` */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  let [scaled, unit] = [value, 0];
  while (scaled >= 999.5 && unit < UNITS.length - 1) [scaled, unit] = [scaled / 1000, unit + 1];
  const digits =
    unit === 0 ? (Number.isInteger(scaled) ? 0 : 1) : scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  return `${scaled.toFixed(digits)}${UNITS[unit]}`;
}

/** `3s`, `5m02s`, `2h05m`, `3d04h` */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '-';
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86_400)}d${two(Math.floor(s / 3600) % 24)}h`;
}
