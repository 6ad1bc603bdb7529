#!/usr/bin/env bash
# Boots a systemd host (PID 1, D-Bus, persistent journal, machined) in fresh namespaces on top of this machine's
# own files, runs one command in it and removes everything again. docs/development-systemd-host.md describes it.
set -uo pipefail

usage() {
	cat <<'TEXT'
usage: systemd-host.sh [OPTION]... [--] [COMMAND [ARGUMENT]...]

Runs COMMAND, or an interactive shell, on a throw-away systemd host. The exit status is that of COMMAND
(128 + n for signal n), 124 after --timeout, 125 when the host itself could not be started.

  --cgroup=LAYOUT    hybrid: version 1 hierarchies with controllers (default where the machine has them)
                     unified: version 2 only
  --bind=PATH        show the machine's PATH writable at the same place; the working directory always is
  --timeout=SECONDS  end COMMAND after this time
  --name=NAME        a part of the names of its work directory and cgroups, systemd-host.NAME.*
  --verbose          say how long the boot took and which units failed
  --journal          when COMMAND fails, print the host's journal (warnings and worse) on standard error
TEXT
}

here=$(dirname "$(realpath "$0")")
. "$here/cgroups.sh"

die() {
	echo "systemd-host: $*" >&2
	exit 125
}

layout='' name=host timeout=0 verbose='' journal='' binds=() init=''

parse_options() {
	while [ $# -gt 0 ]; do
		case $1 in
			--cgroup=hybrid | --cgroup=unified) layout=${1#*=} ;;
			--bind=*) binds+=("$(realpath -e -- "${1#*=}")") || die "cannot bind ${1#*=}: no such file or directory" ;;
			--timeout=*[!0-9]* | --timeout=) die "--timeout wants a number of seconds, not '${1#*=}'" ;;
			--timeout=*) timeout=${1#*=} ;;
			--name=*[!a-z0-9-]* | --name=) die "--name wants lower case letters, digits and dashes, not '${1#*=}'" ;;
			--name=*) name=${1#*=} ;;
			--verbose) verbose=yes ;;
			--journal) journal=yes ;;
			--help) usage && exit 0 ;;
			--) shift && break ;;
			-*) usage >&2 && die "unknown option $1" ;;
			*) break ;;
		esac
		shift
	done
	command=("$@")
}

check_machine() {
	[ "$(id -u)" = 0 ] || die "must be run as root"
	local program
	for program in systemd-nspawn machinectl dbus-daemon unshare nsenter setpriv; do
		command -v "$program" >/dev/null || die "$program is missing: apt-get install systemd systemd-container dbus util-linux"
	done
	local bind
	for bind in "${binds[@]}"; do
		case $bind in
			/ | /tmp | /var/tmp | /run | /dev | /etc | /var | /var/log) die "cannot bind $bind: the host would change the machine's own files; use a directory below it" ;;
		esac
	done
	[ -n "$layout" ] || layout=$(default_layout) || die "no usable cgroup hierarchy below /sys/fs/cgroup"
	[ "$layout" = unified ] || has_version1 || die "this machine has no cgroup version 1 hierarchies: use --cgroup=unified"
}

# The work directory and the cgroups belong to the reaper: a process in a session of its own that reads from a
# pipe of ours. The pipe ends when we do, whatever the way, and only then it clears up.
start_reaper() {
	work=$(mktemp -d "/var/tmp/systemd-host.$name.XXXXXX") || exit 125
	: >"$work/cgroups"
	exec {life}> >(exec setsid bash "$here/reaper.sh" "$work" >/dev/null)
	reaper=$!
	trap finish EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
}

finish() {
	trap '' INT TERM HUP
	exec {life}>&-
	wait "$reaper"
}

