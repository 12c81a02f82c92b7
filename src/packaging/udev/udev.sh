#!/bin/sh
# For /etc/openvswitch-switch: called by openvswitch.rules with the name of an interface.
logger -t ovs-udev "$ACTION $1"
case $ACTION in
add) ifup --force "$1" 2>&1 | logger -t ovs-udev ;;
remove) ifdown --force "$1" 2>&1 | logger -t ovs-udev ;;
esac
exit 0
