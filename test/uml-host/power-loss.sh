#!/bin/sh
# What runs on the host whose power goes off: power-loss.sh SCRATCH PROMISED CALL POINT COMMIT
#
# Looks at what the last cut has left and says what is wrong, takes it all away, and makes CALL: `archive`, `layers`,
# `prepare`, `run`, `remove` or `nothing`. It dies at the crash point POINT; `end` is none, and a number the milliseconds
# until the cut. With COMMIT somebody else makes the file system write its journal then, which knows of files whose
# content it has not written. PROMISED is what was complete before the last cut.
scratch=$1 promised=$2 call=$3 point=$4 commit=$5
data=/var/lib/rkt

wrong() {
	echo "wrong: $*"
}

# Runs rkt; what it says is for the case that it fails.
try() {
	output=$(dist/rkt "$@" 2>&1) || wrong "rkt $* gave $?: $output"
}

fetch() {
	case $2 in
		archive) "$1" --insecure-options=image fetch "$scratch/image.aci" ;;
		layers) "$1" --insecure-options=image fetch "oci:$scratch/layout:app" ;;
	esac
}

prepare() {
	"$1" prepare --quiet example.com/archive localhost/layout
}

# Every image that is there is whole, and so is every pod.
look() {
	try list
	try image list
	for id in $(dist/rkt image list --full --no-legend --fields=id); do
		try image verify "$id"
		case $output in *damaged*) wrong "$output" ;; esac
	done
	for uuid in $(dist/rkt list --full --no-legend | awk '/prepared/ { print $1 }' | sort -u); do
		try run-prepared --net=none "$uuid"
	done
	for what in $promised; do
		case $what in
			archive) dist/rkt image list | grep -q example.com/archive || wrong "the archive is lost" ;;
			layers) dist/rkt image list | grep -q localhost/layout || wrong "the layers are lost" ;;
			prepare) [ -n "$uuid" ] || wrong "the prepared pod is lost" ;;
		esac
	done
}

# The next fetch gives what was asked for, whatever is there.
repair() {
	output=$(fetch dist/rkt archive 2>&1) || wrong "fetch of the archive: $output"
	output=$(fetch dist/rkt layers 2>&1) || wrong "fetch of the layers: $output"
	try run --net=none example.com/archive localhost/layout
}

clear() {
	try gc --grace-period=0s --expire-prepared=0s
	try image rm example.com/archive localhost/layout
	try image gc --grace-period=0s
	rest=$(find $data/cas/tmp $data/cas/layer $data/pods/*/* -mindepth 1 -maxdepth 1 2>/dev/null)
	[ -z "$rest" ] || wrong "left over: $rest"
}

# What must be there after the next cut.
promise() {
	echo "promised $1" >&3
}

# Ends with 137 when it met its crash point.
make_call() {
	case $call in
		prepare)
			fetch dist/rkt archive && promise archive && fetch dist/rkt layers && promise layers &&
				prepare dist/test-build/rkt
			;;
		run)
			fetch dist/rkt archive && promise archive && fetch dist/rkt layers && promise layers &&
				dist/test-build/rkt run --net=none example.com/archive localhost/layout
			;;
		remove)
			fetch dist/rkt archive && fetch dist/rkt layers && prepare dist/rkt &&
				dist/test-build/rkt gc --grace-period=0s --expire-prepared=0s &&
				dist/test-build/rkt image rm example.com/archive localhost/layout &&
				dist/test-build/rkt image gc --grace-period=0s
			;;
		*) fetch dist/test-build/rkt "$call" ;;
	esac >/run/made
}

exec 3>&1
look
repair
clear
[ "$call" != nothing ] || exit 0
case $point in
	[0-9]*) echo "cut in $point" ;;
	end) ;;
	*) export RKT_CRASH_AT="$point" ;;
esac
make_call
case $? in
	0) promise "$call" ;;
	137) ;;
	*) wrong "$call failed" ;;
esac
[ -z "$commit" ] || { echo >$data/other && sync $data/other; }
echo "cut in 0"
sleep 60
