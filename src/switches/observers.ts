/**
 * The observers of one switch (ARCHITECTURE.md, "Observers"): sets them before rules lead to them, deletes them after, and
 * leaves out what the switch will not have. A switch of other make refuses them all: then no rule samples or accounts, and
 * everything else of the bridge works.
 */
import {
  RequestError,
  type CommitError,
  type Connection,
  type MessageInput,
  type ObserverFlowRecords,
  type ObserverSamples,
  type ObserverStats,
} from 'node-openflow';
import {
  FIRST_OWN_OBSERVER,
  observersOf,
  type Bridge,
  type Observer,
  type PortNumber,
} from '../domain/index.js';

/** What a switch has seen. */
export type Observation = ObserverSamples | ObserverFlowRecords;
export type ObservationListener = (observation: Observation) => void;

export interface ObserverStatus {
  readonly observer: Observer;
  /** The switch has it. */
  readonly isSet: boolean;
  /** Why the switch does not; null: nothing is known against it. */
  readonly refused: string | null;
}

const TIMEOUT = { timeoutMs: 30_000 };

export class Observers {
  /** What this connection has set, as text. */
  readonly #set = new Map<number, string>();
  /** What the switch would not have, as text, and why. */
  readonly #refused = new Map<number, { readonly observer: string; readonly why: string }>();
  readonly #listeners = new Set<ObservationListener>();
  /** Observers of an earlier connection that the switch still has. */
  readonly #left = new Set<number>();
  #isWatched = false;
  #known: { readonly from: Bridge; readonly to: Bridge } | undefined;

  listen(listener: ObservationListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** @returns whether that is a change */
  watch(isWatched: boolean): boolean {
    if (this.#isWatched === isWatched) return false;
    this.#isWatched = isWatched;
    this.#known = undefined;
    return true;
  }

  /** The bridge with the observers that there are to be: one more while somebody looks, those refused left out. */
  bridge(bridge: Bridge): Bridge {
    if (this.#known?.from !== bridge) {
      const isWatched = this.#isWatched;
      const exports = isWatched ? { ...bridge.exports, isWatched } : bridge.exports;
      const withheld = new Set(
        observersOf(exports)
          .filter((each) => this.#refusal(each) !== null)
          .map(({ id }) => id),
      );
      const isAsWas = !isWatched && withheld.size === 0;
      const to = isAsWas ? bridge : { ...bridge, exports: { ...exports, withheld } };
      this.#known = { from: bridge, to };
    }
    return this.#known.to;
  }

  /** Another connection, perhaps to another switch: what it has and what it takes is not known. */
  async connected(connection: Connection, isForeign: boolean): Promise<void> {
    this.#set.clear();
    this.#left.clear();
    this.#refused.clear();
    this.#known = undefined;
    connection.on('message', (message) => {
      if (message.type !== 'WEFT_SAMPLES' && message.type !== 'WEFT_FLOW_RECORDS') return;
      for (const listener of this.#listeners) listener(message);
    });
    if (isForeign) return;
    for (const { observerId } of await this.stats(connection))
      if (observerId >= FIRST_OWN_OBSERVER) this.#left.add(observerId);
  }

  /** Sets those that rules are about to lead to. Afterwards {@link bridge} is without those that the switch refused. */
  async prepare(connection: Connection, bridge: Bridge): Promise<void> {
    const wanted = observersOf(this.bridge(bridge).exports).filter(
      (observer) => this.#set.get(observer.id) !== JSON.stringify(observer),
    );
    if (wanted.length === 0) return;
    const errors = await connection.commit(wanted.map(setMessage), TIMEOUT);
    for (const [index, observer] of wanted.entries()) {
      const refusal = errors.find((each) => each.index === index);
      if (refusal === undefined) {
        this.#set.set(observer.id, JSON.stringify(observer));
        this.#left.delete(observer.id);
      } else {
        this.#refused.set(observer.id, { observer: JSON.stringify(observer), why: describe(refusal) });
        this.#known = undefined;
      }
    }
  }

  /** Deletes those that no rule leads to any more; they report what is open first. */
  async tidy(connection: Connection, bridge: Bridge): Promise<void> {
    const wanted = new Set(observersOf(this.bridge(bridge).exports).map(({ id }) => id));
    const surplus = [...this.#set.keys(), ...this.#left].filter((id) => !wanted.has(id));
    if (surplus.length === 0) return;
    await connection.commit(surplus.map(deleteMessage), TIMEOUT);
    for (const id of surplus) {
      this.#set.delete(id);
      this.#left.delete(id);
    }
  }

  /** Has all open flows (that came in by `port`) reported. Resolves when the listeners have had them. */
  async flush(connection: Connection, bridge: Bridge, port?: PortNumber): Promise<void> {
    const flushes = observersOf(this.bridge(bridge).exports)
      .filter(({ kind, id }) => kind === 'account' && this.#set.has(id))
      .map(({ id }): MessageInput => {
        return { type: 'WEFT_OBSERVER_FLUSH', observerId: id, ...(port === undefined ? {} : { port }) };
      });
    if (flushes.length > 0) await connection.commit(flushes, TIMEOUT);
  }

  status(bridge: Bridge): ObserverStatus[] {
    return observersOf({ ...bridge.exports, isWatched: this.#isWatched }).map((observer) => ({
      observer,
      isSet: this.#set.get(observer.id) === JSON.stringify(observer),
      refused: this.#refusal(observer),
    }));
  }

  #refusal(observer: Observer): string | null {
    const refused = this.#refused.get(observer.id);
    return refused?.observer === JSON.stringify(observer) ? refused.why : null;
  }

  /** Of all observers that the switch has; none where it knows of no such thing. */
  async stats(connection: Connection): Promise<readonly ObserverStats[]> {
    try {
      return (await connection.multipart({ type: 'WEFT_OBSERVER_STATS' }, TIMEOUT)).entries;
    } catch (error) {
      if (error instanceof RequestError && error.kind === 'refused') return [];
      throw error;
    }
  }
}

function setMessage(observer: Observer): MessageInput {
  const { id, kind, interval, headerBytes, activeTimeoutMs, idleTimeoutMs, maxFlows, maxRecordsPerS } =
    observer;
  return {
    type: 'WEFT_OBSERVER_MOD',
    command: 'SET',
    kind: kind === 'sample' ? 'SAMPLE' : 'ACCOUNT',
    observerId: id,
    interval,
    headerBytes,
    activeTimeoutMs,
    idleTimeoutMs,
    maxFlows,
    maxRecordsPerSecond: maxRecordsPerS,
  };
}

function deleteMessage(observerId: number): MessageInput {
  return { type: 'WEFT_OBSERVER_MOD', command: 'DELETE', kind: 'ACCOUNT', observerId };
}

function describe({ error: { errorType, code } }: CommitError): string {
  const isUnknown = code === 'BAD_EXPERIMENTER' || code === 'BAD_EXP_TYPE' || code === 'BAD_TYPE';
  return isUnknown
    ? 'the switch knows neither sampling nor accounting: it is none of Weft’s'
    : `the switch refused it: ${errorType} ${code}`;
}
