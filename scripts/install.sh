#!/bin/sh
# Installs the built rkt: program and stage1 image in PREFIX/lib/rkt, the command in PREFIX/bin, units of systemd,
# the groups rkt and rkt-admin, and the data and configuration directories. Run `npm run install-rkt`.
#
# environment: PREFIX (default /usr/local); DESTDIR, put before every path and making no groups and directories,
# for packages
set -eu

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR-}
library=$DESTDIR$PREFIX/lib/rkt
configuration=$DESTDIR$PREFIX/lib
cd "$(dirname "$0")/.."

fail() {
	echo "install-rkt: $1" >&2
	exit 1
}

[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || fail "run it as root, or set DESTDIR"
[ -f dist/stage1-images.json ] || fail "nothing is built: run npm run build first"

install -d -m 755 "$library" "$DESTDIR$PREFIX/bin"
for file in dist/rkt.cjs dist/rkt.cjs.cache dist/koffi.node dist/stage1-*.aci dist/stage1-images.json; do
	name=${file##*/}
	install -m 644 "$file" "$library/$name.new"
	mv -f "$library/$name.new" "$library/$name"
done
install -m 755 dist/rkt "$library/rkt"
ln -sfn "$PREFIX/lib/rkt/rkt" "$DESTDIR$PREFIX/bin/rkt"

install -d "$configuration/systemd/system" "$configuration/tmpfiles.d" "$configuration/sysusers.d"
for unit in packaging/systemd/*; do
	sed "s|/usr/bin/rkt|$PREFIX/bin/rkt|" "$unit" >"$configuration/systemd/system/${unit##*/}"
	chmod 644 "$configuration/systemd/system/${unit##*/}"
done
install -m 644 packaging/tmpfiles.d/rkt.conf "$configuration/tmpfiles.d/rkt.conf"
install -m 644 packaging/sysusers.d/rkt.conf "$configuration/sysusers.d/rkt.conf"
if [ -z "$DESTDIR" ]; then
	systemd-sysusers "$configuration/sysusers.d/rkt.conf"
	systemd-tmpfiles --create "$configuration/tmpfiles.d/rkt.conf"
fi

echo "install-rkt: $("$library/rkt" version | head -n 1), command $PREFIX/bin/rkt"
