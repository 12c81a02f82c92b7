/** The API over a real configuration on disk, with switches that do as they are told. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MessageInput } from 'node-openflow';
import { buildApp } from '../../src/api/app.js';
import type { AppOptions } from '../../src/api/app.js';
import type { App } from '../../src/api/plugin.js';
import type { Switches } from '../../src/api/services.js';
import type { Question } from '../../src/datapath/orchestrator.js';
import type { Methods } from '../../src/datapath/protocol.js';
import { EventHub, Sampler, readCounters } from '../../src/observe/index.js';
import { Configuration } from '../../src/config/index.js';
import { Revisions } from '../../src/config/revisions.js';
import type { MacAddress } from '../../src/domain/index.js';
import { openVSwitchSchema } from '../../src/ovsdb/index.js';
import { Journal } from '../../src/ovsdb/journal.js';
import { Store } from '../../src/ovsdb/store.js';
import type {
  FdbEntry,
  FlowDump,
  GroupDump,
  MeterDump,
  RefusedMessage,
  SwitchDriver,
} from '../../src/switches/driver.js';

export const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A switch that knows what the test says it knows. */
export class FakeSwitches implements Switches {
  pending: string | null = null;
  connected = true;
  fdb: FdbEntry[] = [];
  flows: FlowDump[] = [];
  groups: GroupDump[] = [];
  meters: MeterDump[] = [];
  /** What users were said to want, and what the switch says to it. */
  readonly changes: MessageInput[] = [];
  refused: RefusedMessage[] = [];

  async synced(): Promise<void> {
    if (this.pending !== null) throw new Error(this.pending);
  }
  readonly costs = {
    flowAdds: 0,
    flowModifies: 0,
    flowDeletes: 0,
    groupAdds: 0,
    groupModifies: 0,
    groupDeletes: 0,
  };
  preview() {
    return this.costs;
  }
  port() {
    return undefined;
  }
  status() {
    return { connected: this.connected, version: null, lastError: null };
  }
  /** What the datapath answers, by method. */
  readonly answers: { [M in Question]?: Methods[M]['result'] } = {
    'fastpath.show': { active: false, whyNot: 'built without clang', bridges: [] },
  };

  async ask<M extends Question>(method: M): Promise<Methods[M]['result']> {
    const answer = this.connected ? this.answers[method] : undefined;
    if (answer === undefined) throw new Error('weft-datapath is not connected');
    return answer;
  }
  driver(bridge: string): SwitchDriver {
    const answer = <T>(list: T): Promise<T> =>
      this.connected ? Promise.resolve(list) : Promise.reject(new Error(`${bridge} is not connected`));
    return {
      bridge,
      start() {},
      configure() {},
      preview: () => this.costs,
      synced: () => this.synced(),
      status: () => ({
        connected: this.connected,
        inSync: this.connected,
        target: `unix:/run/${bridge}.program`,
        datapathId: null,
        flowsWanted: this.flows.length,
        groupsWanted: this.groups.length,
        macs: this.fdb.length,
        lastError: null,
        sent: {
          flowAdds: 0,
          flowModifies: 0,
          flowDeletes: 0,
          groupAdds: 0,
          groupModifies: 0,
          groupDeletes: 0,
          barriers: 0,
          reconciles: 0,
        },
        planned: this.costs,
        messagesSent: {},
        received: { packetIns: 0, flowsRemoved: 0, errors: 0 },
        learning: { learned: 0, moved: 0, aged: 0, evicted: 0, flushed: 0 },
        refused: {},
      }),
      fdb: () => this.fdb,
      bonds: () => [],
      lacp: () => [],
      observers: () => [],
      observations: () => () => undefined,
      watchFlows() {},
      flushObservers: () => Promise.resolve(),
      observerStats: () => answer([]),
      commandBond() {},
      clearFdbCounters() {},
      flushFdb: ({ port, vlan, mac } = {}) => {
        const before = this.fdb.length;
        this.fdb = this.fdb.filter(
          (entry) =>
            entry.kind !== 'learned' ||
            (port !== undefined && entry.port !== port) ||
            (vlan !== undefined && entry.vlan !== vlan) ||
            (mac !== undefined && entry.mac !== mac),
        );
        return before - this.fdb.length;
      },
      dumpFlows: () => answer([...this.flows]),
      streamFlows: async function* (this: { dumpFlows(): Promise<FlowDump[]> }) {
        yield await this.dumpFlows();
      },
      dumpGroups: () => answer([...this.groups]),
      owner: () => null,
      table: () => null,
      dumpMeters: () => answer([...this.meters]),
      changeAsUser: async (messages) => {
        this.changes.push(...messages);
        return this.refused;
      },
      ports: () => [],
      subscribe: () => () => undefined,
      stop: () => Promise.resolve(),
    };
  }
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

export class Harness {
  readonly switches = new FakeSwitches();
  /** Not started: it samples when it is asked. */
  readonly sampler = new Sampler({
    bridges: () => this.configuration.reading.network.bridges.map(({ name }) => name),
    read: (bridge) => readCounters(this.switches, bridge),
    nowMs: () => performance.now(),
    idleIntervalMs: () => 60_000,
  });

  readonly events = new EventHub({ capacity: 8, run: 'test', nowMs: () => 0 });

  private constructor(
    readonly folder: string,
    readonly configuration: Configuration,
    readonly revisions: Revisions,
    public app: App,
  ) {}

  static async create(options: Partial<AppOptions> = {}): Promise<Harness> {
    const folder = mkdtempSync(join(tmpdir(), 'weft-api-'));
    const journal = await Journal.open({
      path: join(folder, 'conf.db'),
      schema: openVSwitchSchema,
      log: () => undefined,
    });
    const configuration = await Configuration.open(new Store(journal, randomUUID), {
      log: silent,
    });
    const revisions = await Revisions.open(configuration, { folder: join(folder, 'history'), log: silent });
    const harness = new Harness(folder, configuration, revisions, undefined as unknown as App);
    harness.app = await buildApp({
      configuration,
      revisions,
      switches: harness.switches,
      sampler: harness.sampler,
      exporting: { status: () => [], busiest: () => undefined },
      events: harness.events,
      version: '0.0.0',
      syncTimeoutMs: 100,
      ...options,
    });
    return harness;
  }

  async call(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await this.app.inject({
      method,
      url,
      headers,
      ...(body === undefined ? {} : { payload: body as object }),
    });
    let parsed: unknown = response.body;
    try {
      parsed = JSON.parse(response.body);
    } catch {
      // Plain text stays as it is.
    }
    return { status: response.statusCode, body: parsed, text: response.body, headers: response.headers };
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.sampler.stop();
    await this.revisions.close();
    await this.configuration.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const learned = (vlan: number, mac: string, port: string): FdbEntry => ({
  vlan,
  mac: mac as MacAddress,
  port,
  kind: 'learned',
  ageS: 3,
});
