/** The SSL row: with which key and certificates managers are spoken to (ovs-vswitchd.conf.db(5), "SSL TABLE"). Pure. */
import type { Database } from '../ovsdb/index.js';
import { flagOf, textOf, textsOf } from './fields.js';

/** Files in PEM. */
export interface TlsFiles {
  readonly privateKey: string;
  readonly certificate: string;
  readonly caCert: string;
  /** While the file `caCert` is not there: the first peer that is dialled is believed, and its CA written there. */
  readonly bootstrapsCa: boolean;
}

/** What the root row names; null: nothing. */
export function readTlsFiles(database: Database): TlsFiles | null {
  const [root] = database.rows('Open_vSwitch').values();
  const [uuid] = root ? textsOf(root, 'ssl') : [];
  const row = uuid === undefined ? undefined : database.row('SSL', uuid);
  if (!row) return null;
  return {
    privateKey: textOf(row, 'private_key') ?? '',
    certificate: textOf(row, 'certificate') ?? '',
    caCert: textOf(row, 'ca_cert') ?? '',
    bootstrapsCa: flagOf(row, 'bootstrap_ca_cert'),
  };
}
