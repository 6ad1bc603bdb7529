#!/usr/bin/env bash
# The first program of the kernel that uml-host.sh boots: builds a host over the files of the machine, which it sees
# read-only, runs the command in it and switches off.
set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
root=/run/root

# State of the machine that this host must not see, and upper directories of overlays, which need another file system
# than an overlay.
fresh=(/run /tmp /var/tmp /var/lib/rkt /var/lib/cni /var/log/journal /etc/rkt)

# The serial lines are the command's output, so they must not be touched as a terminal's is.
open_serial_lines() {
	exec >/dev/ttyS0 2>/dev/ttyS1
	stty -F /dev/ttyS0 raw && stty -F /dev/ttyS1 raw
}

mount_root() {
	local path
	busybox insmod "/usr/lib/uml/modules/$(uname -r)/kernel/fs/overlayfs/overlay.ko"
	mount -t tmpfs tmpfs /run
	mkdir /run/upper /run/work $root
	mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work overlay $root
	for path in "${fresh[@]}"; do
		mkdir -p "$root$path"
		mount -t tmpfs -o mode=755 tmpfs "$root$path"
	done
	chmod 1777 $root/tmp $root/var/tmp
	[ ! -e /dev/ubda ] || mount -o "$(<"$UML_HOST/mount-options")" /dev/ubda $root/var/lib/rkt
}

mount_kernel_filesystems() {
	mount -t proc proc $root/proc
	mount -t sysfs sysfs $root/sys
	mount -t securityfs securityfs $root/sys/kernel/security 2>/dev/null
	mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
	mount -t devtmpfs devtmpfs $root/dev
	mkdir -p $root/dev/pts $root/dev/shm
	mount -t devpts -o ptmxmode=666 devpts $root/dev/pts
	mount -t tmpfs tmpfs $root/dev/shm
	ln -s /proc/self/fd $root/dev/fd
}

# Directories that are the machine's, where what is written is thrown away as well.
mount_binds() {
	local path number=0
	while read -r -d '' path; do
		number=$((number + 1))
		mkdir -p "$root$path" /run/bind$number/{upper,work}
		mount -t overlay -o "lowerdir=$path,upperdir=/run/bind$number/upper,workdir=/run/bind$number/work" overlay "$root$path"
	done <"$UML_HOST/binds"
	mkdir -p $root/run/uml-host $root/lib/modules
	mount -t hostfs -o "$UML_HOST" control $root/run/uml-host
	mount --bind /usr/lib/uml/modules $root/lib/modules
	ln -sf "$(command -v busybox)" $root/sbin/modprobe
}

write_identity() {
	rm -f $root/etc/{machine-id,hostname,hosts}
	tr -d - </proc/sys/kernel/random/uuid >$root/etc/machine-id
	echo uml-host >$root/etc/hostname
	echo '127.0.0.1 localhost' >$root/etc/hosts
	hostname uml-host
	ip link set lo up
}

enter_root() {
	cd $root
	mkdir -p mnt
	pivot_root . mnt
	cd /
	mount --make-rprivate /
	umount --lazy /mnt
}

# Every program of the caller's environment and directory; `started` tells a failed boot from a failed command.
run_command() {
	local environment command
	cd /run/uml-host
	mapfile -d '' environment <environment
	mapfile -d '' command <command
	: >started
	(cd "$(<directory)" && exec env -i "${environment[@]}" "${command[@]}" </dev/null)
	echo $? >status
}

# The serial lines are written to their end when they are closed.
switch_off() {
	exec >/dev/null 2>&1
	sync
	echo o >/proc/sysrq-trigger
	sleep 60
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
open_serial_lines
mount_root
mount_kernel_filesystems
mount_binds
write_identity
enter_root
run_command
switch_off
