#!/bin/bash
# The first program of the machine that test/support/qemu-host.ts starts: the files of the host, of which nothing is
# written, and the disk on /mnt. Runs the command, says its status on a line of its own and switches off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
exec </dev/null
cd "$directory" || exit
while read -r module _; do busybox insmod "dist/guest-kernel/modules/$module"; done <dist/guest-kernel/modules/order
mount /dev/vda /mnt
sh -c "$(<"$command")"
echo $? >/dev/ttyS0
umount /mnt
# The kernel's farewell is no output of the command.
echo 0 >/proc/sys/kernel/printk
busybox poweroff -f
