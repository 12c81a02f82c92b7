/**
 * `npm run package:proof`: a Debian machine of its own under qemu, with the package installed by dpkg while it runs, and
 * booted twice more. What is looked at there is in proof/guest.sh; each line of it that begins with "proof:" is told here.
 * Takes some minutes, the first time longer: Debian is fetched and kept in /var/tmp/weft-proof. `-- --deb=FILE` takes a
 * package that is there already.
 */
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mkdtempSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun, PlainError, readCommand, requireRoot, root, runMain } from '../launch/tools.mjs';
import { packageDeb } from './deb.mjs';

const kept = '/var/tmp/weft-proof';
const base = `${kept}/bookworm`;
const sources = `${root}src/packaging/proof`;
const longestMs = 60 * 60_000;
const packages = [
  ...['systemd', 'systemd-sysv', 'dbus', 'udev', 'init-system-helpers', 'procps', 'kmod'],
  ...['ifupdown', 'iproute2', 'iputils-ping', 'initramfs-tools', 'linux-image-cloud-amd64'],
];

/** Debian 12 as debootstrap makes it, with a kernel. */
async function makeBase() {
  if (existsSync(base)) return;
  if (readCommand('debootstrap', ['--version']) === null)
    throw new PlainError('debootstrap is needed: apt-get install debootstrap');
  const unfinished = `${base}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(kept, { recursive: true });
  const include = `--include=${packages.join(',')}`;
  await mustRun('debootstrap', 'debootstrap', ['--variant=minbase', include, 'bookworm', unfinished]);
  renameSync(unfinished, base);
}

/**
 * The machine's disk.
 * @param {string} folder
 * @param {string} deb
 */
async function makeDisk(folder, deb) {
  const tree = join(folder, 'tree');
  await mustRun('cp', 'cp', ['-a', '--reflink=auto', base, tree]);
  copyFileSync(deb, join(tree, 'root/weft.deb'));
  copyFileSync(`${sources}/guest.sh`, join(tree, 'root/proof.sh'));
  copyFileSync(`${sources}/interfaces`, join(tree, 'root/interfaces'));
  copyFileSync(`${sources}/weft-proof.service`, join(tree, 'etc/systemd/system/weft-proof.service'));
  mkdirSync(join(tree, 'etc/systemd/system/multi-user.target.wants'), { recursive: true });
  const link = join(tree, 'etc/systemd/system/multi-user.target.wants/weft-proof.service');
  await mustRun('ln', 'ln', ['-sf', '../weft-proof.service', link]);
  // A login would take the console away from what is told there.
  await mustRun('ln', 'ln', [
    '-sf',
    '/dev/null',
    join(tree, 'etc/systemd/system/serial-getty@ttyS0.service'),
  ]);
  writeFileSync(join(tree, 'etc/hostname'), 'weft-proof\n');
  writeFileSync(join(tree, 'etc/fstab'), '/dev/vda / ext4 defaults 0 1\n');
  const disk = join(folder, 'disk');
  await mustRun('mke2fs', '/sbin/mke2fs', ['-q', '-t', 'ext4', '-d', tree, disk, '4G']);
  const [kernel, initrd] = ['vmlinuz', 'initrd.img'].map((name) => join(folder, name));
  copyFileSync(join(tree, 'vmlinuz'), kernel ?? '');
  copyFileSync(join(tree, 'initrd.img'), initrd ?? '');
  rmSync(tree, { recursive: true, force: true });
}

/**
 * Boots it and tells what it says until it is switched off.
 * @param {string} folder
 */
async function boot(folder) {
  const log = join(folder, 'console');
  const card = (/** @type {number} */ n) => [
    ...['-netdev', `hubport,hubid=${n},id=net${n}`],
    ...['-device', `virtio-net-pci,netdev=net${n},mac=52:54:00:00:00:0${n}`],
  ];
  const machine = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg,thread=multi', '-machine', 'q35', '-cpu', 'max', '-smp', '2', '-m', '1024'],
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', `file:${log}`],
      ...['-kernel', join(folder, 'vmlinuz'), '-initrd', join(folder, 'initrd.img')],
      ...[
        '-append',
        'root=/dev/vda rw console=ttyS0 net.ifnames=0 no_timer_check panic=-1 systemd.show_status=0 quiet',
      ],
      ...['-drive', `file=${join(folder, 'disk')},if=virtio,format=raw,cache=unsafe`],
      // Three cards on hubs of their own: links that are up, and nobody behind them.
      ...[1, 2, 3].flatMap(card),
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  let isOver = false;
  machine.once('close', () => (isOver = true));
  const endMs = Date.now() + longestMs;
  let told = 0;
  /** @type {string[]} */
  let lines = [];
  for (;;) {
    const isLast = isOver;
    const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
    lines = text.split(/\r?\n/).flatMap((line) => /proof: (.*)/.exec(line)?.[1] ?? []);
    for (; told < lines.length; told++) process.stdout.write(`${lines[told]}\n`);
    if (isLast || Date.now() > endMs) break;
    await sleep(500);
  }
  if (!isOver) machine.kill('SIGKILL');
  const isDone = lines.includes('done');
  if (!isDone) process.stdout.write(`The machine did not get to the end. Its console:\n${tail(log)}\n`);
  return isDone && !lines.some((line) => line.startsWith('FAIL'));
}

/** @param {string} path */
function tail(path) {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(-40).join('\n') : '(nothing)';
}

await runMain(async () => {
  requireRoot(': debootstrap makes device nodes and files of several users');
  const given = process.argv.find((word) => word.startsWith('--deb='))?.slice('--deb='.length);
  const deb = given ?? (await packageDeb());
  await makeBase();
  const folder = mkdtempSync(join(tmpdir(), 'weft-proof-'));
  try {
    await makeDisk(folder, deb);
    return (await boot(folder)) ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
