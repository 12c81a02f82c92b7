/** The key and the certificates that the SSL row names, from their files. A shell. */
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import type { TlsFiles } from '../config/index.js';
import type { RemoteTls } from '../ovsdb/server/remotes.js';

/** @returns what remotes speak TLS with; with a `fault` in words where they cannot */
export async function readTlsIdentity(files: TlsFiles | null): Promise<RemoteTls> {
  if (!files) return { fault: 'needs a private key, a certificate and a CA certificate (ovs-vsctl set-ssl)' };
  try {
    const [key, cert] = await Promise.all([readPem(files.privateKey), readPem(files.certificate)]);
    const ca = await readFile(files.caCert, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (files.bootstrapsCa && error.code === 'ENOENT') return null;
      throw new Error(`${files.caCert} cannot be read: ${error.message}`);
    });
    if (ca !== null) return { identity: { key, cert, ca } };
    return { bootstrap: { key, cert, keep: (pem) => keep(files.caCert, pem) } };
  } catch (error) {
    return { fault: (error as Error).message };
  }
}

function readPem(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: Error) => {
    throw new Error(`${path} cannot be read: ${error.message}`);
  });
}

/**
 * At one stroke: half a certificate would be believed by nobody, ever after.
 * @throws Error where the file is there already: what was believed first stays
 */
async function keep(path: string, pem: string): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, pem, { mode: 0o644 });
  try {
    await link(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
