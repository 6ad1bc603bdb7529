#!/usr/bin/env bash
# init.sh WORK: PID 1 of the namespaces of a systemd host. Builds the host's file system, moves into it and becomes
# systemd. Every mount made here is private and disappears with the mount namespace.
set -euo pipefail

work=$1
control=$work/control
base=$work/mounts
root=$base/root

# State that must start empty, on a file system that may hold the upper layers of further overlays.
fresh=(/etc/rkt /var/lib/rkt /var/lib/machines /var/lib/cni /var/log/journal /var/tmp)

# Units that would change the machine's kernel, that wait for hardware, or that make no sense without a console.
masked=(
	systemd-{udevd,udev-trigger,udev-settle,modules-load,sysctl,random-seed,hwdb-update,binfmt,pstore,timesyncd}.service
	systemd-{update-done,journal-catalog-update,sysusers,firstboot,repart,pcrphase,pcrphase-sysinit}.service
	systemd-{remount-fs,update-utmp,update-utmp-runlevel,machine-id-commit,boot-system-token}.service
	systemd-{tmpfiles-setup-dev,networkd-wait-online}.service
	systemd-udevd-{control,kernel}.socket systemd-{initctl,journald-audit}.socket systemd-ask-password-{console,wall}.path
	proc-sys-fs-binfmt_misc.{automount,mount} sys-kernel-{config,debug,tracing}.mount sys-fs-fuse-connections.mount
	dev-{hugepages,mqueue}.mount var-lib-machines.mount tmp.mount
	kmod-static-nodes.service modprobe@.service ldconfig.service e2scrub_reap.service
	getty.target getty-static.service console-getty.service keyboard-setup.service console-setup.service
)

mount_root() {
	mkdir "$base"
	mount -t tmpfs -o mode=755,size=75%,nr_inodes=4m systemd-host "$base"
	mkdir "$base"/{upper,work,root,fresh}
	mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" systemd-host "$root"
}

# A /dev of its own, never the machine's.
mount_dev() {
	local node
	mount -t tmpfs -o mode=755,nosuid,size=4m dev "$root/dev"
	mkdir "$root"/dev/{pts,shm,mqueue,net}
	for node in null zero full random urandom tty; do
		cp -a "/dev/$node" "$root/dev/$node" && chmod 666 "$root/dev/$node"
	done
	for node in fuse kvm net/tun loop-control vhost-vsock vhost-net vsock $(cd /dev && compgen -G 'loop[0-9]*'); do
		[ ! -e "/dev/$node" ] || cp -a "/dev/$node" "$root/dev/$node"
	done
	ln -s /proc/self/fd "$root/dev/fd"
	ln -s fd/0 "$root/dev/stdin"
	ln -s fd/1 "$root/dev/stdout"
	ln -s fd/2 "$root/dev/stderr"
	ln -s pts/ptmx "$root/dev/ptmx"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5,nosuid,noexec devpts "$root/dev/pts"
	mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
	mount -t mqueue mqueue "$root/dev/mqueue"
	: >"$root/dev/console"
	mount --bind "$control/console" "$root/dev/console"
}

mount_cgroups() {
	local groups=$root/sys/fs/cgroup options=nosuid,nodev,noexec kind
	if [ "$(<"$control/layout")" = unified ]; then
		mount -t cgroup2 -o "$options" cgroup2 "$groups"
		return
	fi
	mount -t tmpfs -o "mode=755,$options" cgroup "$groups"
	while read -r kind; do
		mkdir "$groups/$kind"
		case $kind in
			unified) mount -t cgroup2 -o "$options" cgroup2 "$groups/unified" ;;
			systemd) mount -t cgroup -o "$options,none,name=systemd" cgroup "$groups/systemd" ;;
			*) mount -t cgroup -o "$options,$kind" cgroup "$groups/$kind" ;;
		esac
	done <"$control/hierarchies"
	# Or systemd mounts the remaining version 1 controllers, whose cgroups are the machine's.
	mount -o remount,ro "$groups"
}

