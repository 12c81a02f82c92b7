/**
 * Connection targets in Open vSwitch's words (ovs-vsctl(8), "Controller Settings"; ovsdb(7), "Connection
 * Methods"): `tcp:HOST[:PORT]`, `ssl:HOST[:PORT]`, `unix:PATH` are active, `ptcp:[PORT][:HOST]`,
 * `pssl:[PORT][:HOST]`, `punix:PATH` passive. An IPv6 address is written in brackets.
 */

/** IANA's port for OpenFlow, used where a target names none. */
export const OPENFLOW_PORT = 6653;

export type ActiveTarget =
  | { readonly kind: 'tcp' | 'ssl'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export type PassiveTarget =
  | { readonly kind: 'ptcp' | 'pssl'; readonly host: string | undefined; readonly port: number }
  | { readonly kind: 'punix'; readonly path: string };

export type Target = ActiveTarget | PassiveTarget;

/** A target that cannot be read: says which and why. */
export class TargetError extends Error {
  override readonly name = 'TargetError';
  constructor(
    readonly target: string,
    reason: string,
  ) {
    super(`target "${target}": ${reason}`);
  }
}

/** Reads any target. @throws TargetError */
export function parseTarget(text: string): Target {
  const colon = text.indexOf(':');
  const kind = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? '' : text.slice(colon + 1);
  switch (kind) {
    case 'tcp':
    case 'ssl': {
      const [host, port] = splitHost(text, rest);
      if (host === '') throw new TargetError(text, 'a host is missing');
      return { kind, host, port: portOf(text, port, false) };
    }
    case 'ptcp':
    case 'pssl': {
      const split = rest.indexOf(':');
      const port = split < 0 ? rest : rest.slice(0, split);
      const host = split < 0 ? '' : unbracket(text, rest.slice(split + 1));
      return { kind, port: portOf(text, port, true), host: host === '' ? undefined : host };
    }
    case 'unix':
    case 'punix':
      if (rest === '') throw new TargetError(text, 'a path is missing');
      return { kind, path: rest };
    default:
      throw new TargetError(text, 'is none of tcp:, ssl:, unix:, ptcp:, pssl:, punix:');
  }
}

/** Reads a target one connects to. @throws TargetError */
export function parseActiveTarget(text: string): ActiveTarget {
  const target = parseTarget(text);
  if (target.kind === 'tcp' || target.kind === 'ssl' || target.kind === 'unix') return target;
  throw new TargetError(text, 'is passive; to connect, use tcp:, ssl: or unix:');
}

/** Reads a target one listens on. @throws TargetError */
export function parsePassiveTarget(text: string): PassiveTarget {
  const target = parseTarget(text);
  if (target.kind === 'ptcp' || target.kind === 'pssl' || target.kind === 'punix') return target;
  throw new TargetError(text, 'is active; to listen, use ptcp:, pssl: or punix:');
}

/** Writes a target back: `parseTarget(formatTarget(t))` equals `t`. */
export function formatTarget(target: Target): string {
  switch (target.kind) {
    case 'tcp':
    case 'ssl':
      return `${target.kind}:${bracket(target.host)}:${target.port}`;
    case 'ptcp':
    case 'pssl':
      return target.host === undefined
        ? `${target.kind}:${target.port}`
        : `${target.kind}:${target.port}:${bracket(target.host)}`;
    default:
      return `${target.kind}:${target.path}`;
  }
}

/** `HOST`, `HOST:PORT`, `[v6]`, `[v6]:PORT`; a bare IPv6 address is refused, since its port would be guessed. */
function splitHost(target: string, text: string): [host: string, port: string] {
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close < 0) throw new TargetError(target, 'the "[" of an IPv6 address is never closed');
    const rest = text.slice(close + 1);
    if (rest !== '' && !rest.startsWith(':'))
      throw new TargetError(target, `"${rest}" after the address is not :PORT`);
    return [text.slice(1, close), rest.slice(1)];
  }
  const colon = text.indexOf(':');
  if (colon < 0) return [text, ''];
  if (text.indexOf(':', colon + 1) >= 0) {
    throw new TargetError(target, 'an IPv6 address must be in brackets');
  }
  return [text.slice(0, colon), text.slice(colon + 1)];
}

function unbracket(target: string, host: string): string {
  if (!host.startsWith('[')) return host;
  if (!host.endsWith(']')) throw new TargetError(target, 'the "[" of an IPv6 address is never closed');
  return host.slice(1, -1);
}

function bracket(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Port 0 (any free one) makes sense only for a listener. */
function portOf(target: string, text: string, isPassive: boolean): number {
  if (text === '') return OPENFLOW_PORT;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535 || (port === 0 && !isPassive)) {
    throw new TargetError(target, `"${text}" is not a port`);
  }
  return port;
}
