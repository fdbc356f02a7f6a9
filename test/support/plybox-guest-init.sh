#!/bin/busybox sh
# Process 1 of a guest that runs Plybox: `/init SCRIPT CGROUP_OPTIONS`. What the script prints goes to the serial port.
set -e
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
mount -t squashfs -o ro /dev/vda /root
mount -t devtmpfs dev /root/dev
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
for path in run tmp var root; do mount -t tmpfs tmp "/root/$path"; done
mount -t cgroup2 -o "$2" cgroup2 /root/sys/fs/cgroup
until [ -c /dev/vport0p1 ]; do usleep 1000; done
# The console is the guest's standard error. QEMU ends where the guest wants to begin anew.
exec switch_root -c /dev/console /root /bin/sh -c 'export PATH=/usr/bin HOME=/root; node "$1" > /dev/vport0p1; exec reboot -f' sh "$1"
