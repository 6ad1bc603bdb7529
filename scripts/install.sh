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
cd "$(dirname "$0")/.."

fail() {
	echo "install-rkt: $1" >&2
	exit 1
}

[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || fail "run it as root, or set DESTDIR"
[ -f dist/stage1-images.json ] || fail "nothing is built: run npm run build first"

install -d -m 755 "$library" "$DESTDIR$PREFIX/bin"
for file in rkt.cjs rkt.cjs.cache koffi.node stage1-nspawn.aci stage1-images.json; do
	install -m 644 "dist/$file" "$library/$file.new"
	mv -f "$library/$file.new" "$library/$file"
done
install -m 755 dist/rkt "$library/rkt"
ln -sfn "$PREFIX/lib/rkt/rkt" "$DESTDIR$PREFIX/bin/rkt"

install -d "$DESTDIR$PREFIX/lib/systemd/system" "$DESTDIR$PREFIX/lib/tmpfiles.d" "$DESTDIR$PREFIX/lib/sysusers.d"
for unit in packaging/systemd/*; do
	target=$DESTDIR$PREFIX/lib/systemd/system/${unit##*/}
	sed "s|/usr/bin/rkt|$PREFIX/bin/rkt|" "$unit" >"$target"
	chmod 644 "$target"
done
install -m 644 packaging/tmpfiles.d/rkt.conf "$DESTDIR$PREFIX/lib/tmpfiles.d/rkt.conf"
install -m 644 packaging/sysusers.d/rkt.conf "$DESTDIR$PREFIX/lib/sysusers.d/rkt.conf"
if [ -z "$DESTDIR" ]; then
	systemd-sysusers "$PREFIX/lib/sysusers.d/rkt.conf"
	systemd-tmpfiles --create "$PREFIX/lib/tmpfiles.d/rkt.conf"
fi

echo "install-rkt: $1" >&2
	exit 1
}

[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || fail "run it as root, or set DESTDIR"
[ -f dist/stage1-images.json ] || fail "nothing is built: run npm run build first"

install -d -m 755 "$library" "$DESTDIR$PREFIX/bin"
for file in rkt.cjs rkt.cjs.cache koffi.node stage1-nspawn.aci stage1-images.json; do
	install -m 644 "dist/$file" "$library/$file.new"
	mv -f "$library/$file.new" "$library/$file"
done
install -m 755 dist/rkt "$library/rkt"
ln -sfn "$PREFIX/lib/rkt/rkt" "$DESTDIR$PREFIX/bin/rkt"

if [ -z "$DESTDIR" ]; then
	add_group rkt
	add_group rkt-admin
fi
# Members of rkt may fetch images and look at pods, members of rkt-admin may add keys; pods need root.
make_directory 2750 rkt /var/lib/rkt
make_directory 2770 rkt /var/lib/rkt/tmp
make_directory 2775 rkt-admin /etc/rkt
make_directory 2775 rkt-admin /etc/rkt/trustedkeys
make_directory 2775 rkt-admin /etc/rkt/trustedkeys/prefix.d
make_directory 2775 rkt-admin /etc/rkt/trustedkeys/root.d

echo "install-rkt: $("$library/rkt" version | head -n 1), command $PREFIX/bin/rkt"
