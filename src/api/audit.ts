/** The audit log: who changed what by the API, from what to what, and how it ended. One structured line a change. */
import { IntentError } from '../config/index.js';
import type { App } from './plugin.js';
import { scopeOf } from './security.js';
import type { Services } from './services.js';
import { bridgeOf, bridgeSnapshot, portSnapshot } from './views.js';

export interface AuditEntry {
  /** Name of the token, or `local`. */
  readonly who: string;
  /** Address of the client; null on a unix socket. */
  readonly peer: string | null;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly requestId: string;
  /** Settings that differ afterwards, each from what to what; null: there was none. */
  readonly changes: Readonly<Record<string, { from: unknown; to: unknown }>>;
  /** What was sent with it, such as flows and documents; null: nothing. */
  readonly asked: unknown;
  /** What was answered, such as how many flows were added, or what a document changed; null: nothing. */
  readonly answered: unknown;
}

/** Takes the entries to where they are kept. */
export type AuditLog = (entry: AuditEntry) => void;

type Settings = Record<string, unknown>;

/** Of a longer value the beginning is written. */
const MAX_TEXT = 500;

export function audit(app: App, services: Services, log: AuditLog): void {
  const before = new WeakMap<object, Settings>();
  const answers = new WeakMap<object, unknown>();
  app.addHook('preHandler', async (request) => {
    if (scopeOf(request) === 'write') before.set(request.raw, settingsOf(services, request.params));
  });
  app.addHook('preSerialization', async (request, _reply, payload) => {
    if (scopeOf(request) === 'write') answers.set(request.raw, payload);
    return payload;
  });
  app.addHook('onResponse', async (request, reply) => {
    if (scopeOf(request) !== 'write') return;
    const was = before.get(request.raw) ?? {};
    log({
      who: request.principal.name,
      peer: request.socket.remoteAddress ?? null,
      method: request.method,
      path: request.url.slice(0, MAX_TEXT),
      status: reply.statusCode,
      requestId: request.id,
      changes: differences(was, settingsOf(services, request.params)),
      asked: shortened(request.body ?? null),
      answered: shortened(answers.get(request.raw) ?? null),
    });
  });
}

/** The settings of what a path names: a bridge, a port, a pinned address; of none, the names of all bridges. */
function settingsOf(services: Services, params: unknown): Settings {
  const { name, port, vlan, mac } = (params ?? {}) as Partial<Record<string, string>>;
  try {
    if (name === undefined) {
      return { bridges: services.configuration.reading.network.bridges.map((bridge) => bridge.name) };
    }
    const { database } = services.configuration;
    if (mac !== undefined) return pinned(services, name, Number(vlan), mac.toLowerCase());
    return port === undefined
      ? { ...bridgeSnapshot(database, name).spec, ports: portNames(services, name) }
      : { ...portSnapshot(database, name, port).spec };
  } catch (error) {
    if (error instanceof IntentError) return {};
    throw error;
  }
}

function pinned(services: Services, name: string, vlan: number, mac: string): Settings {
  const { staticMacs } = bridgeOf(services, name);
  const entry = staticMacs.find((each) => each.vlan === vlan && each.mac === mac);
  return entry === undefined ? {} : { port: entry.port };
}

function portNames(services: Services, bridge: string): string[] {
  return bridgeOf(services, bridge).ports.map(({ name }) => name);
}

function differences(from: Settings, to: Settings): AuditEntry['changes'] {
  const changes: Record<string, { from: unknown; to: unknown }> = {};
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const [old, now] = [from[key] ?? null, to[key] ?? null];
    if (JSON.stringify(old) !== JSON.stringify(now))
      changes[key] = { from: shortened(old), to: shortened(now) };
  }
  return changes;
}

function shortened(value: unknown): unknown {
  // Metadata and cookies in flows are wider than JSON's numbers.
  const text = JSON.stringify(value, (_key, each: unknown) =>
    typeof each === 'bigint' ? String(each) : each,
  );
  return text.length <= MAX_TEXT ? value : `${text.slice(0, MAX_TEXT)}…`;
}
