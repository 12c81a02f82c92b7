/**
 * The second tutorial's topology, live: switch sw0, the host's own interface sw0-vlan2 in VLAN 2, a "VM" on a
 * port of VLAN 2 and a stranger in VLAN 3. Everything is in network namespaces and is removed at the end.
 */
import { Lab } from '../system/lab.js';

const host = '203.0.113.129';
const vm = '203.0.113.130';
const stranger = '203.0.113.131';

function say(text: string): void {
  process.stdout.write(`\n${text}\n`);
}

/** Prints one line of what was expected and what was seen. */
function verdict(what: string, wanted: boolean, seen: boolean): boolean {
  process.stdout.write(
    `  ${wanted === seen ? 'ok  ' : 'FAIL'}  ${what}: ${seen ? 'answered' : 'no answer'}\n`,
  );
  return wanted === seen;
}

/** Runs the demonstration; true if everything was as it must be. */
export async function runDemo(): Promise<boolean> {
  const lab = await Lab.create();
  try {
    say('Hosts: a VM behind tap2 and a stranger behind tap3, each in a namespace of its own');
    const vmHost = await lab.addHost('tap2', `${vm}/26`);
    const strangerHost = await lab.addHost('tap3', `${stranger}/26`);

    say('Weft starts');
    await lab.startWeft();

    say('The switch: sw0, its internal port sw0-vlan2 (tag 2), tap2 (tag 2), tap3 (tag 3)');
    await lab.must('POST', '/v1/bridges', { name: 'sw0' });
    await lab.must('POST', '/v1/bridges/sw0/ports', {
      name: 'sw0-vlan2',
      type: 'internal',
      vlanMode: 'access',
      tag: 2,
    });
    await lab.must('POST', '/v1/bridges/sw0/ports', { name: 'tap2', vlanMode: 'access', tag: 2 });
    await lab.must('POST', '/v1/bridges/sw0/ports', { name: 'tap3', vlanMode: 'access', tag: 3 });
    await lab.inSwitch('ip', 'link', 'set', 'sw0', 'up');
    await lab.inSwitch('ip', 'link', 'set', 'sw0-vlan2', 'up');
    await lab.inSwitch('ip', 'addr', 'add', `${host}/26`, 'dev', 'sw0-vlan2');

    say('Who reaches whom');
    await vmHost.reaches(host);
    const results = [
      verdict(`VM → host (${host}), both in VLAN 2`, true, (await vmHost.ping(host)) > 0),
      verdict(
        `host → VM (${vm})`,
        true,
        /[1-9]\d* received/.test(
          await lab.inSwitch('ping', '-c', '2', '-i', '0.1', '-W', '1', vm).catch(() => ''),
        ),
      ),
      verdict(`stranger in VLAN 3 → host (${host})`, false, (await strangerHost.ping(host)) > 0),
      verdict(`stranger in VLAN 3 → VM (${vm})`, false, (await strangerHost.ping(vm)) > 0),
    ];

    say('GET /v1/bridges/sw0/fdb');
    process.stdout.write(`${JSON.stringify((await lab.rest('GET', '/v1/bridges/sw0/fdb')).body, null, 2)}\n`);
    say('GET /v1/bridges/sw0/flows (text/plain)');
    process.stdout.write(
      `${(await lab.rest('GET', '/v1/bridges/sw0/flows', undefined, 'text/plain')).text}\n`,
    );
    return results.every(Boolean);
  } catch (error) {
    process.stderr.write(lab.log);
    throw error;
  } finally {
    await lab.close();
    say('Everything that the demonstration made is removed');
  }
}
