/** The parts of a running weftd behind the commands. Part of the composition root: nobody but it imports this. */
import type { Logger } from 'pino';
import { addStaticMac, IntentError, removeStaticMac } from '../config/index.js';
import type { Configuration } from '../config/index.js';
import { DatapathError } from '../datapath/client.js';
import type { Orchestrator } from '../datapath/orchestrator.js';
import type { Methods } from '../datapath/protocol.js';
import { OVS_VERSION } from '../domain/version.js';
import type { SentCounters } from '../switches/driver.js';
import {
  bondCommands,
  CommandError,
  CommandTable,
  Coverage,
  fdbCommands,
  ofprotoCommands,
  ovsdbServerCommands,
  processCommands,
  traceCommand,
} from './index.js';
import type {
  DatabaseControl,
  LogLevel,
  LogLevels,
  ProcessControl,
  Programs,
  StaticEntries,
  SwitchView,
} from './index.js';

export interface Parts {
  readonly configuration: Configuration;
  readonly orchestrator: Orchestrator;
  /** Null: others serve the database. */
  readonly database: DatabaseControl | null;
  readonly log: Logger;
  readonly version: string;
  readonly exit: (cleanup: boolean) => void;
}

/** The programs that weftd stands for in the eyes of `ovs-appctl`, and what samples their counters. */
export function createPrograms(parts: Parts): { programs: Programs; coverage: Coverage } {
  const { configuration, orchestrator, database, version, exit } = parts;
  const view: SwitchView = {
    bridges: () => configuration.reading.network.bridges,
    driver: (name) => orchestrator.driver(name),
  };
  const coverage = new Coverage(() => totals(view));
  const levels = logLevels(parts.log, orchestrator);
  const control = (program: string, memory: ProcessControl['memory']): ProcessControl => ({
    version: `${program} (Open vSwitch) ${OVS_VERSION}\nWeft ${version}\n`,
    exit,
    log: levels,
    memory,
    coverage,
  });
  const switchCommands = [
    ...processCommands(control('ovs-vswitchd', () => switchMemory(view))),
    ...fdbCommands(view, staticEntries(configuration)),
    ...bondCommands(view),
    traceCommand(view, orchestrator),
    ...ofprotoCommands(view, orchestrator),
  ];
  const programs = new Map([['ovs-vswitchd', new CommandTable(switchCommands)]]);
  if (database) {
    const databaseCommands = [
      ...processCommands(control('ovsdb-server', () => databaseMemory(configuration))),
      ...ovsdbServerCommands(database),
    ];
    programs.set('ovsdb-server', new CommandTable(databaseCommands));
  }
  return { programs, coverage };
}

function staticEntries(configuration: Configuration): StaticEntries {
  const apply = async (...[intent, comment]: Parameters<Configuration['apply']>) => {
    try {
      await configuration.apply(intent, comment);
    } catch (error) {
      throw error instanceof IntentError ? new CommandError(error.message) : error;
    }
  };
  return {
    add: (bridge, entry) =>
      apply((database) => addStaticMac(database, bridge, entry), `ovs-appctl: fdb/add ${bridge}`),
    remove: (bridge, entry) =>
      apply((database) => removeStaticMac(database, bridge, entry), `ovs-appctl: fdb/del ${bridge}`),
  };
}

const PINO_LEVELS: Record<LogLevel, string> = {
  off: 'silent',
  emer: 'fatal',
  err: 'error',
  warn: 'warn',
  info: 'info',
  dbg: 'debug',
};

/** In the words of the datapath, which has no level above errors. */
const DATAPATH_LEVELS: Record<LogLevel, Methods['log.level']['params']['level']> = {
  ...{ off: 'off', emer: 'error', err: 'error', warn: 'warn', info: 'info', dbg: 'debug' },
};

/** Both daemons are one in the eyes of `ovs-appctl`: their logs are two modules of it. */
function logLevels(log: Logger, orchestrator: Orchestrator): LogLevels {
  const own = (): LogLevel => {
    const found = Object.entries(PINO_LEVELS).find(([, level]) => level === log.level);
    return (found?.[0] ?? 'dbg') as LogLevel;
  };
  // The datapath begins with what weftd began with (start.mjs), and is not asked.
  let datapath = own();
  return {
    modules: ['datapath', 'weftd'],
    level: (module) => (module === 'weftd' ? own() : datapath),
    setLevel: async (module, level) => {
      if (module === 'weftd') {
        log.level = PINO_LEVELS[level];
        return;
      }
      try {
        await orchestrator.ask('log.level', { level: DATAPATH_LEVELS[level] });
        datapath = level;
      } catch (error) {
        // One from before an upgrade, which goes on until it is started anew.
        if (error instanceof DatapathError && error.code === 'unknown-method') return;
        throw new CommandError(`weft-datapath keeps its level: ${(error as Error).message}`);
      }
    },
  };
}

function switchMemory(view: SwitchView): Record<string, number> {
  const bridges = view.bridges();
  const statuses = bridges.flatMap(({ name }) => view.driver(name)?.status() ?? []);
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  return {
    groups: sum(statuses.map(({ groupsWanted }) => groupsWanted)),
    macs: sum(statuses.map(({ macs }) => macs)),
    ports: sum(bridges.map(({ ports }) => sum(ports.map(({ interfaces }) => interfaces.length)))),
    'rss-kB': Math.round(process.memoryUsage.rss() / 1024),
    rules: sum(statuses.map(({ flowsWanted }) => flowsWanted)),
  };
}

function databaseMemory({ database }: Configuration): Record<string, number> {
  let rows = 0;
  let cells = 0;
  for (const table of database.schema.tables.values()) {
    const { size } = database.rows(table.name);
    rows += size;
    cells += size * table.columns.size;
  }
  return { cells, rows };
}

const SENT: readonly (keyof SentCounters)[] = [
  'flowAdds',
  'flowModifies',
  'flowDeletes',
  'groupAdds',
  'groupModifies',
  'groupDeletes',
  'barriers',
  'reconciles',
];

/** `flowAdds` is shown as `flow_adds`, as Open vSwitch names its counters. */
function counterName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function totals(view: SwitchView): Record<string, number> {
  const sums: Record<string, number> = {};
  const add = (name: string, value: number) => {
    const key = counterName(name);
    sums[key] = (sums[key] ?? 0) + value;
  };
  for (const name of [...SENT, 'packetIns', 'flowsRemoved', 'errors']) add(name, 0);
  for (const { name } of view.bridges()) {
    const status = view.driver(name)?.status();
    if (!status) continue;
    for (const each of SENT) add(each, status.sent[each]);
    for (const [each, value] of Object.entries(status.received)) add(each, value);
    for (const [each, value] of Object.entries(status.learning)) add(`mac_${each}`, value);
  }
  return sums;
}
