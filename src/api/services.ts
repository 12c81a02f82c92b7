/** What the API asks of the rest of weftd; tests put something else in its place. */
import type { Configuration, Revisions } from '../config/index.js';
import type { DatapathStatus, Question } from '../datapath/orchestrator.js';
import type { Methods, PortInfo } from '../datapath/protocol.js';
import type { Bridge } from '../domain/index.js';
import type { Exporting } from '../exporting/index.js';
import type { EventHub, Sampler } from '../observe/index.js';
import type { PlanSize } from '../reconcile/index.js';
import type { SwitchDriver } from '../switches/driver.js';

export interface Switches {
  synced(timeoutMs: number, bridge?: string, port?: string): Promise<void>;
  preview(bridge: Bridge): PlanSize;
  driver(bridge: string): SwitchDriver | undefined;
  port(bridge: string, name: string): PortInfo | undefined;
  status(): DatapathStatus;
  /** @throws Error while the datapath does not answer */
  ask<M extends Question>(method: M, params: Methods[M]['params']): Promise<Methods[M]['result']>;
}

export interface Services {
  readonly configuration: Configuration;
  readonly revisions: Revisions;
  readonly switches: Switches;
  readonly sampler: Sampler;
  /** Who is told of the traffic, and the live view of it. */
  readonly exporting: Pick<Exporting, 'status' | 'busiest'>;
  readonly events: EventHub;
  /** Clients of the database, and its transactions. */
  readonly ovsdb?: () => { sessions: number; transactions: number };
  readonly version: string;
  /** A change is answered once the switch forwards so, at the latest after this, and then says what is pending. */
  readonly syncTimeoutMs: number;
}

/** Null when the switch forwards as configured, else why not yet. */
export async function waitForSwitch(
  services: Services,
  bridge: string,
  port?: string,
): Promise<string | null> {
  try {
    await services.switches.synced(services.syncTimeoutMs, bridge, port);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
