#!/bin/busybox sh
# Process 1 of the guest until it becomes the agent: `/init VSOCK_PORT CONNECTIONS` by the kernel's command line.
set -e
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=1777 tmp /tmp
for module in /modules/*; do insmod "$module"; done
for number in $(seq "$2"); do
  # The node comes when the driver has talked to the device.
  until [ -c "/dev/vport0p$number" ]; do usleep 1000; done
  /guest-bridge "/dev/vport0p$number" "$1" &
done
exec /plyagent --single --vsock-port "$1"
