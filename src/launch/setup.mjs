/**
 * Installs what is missing on a Debian machine with Node: Debian packages, a Rust toolchain, npm packages.
 * Does nothing, quickly, where all is there.
 */
import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { mustRun, PlainError, readCommand, requireRoot, root, runMain } from './tools.mjs';

/** The oldest Rust that builds the datapath (datapath/Cargo.toml, rust-version). */
const rustMinimum = { major: 1, minor: 88 };

/** What runs and builds the switch: a program that shows that the package is there → the Debian package. */
const toRun = { ip: 'iproute2', cc: 'gcc', tc: 'iproute2', clang: 'clang' };

/** What the tests need besides: peers, captures, traffic. */
const toTest = {
  'ovs-vsctl': 'openvswitch-switch',
  'ovs-testcontroller': 'openvswitch-testcontroller',
  nfcapd: 'nfdump',
  sfcapd: 'nfdump-sflow',
  tshark: 'tshark',
  tcpdump: 'tcpdump',
  'g++': 'g++',
  iperf3: 'iperf3',
  ethtool: 'ethtool',
  ping: 'iputils-ping',
  arping: 'arping',
  curl: 'curl',
  'docker-compose': 'docker-compose',
  setpriv: 'util-linux',
  python3: 'python3',
  zsh: 'zsh',
  fish: 'fish',
};

/** What a virtual machine for the second tutorial needs. */
const toBootGuest = { 'qemu-system-x86_64': 'qemu-system-x86', busybox: 'busybox-static', cpio: 'cpio' };

/** @param {string} program */
function findProgram(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(`${folder}/${program}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function hasRust() {
  const version = /^rustc (\d+)\.(\d+)/.exec(readCommand('rustc', ['--version']) ?? '');
  if (!version || readCommand('cargo', ['--version']) === null) return false;
  const [major, minor] = [Number(version[1]), Number(version[2])];
  return major > rustMinimum.major || (major === rustMinimum.major && minor >= rustMinimum.minor);
}

/** @param {string[]} packages */
async function installDebianPackages(packages) {
  if (packages.length === 0) return;
  const list = packages.join(' ');
  requireRoot(` to install the Debian packages: ${list}`);
  if (!findProgram('apt-get')) throw new PlainError(`install these first (no apt-get here): ${list}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Without this, installing the Open vSwitch tools for the tests would start Open vSwitch itself,
  // which holds the run directory that Weft wants.
  const policy = '/usr/sbin/policy-rc.d';
  const ownPolicy = !existsSync(policy);
  try {
    if (ownPolicy) {
      writeFileSync(policy, '#!/bin/sh\nexit 101\n');
      chmodSync(policy, 0o755);
    }
    await mustRun('apt-get update', 'apt-get', ['update', '-qq'], { env });
    await mustRun(
      `installing ${list}`,
      'apt-get',
      ['install', '-y', '-qq', '--no-install-recommends', ...packages],
      {
        env,
      },
    );
  } finally {
    if (ownPolicy) rmSync(policy, { force: true });
  }
}

async function installNodePackages() {
  const stamp = `${root}node_modules/.weft-lock`;
  const hash = createHash('sha256')
    .update(readFileSync(`${root}package-lock.json`))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  await mustRun('npm ci', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], {
    // npm passes its own settings of the outer `npm start` down; a nested npm must not inherit them.
    env: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^npm_(config|package|lifecycle)/i.test(name)),
    ),
  });
  writeFileSync(stamp, hash);
}

/**
 * @param {{ tests?: boolean, guest?: boolean }} [options] tests: also install the peers that the tests drive; guest: and
 * what boots a virtual machine
 */
export async function setUp({ tests = false, guest = false } = {}) {
  const [major] = process.versions.node.split('.').map(Number);
  if (process.platform !== 'linux') throw new PlainError(`Linux is needed (this is ${process.platform})`);
  if ((major ?? 0) < 20)
    throw new PlainError(`Node 20 or newer is needed (this is ${process.versions.node})`);
  const wanted = Object.entries({
    ...toRun,
    ...(tests ? toTest : {}),
    ...(guest ? toBootGuest : {}),
  });
  const missing = new Set(wanted.filter(([program]) => !findProgram(program)).map(([, name]) => name));
  if (tests && !existsSync('/usr/include/bpf/bpf_helpers.h')) missing.add('libbpf-dev');
  // gcc without the C library's headers cannot link a Rust program.
  if (!existsSync('/usr/include/stdlib.h')) missing.add('libc6-dev');
  // Debian 12 keeps a current toolchain in these two, beside its old default one.
  if (!hasRust())
    ['rustc-web', 'cargo-web', ...(tests ? ['rustfmt-web'] : [])].forEach((name) => missing.add(name));
  await installDebianPackages([...missing]);
  // The group of those who may use a tap; udev makes it on machines that have udev.
  if (guest && readCommand('getent', ['group', 'kvm']) === null)
    await mustRun('groupadd', 'groupadd', ['--system', 'kvm']);
  await installNodePackages();
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await runMain(() => setUp({ tests: process.argv.includes('--tests') }));
}
