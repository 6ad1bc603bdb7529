#!/bin/sh
# Removes what install.sh put under PREFIX. Images, pods, keys and groups stay: they are the user's.
set -eu

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR-}

cd "$(dirname "$0")/.."

[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || {
	echo "uninstall-rkt: run it as root, or set DESTDIR" >&2
	exit 1
}
rm -f "$DESTDIR$PREFIX/bin/rkt"
rm -rf "$DESTDIR$PREFIX/lib/rkt"
for unit in packaging/systemd/*; do
	rm -f "$DESTDIR$PREFIX/lib/systemd/system/${unit##*/}"
done
rm -f "$DESTDIR$PREFIX/lib/tmpfiles.d/rkt.conf" "$DESTDIR$PREFIX/lib/sysusers.d/rkt.conf"
echo "uninstall-rkt: removed; images and pods are still in /var/lib/rkt, keys and configuration in /etc/rkt"
