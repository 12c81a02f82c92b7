/** Bringing the switch to what a document says: what that would change and cost, and doing it. */
import { createHash } from 'node:crypto';
import {
  attachmentFaults,
  DocumentError,
  SETTINGS,
  diffDocuments,
  documentOperations,
  flatWord,
  merge,
  pointer,
  readDocument,
  toValue,
} from '../config/document/index.js';
import type { Document, DocumentFault, ObjectChange, Written } from '../config/document/index.js';
import type { Fault, Prepared, Reading, Revision } from '../config/index.js';
import type { PlanSize } from '../reconcile/index.js';
import type { Services } from './services.js';
import { waitForSwitch } from './services.js';

export interface BridgeCost extends PlanSize {
  readonly bridge: string;
}

/** What a document would do, as of now. */
export interface Declaration {
  readonly prepared: Prepared;
  readonly changes: readonly ObjectChange[];
  /** Of bridges that stay or come; the flows of one that goes go with it. */
  readonly cost: readonly BridgeCost[];
  /** Settings that make no sense but did so before, too. */
  readonly warnings: readonly DocumentFault[];
}

export interface Outcome {
  readonly changed: boolean;
  readonly dryRun: boolean;
  readonly revision: Revision | null;
  readonly changes: readonly ObjectChange[];
  readonly cost: readonly BridgeCost[];
  /** What it has taken; null: nothing was done. */
  readonly applied: readonly BridgeCost[] | null;
  readonly warnings: readonly DocumentFault[];
  readonly pending: string | null;
}

/** Equal for equal configurations, whoever made them. */
export function etagOf(document: Document): string {
  return `"${createHash('sha256')
    .update(JSON.stringify(toValue(document)))
    .digest('base64url')
    .slice(0, 27)}"`;
}

/**
 * Works out what is to be done. Nothing changes.
 * @param faults found so far; what the network makes of the document is added
 * @throws DocumentError with all of them, if there are any
 */
export function plan(
  services: Services,
  written: Written,
  faults: readonly DocumentFault[] = [],
): Declaration {
  const { configuration, switches } = services;
  const current = readDocument(configuration.database);
  const wanted = merge(written, current);
  const had = new Set(
    [...current.bridges].flatMap(([name, each]) => attachmentFaults(name, each)).map(faultText),
  );
  const attached = [...written.document.bridges.keys()].flatMap((name) => {
    const bridge = wanted.bridges.get(name);
    return bridge ? attachmentFaults(name, bridge).filter((fault) => !had.has(faultText(fault))) : [];
  });
  const operations = documentOperations(configuration.database, current, wanted);
  const { error, ...prepared } = configuration.preview(operations);
  const { reading } = prepared;
  const found = error ? [] : readingFaults(reading, written.document);
  const before = new Set(configuration.reading.faults.map(textOf));
  const all = [
    ...faults,
    ...attached,
    ...found.filter(({ fault }) => !before.has(textOf(fault))).map(({ at }) => at),
  ];
  // Names that are there twice the database refuses as well: that is said once, and better, by the faults.
  if (error && all.length === 0) throw error;
  if (all.length > 0) throw new DocumentError(onePerPath(all));
  const changes = diffDocuments(current, wanted);
  const touched = new Set(changes.map(({ bridge }) => bridge));
  const cost = reading.network.bridges
    .filter(({ name }) => touched.has(name))
    .map((bridge) => ({ bridge: bridge.name, ...switches.preview(bridge) }));
  return { prepared, changes, cost, warnings: found.map(({ at }) => at) };
}

/** Nothing of a document that is not valid is done; of one that is, all in one transaction. */
export async function declare(
  services: Services,
  declaration: Declaration,
  by: { readonly who: string; readonly comment: string },
): Promise<Outcome> {
  const { configuration, revisions, switches } = services;
  const { prepared, changes, cost, warnings } = declaration;
  const outcome = { changed: changes.length > 0, dryRun: false, changes, cost, warnings };
  if (prepared.operations.length === 0)
    return { ...outcome, revision: revisions.latest, applied: [], pending: null };
  const planned = (bridge: string) => switches.driver(bridge)?.status().planned;
  const before = new Map(cost.map(({ bridge }) => [bridge, planned(bridge)]));
  await configuration.carryOut(prepared, `${by.who}: ${by.comment}`);
  const revision = await revisions.record(by.who, by.comment);
  const bridges = [...new Set(changes.map(({ bridge }) => bridge))];
  const waiting = await Promise.all(bridges.map((bridge) => waitForSwitch(services, bridge)));
  const applied = cost.map(({ bridge }) => ({ bridge, ...difference(planned(bridge), before.get(bridge)) }));
  return { ...outcome, revision, applied, pending: waiting.find((why) => why !== null) ?? null };
}

const NOTHING: PlanSize = {
  flowAdds: 0,
  flowModifies: 0,
  flowDeletes: 0,
  groupAdds: 0,
  groupModifies: 0,
  groupDeletes: 0,
};

function difference(after: Readonly<PlanSize> = NOTHING, before: Readonly<PlanSize> = NOTHING): PlanSize {
  const keys = Object.keys(NOTHING) as (keyof PlanSize)[];
  return Object.fromEntries(keys.map((key) => [key, after[key] - before[key]])) as unknown as PlanSize;
}

const faultText = ({ path, message }: DocumentFault): string => `${path} ${message}`;

function textOf({ table, name, column, message }: Fault): string {
  return JSON.stringify([table, name, column, message]);
}

/** What makes no sense to the network, where it stands in the document. What the document does not name is not its fault. */
function readingFaults(reading: Reading, document: Document): { fault: Fault; at: DocumentFault }[] {
  const places = placesOf(document);
  return reading.faults.flatMap((fault) => {
    const path = places.get(`${fault.table} ${fault.name}`);
    return path === undefined
      ? []
      : [{ fault, at: { path: path + wordOf(fault, path), message: fault.message } }];
  });
}

function placesOf({ bridges }: Document): Map<string, string> {
  const places = new Map<string, string>();
  for (const [bridge, { ports }] of bridges) {
    places.set(`Bridge ${bridge}`, pointer('bridges', bridge));
    for (const [port, { interfaces }] of ports) {
      const path = pointer('bridges', bridge, 'ports', port);
      places.set(`Port ${port}`, path);
      for (const name of interfaces.keys())
        places.set(
          `Interface ${name}`,
          name === port && interfaces.size === 1 ? path : path + pointer('interfaces', name),
        );
    }
  }
  return places;
}

function wordOf({ table, column }: Fault, path: string): string {
  const [name = '', key] = column.split(/:(.*)/s);
  if (column === 'name') return '';
  if (column === 'controller') return pointer('controllers');
  if (key?.startsWith('static-mac:') === true) return pointer('staticMacs');
  const setting = SETTINGS[table].find((each) => each.column === name && each.key === key) ?? null;
  const isFlat = table === 'Interface' && !path.includes('/interfaces/');
  if (setting) return pointer(isFlat ? flatWord(setting.word) : setting.word);
  const rest = SETTINGS[table].find((each) => each.column === name && each.key === undefined)?.word ?? name;
  return pointer(isFlat ? flatWord(rest) : rest, ...(key === undefined ? [] : [key]));
}

/** The schema speaks first about a place; what follows from its fault need not be said. */
function onePerPath(faults: readonly DocumentFault[]): DocumentFault[] {
  return faults.filter((fault, i) => faults.findIndex(({ path }) => path === fault.path) === i);
}
