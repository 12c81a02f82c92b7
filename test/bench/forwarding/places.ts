/** Where frames come from and go to. */
import { Host, until, type Lab } from '../../system/lab.js';
import { loadgen } from '../measure.js';

/**
 * `veths`: two hosts on veth pairs. `guest`: the first of them is a virtual machine's likeness. `taps`: the ports are taps that
 * the load itself works, without hosts.
 */
export type Place = 'veths' | 'guest' | 'taps';

function addTap(namespace: string, name: string): Promise<string> {
  return new Host(namespace, name).run('ip', 'tuntap', 'add', name, 'mode', 'tap', 'vnet_hdr');
}

/**
 * A guest: its eth0 is a tap that is joined to the tap `port`, each frame whole with its virtio header, by a process of its own,
 * as QEMU does without vhost. The process is no peer's, so all have it at the same priority.
 */
async function addGuest(lab: Lab, port: string, address: string): Promise<Host> {
  const guest = new Host(`${lab.switchNamespace}-${port}`, port);
  await lab.addNamespace(guest.namespace);
  await addTap(guest.namespace, 'eth0');
  await addTap(lab.switchNamespace, port);
  await guest.run('ip', 'addr', 'add', address, 'dev', 'eth0');
  await guest.run('ip', 'link', 'set', 'eth0', 'up');
  await lab.inSwitch('ip', 'link', 'set', port, 'up');
  const taps = ['--tap', `${guest.namespace}/eth0`, '--tap', `${lab.switchNamespace}/${port}`];
  lab.spawnHere('nice', ['-n', '-15', loadgen, 'relay', ...taps]);
  const hasCarrier = async (namespace: string, name: string) =>
    (await new Host(namespace, name).run('cat', `/sys/class/net/${name}/carrier`)).trim() === '1';
  await until(
    'the relay',
    async () => (await hasCarrier(guest.namespace, 'eth0')) && hasCarrier(lab.switchNamespace, port),
  );
  return guest;
}

/** Makes the ports pa and pb, or joins the hosts behind them; gives the hosts. */
export async function furnish(lab: Lab, place: Place, isWire: boolean): Promise<Host[]> {
  if (place === 'taps') {
    for (const port of ['pa', 'pb']) {
      await addTap(lab.switchNamespace, port);
      await lab.inSwitch('ip', 'link', 'set', port, 'up');
    }
    return [];
  }
  const a = await (place === 'guest'
    ? addGuest(lab, 'pa', '10.99.0.1/24')
    : lab.addHost('pa', '10.99.0.1/24'));
  const b = await (isWire ? lab.joinHost(a, 'pb', '10.99.0.2/24') : lab.addHost('pb', '10.99.0.2/24'));
  return [a, b];
}
