/** What tests of the fast path share: three hosts on one bridge, and how the kernel's flows name them. */
import { Lab, type Host } from './lab.js';

export interface FastPathLab {
  readonly lab: Lab;
  readonly a: Host;
  readonly b: Host;
  /** Whether the kernel forwards here; else user space is what is tested. */
  readonly isActive: boolean;
}

/** Hosts 10.99.0.1 (a), 2 (b) and 3 on ports pa, pb and pc of br0. `use` gets the lab first, so that it is closed in any case. */
export async function startFastPathLab(use: (lab: Lab) => void): Promise<FastPathLab> {
  const lab = await Lab.create();
  use(lab);
  const a = await lab.addHost('pa', '10.99.0.1/24');
  const b = await lab.addHost('pb', '10.99.0.2/24');
  await lab.addHost('pc', '10.99.0.3/24');
  await lab.startWeft();
  await lab.must('POST', '/v1/bridges', { name: 'br0' });
  for (const name of ['pa', 'pb', 'pc']) await lab.must('POST', '/v1/bridges/br0/ports', { name });
  await a.reaches('10.99.0.2');
  const { active: isActive } = (await lab.datapath('fastpath.show', {})) as { active: boolean };
  if (!isActive) process.stderr.write('no fast path on this machine: user space is tested instead\n');
  return { lab, a, b, isActive };
}

/** A flow's field by which it is for this address. */
export const ethDst = (mac: string) => `eth_dst=0x${BigInt(`0x${mac.replaceAll(':', '')}`).toString(16)}`;
