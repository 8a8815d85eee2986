#!/bin/sh
# Process 1 of the virtual machine until the root file system is there.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
for module in /modules/*.ko; do insmod "$module"; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose root /new
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -t devtmpfs dev /new/dev
mkdir -p /new/dev/shm /new/dev/pts
mount -t tmpfs -o mode=1777 shm /new/dev/shm
mount -t devpts pts /new/dev/pts
mount -t cgroup2 cgroup /new/sys/fs/cgroup
for folder in tmp run root home var/lib; do mount -t tmpfs tmpfs "/new/$folder"; done
chmod 1777 /new/tmp
ip link set lo up
cp /script /second /new/tmp/
folder=$(cat /folder)
umount /proc
# Not a chroot: in one, an ordinary user has no user namespaces.
exec switch_root /new /bin/bash /tmp/second "$folder"
