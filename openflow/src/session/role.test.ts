import { describe, expect, it } from 'vitest';
import { emptyRoles, forgetRole, isStaleGeneration, requestRole, roleOf, type RoleTable } from './role.js';

const MAX = 0xffff_ffff_ffff_ffffn;

describe('generation_id (OF 1.3.5 §6.3.5)', () => {
  it.each([
    [undefined, 0n, false],
    [undefined, MAX, false],
    [5n, 5n, false],
    [5n, 6n, false],
    [5n, 4n, true],
    // The distance is signed: the counter may wrap.
    [MAX, 0n, false],
    [0n, MAX, true],
    [0n, 0x7fff_ffff_ffff_ffffn, false],
    [0n, 0x8000_0000_0000_0000n, true],
  ])('last %s, received %s: stale %s', (last, received, stale) => {
    expect(isStaleGeneration(last, received)).toBe(stale);
  });
});

describe('roles', () => {
  it('has one master; a new one makes the old one slave', () => {
    let table: RoleTable<string> = emptyRoles();
    expect(roleOf(table, 'a')).toBe('equal');
    ({ table } = requestRole(table, 'a', 'master', 1n));
    const second = requestRole(table, 'b', 'master', 2n);
    expect(second).toMatchObject({ result: 'ok', role: 'master', demoted: ['a'] });
    expect(roleOf(second.table, 'a')).toBe('slave');
    expect(second.table.generationId).toBe(2n);
  });

  it('refuses what is stale and changes nothing', () => {
    const { table } = requestRole(emptyRoles<string>(), 'a', 'master', 9n);
    for (const role of ['master', 'slave'] as const) {
      expect(requestRole(table, 'b', role, 8n)).toEqual({
        table,
        result: 'stale',
        role: 'equal',
        demoted: [],
      });
    }
    // Equal and nochange carry no generation.
    expect(requestRole(table, 'b', 'equal', 0n).result).toBe('ok');
    expect(requestRole(table, 'a', 'nochange', 0n)).toMatchObject({ result: 'ok', role: 'master' });
  });

  it('keeps the generation when the master leaves', () => {
    const { table } = requestRole(emptyRoles<string>(), 'a', 'master', 9n);
    const after = forgetRole(table, 'a');
    expect(roleOf(after, 'a')).toBe('equal');
    expect(requestRole(after, 'b', 'master', 8n).result).toBe('stale');
  });
});
