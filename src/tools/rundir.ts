/** Where the sockets and pid files of the switch are. */
export function rundir(): string {
  return process.env['OVS_RUNDIR'] ?? '/run/openvswitch';
}
