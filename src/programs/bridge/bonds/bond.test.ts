import { describe, expect, it } from 'vitest';
import type { BondSettings } from '../../../domain/index.js';
import { Bond, BOND_HASHES, type BondConfig, type LacpView } from './bond.js';

const SETTINGS: BondSettings = {
  mode: 'active-backup',
  primary: null,
  updelayMs: 0,
  downdelayMs: 0,
  rebalanceIntervalMs: 10_000,
  hashBasis: 0,
  allMembersActive: false,
};
const NAMES = ['eth0', 'eth1', 'eth2'];
const OFF: LacpView = { status: 'off', mayEnable: () => true };

function config(settings: Partial<BondSettings> = {}, lacpFallbackAb = false): BondConfig {
  const members = NAMES.map((name, i) => ({ name, ofport: i + 1, mac: null }));
  return { name: 'bond0', settings: { ...SETTINGS, ...settings }, lacpFallbackAb, members };
}

function newBond(settings: Partial<BondSettings> = {}, up: readonly string[] = NAMES): Bond {
  const bond = new Bond(config(settings), 0);
  for (const name of up) bond.setLink(name, true);
  bond.run(OFF, 0);
  return bond;
}

const enabled = (bond: Bond): string[] => bond.enabledFrom(null).map(({ name }) => name);
const held = (bond: Bond): number[] =>
  NAMES.map(
    (name) =>
      Array.from({ length: BOND_HASHES }, (_, i) => bond.memberOf(i)).filter((it) => it === name).length,
  );

describe('active-backup', () => {
  it('one member is active; when it goes, the next takes over, and stays', () => {
    const bond = newBond();
    expect(bond.active).toBe('eth0');
    bond.setLink('eth0', false);
    bond.run(OFF, 10);
    expect(bond.active).toBe('eth1');
    bond.setLink('eth0', true);
    bond.run(OFF, 20);
    expect(bond.active).toBe('eth1');
  });

  it('the primary is active whenever it can be', () => {
    const bond = newBond({ primary: 'eth2' });
    expect(bond.active).toBe('eth2');
    bond.setLink('eth2', false);
    bond.run(OFF, 10);
    // The one that the switch goes over to by itself.
    expect(bond.active).toBe('eth0');
    bond.setLink('eth2', true);
    bond.run(OFF, 20);
    expect(bond.active).toBe('eth2');
  });

  it('stations are announced a moment after a failover, once', () => {
    const bond = newBond();
    expect(bond.takeLearning(1000)).toBe(true);
    bond.setLink('eth0', false);
    bond.run(OFF, 2000);
    expect(bond.takeLearning(2000)).toBe(false);
    expect(bond.wakeAtMs()).toBe(2100);
    expect(bond.takeLearning(2100)).toBe(true);
    expect(bond.takeLearning(9999)).toBe(false);
  });
});

describe('delays', () => {
  it('a link must be up for updelay, but for the first', () => {
    const bond = newBond({ updelayMs: 500 }, ['eth0']);
    expect(enabled(bond)).toEqual(['eth0']);
    bond.setLink('eth1', true);
    bond.run(OFF, 100);
    expect(enabled(bond)).toEqual(['eth0']);
    expect(bond.wakeAtMs()).toBeLessThanOrEqual(600);
    bond.run(OFF, 599);
    expect(enabled(bond)).toEqual(['eth0']);
    bond.run(OFF, 600);
    expect(enabled(bond)).toEqual(['eth0', 'eth1']);
  });

  it('a link that flaps within the delay changes nothing', () => {
    const bond = newBond({ updelayMs: 500, downdelayMs: 500 });
    bond.setLink('eth1', false);
    bond.run(OFF, 100);
    bond.setLink('eth1', true);
    bond.run(OFF, 300);
    bond.run(OFF, 5000);
    expect(enabled(bond)).toContain('eth1');
  });

  it('LACP does without them', () => {
    const bond = new Bond(config({ updelayMs: 500 }), 0);
    for (const name of NAMES) bond.setLink(name, true);
    bond.run({ status: 'negotiated', mayEnable: () => true }, 0);
    expect(enabled(bond)).toEqual(NAMES);
  });
});