mount_kernel_filesystems() {
	mount -t proc -o nosuid,noexec,nodev proc "$root/proc"
	mount -t sysfs -o nosuid,noexec,nodev sysfs "$root/sys"
	mount_cgroups
	mount -t tmpfs -o mode=755,nosuid,nodev,size=20% tmpfs "$root/run"
	mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
	mkdir "$root"/run/{lock,user,systemd-host}
	mount --bind "$control" "$root/run/systemd-host"
}

mount_fresh() {
	local path
	for path in "${fresh[@]}"; do
		mkdir -p "$base/fresh$path" "$root$path"
		mount --bind "$base/fresh$path" "$root$path"
	done
	chmod 1777 "$root/var/tmp"
	chmod 700 "$root/var/lib/machines"
	chgrp systemd-journal "$root/var/log/journal"
	chmod 2755 "$root/var/log/journal"
}

mount_binds() {
	local path
	while read -r -d '' path; do
		mkdir -p "$root$(dirname "$path")"
		if [ -d "$path" ]; then mkdir -p "$root$path"; else : >>"$root$path"; fi
		mount --bind "$path" "$root$path"
	done <"$control/binds"
}

# Only the units of the distribution that every host has: neither those that the machine has enabled nor
# generated ones.
write_units() {
	local etc=$root/etc/systemd/system unit generator
	rm -rf "$etc" "$etc-generators"
	mkdir -p "$etc/multi-user.target.wants" "$etc-generators" "$root/etc/systemd/journald.conf.d"
	for generator in /lib/systemd/system-generators/*; do
		ln -s /dev/null "$etc-generators/${generator##*/}"
	done
	for unit in "${masked[@]}"; do
		ln -s /dev/null "$etc/$unit"
	done
	printf '%s\n' '[Journal]' Storage=persistent RateLimitIntervalSec=0 SystemMaxUse=512M ReadKMsg=no Audit=no \
		>"$root/etc/systemd/journald.conf.d/systemd-host.conf"
	printf '%s\n' '[Unit]' After=multi-user.target '[Service]' Type=oneshot RemainAfterExit=yes \
		"ExecStart=/bin/sh -c 'echo >/run/systemd-host/booted'" >"$etc/systemd-host-booted.service"
	# At boot these empty /tmp, which is the machine's when it was bound or was the working directory.
	mkdir -p "$root/etc/tmpfiles.d"
	ln -sf /dev/null "$root/etc/tmpfiles.d/tmp.conf"
	ln -sf /dev/null "$root/etc/tmpfiles.d/systemd-tmp.conf"
	ln -sf /dev/null "$root/etc/tmpfiles.d/x11.conf"
	# Images of containers forbid packages to start services; here is a systemd that can.
	rm -f "$root/usr/sbin/policy-rc.d"
	ln -s ../systemd-host-booted.service /lib/systemd/system/systemd-machined.service "$etc/multi-user.target.wants/"
}

write_identity() {
	: >"$root/etc/fstab"
	# A new file each: the lower one may be a bind mount or a symlink of the machine.
	rm -f "$root"/etc/{machine-id,hostname,hosts}
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
	echo systemd-host >"$root/etc/hostname"
	printf '%s\n' '127.0.0.1 localhost' '::1 localhost ip6-localhost' '127.0.1.1 systemd-host' >"$root/etc/hosts"
	hostname systemd-host
}

enter_root() {
	cd "$root"
	mkdir -p mnt
	pivot_root . mnt
	cd /
	umount --lazy /mnt
}

mount_root
mount_dev
mount_kernel_filesystems
mount_fresh
mount_binds
write_units
write_identity
ip link set lo up
enter_root
ulimit -c 0
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=systemd-host LANG=C.UTF-8 TERM=vt100 \
	/lib/systemd/systemd --system --unit=multi-user.target --show-status=no --log-level=info --log-target=journal \
	</dev/null >/dev/console 2>&1
