"""Mininet with Weft: `mn --custom contrib/mininet/weft.py --switch weft --controller remote ...`

Each switch is a weft-datapath of its own in the stand-alone form, with a run directory under /tmp. Parameters, as in
`--switch weft,failMode=standalone`:

    failMode   secure (default): only what the controller installs; standalone: a learning switch without one
    datapath   the weft-datapath to run; by default $WEFT_DATAPATH, this checkout's release build, or one on the PATH
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

from mininet.log import warn
from mininet.node import Switch

# mn runs this file's text: there is no __file__.
HERE = os.path.dirname(os.path.abspath((lambda: None).__code__.co_filename))
BUILT = os.path.join(HERE, '..', '..', 'datapath', 'target', 'release', 'weft-datapath')


def find_datapath():
    """The weft-datapath to run."""
    for path in (os.environ.get('WEFT_DATAPATH'), BUILT, shutil.which('weft-datapath')):
        if path and os.access(path, os.X_OK):
            return path
    raise Exception('weft-datapath is not built: cargo build --release in datapath/, or set WEFT_DATAPATH')


class WeftSwitch(Switch):
    """A bridge of Weft, connected to Mininet's controllers by OpenFlow 1.3."""

    # Longest time until its sockets are there, seconds.
    START_TIMEOUT = 10

    def __init__(self, name, failMode='secure', datapath=None, **params):
        Switch.__init__(self, name, **params)
        self.failMode = failMode
        self.datapath = datapath
        self.rundir = None
        self.process = None
        self.standsAlone = False

    @classmethod
    def setup(cls):
        """Before any switch is made: fails early if there is nothing to run."""
        find_datapath()

    def start(self, controllers):
        """Starts the switch; returns when it can be managed."""
        self.standsAlone = self.failMode == 'standalone' and not controllers
        self.rundir = tempfile.mkdtemp(prefix='weft-mn-%s-' % self.name)
        spec = ['name=' + self.name, 'dpid=' + self.dpid, 'fail_mode=' + self.failMode]
        spec += ['port=%s:%d' % (intf.name, self.ports[intf]) for intf in self.intfList() if intf.name != 'lo']
        spec += ['controller=%s:%s:%d' % (c.protocol, c.IP(), c.port) for c in controllers]
        self.log = open(os.path.join(self.rundir, 'log'), 'w')
        command = [self.datapath or find_datapath(), '--rundir', self.rundir, '--bridge', ','.join(spec)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        deadline = time.monotonic() + self.START_TIMEOUT
        while not os.path.exists(self.management_socket()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.log.name) as log:
                    raise Exception('%s does not start: %s' % (self.name, log.read()[-2000:]))
            time.sleep(0.02)

    def management_socket(self):
        """Where ovs-ofctl finds the switch."""
        return os.path.join(self.rundir, self.name + '.mgmt')

    def connected(self):
        """Whether it forwards (`net.waitConnected`): by a controller, or by itself if there is none to wait for."""
        if self.standsAlone:
            return True
        return any(controller['connected'] for bridge in self.call('bridge.list', {}) for controller in bridge['controllers'])

    def dpctl(self, *args):
        """`dpctl` of Mininet's command line, by ovs-ofctl."""
        command, rest = args[0], args[1:]
        return self.cmd('ovs-ofctl', '-O', 'OpenFlow13', command, 'unix:' + self.management_socket(), *rest)

    def attach(self, intf):
        """Adds an interface while the switch runs."""
        self.call('port.ensure', {'bridge': self.name, 'name': str(intf), 'type': 'system',
                                  'ofport': self.ports[self.nameToIntf[str(intf)]]})

    def detach(self, intf):
        """Takes an interface off the switch."""
        self.call('port.remove', {'bridge': self.name, 'name': str(intf)})

    def call(self, method, params):
        """A request to weft-datapath's control channel."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(5)
            channel.connect(os.path.join(self.rundir, 'weft-datapath.sock'))
            request = {'jsonrpc': '2.0', 'id': 1, 'method': method, 'params': params}
            channel.sendall(json.dumps(request).encode() + b'\n')
            answer = json.loads(channel.makefile().readline())
        if 'error' in answer:
            raise Exception('%s: %s' % (method, answer['error']['message']))
        return answer['result']

    def stop(self, deleteIntfs=True):
        """Ends the switch."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                warn('%s does not stop\n' % self.name)
                self.process.kill()
                self.process.wait()
            self.process = None
            self.log.close()
            shutil.rmtree(self.rundir, ignore_errors=True)
        Switch.stop(self, deleteIntfs)


# What `mn --custom` looks for.
switches = {'weft': WeftSwitch}