describe('balanced', () => {
  it('hashes are spread evenly, and those of a member that goes over the others', () => {
    const bond = newBond({ mode: 'balance-slb' });
    expect(Math.max(...held(bond)) - Math.min(...held(bond))).toBeLessThanOrEqual(1);
    bond.setLink('eth1', false);
    bond.run(OFF, 10);
    expect(held(bond)).toEqual([128, 0, 128]);
    bond.setLink('eth1', true);
    bond.run(OFF, 20);
    expect(Math.min(...held(bond))).toBeGreaterThanOrEqual(84);
  });

  it('load moves from the fullest member to the emptiest, every interval', () => {
    const bond = newBond({ mode: 'balance-slb' });
    const heavy = Array.from({ length: BOND_HASHES }, (_, i) => i)
      .filter((i) => bond.memberOf(i) === 'eth0')
      .slice(0, 6);
    for (const hash of heavy) bond.count(hash, 1_000_000n);
    bond.run(OFF, 9_999);
    expect(heavy.map((hash) => bond.memberOf(hash))).toEqual(Array(6).fill('eth0'));
    bond.run(OFF, 10_000);
    const at = heavy.map((hash) => bond.memberOf(hash));
    for (const name of NAMES) expect(at.filter((it) => it === name)).toHaveLength(2);
  });

  it('a lone heavy hash stays where it is, and so does what is even enough', () => {
    const bond = newBond({ mode: 'balance-slb' });
    bond.count(0, 50_000_000n);
    const before = bond.memberOf(0);
    bond.run(OFF, 10_000);
    expect(bond.memberOf(0)).toBe(before);
    bond.run(OFF, 20_000);
    expect(bond.memberOf(0)).toBe(before);
  });

  it('a counter that starts anew counts from nothing, and old load fades', () => {
    const bond = newBond({ mode: 'balance-slb' });
    bond.count(5, 1000n);
    bond.count(5, 1500n);
    bond.count(5, 200n);
    const load = (): number =>
      bond
        .status(0)
        .members.flatMap(({ hashes }) => hashes)
        .find(({ hash }) => hash === 5)?.bytes ?? 0;
    expect(load()).toBe(1700);
    bond.run(OFF, 10_000);
    expect(load()).toBe(850);
  });

  it('balance-tcp without a partner carries nothing, or works as active-backup where it may', () => {
    expect(newBond({ mode: 'balance-tcp' }).working).toBe('none');
    const bond = new Bond(config({ mode: 'balance-tcp' }, true), 0);
    for (const name of NAMES) bond.setLink(name, true);
    bond.run({ status: 'configured', mayEnable: () => true }, 0);
    expect(bond.working).toBe('backup');
    bond.run({ status: 'negotiated', mayEnable: () => true }, 10);
    expect(bond.working).toBe('tcp');
  });
});

describe('the administrator', () => {
  it('migrates a hash, sets the active member, takes a member out until its link changes', () => {
    const bond = newBond({ mode: 'balance-slb' });
    bond.command({ kind: 'migrate', bond: 'bond0', hash: 7, member: 'eth2' }, 0);
    expect(bond.memberOf(7)).toBe('eth2');
    bond.command({ kind: 'set-active-member', bond: 'bond0', member: 'eth1' }, 0);
    expect(bond.active).toBe('eth1');
    bond.command({ kind: 'disable-member', bond: 'bond0', member: 'eth1' }, 0);
    bond.run(OFF, 10);
    expect(enabled(bond)).toEqual(['eth0', 'eth2']);
    expect(bond.active).toBe('eth2');
    expect(held(bond)[1]).toBe(0);
    bond.setLink('eth1', false);
    bond.setLink('eth1', true);
    bond.run(OFF, 20);
    expect(enabled(bond)).toEqual(NAMES);
  });

  it('is told what cannot be', () => {
    const bond = newBond({ mode: 'balance-slb' }, ['eth0']);
    const say = (command: Parameters<Bond['command']>[0]) => () => bond.command(command, 0);
    expect(say({ kind: 'migrate', bond: 'bond0', hash: 7, member: 'eth9' })).toThrow('no such member');
    expect(say({ kind: 'migrate', bond: 'bond0', hash: 7, member: 'eth1' })).toThrow('disabled member');
    expect(say({ kind: 'migrate', bond: 'bond0', hash: 256, member: 'eth0' })).toThrow('bad hash');
    expect(say({ kind: 'set-active-member', bond: 'bond0', member: 'eth1' })).toThrow('disabled');
  });
});

it('a snapshot brings members, active one and hashes back', () => {
  const bond = newBond({ mode: 'balance-slb' });
  bond.command({ kind: 'migrate', bond: 'bond0', hash: 7, member: 'eth2' }, 0);
  bond.command({ kind: 'set-active-member', bond: 'bond0', member: 'eth1' }, 0);
  const fresh = new Bond(config({ mode: 'balance-slb' }), 0);
  fresh.restore(JSON.parse(JSON.stringify(bond.snapshot())) as ReturnType<Bond['snapshot']>);
  fresh.run(OFF, 0);
  expect(fresh.snapshot()).toEqual(bond.snapshot());
});
