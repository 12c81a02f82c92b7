/** Flows, groups and meters over REST on a real datapath: changes, refusals, dumps in each form, a slow reader. */
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Lab, until, type Host } from './lab.js';

const FLOWS = '/v1/bridges/br0/flows';
const GROUPS = '/v1/bridges/br0/groups';
const METERS = '/v1/bridges/br0/meters';
const NDJSON = 'application/x-ndjson';

interface Flow {
  readonly tableId: number;
  readonly priority: number;
  readonly cookie: string;
  readonly owner: { readonly program: string; readonly reason: string } | null;
  readonly text: string;
}

let lab: Lab;
let a: Host, b: Host;

beforeAll(async () => {
  lab = await Lab.create();
  a = await lab.addHost('fa', '10.97.0.1/24');
  b = await lab.addHost('fb', '10.97.0.2/24');
  await lab.startWeft();
  await lab.must('PUT', '/v1/bridges/br0', {});
  for (const name of ['fa', 'fb']) await lab.must('PUT', `/v1/bridges/br0/ports/${name}`, {});
  await a.reaches('10.97.0.2');
});
afterAll(() => lab?.close());
beforeEach(async () => {
  await lab.must('PUT', FLOWS, 'priority=0,actions=NORMAL');
  await lab.must('DELETE', GROUPS);
  await lab.must('DELETE', METERS);
});

const flows = async (query = '') => ((await lab.must('GET', `${FLOWS}${query}`)) as { flows: Flow[] }).flows;
const users = async (query = '') => (await flows(`?owner=user${query}`)).map(({ text }) => text);
/** What Open vSwitch's own tool sees. */
const ofctl = (...words: string[]) => lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', ...words);
const management = () => `unix:${lab.rundir}/br0.mgmt`;

test('flows are added in either form, changed, replaced and deleted, and frames follow them', async () => {
  const lines = ['# by name of port', 'priority=20,in_port=fa,icmp,actions=drop', '', 'table=5,actions=drop'];
  expect(await lab.must('POST', FLOWS, lines.join('\n'))).toEqual({ accepted: 2 });
  const json = { priority: 10, cookie: '0x7', match: { eth_type: 0x0806 }, instructions: [] };
  expect(await lab.must('POST', FLOWS, { flows: [json, 'priority=9,tcp,actions=NORMAL'] })).toEqual({
    accepted: 2,
  });
  expect(await users()).toEqual([
    'priority=20,icmp,in_port=fa actions=drop',
    'cookie=0x7, priority=10,arp actions=drop',
    'priority=9,tcp actions=NORMAL',
    'priority=0 actions=NORMAL',
    'table=5, actions=drop',
  ]);
  await until('icmp is dropped', async () => (await a.ping('10.97.0.2', 1)) === 0);
  await lab.must('POST', `${FLOWS}?command=modify`, 'icmp,actions=NORMAL');
  expect(await users('&match=icmp')).toEqual(['priority=20,icmp,in_port=fa actions=NORMAL']);

  expect((await lab.rest('DELETE', `${FLOWS}?cookie=0x7/-1`)).status).toBe(204);
  await a.reaches('10.97.0.2');
  expect((await lab.rest('DELETE', `${FLOWS}?table=5`)).status).toBe(204);
  expect((await lab.rest('DELETE', `${FLOWS}?match=priority%3D9%2Ctcp&strict=true`)).status).toBe(204);

  // What stays keeps its counters; the same twice changes nothing.
  const wanted = 'priority=0,actions=NORMAL\npriority=1,udp,actions=drop';
  expect(await lab.must('PUT', FLOWS, wanted)).toEqual({ added: 1, modified: 0, deleted: 1 });
  expect(await lab.must('PUT', FLOWS, wanted)).toEqual({ added: 0, modified: 0, deleted: 0 });
  const seen = await ofctl('dump-flows', '--no-stats', management(), 'table=0');
  expect(seen.split('\n').sort()).toEqual(['', ' priority=0 actions=NORMAL', ' priority=1,udp actions=drop']);
});

test('what is refused is told with its place and its OpenFlow error, and changes nothing', async () => {
  const before = await users();
  const ok = 'priority=77,actions=drop';
  const syntax = await lab.rest('POST', FLOWS, `${ok}\npriority=78,no_such=1,actions=drop\nactions=fly`);
  expect(syntax).toMatchObject({ status: 400, body: { errors: [{ path: 'line 2' }, { path: 'line 3' }] } });
  const foreign = await lab.rest('POST', FLOWS, { flows: [ok, 'table=64,actions=drop'] });
  expect(foreign).toMatchObject({
    status: 409,
    body: { errors: [{ path: '/flows/1', openflow: 'BAD_REQUEST EPERM' }] },
  });
  const missing = await lab.rest('POST', FLOWS, { flows: [ok, 'actions=group:99'] });
  expect(missing.status).toBe(409);
  const group = await lab.rest('POST', GROUPS, 'group_id=0x57000001,type=all,bucket=output:1');
  expect(group).toMatchObject({ status: 409, body: { errors: [{ path: 'line 1' }] } });
  expect((await lab.rest('GET', `${FLOWS}?table=254`)).status).toBe(422);
  expect((await lab.rest('GET', `${FLOWS}?match=what`)).status).toBe(400);
  expect((await lab.rest('GET', FLOWS, undefined, 'image/png')).status).toBe(406);
  expect(await users()).toEqual(before);

  // A delete of everything is one of what belongs to users.
  const programs = (await flows()).filter(({ owner }) => owner !== null).length;
  expect((await lab.rest('DELETE', FLOWS)).status).toBe(204);
  expect(await users()).toEqual([]);
  expect((await flows()).filter(({ owner }) => owner !== null)).toHaveLength(programs);
});