# What the host is to show and run, in files that need no quoting.
write_control() {
	[ "$PWD" = / ] || binds+=("$PWD")
	mkdir "$work/control" && mkfifo "$work/control/booted"
	: >"$work/control/console"
	echo "$layout" >"$work/control/layout"
	cut -f 2- "$work/cgroups" >"$work/control/hierarchies"
	printf '%s\0' "${binds[@]}" >"$work/control/binds"
	printf '%s' "$PWD" >"$work/control/directory"
	printf '%s\0' "${command[@]}" >"$work/control/command"
	# What belongs to the manager, the session and the folders of the machine means nothing in the host.
	env -0 --unset=NOTIFY_SOCKET --unset=LISTEN_FDS --unset=LISTEN_PID --unset=LISTEN_FDNAMES --unset=INVOCATION_ID \
		--unset=JOURNAL_STREAM --unset=MAINPID --unset=CREDENTIALS_DIRECTORY --unset=XDG_RUNTIME_DIR --unset=TMPDIR \
		--unset=DBUS_SESSION_BUS_ADDRESS --unset=DBUS_SYSTEM_BUS_ADDRESS \
		--unset=NODE_CHANNEL_FD --unset=NODE_CHANNEL_SERIALIZATION_MODE >"$work/control/environment"
	cp "$here/run-command.sh" "$work/control/"
}

boot() {
	(
		exec {life}>&-
		join_cgroups "$work/cgroups" || exit 1
		exec setpriv --pdeathsig KILL unshare --mount --pid --cgroup --uts --ipc --net --fork --kill-child=KILL \
			--propagation private "$BASH" "$here/init.sh" "$work"
	) >>"$work/control/console" 2>&1 </dev/null &
	local unshare=$! deadline=$((SECONDS + 60)) ready=''
	# Open for reading and writing, so that neither side waits for the other.
	exec {booted}<>"$work/control/booted"
	until read -r -t 0.5 -u "$booted" ready; do
		kill -0 "$unshare" 2>/dev/null || boot_failed "PID 1 died"
		[ $SECONDS -lt $deadline ] || boot_failed "not booted within 60 s"
	done
	exec {booted}<&-
	# The kernel ends the list without a newline.
	read -r init _ <"/proc/$unshare/task/$unshare/children"
	[ -n "$init" ] || boot_failed "PID 1 died"
}

boot_failed() {
	cat "$work/control/console" >&2
	die "$1"
}

in_host() {
	nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup --root --wd "$@" {life}>&-
}

report_boot() {
	local failed
	failed=$(in_host systemctl --failed --plain --no-legend </dev/null | cut -d ' ' -f 1 | tr '\n' ' ')
	echo "systemd-host: $layout, booted in $((($(date +%s%N) - started) / 1000000)) ms, failed units: ${failed:-none}" >&2
}

# Runs the command as a service, in the background, so that a signal to us is acted upon at once.
run_command() {
	local run=(systemd-run --quiet --wait --collect --service-type=exec --unit=systemd-host-command)
	run+=(--property=Delegate=yes --property=KillMode=mixed --property=TasksMax=infinity --property=LimitCORE=0)
	[ -t 0 ] && [ -t 1 ] && run+=(--pty) || run+=(--pipe)
	[ "$timeout" = 0 ] || run=(timeout --foreground --kill-after=5 "$timeout" "${run[@]}")
	in_host "${run[@]}" /bin/bash /run/systemd-host/run-command.sh <&0 {life}>&- &
	wait $!
	status=$?
	# systemd-run ends early when the command stops D-Bus; the command itself goes on.
	while [ "$status" != 124 ] && command_runs; do sleep 0.05; done
	[ ! -s "$work/control/status" ] || status=$(<"$work/control/status")
}

command_runs() {
	[ -s "$work/control/pid" ] && [ ! -s "$work/control/status" ] &&
		[ -d "/proc/$init/root/proc/$(<"$work/control/pid")" ]
}

started=$(date +%s%N)
parse_options "$@"
check_machine
[ ${#command[@]} -gt 0 ] || command=(/bin/bash)
start_reaper
make_cgroups "$layout" "${work##*/}" "$work/cgroups" || die "cannot make cgroups below /sys/fs/cgroup"
write_control
boot
[ -z "$verbose" ] || report_boot
run_command
[ "$status" != 124 ] || [ "$timeout" = 0 ] || echo "systemd-host: ended after $timeout s" >&2
[ "$status" = 0 ] || [ -z "$journal" ] || in_host journalctl --boot --priority=warning --no-pager >&2 </dev/null
exit "$status"
