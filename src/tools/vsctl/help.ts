/** What `ovs-vsctl --help` says. */
export function helpText(rundir: string): string {
  return `ovs-vsctl: configures the switch through its database
usage: ovs-vsctl [OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]...

Switch:         init  show  emer-reset
Bridges:        add-br BRIDGE [PARENT VLAN]   del-br BRIDGE   list-br   br-exists BRIDGE
                br-to-vlan BRIDGE   br-to-parent BRIDGE
                br-set-external-id BRIDGE KEY [VALUE]   br-get-external-id BRIDGE [KEY]
Ports:          list-ports BRIDGE   add-port BRIDGE PORT [COLUMN[:KEY]=VALUE]...
                add-bond BRIDGE PORT IFACE IFACE... [COLUMN[:KEY]=VALUE]...
                add-bond-iface PORT IFACE   del-bond-iface [PORT] IFACE
                del-port [BRIDGE] PORT   port-to-br PORT
Interfaces:     list-ifaces BRIDGE   iface-to-br IFACE
Controllers:    get-controller BRIDGE   del-controller BRIDGE   set-controller BRIDGE TARGET...
                get-fail-mode BRIDGE   del-fail-mode BRIDGE   set-fail-mode BRIDGE standalone|secure
Managers, TLS:  get-manager   del-manager   set-manager TARGET...
                get-ssl   del-ssl   set-ssl PRIVATE-KEY CERTIFICATE CA-CERTIFICATE
Auto attach:    add-aa-mapping BRIDGE I-SID VLAN   del-aa-mapping BRIDGE I-SID VLAN   get-aa-mapping BRIDGE
Database:       list TABLE [RECORD]...   find TABLE CONDITION...
                get TABLE RECORD [COLUMN[:KEY]]...   set TABLE RECORD COLUMN[:KEY]=VALUE...
                add TABLE RECORD COLUMN [KEY=]VALUE...   remove TABLE RECORD COLUMN KEY|KEY=VALUE|VALUE...
                clear TABLE RECORD COLUMN...   create TABLE COLUMN[:KEY]=VALUE...
                destroy TABLE RECORD...   wait-until TABLE RECORD [COLUMN[:KEY]=VALUE]...   comment TEXT...

Options:
  --db=DATABASE            unix:FILE, tcp:HOST:PORT, ssl:HOST:PORT (default: unix:${rundir}/db.sock)
  --no-wait                do not wait until the switch forwards so
  --retry                  keep trying to connect
  -t, --timeout=SECS       give up after so long
  --dry-run                change nothing
  --oneline                one line of output for each command
  -f, --format=FORMAT      table, list, html, csv or json
  -d, --data=FORMAT        string, bare or json
  --no-headings  --pretty  --max-column-width=N
  --bare                   the same as --format=list --data=bare --no-headings
  -p, --private-key=FILE  -c, --certificate=FILE  -C, --ca-cert=FILE   for ssl:
  -h, --help  -V, --version
Options of commands stand before them: --may-exist, --if-exists, --id=@NAME, --columns=LIST, --all, --fake-iface,
--with-iface, --inactivity-probe=MSECS, --bootstrap, --real, --fake.
`;
}
