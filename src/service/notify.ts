/** Tells the service manager how far weftd is (sd_notify(3)). Node has no datagram sockets of the unix kind: systemd-notify(1) has. */
import { execFile } from 'node:child_process';

/**
 * Sends `READY=1`, `STOPPING=1` or the like to the service manager that started us, if one did. Never fails: what cannot
 * be told ends in systemd's own timeout, which it logs.
 */
export function notifyService(state: string): Promise<void> {
  if (process.env['NOTIFY_SOCKET'] === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    execFile('systemd-notify', [`--pid=${process.pid}`, state], { timeout: 5_000 }, () => resolve());
  });
}
