/**
 * `npm run package:deb`: builds everything and packs it as dist/weft_VERSION_ARCH.deb. What runs there is what runs here: the
 * compiled controller and the Node that it was built with (Debian's own may be too old), the datapath, systemd units,
 * and hooks for ifupdown. `npm run package:proof` boots a machine with it.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from '../launch/build.mjs';
import { setUp } from '../launch/setup.mjs';
import { datapathBinary, mustRun, PlainError, readCommand, root, runMain } from '../launch/tools.mjs';

const sources = `${root}src/packaging`;
const { version, description } = /** @type {{ version: string, description: string }} */ (
  JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
);

/** Tools of Open vSwitch that Weft brings along under the same names. */
const tools = ['ovs-vsctl', 'ovs-appctl', 'ovs-ofctl'];

/**
 * @param {string} path
 * @param {string} text
 * @param {number} [mode]
 */
function write(path, text, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
}

/**
 * @param {string} from
 * @param {string} to
 * @param {number} [mode]
 */
function copy(from, to, mode = 0o644) {
  write(to, '', mode);
  cpSync(from, to, { dereference: true });
  chmodSync(to, mode);
}

/**
 * Folders of the packages of others that are not in the bundles (bundle.mjs): what builds programs of users, and the files
 * of the page at /docs.
 */
function unbundledPackages() {
  const folder = `${root}node_modules`;
  const natives = readdirSync(`${folder}/@esbuild`).map((name) => `${folder}/@esbuild/${name}`);
  return [`${folder}/esbuild`, `${folder}/@fastify/swagger-ui`, ...natives];
}

/** Whether a file is for running, or for those who write programs (types), rather than for developing. */
function isShipped(/** @type {string} */ path) {
  return !/\.map$|\.tsbuildinfo$|\.test(-[\w-]+)?\.(d\.ts|[cm]?js|ts)$|\/(tests?|benchmarks?|\.github)$/.test(
    relative(root, path).replace(/^dist\/test$/, ''),
  );
}

/** @param {string} stage */
function stageFiles(stage) {
  const lib = `${stage}/usr/lib/weft`;
  copy(datapathBinary, `${lib}/bin/weft-datapath`, 0o755);
  // Symbols are three quarters of it; gcc, which Rust links with, has brought strip along.
  readCommand('strip', ['--strip-unneeded', `${lib}/bin/weft-datapath`]);
  for (const folder of ['dist/weftd', 'dist/src', 'dist/test/model', 'openflow/dist'])
    cpSync(`${root}${folder}`, `${lib}/${folder}`, { recursive: true, filter: isShipped });
  for (const name of readdirSync(`${root}dist`).filter((it) => it.endsWith('.cjs')))
    copy(`${root}dist/${name}`, `${lib}/dist/${name}`, 0o755);
  copy(process.execPath, `${lib}/bin/node`, 0o755);
  for (const path of unbundledPackages()) {
    const to = `${lib}/${relative(root, path)}`;
    cpSync(path, to, {
      recursive: true,
      dereference: true,
      filter: (it) => !relative(path, it).includes('node_modules') && isShipped(it),
    });
  }
  symlinkSync('../openflow', `${lib}/node_modules/node-openflow`);
  for (const file of ['package.json', 'openflow/package.json']) copy(`${root}${file}`, `${lib}/${file}`);
  const launcher = (/** @type {string} */ words) =>
    `#!/bin/sh\nexec /usr/lib/weft/bin/node /usr/lib/weft/${words} "$@"\n`;
  write(`${stage}/usr/bin/weft`, launcher('dist/weft.cjs'), 0o755);
  for (const tool of tools) write(`${lib}/bin/${tool}`, launcher(`dist/ovs-tools.cjs ${tool}`), 0o755);
  for (const unit of readdirSync(`${sources}/systemd`))
    copy(`${sources}/systemd/${unit}`, `${stage}/lib/systemd/system/${unit}`);
  copy(`${sources}/ifupdown/ifup-ovs`, `${lib}/libexec/ifup-ovs`, 0o755);
  for (const when of ['if-pre-up.d', 'if-post-down.d'])
    copy(`${sources}/ifupdown/weft`, `${stage}/etc/network/${when}/weft`, 0o755);
  copy(`${sources}/debian/weft.default`, `${stage}/etc/default/weft`);
  stageDocuments(`${stage}/usr/share/doc/weft`);
}

