/**
 * What happens, told to whoever listens: a bounded ring of the latest events, so that a listener that was away goes on
 * where it was, or hears that it missed some. Pure: time comes from outside, listeners have the sockets.
 */

export const EVENT_KINDS = ['port', 'link', 'learn', 'move', 'age', 'connect', 'config'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface NewEvent {
  readonly kind: EventKind;
  /** Null: it concerns no one bridge. */
  readonly bridge: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Event extends NewEvent {
  /** `RUN-NUMBER`; numbers of one run of weftd follow one another. */
  readonly id: string;
  /** ISO 8601 */
  readonly at: string;
}

export interface EventFilter {
  /** Events that concern no one bridge pass too. */
  readonly bridge?: string;
  readonly kinds?: ReadonlySet<EventKind>;
}

export interface Subscription {
  /** What the listener missed and is still there, oldest first. */
  readonly missed: readonly Event[];
  /** Events after the one named are gone: the listener should look at everything anew. */
  readonly hasGap: boolean;
  /** The id of the event after which the stream starts: the one named, or where that is unknown, the newest. */
  readonly startId: string;
  readonly end: () => void;
}

export interface EventHubOptions {
  /** Events that are kept. */
  readonly capacity: number;
  /** Something that differs between runs of weftd, without a dash. */
  readonly run: string;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

/** Makes the event of what happened. */
export type Wording<A, B, C> = (a: A, b: B, c: C) => Pick<NewEvent, 'kind' | 'data'>;

/**
 * An event as it is kept: thousands may come a second, and hardly one of them is read, so it is worded when it is. Until then
 * it is up to three values, in a place that is there already: an object for each would just outlive the youngest generation
 * of the garbage collector, at the cost of a copy, and of all code that makes such objects being compiled anew.
 */
interface Kept {
  wording: Wording<never, never, never>;
  a: unknown;
  b: unknown;
  c: unknown;
  bridge: string | null;
  atMs: number;
}

const asItIs = (event: NewEvent): NewEvent => event;

export class EventHub {
  readonly #ring: readonly Kept[];
  readonly #listeners = new Set<{ filter: EventFilter; listener: (event: Event) => void }>();
  /** Where in the ring the next event goes. */
  #next = 0;

  constructor(private readonly options: EventHubOptions) {
    this.#ring = Array.from({ length: options.capacity }, () => {
      return { wording: asItIs, a: undefined, b: undefined, c: undefined, bridge: null, atMs: 0 };
    });
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  publish(event: NewEvent): void {
    this.publishAs(event.bridge, asItIs, event);
  }

  /** Publishes what `wording` makes of the values, which nobody may change from now on. */
  publishAs<A, B = undefined, C = undefined>(
    bridge: string | null,
    wording: Wording<A, B, C>,
    a: A,
    b?: B,
    c?: C,
  ): void {
    const kept = this.#ring[++this.#next % this.options.capacity];
    if (kept === undefined) return;
    kept.wording = wording;
    kept.a = a;
    kept.b = b;
    kept.c = c;
    kept.bridge = bridge;
    kept.atMs = this.options.nowMs();
    if (this.#listeners.size === 0) return;
    const told = this.#told(this.#next, kept);
    for (const { filter, listener } of this.#listeners) if (passes(told, filter)) listener(told);
  }

  #told(number: number, { wording, a, b, c, bridge, atMs }: Kept): Event {
    const { kind, data } = wording(a as never, b as never, c as never);
    return { id: `${this.options.run}-${number}`, at: new Date(atMs).toISOString(), kind, bridge, data };
  }

  /** @param after id of the last event that the listener has; null: only what is to come */
  subscribe(filter: EventFilter, after: string | null, listener: (event: Event) => void): Subscription {
    const entry = { filter, listener };
    this.#listeners.add(entry);
    const { missed, hasGap, number } = this.#since(after);
    return {
      missed: missed.filter((event) => passes(event, filter)),
      hasGap,
      startId: `${this.options.run}-${number}`,
      end: () => this.#listeners.delete(entry),
    };
  }

  /** `number`: that of the event after which the stream starts. */
  #since(after: string | null): { missed: Event[]; hasGap: boolean; number: number } {
    if (after === null) return { missed: [], hasGap: false, number: this.#next };
    const { capacity, run } = this.options;
    const dash = after.lastIndexOf('-');
    const number = Number(after.slice(dash + 1));
    const isOurs =
      after.slice(0, dash) === run && Number.isInteger(number) && number >= 0 && number <= this.#next;
    const oldest = Math.max(1, this.#next - capacity + 1);
    const first = isOurs ? Math.max(number + 1, oldest) : this.#next + 1;
    const missed: Event[] = [];
    for (let n = first; n <= this.#next; n++) {
      const kept = this.#ring[n % capacity];
      if (kept) missed.push(this.#told(n, kept));
    }
    return { missed, hasGap: !isOurs || number + 1 < oldest, number: first - 1 };
  }
}

function passes(event: Event, { bridge, kinds }: EventFilter): boolean {
  if (kinds && !kinds.has(event.kind)) return false;
  return bridge === undefined || event.bridge === null || event.bridge === bridge;
}
