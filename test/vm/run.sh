#!/bin/bash
# run.sh SCRIPT: runs a bash script as root in a virtual machine with a kernel of this machine and cgroup v2. The root
# file system is this machine's, read-only; /tmp, /run, /root, /var/lib and /home are empty and writable. No network.
# Exit status: the script's; 124 when the machine did not finish in time (VM_SECONDS, default 240).
set -euo pipefail
script=$(readlink -f "$1") here=$(dirname "$(readlink -f "$0")")
kernel=$(ls /boot/vmlinuz-* | grep -v cloud | sort -V | tail -n 1)
version=${kernel#/boot/vmlinuz-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The initial file system: a shell and the modules that reach the root file system.
root=$work/root
mkdir -p "$root/bin" "$root/modules" "$root/proc" "$root/new"
cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
for module in virtio_pci 9pnet_virtio 9p; do
  modprobe --set-version "$version" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' > "$work/modules"
number=100
while read -r file; do
  number=$((number + 1))
  case $file in
    *.xz) xz --decompress --stdout "$file" ;;
    *.zst) zstd --decompress --stdout --quiet "$file" ;;
    *) cat "$file" ;;
  esac > "$root/modules/$number.ko"
done < "$work/modules"
cp "$here/init.sh" "$root/init"
cp "$here/second.sh" "$root/second"
cp "$script" "$root/script"
printf '%s\n' "$PWD" > "$root/folder"
chmod 755 "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2> "$work/cpio") > "$work/initrd"

# Emulation: a machine that is itself virtual often has no usable KVM.
timeout "${VM_SECONDS:-240}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 3072 -smp 2 -nographic -no-reboot \
  -kernel "$kernel" -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1" \
  -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
  -device virtio-9p-pci,fsdev=root,mount_tag=root < /dev/null > "$work/output" 2> "$work/errors" || true
tr -d '\r' < "$work/output" | sed '1,/^VM BEGIN$/d' | sed '/^VM END/,$d'
status=$(tr -d '\r' < "$work/output" | sed -n 's/^VM END \([0-9]*\)$/\1/p' | tail -n 1)
[ -n "$status" ] || tail -n 20 "$work/output" "$work/errors" >&2
exit "${status:-124}"