/** @param {string} folder */
function stageDocuments(folder) {
  for (const file of ['README.md', 'CHANGELOG.md', 'ARCHITECTURE.md'])
    copy(`${root}${file}`, `${folder}/${file}`);
  copy(`${root}LICENSE`, `${folder}/copyright`);
  if (existsSync(`${root}docs`)) cpSync(`${root}docs`, `${folder}/docs`, { recursive: true });
  copy(`${sources}/udev/openvswitch.rules`, `${folder}/examples/openvswitch.rules`);
  copy(`${sources}/udev/udev.sh`, `${folder}/examples/udev.sh`, 0o755);
}

/**
 * Every file below a folder.
 * @param {string} folder
 * @returns {string[]}
 */
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}

/**
 * @param {string} stage
 * @param {string} architecture
 */
function stageControl(stage, architecture) {
  const files = filesBelow(stage);
  const sizeKib = Math.ceil(files.reduce((sum, path) => sum + statSync(path).size, 0) / 1024);
  const sums = files.map((path) => {
    const sum = createHash('md5').update(readFileSync(path)).digest('hex');
    return `${sum}  ${relative(stage, path)}\n`;
  });
  const isSetting = (/** @type {string} */ path) => path.startsWith(`${stage}/etc/`);
  // What was built here runs with this C library or a newer one.
  const libc = readCommand('dpkg-query', ['-W', '-f', '${Version}', 'libc6'])?.split('-')[0] ?? '2.36';
  const control = `Package: weft
Version: ${version}
Architecture: ${architecture}
Maintainer: The Weft developers <weft@localhost>
Installed-Size: ${sizeKib}
Depends: iproute2, libc6 (>= ${libc}), libgcc-s1, libstdc++6
Recommends: ifupdown
Provides: openvswitch-switch (= 3.1.0+weft)
Conflicts: openvswitch-switch
Section: net
Priority: optional
Description: ${description.split(':')[0]}
 Weft forwards frames like Open vSwitch and is configured like it: bridges, access
 and trunk ports, VLAN bridges and LACP bonds, by ovs-vsctl, by REST, by a
 configuration file or by /etc/network/interfaces. No kernel module is needed.
`;
  write(`${stage}/DEBIAN/control`, control);
  write(`${stage}/DEBIAN/md5sums`, sums.join(''));
  const conffiles = files.filter(isSetting).map((path) => `/${relative(stage, path)}\n`);
  write(`${stage}/DEBIAN/conffiles`, conffiles.join(''));
  for (const script of ['postinst', 'prerm', 'postrm'])
    copy(`${sources}/debian/${script}`, `${stage}/DEBIAN/${script}`, 0o755);
}

/** Builds the package. @returns {Promise<string>} its path */
export async function packageDeb() {
  const architecture = readCommand('dpkg', ['--print-architecture'])?.trim();
  if (!architecture) throw new PlainError('dpkg is needed to build a Debian package');
  await setUp();
  await build();
  const stage = `${root}dist/deb`;
  rmSync(stage, { recursive: true, force: true });
  stageFiles(stage);
  stageControl(stage, architecture);
  const path = `${root}dist/weft_${version}_${architecture}.deb`;
  await mustRun('dpkg-deb', 'dpkg-deb', ['--root-owner-group', '-Zxz', '-z1', '--build', stage, path]);
  rmSync(stage, { recursive: true, force: true });
  return path;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await runMain(async () => {
    process.stdout.write(`${await packageDeb()}\n`);
  });
}
