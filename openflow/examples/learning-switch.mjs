// A learning switch. Point a switch at it:  ovs-vsctl set-controller br0 tcp:127.0.0.1:6653
// Run:  node openflow/examples/learning-switch.mjs [ptcp:PORT:HOST]
import { listen, Port } from 'node-openflow';

const flow = (fields, actions) => ({
  type: 'FLOW_MOD',
  command: 'ADD',
  ...fields,
  instructions: [{ type: 'APPLY_ACTIONS', actions }],
});

const listener = await listen(process.argv[2] ?? 'ptcp:6653:127.0.0.1', {}, (sw) => {
  console.log(`${sw.datapathId} connected`);
  const portOf = new Map(); // MAC address → the port it was last seen on
  // What no other flow takes comes here, and is flooded by us.
  sw.send(flow({ priority: 0 }, [{ type: 'OUTPUT', port: Port.CONTROLLER }]));

  sw.on('packetIn', ({ data, bufferId, match: { in_port: inPort } }) => {
    const [dst, src] = [0, 6].map((at) =>
      Buffer.from(data.subarray(at, at + 6))
        .toString('hex')
        .replace(/..(?!$)/g, '$&:'),
    );
    portOf.set(src, inPort);
    const port = portOf.get(dst) ?? Port.FLOOD;
    const actions = [{ type: 'OUTPUT', port }];
    if (port !== Port.FLOOD)
      sw.send(flow({ priority: 1, idleTimeout: 60, match: { in_port: inPort, eth_dst: dst } }, actions));
    sw.send({
      type: 'PACKET_OUT',
      bufferId,
      inPort,
      actions,
      data: bufferId === 0xffffffff ? data : new Uint8Array(0),
    });
  });

  sw.on('close', ({ message }) => console.log(`${sw.datapathId} gone: ${message}`));
});
console.log(`listening on port ${listener.target.port}`);
