#!/usr/bin/env bash
# Boots User-Mode Linux, a kernel that is an ordinary program, as a host of its own and runs a command there as
# root; see docs/development-uml-host.md.
set -uo pipefail

usage() {
	cat <<'END'
usage: uml-host.sh [--disk=FILE] [--mount-options=WORDS] [--bind=PATH]... [--parameter=WORD]... [--memory=MIB]
                   [--timeout=SECONDS] -- COMMAND [ARGUMENT]...

Files are those of this machine, and what is written is thrown away. /var/lib/rkt is on the disk image FILE when there
is one. SIGTERM to this script is a power cut: the kernel is gone with everything that it has not written.
END
}

die() {
	echo "uml-host: $1" >&2
	exit 125
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
disk='' mount_options=defaults memory=1536 timeout=120
binds=("$PWD") parameters=() command=()

parse_options() {
	local argument
	while [ $# -gt 0 ]; do
		argument=$1
		shift
		case $argument in
			--disk=*) disk=$(realpath -e "${argument#*=}") || die "there is no disk ${argument#*=}" ;;
			--mount-options=*) mount_options=${argument#*=} ;;
			--bind=*) [ -d "${argument#*=}" ] && binds+=("$(realpath "${argument#*=}")") || die "cannot bind ${argument#*=}" ;;
			--parameter=*) parameters+=("${argument#*=}") ;;
			--memory=*) memory=${argument#*=} ;;
			--timeout=*) timeout=${argument#*=} ;;
			--help) usage && exit 0 ;;
			--) command=("$@") && break ;;
			*) die "unknown option $argument; --help lists them" ;;
		esac
	done
	[ ${#command[@]} -gt 0 ] || die "there is no command"
	[[ $memory$timeout =~ ^[0-9]+$ ]] || die "--memory and --timeout want numbers"
}

# What the guest's init reads, on the machine's file system.
write_control() {
	mkdir "$work/control"
	echo "$PWD" >"$work/control/directory"
	echo "$mount_options" >"$work/control/mount-options"
	printf '%s\0' "${command[@]}" >"$work/control/command"
	printf '%s\0' "${binds[@]}" >"$work/control/binds"
	env -0 --unset=TMPDIR --unset=NOTIFY_SOCKET --unset=LISTEN_FDS --unset=LISTEN_PID \
		--unset=NODE_CHANNEL_FD --unset=NODE_CHANNEL_SERIALIZATION_MODE >"$work/control/environment"
}

# The kernel and the processes that it makes are in a namespace, so that they end with it. The serial lines are the
# output of the command. Without `d` the kernel would follow what the content of the disk names.
boot() {
	local words=("mem=${memory}M" con0=null,fd:1 con=null ssl0=null,fd:3 ssl1=null,fd:4 ssl=null
		root=/dev/root rootfstype=hostfs rootflags=/ ro quiet
		"init=$here/init.sh" "UML_HOST=$work/control" umid=host "uml_dir=$work")
	[ -z "$disk" ] || words+=("ubd0d=$disk")
	mkfifo "$work"/{output,errors,console}
	cat "$work/output" &
	cat "$work/errors" >&2 &
	cat "$work/console" >"$work/messages" &
	TMPDIR=/dev/shm setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child=KILL --mount-proc \
		linux.uml "${words[@]}" "${parameters[@]}" \
		</dev/null 3>"$work/output" 4>"$work/errors" >"$work/console" 2>&1 &
	unshare=$!
}

cut_power() {
	local kernel
	read -r kernel _ <"/proc/$unshare/task/$unshare/children"
	kill -KILL $kernel
} 2>/dev/null

run() {
	local limit
	trap 'cut_power' TERM INT
	(trap 'kill $!' TERM; sleep "$timeout" & wait $! && kill "$$") &
	limit=$!
	until ! kill -0 "$unshare" 2>/dev/null; do wait "$unshare"; done
	kill "$limit" 2>/dev/null
	trap '' TERM INT
	wait
}

work=$(mktemp -d "${TMPDIR:-/var/tmp}/uml-host.XXXXXX")
trap 'rm -rf "$work"' EXIT
parse_options "$@"
write_control
boot
run
[ -s "$work/control/status" ] && exit "$(<"$work/control/status")"
[ -e "$work/control/started" ] || cat "$work/messages" >&2
die "the power went off before the command ended"
