/**
 * Controller roles as a switch keeps them (OF 1.3.5 §6.3.5, §7.3.9): who is master, who is slave, and whether a
 * role request's generation_id is news or an echo of the past. Pure; shared by all connections of one switch.
 */

/** ofp_controller_role. */
export type Role = 'nochange' | 'equal' | 'master' | 'slave';

export interface RoleTable<Connection> {
  /** The generation_id of the last master or slave request accepted; undefined before the first. */
  readonly generationId: bigint | undefined;
  /** Connections that are not `equal`. */
  readonly roles: ReadonlyMap<Connection, 'master' | 'slave'>;
}

export interface RoleOutcome<Connection> {
  readonly table: RoleTable<Connection>;
  /** `stale`: answer OFPET_ROLE_REQUEST_FAILED, OFPRRFC_STALE; nothing changed. */
  readonly result: 'ok' | 'stale';
  /** The role after the request. */
  readonly role: Exclude<Role, 'nochange'>;
  /** Connections that were master and have become slave by it. */
  readonly demoted: readonly Connection[];
}

export function emptyRoles<Connection>(): RoleTable<Connection> {
  return { generationId: undefined, roles: new Map() };
}

/**
 * True when `received` is older than `last`: the signed 64-bit distance between them is negative (§6.3.5), which
 * stays right when the counter wraps.
 */
export function isStaleGeneration(last: bigint | undefined, received: bigint): boolean {
  return last !== undefined && BigInt.asIntN(64, received - last) < 0n;
}

export function roleOf<Connection>(
  table: RoleTable<Connection>,
  connection: Connection,
): Exclude<Role, 'nochange'> {
  return table.roles.get(connection) ?? 'equal';
}

/** Applies one OFPT_ROLE_REQUEST. */
export function requestRole<Connection>(
  table: RoleTable<Connection>,
  connection: Connection,
  role: Role,
  generationId: bigint,
): RoleOutcome<Connection> {
  const current = roleOf(table, connection);
  if (role === 'nochange') return { table, result: 'ok', role: current, demoted: [] };

  const roles = new Map(table.roles);
  if (role === 'equal') {
    // generation_id says nothing here: an equal controller takes no part in master election.
    roles.delete(connection);
    return { table: { ...table, roles }, result: 'ok', role, demoted: [] };
  }

  if (isStaleGeneration(table.generationId, generationId)) {
    return { table, result: 'stale', role: current, demoted: [] };
  }
  const demoted: Connection[] = [];
  if (role === 'master') {
    for (const [other, held] of roles) {
      if (held !== 'master' || other === connection) continue;
      roles.set(other, 'slave');
      demoted.push(other);
    }
  }
  roles.set(connection, role);
  return { table: { generationId, roles }, result: 'ok', role, demoted };
}

/** Forgets a connection that ended. The generation_id stays: it outlives masters. */
export function forgetRole<Connection>(
  table: RoleTable<Connection>,
  connection: Connection,
): RoleTable<Connection> {
  if (!table.roles.has(connection)) return table;
  const roles = new Map(table.roles);
  roles.delete(connection);
  return { ...table, roles };
}
