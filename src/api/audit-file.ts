/** Where the audit log goes: to weftd's own log, or to a file of its own. A shell. */
import { pino } from 'pino';
import type { Logger } from 'pino';
import type { AuditLog } from './audit.js';

/** Lines are in the file before the next request is answered. @throws Error where the file cannot be opened */
export function openAuditLog(path: string | undefined, log: Logger): AuditLog {
  const to =
    path === undefined
      ? log.child({ audit: true })
      : pino(
          { base: {}, timestamp: pino.stdTimeFunctions.isoTime },
          pino.destination({ dest: path, append: true, mode: 0o600, sync: true }),
        );
  return (entry) => to.info(entry, `${entry.who}: ${entry.method} ${entry.path} ${entry.status}`);
}
