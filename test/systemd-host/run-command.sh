#!/usr/bin/env bash
# Runs inside the systemd host, as the main process of systemd-host-command.service: restores the caller's
# directory and environment and runs the command. A shell stays in front of it to turn a death by signal n into
# the status 128 + n, which systemd-run does not pass on.
set -u
control=/run/systemd-host
mapfile -d '' environment <"$control/environment"
mapfile -d '' command <"$control/command"
cd "$(<"$control/directory")" || exit 125
echo $$ >"$control/pid"
env -i "${environment[@]}" "${command[@]}"
status=$?
echo "$status" >"$control/status"
exit "$status"
