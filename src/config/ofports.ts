/**
 * OpenFlow port numbers. An interface keeps its number for life (Interface.ofport); a new one gets what it asks for, if
 * free, else the lowest free one from 1. A request that comes later moves the interface, unless the number is taken.
 */
import { setOf } from '../ovsdb/index.js';
import type { Change, Database, Json, Row } from '../ovsdb/index.js';
import { mapOfTexts, numberOf, ofportOf, textOf, textsOf } from './fields.js';
import { LOCAL_OFPORT } from './network.js';

/**
 * The operations that give every interface of Weft's own bridges its number; none if all have one.
 * @param reserved numbers of interfaces that do not work at present, by uuid: their column says -1, as Open vSwitch's
 *   tools expect, and their number is remembered here, which this brings up to date
 */
export function assignOfports(database: Database, reserved = new Map<string, number>()): Json[] {
  return newNumbers(database, reserved).map(([row, ofport]) => ({
    op: 'update',
    table: 'Interface',
    where: [['_uuid', '==', ['uuid', row.uuid]]],
    row: { ofport },
  }));
}

/** The same as changes of rows: no other column is concerned, so there is nothing for a transaction to check. */
export function ofportChanges(
  database: Database,
  reserved: Map<string, number>,
  newUuid: () => string,
): Change[] {
  return newNumbers(database, reserved).map(([row, ofport]) => ({
    table: 'Interface',
    uuid: row.uuid,
    old: row,
    new: { uuid: row.uuid, version: newUuid(), fields: { ...row.fields, ofport: setOf([ofport]) } },
  }));
}

/** Rows of Interface that need another number than they have. */
function newNumbers(database: Database, reserved: Map<string, number>): [Row, number][] {
  const found: [Row, number][] = [];
  for (const bridge of database.rows('Bridge').values()) {
    if (mapOfTexts(bridge, 'other_config').has('openflow-connection')) continue;
    for (const [row, ofport] of assignOnBridge(database, bridge, reserved)) {
      if (numberOf(row, 'ofport') === ofport) continue;
      if (reserved.has(row.uuid)) {
        reserved.set(row.uuid, ofport);
        continue;
      }
      found.push([row, ofport]);
    }
  }
  return found;
}

/** The interfaces of a bridge. */
function interfacesOf(database: Database, bridge: Row): Row[] {
  const found: Row[] = [];
  for (const port of textsOf(bridge, 'ports')) {
    const row = database.row('Port', port);
    for (const uuid of row ? textsOf(row, 'interfaces') : []) {
      const each = database.row('Interface', uuid);
      if (each) found.push(each);
    }
  }
  return found;
}

/** Whether each has a number of its own already, and none asks for another: the quick answer for most changes. */
function haveNumbers(interfaces: readonly Row[], bridge: string | undefined): boolean {
  const taken = new Set<number>([LOCAL_OFPORT]);
  return interfaces.every((row) => {
    const ofport = numberOf(row, 'ofport');
    if (ofport === undefined || ofport < 1) return false;
    if (ofport === LOCAL_OFPORT) return textOf(row, 'name') === bridge;
    const request = numberOf(row, 'ofport_request');
    return (request === undefined || request === ofport) && taken.size < taken.add(ofport).size;
  });
}

function assignOnBridge(
  database: Database,
  bridge: Row,
  reserved: ReadonlyMap<string, number>,
): Map<Row, number> {
  const name = textOf(bridge, 'name');
  const unordered = interfacesOf(database, bridge);
  if (haveNumbers(unordered, name)) return new Map();
  const named = unordered.map((row) => ({ row, name: textOf(row, 'name') ?? '' }));
  const interfaces = named.sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ row }) => row);
  const assigned = new Map<Row, number>();
  const taken = new Set<number>();
  const take = (row: Row, ofport: number | undefined): void => {
    if (assigned.has(row) || ofport === undefined || ofport < 1 || ofport > LOCAL_OFPORT || taken.has(ofport))
      return;
    assigned.set(row, ofport);
    taken.add(ofport);
  };
  for (const row of interfaces) if (textOf(row, 'name') === name) take(row, LOCAL_OFPORT);
  taken.add(LOCAL_OFPORT);
  // Nobody loses its number to the wish of another: first who has what it wants, then who moves to a number that nobody
  // has, then who stays, and only then the new ones.
  const held = new Set(interfaces.map((row) => ofportOf(row, reserved)));
  const wantsToMove = (row: Row) =>
    ![undefined, ofportOf(row, reserved)].includes(numberOf(row, 'ofport_request'));
  const isNew = (row: Row) => ofportOf(row, reserved) === undefined;
  for (const row of interfaces) if (!wantsToMove(row)) take(row, ofportOf(row, reserved));
  // A move frees a number that another may be waiting for.
  for (let moved = true; moved;) {
    moved = false;
    for (const row of interfaces) {
      const wanted = numberOf(row, 'ofport_request');
      if (assigned.has(row) || isNew(row) || held.has(wanted)) continue;
      take(row, wanted);
      if (assigned.has(row)) moved = held.delete(ofportOf(row, reserved)) || moved;
    }
  }
  for (const row of interfaces) take(row, ofportOf(row, reserved));
  for (const row of interfaces) take(row, numberOf(row, 'ofport_request'));
  let next = 1;
  for (const row of interfaces) {
    if (assigned.has(row)) continue;
    while (taken.has(next)) next++;
    take(row, next);
  }
  return assigned;
}
