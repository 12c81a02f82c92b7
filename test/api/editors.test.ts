/** Many at once on the same resource: ETags keep each from overwriting the other. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Harness } from './harness.js';

let api: Harness;
beforeEach(async () => {
  api = await Harness.create();
  await api.call('POST', '/v1/bridges', { name: 'br0' });
});
afterEach(() => api.close());

const URL = '/v1/bridges/br0/ports/p1';
const EDITORS = 200;
const patchType = { 'content-type': 'application/merge-patch+json' };

interface Trunk {
  readonly trunks: number[] | null;
}

/** Editors that are not done yet. */
let unfinished = 0;

/** Reads, adds its VLAN to the list, and writes it back, again and again until nobody was faster. */
async function addVlan(vlan: number): Promise<number> {
  for (let attempts = 1; ; attempts++) {
    const { body, headers } = await api.call('GET', URL);
    const trunks = [...((body as Trunk).trunks ?? []), vlan];
    const answer = await api.call(
      'PUT',
      URL,
      { ...(body as object), trunks },
      { 'if-match': String(headers['etag']) },
    );
    if (answer.status === 200) {
      unfinished--;
      return attempts;
    }
    expect(answer.status).toBe(412);
    // As a client would: those who were refused together do not come back together. The more there are, the longer they
    // wait, so that what is tried in vain grows with their number and not with its square.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * unfinished));
  }
}

test('two hundred editors of one list lose no entry', async () => {
  await api.call('PUT', URL, { vlanMode: 'trunk', trunks: [1] });
  const vlans = Array.from({ length: EDITORS }, (_, i) => i + 2);
  unfinished = EDITORS;
  const attempts = await Promise.all(vlans.map(addVlan));
  const { trunks } = (await api.call('GET', URL)).body as Trunk;
  expect([...(trunks ?? [])].sort((a, b) => a - b)).toEqual([1, ...vlans]);
  // They did get into each other's way: the test would mean nothing otherwise.
  expect(Math.max(...attempts)).toBeGreaterThan(1);
}, 120_000);

test('two hundred merge patches of different members all hold, without any ETag', async () => {
  await api.call('PUT', URL, {});
  const keys = Array.from({ length: EDITORS }, (_, i) => `key${i}`);
  await Promise.all(
    keys.map(async (key) => {
      const patch = JSON.stringify({ externalIds: { [key]: 'x' } });
      expect((await api.call('PATCH', URL, patch, patchType)).status).toBe(200);
    }),
  );
  const { externalIds } = (await api.call('GET', URL)).body as { externalIds: object };
  expect(Object.keys(externalIds).sort()).toEqual([...keys].sort());
}, 60_000);

test('conditions: made only once, changed only as known, removed only as known', async () => {
  const made = await api.call('PUT', URL, { tag: 10 }, { 'if-none-match': '*' });
  expect(made.status).toBe(201);
  expect((await api.call('PUT', URL, { tag: 11 }, { 'if-none-match': '*' })).status).toBe(412);
  const etag = String(made.headers['etag']);
  expect((await api.call('GET', URL, undefined, { 'if-none-match': etag })).status).toBe(304);
  expect((await api.call('PUT', URL, { tag: 11 }, { 'if-match': `W/${etag}` })).status).toBe(412);
  const changed = await api.call('PATCH', URL, '{"tag":11}', { ...patchType, 'if-match': etag });
  expect(changed).toMatchObject({ status: 200, body: { tag: 11 } });
  expect(changed.headers['etag']).not.toBe(etag);
  expect((await api.call('GET', URL, undefined, { 'if-none-match': etag })).status).toBe(200);
  expect((await api.call('DELETE', URL, undefined, { 'if-match': etag })).status).toBe(412);
  expect((await api.call('PUT', '/v1/bridges/br0/ports/p2', {}, { 'if-match': '*' })).status).toBe(412);
  // The same again is the same, and has the same tag.
  const again = await api.call('PUT', URL, changed.body);
  expect(again.headers['etag']).toBe(changed.headers['etag']);
  expect(
    (await api.call('DELETE', URL, undefined, { 'if-match': String(again.headers['etag']) })).status,
  ).toBe(204);
  expect((await api.call('DELETE', URL)).status).toBe(404);
});
