#!/usr/bin/env bash
# reaper.sh WORK: waits until standard input ends, that is until systemd-host.sh is gone, by its end or by a kill;
# then ends every process of the host through its cgroup and removes the cgroups and the work directory. The
# mounts go with the mount namespace of the last process.
set -u
trap '' INT TERM HUP
. "$(dirname "$0")/cgroups.sh"
cd /
cat >/dev/null
remove_cgroups "$1/cgroups"
rm -rf --one-file-system "$1"
