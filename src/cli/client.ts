/** The REST API as `weft` speaks to it: over HTTP, HTTPS or a unix socket. A shell: it has the sockets. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { CliError, failure, messageOf, usageError } from './errors.js';
import { describeProblem } from './problems.js';

export const DEFAULT_API = 'http://127.0.0.1:8080';

export interface ClientOptions {
  /** `http://HOST:PORT`, `https://HOST:PORT`, `unix:PATH` or `HOST:PORT`. */
  readonly api: string;
  readonly token?: string | undefined;
  /** PEM of the authority that signed weftd's certificate, where the system does not know it. */
  readonly ca?: string | undefined;
  readonly timeoutMs?: number;
}

export interface Ask {
  readonly body?: unknown;
  /** Sent as it is, with this type, instead of a JSON body. */
  readonly raw?: { readonly type: string; readonly text: string };
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses of errors whose bodies are wanted all the same. */
  readonly alsoStatus?: readonly number[];
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** The body where it is JSON, else undefined. */
  readonly body: unknown;
}

/** `next`: the place of the next page; null or absent: there is none. */
type Page = { readonly next?: unknown } & Readonly<Record<string, unknown>>;

type Endpoint = { readonly isTls: boolean; readonly options: RequestOptions; readonly text: string };

/** @throws CliError "usage" */
export function parseApiAddress(text: string): Endpoint {
  if (/^unix:./.test(text)) {
    return { isTls: false, options: { socketPath: text.slice(5), headers: { host: 'localhost' } }, text };
  }
  const url = URL.canParse(text) && /^https?:/.test(text) ? new URL(text) : null;
  const bare =
    url ?? (URL.canParse(`http://${text}`) && /:\d+$/.test(text) ? new URL(`http://${text}`) : null);
  if (!bare || bare.pathname !== '/' || bare.search !== '') {
    throw usageError(`--api ${text}: http://HOST:PORT, https://HOST:PORT or unix:PATH is wanted`);
  }
  const isTls = bare.protocol === 'https:';
  const port = bare.port === '' ? (isTls ? 443 : 80) : Number(bare.port);
  const hostname = bare.hostname.replace(/^\[(.*)\]$/, '$1');
  return { isTls, options: { hostname, port }, text: bare.origin };
}

export class Client {
  readonly #endpoint: Endpoint;

  constructor(private readonly options: ClientOptions) {
    this.#endpoint = parseApiAddress(options.api);
  }

  get address(): string {
    return this.#endpoint.text;
  }

  /** An answer that is no error. @throws CliError with every fault that weftd names */
  async ask(method: string, path: string, ask: Ask = {}): Promise<Answer> {
    const response = await this.#send(method, path, ask, this.options.timeoutMs ?? 60_000);
    const text = await readAll(response);
    return this.#checked(method, path, response, text, ask.alsoStatus);
  }

  async get<T>(path: string, query?: Ask['query']): Promise<T> {
    const { body } = await this.ask('GET', path, query === undefined ? {} : { query });
    return body as T;
  }

  /** A list whole, however many pages it comes in. */
  async list<T>(path: string, member: string, query?: Ask['query']): Promise<T[]> {
    const items: T[] = [];
    let next: string | null = path + queryText(query);
    while (next !== null) {
      const page: Page = await this.get<Page>(next);
      items.push(...(page[member] as T[]));
      next = typeof page.next === 'string' && page.next !== next ? page.next : null;
    }
    return items;
  }

  /** The body as it comes, for what is large or has no end. @throws CliError */
  async *stream(path: string, ask: Ask = {}): AsyncGenerator<string> {
    const response = await this.#send('GET', path, ask, 0);
    if ((response.statusCode ?? 0) >= 300) this.#checked('GET', path, response, await readAll(response));
    response.setEncoding('utf8');
    try {
      for await (const chunk of response) yield chunk as string;
    } catch (error) {
      throw new CliError('unreachable', `weftd at ${this.address} broke off: ${messageOf(error)}`);
    }
  }

  #checked(
    method: string,
    path: string,
    response: IncomingMessage,
    text: string,
    also: readonly number[] = [],
  ): Answer {
    const status = response.statusCode ?? 0;
    const body = parseJson(response.headers['content-type'], text);
    if (status === 401 || status === 403) {
      throw new CliError('unreachable', `${describeProblem(status, body)} (--token-file, WEFT_TOKEN_FILE)`);
    }
    if (status >= 300 && !also.includes(status)) {
      throw failure(describeProblem(status, body) || `${method} ${path}: ${status} ${text.slice(0, 200)}`);
    }
    return { status, headers: response.headers, text, body };
  }

  async #send(method: string, path: string, ask: Ask, timeoutMs: number): Promise<IncomingMessage> {
    const { request } = this.#endpoint.isTls ? await import('node:https') : await import('node:http');
    const { token, ca } = this.options;
    const payload = ask.raw?.text ?? (ask.body === undefined ? undefined : JSON.stringify(ask.body));
    const headers: Record<string, string | number> = {
      ...(this.#endpoint.options.headers as Record<string, string> | undefined),
      accept: ask.accept ?? 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(payload === undefined
        ? {}
        : {
            'content-type': ask.raw?.type ?? 'application/json',
            'content-length': Buffer.byteLength(payload),
          }),
      ...ask.headers,
    };
    const options = {
      ...this.#endpoint.options,
      method,
      path: path + queryText(ask.query),
      headers,
      timeout: timeoutMs,
    };
    return new Promise((resolve, reject) => {
      const outgoing = request(ca === undefined ? options : { ...options, ca }, resolve);
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
      outgoing.on('error', (error) => reject(unreachable(this.address, error)));
      outgoing.end(payload);
    });
  }
}

/** `/v1/bridges/<name>/…` with each part escaped. */
export function path(...parts: (string | number)[]): string {
  return `/v1/${parts.map((part) => encodeURIComponent(part)).join('/')}`;
}

/** @throws CliError */
export function readFileOf(what: string, file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw failure(`${what} ${file} cannot be read: ${reasonOf(error)}`);
  }
}

function queryText(query: Ask['query'] = {}): string {
  const parts = Object.entries(query).flatMap(([key, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(key)}=${encodeURIComponent(value)}`],
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

function parseJson(type: string | undefined, text: string): unknown {
  if (!/json/.test(type ?? '') || /ndjson/.test(type ?? '')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk as string;
  return text;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name cannot be resolved',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to the host',
  ECONNRESET: 'the connection was closed',
  EISDIR: 'it is a directory',
  EPROTO: 'it does not speak TLS',
};

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}

function unreachable(address: string, error: unknown): CliError {
  const hint = 'start it with npm start, or say where it is with --api or WEFT_API';
  return new CliError('unreachable', `weftd cannot be reached at ${address}: ${reasonOf(error)} (${hint})`);
}
