#!/bin/bash
# A stage0 that has nothing of this project's: a pod directory as docs/stage1.md describes it, by hand and without overlay,
# and the executables that the annotations of a stage1 image name.
#
# usage: other-stage0.sh prepare POD UUID IMAGE ROOT SCRIPT
#        other-stage0.sh run|stop|gc|enter POD UUID [ARG…]
set -eu
verb=$1 pod=$2 uuid=$3
shift 3
tree=$pod.tree
s1=$pod/stage1/rootfs

entrypoint() {
	jq -r --arg name "coreos.com/rkt/stage1/$1" '.annotations[] | select(.name == $name) | .value' "$pod/stage1/manifest"
}

prepare() {
	local image=$1 root=$2
	mkdir -p "$tree" "$pod/stage1" "$pod/appsinfo/app"
	tar -xf "$image" -C "$tree"
	cp "$tree/manifest" "$pod/stage1/manifest"
	cp -a "$tree/rootfs" "$s1"
	mkdir -p "$s1/opt/stage2/app" "$s1/rkt/status" "$s1/rkt/env"
	cp -a "$root" "$s1/opt/stage2/app/rootfs"
	jq -n --arg script "$3" '{acKind: "ImageManifest", acVersion: "0.8.11", name: "example.com/app",
		app: {exec: ["/bin/sh", "-c", $script], user: "0", group: "0"}}' >"$pod/appsinfo/app/manifest"
	cp "$pod/appsinfo/app/manifest" "$s1/opt/stage2/app/manifest"
	jq -n '{acKind: "PodManifest", acVersion: "0.8.11",
		apps: [{name: "app", image: {id: ("sha512-" + "0" * 128)}}]}' >"$pod/pod"
	: >"$pod/pod-created"
}

# PID 1 of the pod.
first_process() {
	[ ! -e pid ] || { cat pid && return; }
	read -r only_child _ <"/proc/$(cat ppid)/task/$(cat ppid)/children"
	echo "$only_child"
}

case $verb in
prepare) prepare "$@" ;;
run)
	cd "$pod"
	exec {RKT_LOCK_FD}<.
	flock --exclusive --nonblock $RKT_LOCK_FD
	export RKT_LOCK_FD RKT_SELINUX_CONTEXT= RKT_SELINUX_MOUNT_CONTEXT=
	exec "$s1$(entrypoint run)" "$@" "$uuid"
	;;
enter)
	cd "$pod"
	exec "$tree/rootfs$(entrypoint enter)" --pid="$(first_process)" --appname=app -- "$@"
	;;
stop | gc)
	cd "$pod"
	exec "$tree/rootfs$(entrypoint "$verb")" "$@" "$uuid"
	;;
esac