test('groups and meters: made, replaced, used by a flow, deleted with it', async () => {
  await lab.must('POST', GROUPS, 'group_id=1,type=all,bucket=actions=output:fb');
  await lab.must('PUT', `${GROUPS}/2`, { type: 'INDIRECT', buckets: [{ actions: [] }] });
  await lab.must('PUT', `${METERS}/3`, { flags: ['PKTPS'], bands: [{ type: 'DROP', rate: 100 }] });
  await lab.must('POST', METERS, 'meter=4,kbps,bands=type=drop,rate=1000');
  await lab.must('POST', FLOWS, 'priority=3,in_port=fa,actions=meter:3,group:1');
  await a.reaches('10.97.0.2');
  expect(await ofctl('dump-groups', management())).toContain('group_id=1,type=all,bucket=');
  expect(await ofctl('dump-meters', management())).toMatch(/meter=3 pktps.*\n.*rate=100\b/);
  const { groups } = (await lab.must('GET', `${GROUPS}?owner=user`)) as { groups: { groupId: number }[] };
  expect(groups.map(({ groupId }) => groupId).sort()).toEqual([1, 2]);
  const all = (await lab.must('GET', GROUPS)) as { groups: { owner: { reason: string } | null }[] };
  expect(all.groups.filter(({ owner }) => owner !== null).length).toBeGreaterThan(0);

  // A change in place; then both go, and the flow with what it leads to.
  await lab.must('PUT', `${GROUPS}/1`, { type: 'ALL', buckets: [] });
  expect(await ofctl('dump-groups', management())).toMatch(/group_id=1,type=all\n/);
  expect((await lab.rest('DELETE', `${GROUPS}/1`)).status).toBe(204);
  expect((await lab.rest('GET', `${GROUPS}/1`)).status).toBe(404);
  expect(await users()).toEqual(['priority=0 actions=NORMAL']);
  expect((await lab.rest('DELETE', METERS)).status).toBe(204);
  expect(await lab.must('GET', METERS)).toEqual({ meters: [] });
});

test('a dump has the same flows in each form, each with whose it is and why; filters choose', async () => {
  await lab.must(
    'POST',
    FLOWS,
    'cookie=0x12,priority=5,in_port=fa,actions=resubmit(,10)\ntable=10,actions=drop',
  );
  const json = await flows();
  const stream = await lab.rest('GET', FLOWS, undefined, NDJSON);
  const texts = (list: Flow[]) => list.map(({ text }) => text).sort();
  expect(
    texts(
      stream.text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Flow),
    ),
  ).toEqual(texts(json));
  const lines = (await lab.rest('GET', FLOWS, undefined, 'text/plain')).text.trimEnd().split('\n');
  expect(lines).toHaveLength(json.length);
  expect(lines[0]).toMatch(
    /^cookie=0x12, duration=[\d.]+s, table=0, n_packets=\d+, n_bytes=\d+, priority=5,in_port=fa actions=resubmit\(,10\)$/,
  );
  const byPlace = json.map(({ tableId, priority }) => tableId * 65536 - priority);
  expect(byPlace).toEqual([...byPlace].sort((x, y) => x - y));
  for (const { owner, tableId } of json) {
    expect(owner?.program).toBe(tableId < 64 ? undefined : 'bridge');
    if (owner) expect(owner.reason.length).toBeGreaterThan(5);
  }
  expect(lines.filter((line) => / # bridge\/\w+: \S/.test(line))).toHaveLength(
    json.filter(({ owner }) => owner !== null).length,
  );

  const owned = await flows('?owner=bridge&table=64');
  expect(owned.length).toBeGreaterThan(0);
  expect(new Set(owned.map(({ tableId }) => tableId))).toEqual(new Set([64]));
  expect(await users('&cookie=0x10/0xf0')).toHaveLength(1);
  expect(await users('&match=in_port%3Dfa')).toHaveLength(1);
  expect(await users('&match=in_port%3Dfb')).toEqual([]);
});

test('a slow reader of many flows holds up nobody, and gets them all', async () => {
  const COUNT = 8_000;
  const many = Array.from({ length: COUNT }, (_, i) => {
    return `priority=9,ip,nw_dst=10.1.${i >> 8}.${i & 255},actions=set_field:10.2.${i >> 8}.${i & 255}->ip_dst,output:1`;
  });
  await lab.must('POST', FLOWS, many.join('\n'));
  const call = request({
    socketPath: lab.apiSocket,
    path: `${FLOWS}?owner=user`,
    headers: { accept: NDJSON },
  });
  call.end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  const reader = createInterface({ input: response });
  reader.pause();

  // Meanwhile a station that has not been heard is learned, and others are answered.
  await b.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:97:00:02');
  await a.run('ip', 'neigh', 'flush', 'dev', 'eth0');
  await a.reaches('10.97.0.2');
  const fdb = await until('the station is learned', async () => {
    const { text } = await lab.rest('GET', '/v1/bridges/br0/fdb');
    return text.includes('02:00:00:97:00:02') && text;
  });
  expect(fdb).toContain('fb');

  let lines = 0;
  reader.on('line', () => lines++).resume();
  await once(reader, 'close');
  expect(lines).toBe(COUNT + 1);

  // One who goes away in the middle leaves nothing behind: the next is served as well.
  const gone = request({ socketPath: lab.apiSocket, path: FLOWS, headers: { accept: NDJSON } });
  gone.on('error', () => undefined).end();
  await once(gone, 'response');
  gone.destroy();
  expect(await users('&match=ip%2Cnw_dst%3D10.1.0.1')).toHaveLength(1);
});
