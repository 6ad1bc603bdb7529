#!/bin/sh
# Installs the built rkt: program and stage1 image in PREFIX/lib/rkt, the command in PREFIX/bin, the groups rkt
# and rkt-admin, and the data and configuration directories with their modes. Run `npm run install-rkt`.
#
# environment: PREFIX (default /usr/local); DESTDIR, put before every path and making no groups, for packages
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

add_group() {
	getent group "$1" >/dev/null || groupadd --system "$1"
}

# usage: make_directory MODE GROUP PATH
make_directory() {
	install -d -m "$1" "$DESTDIR$3"
	[ -n "$DESTDIR" ] || chgrp "$2" "$3"
	# install(1) applies the set-group-id bit before the group changes, which clears it.
	chmod "$1" "$DESTDIR$3"
}

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
