/** Problem documents (RFC 9457) in one line. */
import { SETTING_OF_PATH } from './settings.js';

interface Problem {
  readonly title?: unknown;
  readonly detail?: unknown;
  readonly errors?: unknown;
}

/** All that weftd found wrong: `the request is not valid: --tag must be <= 4095; /x is not known here`. */
export function describeProblem(status: number, body: unknown): string {
  if (typeof body !== 'object' || body === null) return '';
  const { title, detail, errors } = body as Problem;
  const faults = Array.isArray(errors) ? errors.map(describeFault).filter((text) => text !== '') : [];
  const head =
    typeof title === 'string' ? title.charAt(0).toLowerCase() + title.slice(1) : `status ${status}`;
  const rest = [typeof detail === 'string' ? detail : '', ...faults].filter((text) => text !== '');
  const line = rest.length === 0 ? head : faults.length > 0 ? `${head}: ${rest.join('; ')}` : rest.join('; ');
  return line.replace(/\s*\n\s*/g, ' ');
}

function describeFault(fault: unknown): string {
  if (typeof fault !== 'object' || fault === null) return String(fault);
  const { path, message, line } = fault as { path?: unknown; message?: unknown; line?: unknown };
  const place = typeof line === 'number' ? `line ${line}: ${String(path)}` : path;
  const where = typeof place === 'string' ? nameOfPath(place) : '';
  return `${where}${where === '' ? '' : ' '}${typeof message === 'string' ? message : 'is not valid'}`;
}

/** The option that stands for a member of the body, where there is one. */
function nameOfPath(path: string): string {
  if (path.startsWith('?')) return `--${path.slice(1)}`;
  const option = SETTING_OF_PATH.get(path.split('/')[1] ?? '');
  if (option === undefined) return path;
  const rest = path.split('/').slice(2).join('/');
  return `--${option}${rest === '' ? '' : ` (item ${rest})`}`;
}
