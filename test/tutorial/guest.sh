#!/bin/sh
# A small Linux guest for qemu: Debian's cloud kernel and busybox. Makes DIR/vmlinuz and DIR/initrd.gz, once.
# usage: guest.sh DIR
set -e
dir=$1
mkdir -p "$dir"
cd "$dir"
[ ! -f initrd.gz ] || exit 0
package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p' | head -n 1)
[ -n "$package" ] || { echo "guest.sh: no linux-image-cloud-amd64 in apt's lists" >&2; exit 1; }
apt-get -qq -o APT::Sandbox::User=root download "$package"
dpkg -x "$package"_*.deb kernel
modules=kernel/lib/modules/$(ls kernel/lib/modules)/kernel
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/modules" "$root/www"
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
# In the order in which they need each other.
for module in drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci_legacy_dev drivers/virtio/virtio_pci \
    net/core/failover drivers/net/net_failover drivers/net/virtio_net; do
    [ ! -f "$modules/$module.ko" ] || { cp "$modules/$module.ko" "$root/modules/"; basename "$module.ko" >>"$root/modules/order"; }
done
cat >"$root/init" <<'INIT'
#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
for word in $(cat /proc/cmdline); do
    case $word in
    guest_address=*) address=${word#*=} ;;
    guest_gateway=*) gateway=${word#*=} ;;
    esac
done
until [ -e /sys/class/net/eth0 ]; do sleep 0.05; done
ip link set lo up
ip link set eth0 up
ip addr add "$address" dev eth0
ip route add default via "$gateway"
head -c 1000000 /dev/zero | tr '\0' 'w' >/www/million
httpd -p 80 -h /www
echo "guest ready: $(ip -o -4 addr show eth0)" >/dev/console
while :; do sleep 3600; done
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >initrd.tmp
cp kernel/boot/vmlinuz-* vmlinuz
rm -rf kernel "$package"_*.deb
mv initrd.tmp initrd.gz
