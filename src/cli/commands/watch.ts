/** `weft watch`: events as they come, over server-sent events (WHATWG HTML §9.2), taken up again where they broke off. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventView } from '../../api/observe-schemas.js';
import type { Context, Options } from '../context.js';
import { CliError } from '../errors.js';
import type { Style } from '../text.js';

const RETRY_MS = 1_000;

export interface ServerEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Cuts a stream of text into events. Pure: give it chunks, it gives what is whole. */
export class EventParser {
  #rest = '';
  #id = '';
  #event = '';
  #data: string[] = [];

  push(chunk: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    const lines = (this.#rest + chunk).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0)
          events.push({ id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') });
        [this.#event, this.#data] = ['', []];
        continue;
      }
      const [, field = '', value = ''] = /^([^:]*)(?:: ?)?(.*)$/.exec(line) ?? [];
      if (field === 'data') this.#data.push(value);
      else if (field === 'event') this.#event = value;
      else if (field === 'id') this.#id = value;
    }
    return events;
  }
}

export async function watch(context: Context, kinds: string[], options: Options): Promise<void> {
  const bridge = typeof options['bridge'] === 'string' ? options['bridge'] : undefined;
  let last = typeof options['since'] === 'string' ? options['since'] : '';
  let isFirst = true;
  while (!context.signal.aborted) {
    const parser = new EventParser();
    try {
      const ask = {
        accept: 'text/event-stream',
        headers: last === '' ? {} : { 'last-event-id': last },
        query: { bridge, kind: kinds.length === 0 ? undefined : kinds.join(',') },
      };
      for await (const chunk of context.client.stream('/v1/events', ask)) {
        isFirst = false;
        for (const { id, data } of parser.push(chunk)) {
          if (id !== '') last = id;
          await context.write(`${context.options.json === true ? data : describe(context.style, data)}\n`);
        }
      }
    } catch (error) {
      if (isFirst || !(error instanceof CliError) || error.outcome !== 'unreachable') throw error;
    }
    if (!context.signal.aborted) {
      context.warn('weftd is away; trying again');
      await sleep(RETRY_MS, undefined, { signal: context.signal }).catch(() => undefined);
    }
  }
}

function describe(style: Style, text: string): string {
  let event: EventView;
  try {
    event = JSON.parse(text) as EventView;
  } catch {
    return text;
  }
  const { kind, at, bridge, data } = event;
  const facts = Object.entries(data).map(
    ([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
  );
  return `${style.dim(at)}  ${style.accent(kind.padEnd(7))}  ${style.bold(bridge ?? '-')}  ${facts.join(' ')}`;
}
