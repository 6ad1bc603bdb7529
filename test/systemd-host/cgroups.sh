# Functions for the cgroups of a systemd host: one below our own in every hierarchy that the layout shows, so that
# the host stays inside the accounting and the limits of whoever started it.
# A table holds a line for each: DIRECTORY<tab>KIND, where KIND is `unified`, `systemd` or a version 1 controller.

has_version1() {
	mountpoint -q /sys/fs/cgroup/systemd
}

unified_mount() {
	if [ "$(stat --file-system --format=%T /sys/fs/cgroup)" = cgroup2fs ]; then
		echo /sys/fs/cgroup
	else
		mountpoint -q /sys/fs/cgroup/unified && echo /sys/fs/cgroup/unified
	fi
}

default_layout() {
	if has_version1; then echo hybrid; else unified_mount >/dev/null && echo unified; fi
}

# Prints MOUNT<tab>KIND<tab>PATH for each hierarchy of the layout. systemd makes no use of the version 1 freezer
# and cpuset, and of no hierarchy that is not mounted here.
list_hierarchies() {
	local layout=$1 controllers path
	while IFS=: read -r _ controllers path; do
		case $layout:$controllers in
			*:) printf '%s\tunified\t%s\n' "$(unified_mount)" "${path%/}" ;;
			hybrid:name=systemd) printf '/sys/fs/cgroup/systemd\tsystemd\t%s\n' "${path%/}" ;;
			hybrid:cpu | hybrid:cpuacct | hybrid:cpu,cpuacct | hybrid:memory | hybrid:devices | hybrid:blkio | hybrid:pids)
				mountpoint -q "/sys/fs/cgroup/$controllers" || continue
				printf '/sys/fs/cgroup/%s\t%s\t%s\n' "$controllers" "$controllers" "${path%/}"
				;;
		esac
	done </proc/self/cgroup
}

# make_cgroups LAYOUT NAME TABLE: the table is written before each directory is made, so that none is forgotten.
make_cgroups() {
	local layout=$1 name=$2 table=$3 mount kind path
	while IFS=$'\t' read -r mount kind path; do
		[ -n "$mount" ] || return 1
		printf '%s\t%s\n' "$mount$path/$name" "$kind" >>"$table"
		mkdir "$mount$path/$name" || return 1
	done < <(list_hierarchies "$layout")
	[ -s "$table" ]
}

join_cgroups() {
	local directory kind
	while IFS=$'\t' read -r directory kind; do
		echo "$BASHPID" >"$directory/cgroup.procs" || return 1
	done <"$1"
}

# Kills what is in the cgroups of the table and removes them, again and again, for a process that was just about to
# join them; says which could not be removed.
remove_cgroups() {
	local table=$1 attempt left
	for attempt in {1..500}; do
		left=$(remove_once "$table")
		[ -n "$left" ] || return 0
		sleep 0.02
	done
	echo "systemd-host: could not remove the cgroups" $left >&2
}

# Prints the cgroups that are still there.
remove_once() {
	local directory kind
	while IFS=$'\t' read -r directory kind; do
		[ ! -d "$directory" ] || [ "$kind" != unified ] || echo 1 >"$directory/cgroup.kill"
	done <"$1"
	while IFS=$'\t' read -r directory kind; do
		[ ! -d "$directory" ] || find "$directory" -depth -type d -exec rmdir {} + 2>/dev/null
		[ ! -d "$directory" ] || echo "$directory"
	done <"$1"
}
